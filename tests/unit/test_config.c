/* Settings from file, environment and flags: which wins, and how each mistake is named. */
#include "facts.h"

#include "base/config.h"
#include "base/setting.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- each fact has a private file and an environment without our variables ---- */
typedef struct {
    char path[64];
    rz_err_t err;
} fixture_t;

static void clear_environment(void)
{
    for (size_t i = 0; i < rz_settings_count; i++) {
        char name[RZ_SETTING_NAME_MAX];
        rz_setting_env(&rz_settings[i], name);
        unsetenv(name);
    }
    unsetenv("RHIZOME_CONFIG");
    unsetenv("RHIZOME_REDIS_ULR");
}

static int begin(void **state)
{
    fixture_t *f = rz_alloc(sizeof(*f));
    snprintf(f->path, sizeof(f->path), "/tmp/rz-config-XXXXXX");
    int fd = mkstemp(f->path);
    clear_environment();
    *state = f;
    return fd >= 0 ? close(fd) : -1;
}

static int end(void **state)
{
    fixture_t *f = *state;
    clear_environment();
    unlink(f->path);
    rz_free(f);
    return 0;
}

static void write_file(const fixture_t *f, const char *text)
{
    FILE *file = fopen(f->path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static rz_config_t *load_file(fixture_t *f, const char *text)
{
    char *argv[] = { (char[]){ "prog" }, NULL };
    int argc = 1;
    write_file(f, text);
    return rz_config_load(f->path, &argc, argv, &f->err);
}

/* Loads with the words of `line` as argv; *argc tells how many are left. */
static rz_config_t *load_args(fixture_t *f, char *line, int *argc, char **argv)
{
    char *rest = NULL;
    *argc = 0;
    for (char *word = strtok_r(line, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest))
        argv[(*argc)++] = word;
    argv[*argc] = NULL;
    return rz_config_load(NULL, argc, argv, &f->err);
}

static void assert_refused(fixture_t *f, rz_config_t *config, const char *text)
{
    assert_null(config);
    if (strstr(f->err.text, text) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", text, f->err.text);
}

/* ---- facts ---- */

static void without_any_source_the_defaults_hold(void **state)
{
    fixture_t *f = *state;
    char line[] = "prog", *argv[4];
    int argc;
    rz_config_t *config = load_args(f, line, &argc, argv);
    assert_non_null(config);
    assert_string_equal(rz_config_str(config, "redis.url"), "redis://127.0.0.1:6379");
    assert_string_equal(rz_config_str(config, "runner.name"), "");
    assert_string_equal(rz_config_str(config, "log.level"), "info");
    assert_int_equal(rz_config_int(config, "runner.slots"), 8);
    assert_int_equal(cJSON_GetArraySize(rz_config_list(config, "runner.labels")), 0);
    assert_int_equal(cJSON_GetArraySize(rz_config_list(config, "runner.env_allow")), 6);
    assert_string_equal(rz_config_list(config, "runner.brokers")->child->valuestring, "tcp://127.0.0.1:7413");
    assert_null(rz_config_table(config, "externalAgents"));
    rz_config_destroy(&config);
    assert_null(config);
    rz_config_destroy(&config);
}

static void the_file_may_have_comments_and_every_kind_of_value(void **state)
{
    fixture_t *f = *state;
    rz_config_t *config =
        load_file(f, "// fleet\n{ \"runner\": { \"slots\": 3, // small\n"
                     " \"labels\": [\"gpu\",\"x:1\"], \"brokers\": [], \"name\": \"r-1\" },\n"
                     " \"control\": \"ipc:///run/x\", \"limits\": {\"job_bytes\": 2048},\n"
                     " \"externalAgents\": {\"a\":{\"anything\":[1,{}]}} }");
    if (config == NULL)
        fail_msg("%s", f->err.text);
    assert_int_equal(rz_config_int(config, "runner.slots"), 3);
    assert_string_equal(rz_config_list(config, "runner.labels")->child->next->valuestring, "x:1");
    assert_int_equal(cJSON_GetArraySize(rz_config_list(config, "runner.brokers")), 0);
    assert_string_equal(rz_config_str(config, "runner.name"), "r-1");
    assert_string_equal(rz_config_str(config, "control"), "ipc:///run/x");
    assert_int_equal(rz_config_int(config, "limits.job_bytes"), 2048);
    assert_non_null(cJSON_GetObjectItemCaseSensitive(rz_config_table(config, "externalAgents"), "a"));
    rz_config_destroy(&config);
}

static void the_environment_wins_over_the_file_and_flags_over_both(void **state)
{
    fixture_t *f = *state;
    write_file(f, "{\"runner\":{\"slots\":1,\"idle_secs\":11,\"register_secs\":21}}");
    setenv("RHIZOME_CONFIG", f->path, 1);
    setenv("RHIZOME_RUNNER_SLOTS", "2", 1);
    setenv("RHIZOME_RUNNER_IDLE_SECS", "12", 1);
    setenv("RHIZOME_RUNNER_LABELS", "gpu,big", 1);
    char line[] = "prog --runner-slots 3", *argv[8];
    int argc;
    rz_config_t *config = load_args(f, line, &argc, argv);
    assert_non_null(config);
    assert_int_equal(rz_config_int(config, "runner.slots"), 3);
    assert_int_equal(rz_config_int(config, "runner.idle_secs"), 12);
    assert_int_equal(rz_config_int(config, "runner.register_secs"), 21);
    assert_string_equal(rz_config_list(config, "runner.labels")->child->next->valuestring, "big");
    rz_config_destroy(&config);
}

static void the_config_flag_wins_over_its_variable_and_leaves_argv(void **state)
{
    fixture_t *f = *state;
    write_file(f, "{\"runner\":{\"slots\":5}}");
    setenv("RHIZOME_CONFIG", "/nonexistent/rhizome.json", 1);
    char line[128], *argv[8];
    int argc;
    snprintf(line, sizeof(line), "prog --config %s run", f->path);
    rz_config_t *config = load_args(f, line, &argc, argv);
    assert_non_null(config);
    assert_int_equal(rz_config_int(config, "runner.slots"), 5);
    assert_int_equal(argc, 2);
    assert_string_equal(argv[1], "run");
    rz_config_destroy(&config);
}

static void known_flags_leave_argv_and_all_else_stays_in_order(void **state)
{
    fixture_t *f = *state;
    char line[] = "prog run --redis-url redis://h:1 --verbose x --runner-slots=4 -- --redis-url y", *argv[16];
    int argc;
    rz_config_t *config = load_args(f, line, &argc, argv);
    assert_non_null(config);
    static const char *const left[] = { "prog", "run", "--verbose", "x", "--", "--redis-url", "y" };
    assert_int_equal(argc, 7);
    for (int i = 0; i < argc; i++)
        assert_string_equal(argv[i], left[i]);
    assert_null(argv[argc]);
    assert_string_equal(rz_config_str(config, "redis.url"), "redis://h:1");
    assert_int_equal(rz_config_int(config, "runner.slots"), 4);
    rz_config_destroy(&config);
}

static const struct {
    const char *text, *failure;
} broken_files[] = {
    { "{\"runner\":{\"slots\":0}}", "runner.slots: found 0 in file /tmp/rz-config-" },
    { "{\"runner\":{\"slots\":1025}}", "allowed: an integer from 1 to 1024" },
    { "{\"runner\":{\"slots\":1.5}}", "runner.slots: found 1.5 in" },
    { "{\"runner\":{\"slots\":1e300}}", "runner.slots: found 1e+300 in" },
    { "{\"runner\":{\"slots\":\"8\"}}", "runner.slots: found \"8\" in" },
    { "{\"runner\":{\"slots\":null}}", "runner.slots: found null in" },
    { "{\"runner\":{\"labels\":[\"ok\",\"not ok\"]}}", "runner.labels: found [\"ok\",\"not ok\"] in" },
    { "{\"runner\":{\"labels\":\"gpu\"}}", "allowed: a list of at most 256 ids" },
    { "{\"runner\":{\"env_allow\":[\"\"]}}", "runner.env_allow: found [\"\"]" },
    { "{\"runner\":{\"name\":\"-x\"}}", "allowed: an id of" },
    { "{\"broker\":{\"jobs\":\"tcp://127.0.0.1\"}}",
      "allowed: tcp://HOST:PORT, ipc://PATH or inproc://NAME" },
    { "{\"broker\":{\"jobs\":\"tcp://:7410\"}}", "broker.jobs: found \"tcp://:7410\"" },
    { "{\"broker\":{\"jobs\":\"tcp://h:70000\"}}", "broker.jobs: found" },
    { "{\"broker\":{\"jobs\":\"\"}}", "broker.jobs: found \"\"" },
    { "{\"broker\":{\"queue_max\":1000001}}", "an integer from 1 to 1000000" },
    { "{\"log\":{\"level\":\"loud\"}}", "allowed: one of debug, info, warn, error, off" },
    { "{\"redis\":{\"ulr\":\"x\"}}", "redis.ulr: unknown setting in file /tmp/rz-config-" },
    { "{\"redis\":{\"ulr\":\"x\"}}", "the nearest is redis.url" },
    { "{\"redis.url\":\"x\"}", "redis.url: unknown setting" },
    { "{\"redis\":7}", "redis: in file" },
    { "{\"Redis\":{}}", "Redis: unknown setting" },
    { "{\"subagents\":[]}", "subagents: in file" },
    { "[]", "must be one object" },
    { "{\"redis\":{},\n\"redis\":{}}", "line 2: the object that ends here has the key \"redis\" twice" },
    { "{\n\"control\" \"x\"}", "line 2: expected ':'" },
    { "", "expected a value, met the end of the text" },
};

static void a_broken_file_is_named_with_key_value_and_what_is_allowed(void **state)
{
    fixture_t *f = *state;
    for (size_t i = 0; i < sizeof(broken_files) / sizeof(broken_files[0]); i++) {
        f->err = (rz_err_t){ 0 };
        assert_refused(f, load_file(f, broken_files[i].text), broken_files[i].failure);
    }
}

static void a_missing_or_endless_file_is_named(void **state)
{
    fixture_t *f = *state;
    char *argv[] = { (char[]){ "prog" }, NULL };
    int argc = 1;
    assert_refused(f, rz_config_load("/nonexistent/r.json", &argc, argv, &f->err),
                   "/nonexistent/r.json: No such file or directory");
    f->err = (rz_err_t){ 0 };
    assert_refused(f, rz_config_load("/dev/zero", &argc, argv, &f->err), "/dev/zero: ");
    assert_int_equal(f->err.rc, RZ_TOO_LARGE);
    f->err = (rz_err_t){ 0 };
    assert_refused(f, rz_config_load("/tmp", &argc, argv, &f->err), "/tmp: Is a directory");
}

static const struct {
    const char *name, *value, *failure;
} broken_variables[] = {
    { "RHIZOME_RUNNER_SLOTS", "many",
      "runner.slots: found \"many\" in environment variable RHIZOME_RUNNER_SLOTS" },
    { "RHIZOME_RUNNER_SLOTS", " 8", "found \" 8\"" },
    { "RHIZOME_RUNNER_SLOTS", "+8", "found \"+8\"" },
    { "RHIZOME_RUNNER_SLOTS", "8x", "found \"8x\"" },
    { "RHIZOME_RUNNER_SLOTS", "", "found \"\"" },
    { "RHIZOME_RUNNER_SLOTS", "99999999999999999999", "an integer from 1 to 1024" },
    { "RHIZOME_RUNNER_LABELS", "a,,b", "runner.labels: found \"a,,b\"" },
    { "RHIZOME_RUNNER_LABELS", "a,", "runner.labels: found \"a,\"" },
    { "RHIZOME_RUNNER_BROKERS", "tcp://h:1,h:2", "runner.brokers: found" },
    { "RHIZOME_RUNNER_STATE_DIR", "/tmp/\xff", "runner.state_dir: found \"/tmp/?\"" },
    { "RHIZOME_REDIS_ULR", "x",
      "unknown setting in environment variable RHIZOME_REDIS_ULR; the nearest is redis.url" },
};

static void a_broken_or_unknown_variable_is_named(void **state)
{
    fixture_t *f = *state;
    for (size_t i = 0; i < sizeof(broken_variables) / sizeof(broken_variables[0]); i++) {
        char line[] = "prog", *argv[4];
        int argc;
        f->err = (rz_err_t){ 0 };
        setenv(broken_variables[i].name, broken_variables[i].value, 1);
        assert_refused(f, load_args(f, line, &argc, argv), broken_variables[i].failure);
        unsetenv(broken_variables[i].name);
    }
}

static void a_broken_flag_is_named(void **state)
{
    static const char *const lines[][2] = {
        { "prog --runner-slots 0", "runner.slots: found \"0\" in flag --runner-slots, allowed: an integer" },
        { "prog --runner-slots=", "found \"\" in flag --runner-slots" },
        { "prog --runner-slots", "runner.slots: flag --runner-slots needs a value" },
        { "prog --config", "flag --config needs the path of a file" },
        { "prog --config=", "flag --config needs the path of a file" },
    };
    fixture_t *f = *state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        char line[64], *argv[8];
        int argc;
        snprintf(line, sizeof(line), "%s", lines[i][0]);
        f->err = (rz_err_t){ 0 };
        assert_refused(f, load_args(f, line, &argc, argv), lines[i][1]);
    }
}

static void a_value_that_a_stronger_source_hides_is_checked_all_the_same(void **state)
{
    fixture_t *f = *state;
    setenv("RHIZOME_RUNNER_SLOTS", "0", 1);
    char line[] = "prog --runner-slots 3", *argv[8];
    int argc;
    assert_refused(f, load_args(f, line, &argc, argv), "environment variable RHIZOME_RUNNER_SLOTS");
}

static void a_late_decision_is_checked_and_kept(void **state)
{
    fixture_t *f = *state;
    char line[] = "prog", *argv[4];
    int argc;
    rz_config_t *config = load_args(f, line, &argc, argv);
    assert_int_equal(rz_config_set(config, "control", "ipc:///tmp/x", &f->err), RZ_OK);
    assert_string_equal(rz_config_str(config, "control"), "ipc:///tmp/x");
    assert_int_equal(rz_config_set(config, "control", "nowhere", &f->err), RZ_BAD_FIELD);
    assert_string_equal(rz_config_str(config, "control"), "ipc:///tmp/x");
    rz_config_destroy(&config);
}

static void the_dump_tells_sources_and_hides_secrets(void **state)
{
    fixture_t *f = *state;
    write_file(f, "{\"redis\":{\"password\":\"hunter2\"},\"subagents\":{\"executor\":\"echo\"}}");
    setenv("RHIZOME_CONFIG", f->path, 1);
    setenv("RHIZOME_REDIS_URL", "redis://me:hunter2@h:1", 1);
    char line[] = "prog --runner-slots 3 --runner-labels=a,b", *argv[8];
    int argc;
    rz_config_t *config = load_args(f, line, &argc, argv);
    assert_non_null(config);
    rz_buf_t out = { 0 };
    rz_config_dump(config, &out);
    assert_int_equal(rz_json_check(out.data, out.len, 0, &f->err), RZ_OK);
    static const char *const expected[][2] = {
        { "redis.password", "{\"value\":\"***\",\"source\":\"file\"}" },
        { "redis.url", "{\"value\":\"redis://***@h:1\",\"source\":\"env\"}" },
        { "redis.user", "{\"value\":\"\",\"source\":\"default\"}" },
        { "runner.slots", "{\"value\":3,\"source\":\"flag\"}" },
        { "runner.labels", "{\"value\":[\"a\",\"b\"],\"source\":\"flag\"}" },
        { "subagents", "{\"value\":{\"executor\":\"echo\"},\"source\":\"file\"}" },
    };
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
        assert_true(rz_str_eq(rz_json_member(rz_buf_str(&out), expected[i][0]), expected[i][1]));
    assert_null(strstr(out.data, "hunter2"));
    assert_string_equal(rz_config_str(config, "redis.password"), "hunter2");
    rz_buf_fini(&out);
    rz_config_destroy(&config);
}

static void a_broken_secret_is_not_shown(void **state)
{
    fixture_t *f = *state;
    assert_refused(f, load_file(f, "{\"redis\":{\"password\":[\"hunter2\"]}}"),
                   "redis.password: found *** in");
    assert_null(strstr(f->err.text, "hunter2"));
    f->err = (rz_err_t){ 0 };
    setenv("RHIZOME_REDIS_PASSWORD", "hunter2\xff", 1);
    assert_refused(f, load_file(f, "{}"), "redis.password: found \"***\" in");
    assert_null(strstr(f->err.text, "hunter2"));
}

static void a_password_is_taken_from_no_flag(void **state)
{
    fixture_t *f = *state;
    static const char *const lines[] = { "prog --redis-password hunter2", "prog --redis-password=hunter2",
                                         "prog --redis-url redis://me:hunter2@h:1" };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        char line[64], *argv[8];
        int argc;
        snprintf(line, sizeof line, "%s", lines[i]);
        f->err = (rz_err_t){ 0 };
        assert_refused(f, load_args(f, line, &argc, argv),
                       "would show a password to every user of this host");
        assert_int_equal(f->err.rc, RZ_NOT_ALLOWED);
        assert_null(strstr(f->err.text, "hunter2"));
    }
}

static void help_lists_the_settings_that_concern_a_program(void **state)
{
    (void)state;
    static const char *const prefixes[] = { "redis.", "log.", NULL };
    rz_buf_t out = { 0 };
    rz_config_help(prefixes, &out);
    assert_non_null(strstr(out.data, "--redis-url "));
    assert_non_null(strstr(out.data, "[redis://127.0.0.1:6379]\n"));
    assert_non_null(strstr(out.data, "--log-level "));
    assert_non_null(strstr(out.data, "RHIZOME_REDIS_PASSWORD "));
    assert_null(strstr(out.data, "--redis-password "));
    assert_null(strstr(out.data, "--runner-slots"));
    rz_buf_fini(&out);
}

typedef struct {
    const char *key;
    int64_t dflt, min, max;
} bound_t;

/* How a value given by the environment is taken. */
static rz_config_t *load_with(fixture_t *f, const char *key, int64_t value)
{
    char name[RZ_SETTING_NAME_MAX], number[32], line[] = "prog", *argv[4];
    int argc;
    rz_setting_env(rz_setting_find(key), name);
    snprintf(number, sizeof(number), "%" PRId64, value);
    setenv(name, number, 1);
    f->err = (rz_err_t){ 0 };
    rz_config_t *config = load_args(f, line, &argc, argv);
    unsetenv(name);
    return config;
}

static void assert_bound(fixture_t *f, const bound_t *bound)
{
    char allowed[96], line[] = "prog", *argv[4];
    int argc;
    rz_config_t *config = load_args(f, line, &argc, argv);
    assert_int_equal(rz_config_int(config, bound->key), bound->dflt);
    rz_config_destroy(&config);
    for (int i = 0; i < 2; i++) {
        int64_t value = i == 0 ? bound->min : bound->max;
        config = load_with(f, bound->key, value);
        if (config == NULL)
            fail_msg("%s", f->err.text);
        assert_int_equal(rz_config_int(config, bound->key), value);
        rz_config_destroy(&config);
    }
    snprintf(allowed, sizeof(allowed), "allowed: an integer from %" PRId64 " to %" PRId64, bound->min,
             bound->max);
    assert_refused(f, load_with(f, bound->key, bound->min - 1), allowed);
    assert_refused(f, load_with(f, bound->key, bound->max + 1), allowed);
}

static void queueing_keeping_and_recycling_have_defaults_and_bounds(void **state)
{
    static const bound_t bounds[] = {
        { "broker.max_queue_secs", 86400, 0, 31536000 },
        { "retention.session_secs", 604800, 1, 315360000 },
        { "retention.tombstone_secs", 2592000, 1, 315360000 },
        { "retention.completions", 100000, 100, 100000000 },
        { "runner.recycle_runs", 0, 0, 1000000000 },
        { "runner.recycle_mb", 0, 0, 1048576 },
        { "runner.freeze_ms", 12000, 500, 600000 },
        { "runner.hold_max_secs", 120, 1, 86400 },
        { "runner.approval_secs", 300, 1, 86400 },
    };
    for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++)
        assert_bound(*state, &bounds[i]);
}

static void without_a_credentials_file_nothing_is_looked_for(void **state)
{
    fixture_t *f = *state;
    char line[] = "prog", *argv[4];
    int argc;
    rz_config_t *config = load_args(f, line, &argc, argv);
    assert_string_equal(rz_config_str(config, "runner.credentials"), "");
    assert_string_equal(rz_config_str(config, "runner.default_provider"), "");
    assert_string_equal(rz_config_str(config, "runner.missing_credential"), "error");
    rz_config_destroy(&config);
}

static void no_two_settings_share_a_key_a_variable_or_a_flag(void **state)
{
    (void)state;
    for (size_t i = 0; i < rz_settings_count; i++)
        for (size_t j = 0; j < i; j++) {
            char a[RZ_SETTING_NAME_MAX], b[RZ_SETTING_NAME_MAX];
            rz_setting_env(&rz_settings[i], a);
            rz_setting_env(&rz_settings[j], b);
            assert_string_not_equal(a, b);
            rz_setting_flag(&rz_settings[i], a);
            rz_setting_flag(&rz_settings[j], b);
            assert_string_not_equal(a, b);
        }
}

static void booleans_are_true_or_false_and_nothing_else(void **state)
{
    (void)state;
    static const rz_setting_t setting = {
        .key = "x.y", .kind = RZ_SETTING_BOOL, .dflt = "false", .sentence = "a switch"
    };
    rz_setting_value_t value;
    assert_true(rz_setting_from_text(&setting, "true", &value) && value.number == 1);
    assert_true(rz_setting_from_text(&setting, "false", &value) && value.number == 0);
    assert_false(rz_setting_from_text(&setting, "yes", &value));
    cJSON *word = cJSON_Parse("\"true\""), *yes = cJSON_Parse("true");
    assert_false(rz_setting_from_json(&setting, word, &value));
    assert_true(rz_setting_from_json(&setting, yes, &value) && value.number == 1);
    rz_buf_t out = { 0 };
    rz_setting_write(&setting, &value, &out);
    assert_string_equal(out.data, "true");
    rz_buf_fini(&out);
    cJSON_Delete(word);
    cJSON_Delete(yes);
}

/* ---- where HTTP is served ---- */
static void http_is_served_at_a_tcp_endpoint_or_nowhere(void **state)
{
    fixture_t *f = *state;
    rz_config_t *config =
        load_file(f, "{\"broker\":{\"http\":\"\"},\"runner\":{\"http\":\"tcp://127.0.0.1:9100\"}}");
    assert_non_null(config);
    assert_string_equal(rz_config_str(config, "broker.http"), "");
    assert_string_equal(rz_config_str(config, "runner.http"), "tcp://127.0.0.1:9100");
    rz_config_destroy(&config);
    assert_refused(f, load_file(f, "{\"broker\":{\"http\":\"ipc:///tmp/http\"}}"),
                   "allowed: tcp://HOST:PORT, or empty for none");
}

/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(without_any_source_the_defaults_hold, begin, end),
    cmocka_unit_test_setup_teardown(the_file_may_have_comments_and_every_kind_of_value, begin, end),
    cmocka_unit_test_setup_teardown(the_environment_wins_over_the_file_and_flags_over_both, begin, end),
    cmocka_unit_test_setup_teardown(the_config_flag_wins_over_its_variable_and_leaves_argv, begin, end),
    cmocka_unit_test_setup_teardown(known_flags_leave_argv_and_all_else_stays_in_order, begin, end),
    cmocka_unit_test_setup_teardown(a_broken_file_is_named_with_key_value_and_what_is_allowed, begin, end),
    cmocka_unit_test_setup_teardown(a_missing_or_endless_file_is_named, begin, end),
    cmocka_unit_test_setup_teardown(a_broken_or_unknown_variable_is_named, begin, end),
    cmocka_unit_test_setup_teardown(a_broken_flag_is_named, begin, end),
    cmocka_unit_test_setup_teardown(a_value_that_a_stronger_source_hides_is_checked_all_the_same, begin, end),
    cmocka_unit_test_setup_teardown(a_late_decision_is_checked_and_kept, begin, end),
    cmocka_unit_test_setup_teardown(the_dump_tells_sources_and_hides_secrets, begin, end),
    cmocka_unit_test_setup_teardown(a_broken_secret_is_not_shown, begin, end),
    cmocka_unit_test_setup_teardown(a_password_is_taken_from_no_flag, begin, end),
    cmocka_unit_test(help_lists_the_settings_that_concern_a_program),
    cmocka_unit_test_setup_teardown(queueing_keeping_and_recycling_have_defaults_and_bounds, begin, end),
    cmocka_unit_test_setup_teardown(without_a_credentials_file_nothing_is_looked_for, begin, end),
    cmocka_unit_test(no_two_settings_share_a_key_a_variable_or_a_flag),
    cmocka_unit_test(booleans_are_true_or_false_and_nothing_else),
    cmocka_unit_test_setup_teardown(http_is_served_at_a_tcp_endpoint_or_nowhere, begin, end),
};
/* clang-format on */

RZ_FACTS(tests)
