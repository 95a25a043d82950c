/* test_provision.c - the ProvisionSpec against its golden bytes. */
#include "facts.h"

#include "vector_file.h"
#include "wire/provision.h"

typedef struct {
    const char *file;
    bool canonical; /* encode gives the same bytes */
    const char *args, *disabled_tools;
    rz_provision_t meaning;
    const char *credential_env;
} vector_t;

static const vector_t vectors[] = {
    { "echo",
      true,
      NULL,
      NULL,
      { .version = 1,
        .child_id = "ch-41",
        .parent_id = "root-7",
        .role = "explorer",
        .executor = RZ_EXECUTOR_ECHO,
        .fabric_dir = "/tmp/bamboo-subagents",
        .workspace = "/srv/repo",
        .idle_timeout_secs = 300,
        .reusable = true } },
    { "full",
      true,
      NULL,
      "[\"Bash\",\"Edit\"]",
      { .version = 1,
        .child_id = "ch-42",
        .parent_id = "root-7",
        .project_key = "proj-3f",
        .role = "implementer",
        .executor = RZ_EXECUTOR_BAMBOO_RUNTIME,
        .fabric_dir = "/run/user/1000/bamboo/agents",
        .storage_dir = "/var/tmp/actors/ch-42",
        .workspace = "/srv/repo",
        .model_provider = "5b0e-instance",
        .model_name = "claude-sonnet-4-6",
        .run_timeout_secs = 1800,
        .idle_timeout_secs = 300,
        .max_rounds = 60,
        .credentials = { { "5b0e-instance", "sk-0", "https://llm.internal", "anthropic" } },
        .credential_count = 1,
        .reusable = true } },
    { "command",
      true,
      "[\"-u\",\"agent.py\",\"\"]",
      "[]",
      { .version = 1,
        .child_id = "ch-43",
        .role = "",
        .executor = RZ_EXECUTOR_CLI_ADAPTER,
        .command = "/usr/bin/python3",
        .fabric_dir = "/tmp/f" } },
    { "credential-env",
      true,
      "[]",
      NULL,
      { .version = 1,
        .child_id = "ch-45",
        .role = "worker",
        .executor = RZ_EXECUTOR_CLI_ADAPTER,
        .command = "agent",
        .fabric_dir = "/tmp/f",
        .credentials = { { "openai", "sk-\033\"0", NULL, NULL } },
        .credential_count = 1,
        .reusable = true },
      "{\"OPENAI_API_KEY\":\"api_key\",\"OPENAI_BASE_URL\":\"base_url\"}" },
    { "asks-first",
      true,
      NULL,
      NULL,
      { .version = 1,
        .child_id = "ch-46",
        .role = "worker",
        .executor = RZ_EXECUTOR_BAMBOO_RUNTIME,
        .fabric_dir = "/tmp/f",
        .reusable = true,
        .enforce_permissions = true } },
    { "token",
      true,
      NULL,
      NULL,
      { .version = 1,
        .child_id = "ch-47",
        .role = "worker",
        .executor = RZ_EXECUTOR_ECHO,
        .fabric_dir = "/tmp/f",
        .connection_token = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        .reusable = true } },
    { "session",
      true,
      "[\"agent.js\"]",
      NULL,
      { .version = 1,
        .child_id = "ch-45",
        .role = "worker",
        .executor = RZ_EXECUTOR_SESSION,
        .command = "/usr/bin/node",
        .fabric_dir = "/tmp/f",
        .reusable = true } },
    { "smallest",
      false,
      NULL,
      NULL,
      { .version = 1, .child_id = "x", .role = "", .executor = RZ_EXECUTOR_ECHO, .fabric_dir = "/tmp/f" } },
    { "later-stage",
      false,
      NULL,
      NULL,
      { .version = 1,
        .child_id = "ch-44",
        .role = "worker",
        .executor = RZ_EXECUTOR_CODEX,
        .fabric_dir = "/tmp/f",
        .reusable = true } },
};

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static void same_text(const char *got, const char *want)
{
    assert_int_equal(got != NULL, want != NULL);
    if (want != NULL)
        assert_string_equal(got, want);
}

static void same_list(const cJSON *got, const char *want)
{
    assert_int_equal(got != NULL, want != NULL);
    if (want == NULL)
        return;
    char *text = cJSON_PrintUnformatted(got);
    assert_string_equal(text, want);
    cJSON_free(text);
}

static void same_meaning(const rz_provision_t *got, const vector_t *vector)
{
    const rz_provision_t *want = &vector->meaning;
    assert_int_equal(got->version, want->version);
    same_text(got->child_id, want->child_id);
    same_text(got->parent_id, want->parent_id);
    same_text(got->project_key, want->project_key);
    same_text(got->role, want->role);
    assert_int_equal(got->executor, want->executor);
    same_text(got->command, want->command);
    same_list(got->args, vector->args);
    same_list(got->credential_env, vector->credential_env);
    same_text(got->fabric_dir, want->fabric_dir);
    same_text(got->storage_dir, want->storage_dir);
    same_text(got->workspace, want->workspace);
    same_text(got->model_provider, want->model_provider);
    same_text(got->model_name, want->model_name);
    same_list(got->disabled_tools, vector->disabled_tools);
    assert_int_equal(got->run_timeout_secs, want->run_timeout_secs);
    assert_int_equal(got->idle_timeout_secs, want->idle_timeout_secs);
    assert_int_equal(got->max_rounds, want->max_rounds);
    assert_int_equal(got->reusable, want->reusable);
    assert_int_equal(got->enforce_permissions, want->enforce_permissions);
    same_text(got->connection_token, want->connection_token);
    assert_int_equal(got->credential_count, want->credential_count);
    for (size_t i = 0; i < want->credential_count; i++) {
        same_text(got->credentials[i].provider, want->credentials[i].provider);
        same_text(got->credentials[i].api_key, want->credentials[i].api_key);
        same_text(got->credentials[i].base_url, want->credentials[i].base_url);
        same_text(got->credentials[i].provider_type, want->credentials[i].provider_type);
    }
}

static void every_spec_decodes_to_its_meaning(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(vectors); i++) {
        size_t len;
        char *bytes = vector_read("provision", vectors[i].file, &len);
        rz_provision_t got;
        rz_err_t err = { 0 };
        assert_int_equal(rz_provision_decode(bytes, len, &got, &err), RZ_OK);
        same_meaning(&got, &vectors[i]);
        rz_provision_fini(&got);
        rz_free(bytes);
    }
}

static void every_canonical_spec_encodes_to_its_bytes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(vectors); i++) {
        if (!vectors[i].canonical)
            continue;
        size_t len;
        char *bytes = vector_read("provision", vectors[i].file, &len);
        rz_provision_t spec = vectors[i].meaning;
        cJSON *args = vectors[i].args != NULL ? cJSON_Parse(vectors[i].args) : NULL;
        cJSON *tools = vectors[i].disabled_tools != NULL ? cJSON_Parse(vectors[i].disabled_tools) : NULL;
        cJSON *env = vectors[i].credential_env != NULL ? cJSON_Parse(vectors[i].credential_env) : NULL;
        spec.args = args;
        spec.disabled_tools = tools;
        spec.credential_env = env;
        rz_buf_t out = { 0 };
        rz_provision_encode(&spec, &out);
        assert_int_equal(out.len, len);
        assert_memory_equal(out.data, bytes, len);
        rz_buf_fini(&out);
        cJSON_Delete(args);
        cJSON_Delete(tools);
        cJSON_Delete(env);
        rz_free(bytes);
    }
}

static void a_spec_cut_anywhere_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(vectors); i++) {
        size_t len;
        char *bytes = vector_read("provision", vectors[i].file, &len);
        for (size_t n = 0; n < len; n++) {
            char *cut = vector_cut(bytes, n);
            rz_provision_t got;
            rz_err_t err = { 0 };
            assert_int_equal(rz_provision_decode(cut, n, &got, &err), RZ_BAD_JSON);
            rz_free(cut);
        }
        rz_free(bytes);
    }
}

typedef struct {
    const char *identity, *executor, *rest;
    const char *field;
} refusal_t;

static void a_bad_field_is_refused_by_name(void **state)
{
    (void)state;
    static const char echo[] = "{\"kind\":\"echo\"}";
    static const char id[] = "{\"child_id\":\"x\"}";
    static const refusal_t bad[] = {
        { "{}", echo, "", "identity.child_id" },
        { "{\"child_id\":\"a/b\"}", echo, "", "identity.child_id" },
        { "{\"child_id\":\"x\",\"role\":null}", echo, "", "identity.role" },
        { "[]", echo, "", "identity" },
        { id, "{\"kind\":\"rocket\"}", "", "executor.kind" },
        { id, "{\"kind\":\"cli_adapter\",\"args\":[]}", "", "executor.command" },
        { id, "{\"kind\":\"cli_adapter\",\"command\":\"a\"}", "", "executor.args" },
        { id, "{\"kind\":\"cli_adapter\",\"command\":\"a\",\"args\":[1]}", "", "executor.args[0]" },
        { id, "{\"kind\":\"cli_adapter\",\"command\":\"a\",\"args\":[],\"credential_env\":null}", "",
          "executor.credential_env" },
        { id, "{\"kind\":\"cli_adapter\",\"command\":\"a\",\"args\":[],\"credential_env\":{\"A\":\"all\"}}",
          "", "executor.credential_env.A" },
        { id, echo, ",\"model\":{\"provider\":\"p\"}", "model.model" },
        { id, echo, ",\"limits\":null", "limits" },
        { id, echo, ",\"limits\":{\"idle_timeout_secs\":-1}", "limits.idle_timeout_secs" },
        { id, echo, ",\"limits\":{\"max_rounds\":4294967296}", "limits.max_rounds" },
        { id, echo, ",\"reusable\":1", "reusable" },
        { id, echo, ",\"capabilities\":{\"enforce_permissions\":1}", "capabilities.enforce_permissions" },
        { id, echo, ",\"disabled_tools\":\"Bash\"", "disabled_tools" },
        { id, echo, ",\"secrets\":{\"provider_credentials\":[{\"provider\":\"p\"}]}",
          "secrets.provider_credentials[0].api_key" },
        { id, echo, ",\"secrets\":{\"connection_token\":7}", "secrets.connection_token" },
        { id, echo, ",\"secrets\":{\"connection_token\":\"\"}", "secrets.connection_token" },
        { id, echo, ",\"secrets\":{\"connection_token\":\"0123456789abcdef\"}", "secrets.connection_token" },
        { id, echo,
          ",\"secrets\":{\"connection_token\":\"ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef0123456789\"}",
          "secrets.connection_token" },
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        char text[512];
        int n = snprintf(text, sizeof(text),
                         "{\"version\":1,\"identity\":%s,\"executor\":%s,\"fabric_dir\":\"/tmp/f\"%s}",
                         bad[i].identity, bad[i].executor, bad[i].rest);
        rz_provision_t got;
        rz_err_t err = { 0 };
        assert_int_not_equal(rz_provision_decode(text, (size_t)n, &got, &err), RZ_OK);
        assert_string_equal(err.field, bad[i].field);
    }
}

static void a_failure_does_not_show_a_key(void **state)
{
    (void)state;
    static const char *const secrets[] = {
        "{\"provider_credentials\":[{\"provider\":\"p\",\"api_key\":{\"k\":\"hush\"}}]}",
        "{\"provider_credentials\":\"hush\"}", "\"hush\"", "{\"connection_token\":\"hush\"}"
    };
    for (size_t i = 0; i < COUNT(secrets); i++) {
        char text[512];
        int n = snprintf(text, sizeof(text),
                         "{\"version\":1,\"identity\":{\"child_id\":\"x\"},\"executor\":{\"kind\":\"echo\"},"
                         "\"fabric_dir\":\"/f\",\"secrets\":%s}",
                         secrets[i]);
        rz_provision_t got;
        rz_err_t err = { 0 };
        assert_int_equal(rz_provision_decode(text, (size_t)n, &got, &err), RZ_BAD_FIELD);
        assert_null(strstr(err.text, "hush"));
    }
}

static rz_rc_t checked_env(const char *text, rz_err_t *err)
{
    cJSON *object = cJSON_Parse(text);
    assert_non_null(object);
    rz_rc_t rc = rz_credential_env_check(object, "x.credential_env", err);
    cJSON_Delete(object);
    return rc;
}

static void a_variable_has_a_name_that_a_shell_takes_and_is_no_setting_of_ours(void **state)
{
    (void)state;
    static const char *const bad[] = { "",         "1A",  "A-B",         "A=B",     "A B",
                                       "\303\204", "A\n", "RHIZOME_KEY", "RHIZOME_" };
    for (size_t i = 0; i < COUNT(bad); i++) {
        cJSON *object = cJSON_CreateObject();
        rz_err_t err = { 0 };
        cJSON_AddStringToObject(object, bad[i], "api_key");
        assert_int_equal(rz_credential_env_check(object, "x.credential_env", &err), RZ_BAD_FIELD);
        assert_string_equal(err.field, "x.credential_env");
        cJSON_Delete(object);
    }
    rz_err_t err = { 0 };
    assert_int_equal(
        checked_env("{\"_a9\":\"api_key\",\"B\":\"base_url\",\"C\":\"provider_type\",\"D\":\"provider\"}",
                    &err),
        RZ_OK);
    assert_int_equal(checked_env("{\"A\":\"key\"}", &err), RZ_BAD_FIELD);
    assert_non_null(strstr(err.text, "provider_type"));
    err = (rz_err_t){ 0 };
    assert_int_equal(checked_env("{\"A\":7}", &err), RZ_BAD_FIELD);
}

static void too_many_variables_are_refused(void **state)
{
    (void)state;
    cJSON *object = cJSON_CreateObject();
    rz_err_t err = { 0 };
    for (int i = 0; i < 65; i++) {
        char name[8];
        snprintf(name, sizeof(name), "V%d", i);
        assert_int_equal(rz_credential_env_check(object, "e", &err), RZ_OK);
        cJSON_AddStringToObject(object, name, "api_key");
    }
    assert_int_equal(rz_credential_env_check(object, "e", &err), RZ_TOO_LARGE);
    cJSON_Delete(object);
}

static void the_parts_of_a_credential_have_names(void **state)
{
    (void)state;
    static const rz_credential_t whole = { "p", "k", "u", "t" }, bare = { "p", "k", NULL, NULL };
    assert_string_equal(rz_credential_part(&whole, "provider"), "p");
    assert_string_equal(rz_credential_part(&whole, "api_key"), "k");
    assert_string_equal(rz_credential_part(&whole, "base_url"), "u");
    assert_string_equal(rz_credential_part(&whole, "provider_type"), "t");
    assert_string_equal(rz_credential_part(&bare, "provider_type"), "p");
    assert_null(rz_credential_part(&bare, "base_url"));
    assert_null(rz_credential_part(&whole, "nonsense"));
}

static void a_worker_uses_the_credential_of_its_models_provider_else_the_first(void **state)
{
    (void)state;
    rz_provision_t spec = { .credentials = { { "a", "1", NULL, NULL }, { "b", "2", NULL, NULL } },
                            .credential_count = 2 };
    assert_string_equal(rz_provision_credential(&spec)->api_key, "1");
    spec.model_provider = "b";
    assert_string_equal(rz_provision_credential(&spec)->api_key, "2");
    spec.model_provider = "c";
    assert_string_equal(rz_provision_credential(&spec)->api_key, "1");
    spec.credential_count = 0;
    assert_null(rz_provision_credential(&spec));
}

/* Growing a buffer leaves the old bytes in freed memory, where no wiping reaches them. */
static void the_buffer_of_a_spec_does_not_move_behind_a_key(void **state)
{
    (void)state;
    char key[5000];
    memset(key, '\033', sizeof(key) - 1); /* each byte becomes six */
    key[sizeof(key) - 1] = '\0';
    rz_provision_t spec = vectors[1].meaning, bare = vectors[1].meaning;
    spec.credentials[0].api_key = key;
    bare.credentials[0].api_key = "";
    rz_buf_t out = { 0 }, without = { 0 };
    rz_provision_encode(&bare, &without);
    rz_provision_encode(&spec, &out);
    assert_int_equal(out.len, without.len + 6 * (sizeof(key) - 1));
    size_t before = (size_t)(strstr(out.data, "\"secrets\"") - out.data);
    assert_true(out.cap <=
                before + 6 * (sizeof(key) - 1) + 2048); /* reserved at once, not doubled on the way */
    rz_buf_fini(&out);
    rz_buf_fini(&without);
}

static void an_empty_fabric_dir_is_refused(void **state)
{
    (void)state;
    static const char text[] =
        "{\"version\":1,\"identity\":{\"child_id\":\"x\"},\"executor\":{\"kind\":\"echo\"},\"fabric_dir\":\"\"}";
    rz_provision_t got;
    rz_err_t err = { 0 };
    assert_int_equal(rz_provision_decode(text, sizeof(text) - 1, &got, &err), RZ_BAD_FIELD);
    assert_string_equal(err.field, "fabric_dir");
}

static void too_many_credentials_are_refused(void **state)
{
    (void)state;
    rz_provision_t spec = vectors[1].meaning;
    rz_buf_t out = { 0 };
    rz_provision_encode(&spec, &out);
    char *list = strstr(out.data, "[{\"provider\"");
    rz_buf_t many = { 0 };
    rz_buf_put(&many, out.data, (size_t)(list - out.data) + 1);
    for (int i = 0; i <= RZ_CREDENTIALS_MAX; i++)
        rz_buf_printf(&many, "%s{\"provider\":\"p\",\"api_key\":\"k\"}", i > 0 ? "," : "");
    rz_buf_puts(&many, strchr(list, ']'));

    rz_provision_t got;
    rz_err_t err = { 0 };
    assert_int_equal(rz_provision_decode(many.data, many.len, &got, &err), RZ_TOO_LARGE);
    assert_string_equal(err.field, "secrets.provider_credentials");
    rz_buf_fini(&many);
    rz_buf_fini(&out);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_spec_decodes_to_its_meaning),
    cmocka_unit_test(every_canonical_spec_encodes_to_its_bytes),
    cmocka_unit_test(a_spec_cut_anywhere_is_refused),
    cmocka_unit_test(a_bad_field_is_refused_by_name),
    cmocka_unit_test(a_failure_does_not_show_a_key),
    cmocka_unit_test(a_variable_has_a_name_that_a_shell_takes_and_is_no_setting_of_ours),
    cmocka_unit_test(too_many_variables_are_refused),
    cmocka_unit_test(the_parts_of_a_credential_have_names),
    cmocka_unit_test(a_worker_uses_the_credential_of_its_models_provider_else_the_first),
    cmocka_unit_test(the_buffer_of_a_spec_does_not_move_behind_a_key),
    cmocka_unit_test(an_empty_fabric_dir_is_refused),
    cmocka_unit_test(too_many_credentials_are_refused),
};

RZ_FACTS(tests)
