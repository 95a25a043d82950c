/* test_profile.c - from a profile and an assignment to a worker: which credential it gets, and who shares it. */
#include "facts.h"

#include "base/log.h"
#include "profile.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static const char keys[] =
    "{\"a\":{\"api_key\":\"sk-hush-a\"},\"b\":{\"api_key\":\"sk-hush-b\",\"base_url\":\"http://b\"},"
    "\"d\":{\"api_key\":\"sk-hush-d\"}}";

typedef struct {
    char path[64];
    settings_t settings;
    rz_link_t assign;
    profile_case_t of;
} desk_t;

static int desk_up(void **state)
{
    desk_t *desk = calloc(1, sizeof *desk);
    assert_non_null(desk);
    rz_log_setup(NULL, RZ_LOG_OFF);
    snprintf(desk->path, sizeof desk->path, "/tmp/rz-profile-XXXXXX");
    int fd = mkstemp(desk->path);
    assert_int_equal(write(fd, keys, sizeof keys - 1), (ssize_t)sizeof keys - 1);
    close(fd);
    rz_err_t err = { 0 };
    cJSON *externals =
        cJSON_Parse("{\"prog\":{\"agent_id\":\"prog\",\"protocol\":\"actor\",\"permission_profile\":\"\","
                    "\"executor\":\"command\",\"command\":\"sh\",\"credential_env\":{\"KEY\":\"api_key\"}}}");
    desk->settings = (settings_t){ .agents = rz_agents_create(externals, NULL, NULL, &err),
                                   .needs_credential = true,
                                   .worker_bin = "/bin/true",
                                   .env_allow = cJSON_CreateArray() };
    cJSON_Delete(externals);
    assert_non_null(desk->settings.agents);
    desk->assign = (rz_link_t){ .child = "c1", .parent = "p1", .affinity = "same" };
    desk->of = (profile_case_t){ .settings = &desk->settings,
                                 .credentials = credentials_open(desk->path, &err),
                                 .agent = rz_agents_find(desk->settings.agents, "echo"),
                                 .assign = &desk->assign };
    assert_non_null(desk->of.credentials);
    *state = desk;
    return 0;
}

static int desk_down(void **state)
{
    desk_t *desk = *state;
    credentials_t *credentials = (credentials_t *)(uintptr_t)desk->of.credentials;
    credentials_close(&credentials);
    cJSON_Delete((cJSON *)(uintptr_t)desk->settings.env_allow);
    rz_agents_destroy(&desk->settings.agents);
    unlink(desk->path);
    free(desk);
    return 0;
}

/* Without the keys of the desk. */
static void forget_file(desk_t *desk)
{
    credentials_t *credentials = (credentials_t *)(uintptr_t)desk->of.credentials;
    credentials_close(&credentials);
    desk->of.credentials = credentials_open("", NULL);
}

/* A session header with these members. */
static const profile_case_t *child(desk_t *desk, const char *members)
{
    static char header[2048];
    snprintf(header, sizeof header, "{\"id\":\"c1\",\"kind\":\"child\"%s}", members);
    desk->of.header = rz_str(header);
    return &desk->of;
}

#define MODEL_OF(provider)    ",\"model_ref\":{\"provider\":\"" provider "\",\"model\":\"m\"}"
#define METADATA_OF(provider) ",\"metadata\":{\"provider_name\":\"" provider "\"}"

static void gets(desk_t *desk, const char *members, const char *key)
{
    profile_plan_t plan;
    rz_err_t err = { 0 };
    if (profile_plan_init(&plan, child(desk, members), &err) != RZ_OK)
        fail_msg("%s: %s", members, err.text);
    assert_int_equal(plan.provision.credential_count, key != NULL);
    if (key != NULL)
        assert_string_equal(plan.provision.credentials[0].api_key, key);
    assert_int_equal(plan.credential[0] != '\0', key != NULL);
    profile_plan_fini(&plan);
}

static void fails(desk_t *desk, const char *members, const char *word)
{
    profile_plan_t plan;
    char pool_key[RZ_DIGEST_LEN + 1];
    rz_err_t err = { 0 }, again = { 0 };
    assert_int_equal(profile_pool_key(child(desk, members), pool_key, &err), RZ_NOT_FOUND);
    assert_int_equal(profile_plan_init(&plan, child(desk, members), &again), RZ_NOT_FOUND);
    assert_string_equal(err.text, again.text);
    if (strstr(err.text, word) == NULL || strstr(err.text, "hush") != NULL)
        fail_msg("%s", err.text);
}

static void the_provider_is_the_models_else_the_metadatas_else_the_default(void **state)
{
    desk_t *desk = *state;
    snprintf(desk->settings.default_provider, sizeof desk->settings.default_provider, "d");
    gets(desk, MODEL_OF("a") METADATA_OF("b"), "sk-hush-a");
    gets(desk, METADATA_OF("b"), "sk-hush-b");
    gets(desk, ",\"model_ref\":null" METADATA_OF("b"), "sk-hush-b");
    gets(desk, MODEL_OF(" ") METADATA_OF("b"), "sk-hush-b");
    gets(desk, METADATA_OF(""), "sk-hush-d");
    gets(desk, "", "sk-hush-d");
}

static void who_names_no_provider_gets_no_credential(void **state)
{
    desk_t *desk = *state;
    gets(desk, "", NULL);
    gets(desk, METADATA_OF(" "), NULL);
}

static void exactly_one_credential_travels_and_all_of_it(void **state)
{
    desk_t *desk = *state;
    profile_plan_t plan;
    rz_err_t err = { 0 };
    assert_int_equal(profile_plan_init(&plan, child(desk, MODEL_OF("b")), &err), RZ_OK);
    plan.provision.fabric_dir = "/f";
    rz_buf_t spec = { 0 };
    rz_provision_encode(&plan.provision, &spec);
    assert_non_null(strstr(
        spec.data, "\"secrets\":{\"provider_credentials\":[{\"provider\":\"b\",\"api_key\":\"sk-hush-b\","
                   "\"base_url\":\"http://b\"}]}"));
    rz_buf_fini(&spec);
    profile_plan_fini(&plan);
}

static void our_own_worker_gets_a_token_of_its_own_for_each_spawn(void **state)
{
    desk_t *desk = *state;
    profile_plan_t plan[2];
    rz_err_t err = { 0 };
    snprintf(desk->settings.worker_bin, sizeof desk->settings.worker_bin, "/opt/x/rhizome-worker");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(profile_plan_init(&plan[i], child(desk, ""), &err), RZ_OK);
        assert_int_equal(strlen(plan[i].provision.connection_token), RZ_SECRET_LEN);
    }
    assert_string_not_equal(plan[0].token, plan[1].token);
    assert_string_equal(plan[0].pool_key, plan[1].pool_key);
    for (int i = 0; i < 2; i++)
        profile_plan_fini(&plan[i]);
}

static void another_worker_is_told_of_no_token(void **state)
{
    desk_t *desk = *state;
    profile_plan_t plan;
    rz_err_t err = { 0 };
    static const char *const others[] = { "/opt/bamboo/subagent-worker", "rhizome-worker.py",
                                          "rhizome-worker/w" };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        snprintf(desk->settings.worker_bin, sizeof desk->settings.worker_bin, "%s", others[i]);
        assert_int_equal(profile_plan_init(&plan, child(desk, ""), &err), RZ_OK);
        assert_null(plan.provision.connection_token);
        profile_plan_fini(&plan);
    }
}

static void a_provider_without_a_credential_is_an_error_that_names_it_and_the_setting(void **state)
{
    desk_t *desk = *state;
    fails(desk, MODEL_OF("nobody"), "No credential for provider \"nobody\"");
    fails(desk, METADATA_OF("nobody"), "runner.credentials");
    snprintf(desk->settings.default_provider, sizeof desk->settings.default_provider, "nobody");
    fails(desk, "", "runner.missing_credential");
}

/* 100 bytes of the name are shown; the 34th of these characters begins at the 100th. */
static void a_name_cut_for_its_length_is_still_clean_text(void **state)
{
    desk_t *desk = *state;
    rz_buf_t members = { 0 };
    rz_buf_puts(&members, ",\"metadata\":{\"provider_name\":\"");
    for (int i = 0; i < 60; i++)
        rz_buf_puts(&members, "\342\202\254");
    rz_buf_puts(&members, "\"}");
    fails(desk, members.data, "\342\202\254?\"");
    rz_buf_fini(&members);
}

static void it_is_a_warning_when_the_setting_says_so(void **state)
{
    desk_t *desk = *state;
    char pool_key[RZ_DIGEST_LEN + 1];
    desk->settings.needs_credential = false;
    gets(desk, MODEL_OF("nobody"), NULL);
    assert_int_equal(profile_pool_key(child(desk, MODEL_OF("nobody")), pool_key, NULL), RZ_OK);
}

static void without_a_file_no_credential_is_missed(void **state)
{
    desk_t *desk = *state;
    forget_file(desk);
    gets(desk, MODEL_OF("nobody"), NULL);
    gets(desk, MODEL_OF("a"), NULL);
}

static void pool_key(desk_t *desk, const char *members, char out[RZ_DIGEST_LEN + 1])
{
    rz_err_t err = { 0 };
    if (profile_pool_key(child(desk, members), out, &err) != RZ_OK)
        fail_msg("%s", err.text);
}

static void workers_with_different_credentials_are_not_interchangeable(void **state)
{
    desk_t *desk = *state;
    char a[RZ_DIGEST_LEN + 1], also_a[RZ_DIGEST_LEN + 1], b[RZ_DIGEST_LEN + 1], none[RZ_DIGEST_LEN + 1];
    pool_key(desk, MODEL_OF("a"), a);
    pool_key(desk, METADATA_OF("a"), also_a);
    pool_key(desk, MODEL_OF("b"), b);
    pool_key(desk, "", none);
    assert_string_equal(a, also_a);
    assert_string_not_equal(a, b);
    assert_string_not_equal(a, none);
    assert_string_not_equal(b, none);
}

static void a_replaced_key_is_another_pool_key_and_in_the_plan_with_it(void **state)
{
    desk_t *desk = *state;
    char before[RZ_DIGEST_LEN + 1], after[RZ_DIGEST_LEN + 1];
    pool_key(desk, MODEL_OF("a"), before);
    FILE *file = fopen(desk->path, "w");
    assert_non_null(file);
    fputs("{\"a\":{\"api_key\":\"new\"}}", file);
    fclose(file);
    assert_true(credentials_refresh((credentials_t *)(uintptr_t)desk->of.credentials));
    pool_key(desk, MODEL_OF("a"), after);
    assert_string_not_equal(before, after);
    profile_plan_t plan;
    rz_err_t err = { 0 };
    assert_int_equal(profile_plan_init(&plan, child(desk, MODEL_OF("a")), &err), RZ_OK);
    assert_string_equal(plan.pool_key, after);
    assert_string_equal(plan.provision.credentials[0].api_key, "new");
    assert_true(credentials_current(desk->of.credentials, plan.credential));
    profile_plan_fini(&plan);
}

static void touch(const char *path)
{
    FILE *file = fopen(path, "a");
    assert_non_null(file);
    fputs("#\n", file);
    fclose(file);
}

/* Is a worker of before interchangeable with one of after the command was changed? */
static bool is_kept_by(desk_t *desk, rz_executor_t executor)
{
    char path[80], before[RZ_DIGEST_LEN + 1], after[RZ_DIGEST_LEN + 1];
    rz_agent_t agent = *rz_agents_find(desk->settings.agents, "prog");
    snprintf(path, sizeof path, "%s.prog", desk->path);
    touch(path);
    agent.executor = executor;
    agent.command = path;
    desk->of.agent = &agent;
    pool_key(desk, "", before);
    touch(path);
    pool_key(desk, "", after);
    unlink(path);
    return strcmp(before, after) == 0;
}

static void a_replaced_command_is_another_pool_key_when_it_lasts_from_run_to_run(void **state)
{
    assert_false(is_kept_by(*state, RZ_EXECUTOR_SESSION));
    assert_true(is_kept_by(*state, RZ_EXECUTOR_CLI_ADAPTER));
}

static void variables_of_a_profile_travel_as_names(void **state)
{
    desk_t *desk = *state;
    profile_plan_t plan;
    rz_err_t err = { 0 };
    desk->of.agent = rz_agents_find(desk->settings.agents, "prog");
    assert_int_equal(profile_plan_init(&plan, child(desk, MODEL_OF("a")), &err), RZ_OK);
    plan.provision.fabric_dir = "/f";
    rz_buf_t spec = { 0 };
    rz_provision_encode(&plan.provision, &spec);
    assert_non_null(strstr(spec.data, "\"executor\":{\"kind\":\"cli_adapter\",\"command\":\"sh\",\"args\":[],"
                                      "\"credential_env\":{\"KEY\":\"api_key\"}}"));
    rz_buf_fini(&spec);
    for (char **list = plan.argv; *list != NULL; list++)
        assert_null(strstr(*list, "hush"));
    for (char **list = plan.envp; *list != NULL; list++)
        assert_null(strstr(*list, "hush"));
    profile_plan_fini(&plan);
}

/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(the_provider_is_the_models_else_the_metadatas_else_the_default, desk_up, desk_down),
    cmocka_unit_test_setup_teardown(who_names_no_provider_gets_no_credential, desk_up, desk_down),
    cmocka_unit_test_setup_teardown(exactly_one_credential_travels_and_all_of_it, desk_up, desk_down),
    cmocka_unit_test_setup_teardown(our_own_worker_gets_a_token_of_its_own_for_each_spawn, desk_up, desk_down),
    cmocka_unit_test_setup_teardown(another_worker_is_told_of_no_token, desk_up, desk_down),
    cmocka_unit_test_setup_teardown(a_provider_without_a_credential_is_an_error_that_names_it_and_the_setting, desk_up, desk_down),
    cmocka_unit_test_setup_teardown(a_name_cut_for_its_length_is_still_clean_text, desk_up, desk_down),
    cmocka_unit_test_setup_teardown(it_is_a_warning_when_the_setting_says_so, desk_up, desk_down),
    cmocka_unit_test_setup_teardown(without_a_file_no_credential_is_missed, desk_up, desk_down),
    cmocka_unit_test_setup_teardown(workers_with_different_credentials_are_not_interchangeable, desk_up, desk_down),
    cmocka_unit_test_setup_teardown(a_replaced_key_is_another_pool_key_and_in_the_plan_with_it, desk_up, desk_down),
    cmocka_unit_test_setup_teardown(a_replaced_command_is_another_pool_key_when_it_lasts_from_run_to_run, desk_up, desk_down),
    cmocka_unit_test_setup_teardown(variables_of_a_profile_travel_as_names, desk_up, desk_down),
};
/* clang-format on */

RZ_FACTS(tests)
