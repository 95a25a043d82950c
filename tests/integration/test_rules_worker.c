/* test_rules_worker.c - rules of upstream's actor runner that a worker sees (proto/README.md 10.5, 10.6): what it is
 * told and whom it serves. puppet.py is that worker; its assignment says what it does. */
#include "facts.h"
#include "process.h"
#include "rig.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define TELL "[\"tell\"]"

static int rig_with_puppets(void **state)
{
    static char config[512];
    static const char *const flags[] = {
        "--runner-slots", "1", "--runner-idle-secs", "100", "--runner-default-provider", "here", NULL
    };
    snprintf(
        config, sizeof config,
        "\"externalAgents\":{\"puppet\":{\"agent_id\":\"puppet\",\"protocol\":\"actor\",\"permission_profile\":\"read\",\"worker_bin\":\"/usr/bin/python3\",\"worker_args\":[\"%s/tests/integration/puppet.py\",\"fixed\"]}}",
        RZ_SOURCE_DIR);
    setenv("RZ_CANARY", "sings", 1);
    *state = rig_up(&(rig_options_t){ .runners = 1, .config = config, .runner = flags });
    return 0;
}

static int rig_away(void **state)
{
    rig_t *rig = *state;
    rig_down(&rig);
    return 0;
}

/* ---- jobs ---- */

/* A job for the puppet with one user message; facts add members to it and to its session. */
static cJSON *new_job(const char *child, const char *steps)
{
    cJSON *job = cJSON_CreateObject();
    cJSON_AddStringToObject(job, "parent_session_id", "root");
    cJSON_AddStringToObject(job, "child_session_id", child);
    cJSON_AddStringToObject(cJSON_AddObjectToObject(job, "require"), "profile", "puppet");
    cJSON *session = cJSON_AddObjectToObject(job, "session");
    cJSON_AddStringToObject(session, "id", child);
    cJSON_AddStringToObject(session, "kind", "child");
    cJSON *message = cJSON_CreateObject();
    cJSON_AddStringToObject(message, "role", "user");
    cJSON_AddStringToObject(message, "content", steps);
    cJSON_AddItemToArray(cJSON_AddArrayToObject(session, "messages"), message);
    return job;
}

static cJSON *session_of(const cJSON *job)
{
    return cJSON_GetObjectItemCaseSensitive(job, "session");
}

static void add_json(cJSON *object, const char *key, const char *json)
{
    cJSON *value = cJSON_Parse(json);
    assert_non_null(value);
    cJSON_AddItemToObject(object, key, value);
}

/* Takes the job, submits it and waits for its end. */
static void run_job(rig_t *rig, cJSON *job, char status[32])
{
    char *text = cJSON_PrintUnformatted(job);
    cJSON *reply = rig_ask(rig, "{\"op\":\"submit\",\"job\":%s}", text);
    assert_string_equal(rig_text(reply, "code"), "OK");
    rig_wait(rig, rig_text(job, "child_session_id"), status);
    cJSON_Delete(reply);
    cJSON_free(text);
    cJSON_Delete(job);
}

/* The same for a puppet that tells: what it was told. Gives. */
static cJSON *told_of(rig_t *rig, cJSON *job)
{
    char status[32], role[16], child[64];
    static char content[65536];
    snprintf(child, sizeof child, "%s", rig_text(job, "child_session_id"));
    run_job(rig, job, status);
    assert_string_equal(status, "completed");
    rig_last_message(rig, child, role, content, sizeof content);
    cJSON *told = cJSON_Parse(content);
    assert_non_null(told);
    return told;
}

static void is_json(const cJSON *object, const char *key, const char *expected)
{
    cJSON *wanted = cJSON_Parse(expected);
    const cJSON *found = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!cJSON_Compare(found, wanted, true))
        fail_msg("%s is %s, not %s", key, cJSON_PrintUnformatted(found), expected);
    cJSON_Delete(wanted);
}

static const cJSON *spec_of(const cJSON *told)
{
    return cJSON_GetObjectItemCaseSensitive(told, "spec");
}

static pid_t pid_of(const cJSON *told)
{
    return (pid_t)cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(told, "pid"));
}

/* ---- what it is told ---- */

static void a_worker_is_told_what_upstream_tells_it(void **state)
{
    rig_t *rig = *state;
    cJSON *job = new_job("c1", TELL);
    add_json(job, "disabled_tools", "[\"Edit\",\"Bash\"]");
    cJSON_AddStringToObject(session_of(job), "workspace", "/srv");
    add_json(session_of(job), "model_ref", "{\"provider\":\"near\",\"model\":\"m-1\"}");
    add_json(session_of(job), "metadata", "{\"subagent_type\":\"explorer\"}");
    cJSON *told = told_of(rig, job);
    cJSON *folder = cJSON_DetachItemFromObjectCaseSensitive(cJSON_GetObjectItem(told, "spec"), "fabric_dir");
    assert_ptr_equal(strstr(folder->valuestring, rig_dir(rig)), folder->valuestring); /* the runner's own */
    is_json(
        told, "spec",
        "{\"version\":1,\"identity\":{\"child_id\":\"c1\",\"parent_id\":\"root\",\"role\":\"explorer\"},"
        "\"executor\":{\"kind\":\"bamboo_runtime\"},\"workspace\":\"/srv\",\"model\":{\"provider\":\"near\","
        "\"model\":\"m-1\"},\"disabled_tools\":[\"Edit\",\"Bash\"],\"limits\":{\"idle_timeout_secs\":160},"
        "\"secrets\":{\"provider_credentials\":[]},\"reusable\":true}");
    cJSON_Delete(folder);
    cJSON_Delete(told);
}

static void a_child_without_a_type_has_the_role_worker(void **state)
{
    cJSON *told = told_of(*state, new_job("c1", TELL));
    assert_string_equal(rig_text(told, "spec.identity.role"), "worker");
    cJSON_Delete(told);
}

static void tools_left_out_and_an_empty_list_are_told_apart(void **state)
{
    cJSON *told = told_of(*state, new_job("c1", TELL)), *job = new_job("c2", TELL);
    assert_null(cJSON_GetObjectItemCaseSensitive(spec_of(told), "disabled_tools"));
    cJSON_Delete(told);
    add_json(job, "disabled_tools", "[]");
    told = told_of(*state, job);
    is_json(spec_of(told), "disabled_tools", "[]");
    cJSON_Delete(told);
}

static void the_pinned_model_goes_before_the_jobs(void **state)
{
    cJSON *job = new_job("c1", TELL);
    cJSON_AddStringToObject(job, "model", "of-the-job");
    add_json(session_of(job), "model_ref", "{\"provider\":\"near\",\"model\":\"pinned\"}");
    cJSON *told = told_of(*state, job);
    is_json(spec_of(told), "model", "{\"provider\":\"near\",\"model\":\"pinned\"}");
    cJSON_Delete(told);
}

static void the_jobs_model_takes_the_provider_of_the_session(void **state)
{
    cJSON *job = new_job("c1", TELL);
    cJSON_AddStringToObject(job, "model", "of-the-job");
    add_json(session_of(job), "metadata", "{\"provider_name\":\"far\"}");
    cJSON *told = told_of(*state, job);
    is_json(spec_of(told), "model", "{\"provider\":\"far\",\"model\":\"of-the-job\"}");
    cJSON_Delete(told);
}

static void the_jobs_model_takes_the_default_provider_if_the_session_names_none(void **state)
{
    cJSON *job = new_job("c1", TELL);
    cJSON_AddStringToObject(job, "model", "of-the-job");
    cJSON *told = told_of(*state, job);
    is_json(spec_of(told), "model", "{\"provider\":\"here\",\"model\":\"of-the-job\"}");
    cJSON_Delete(told);
}

static void without_any_model_none_is_told(void **state)
{
    cJSON *job = new_job("c1", TELL);
    cJSON_AddStringToObject(job, "model", " ");
    cJSON *told = told_of(*state, job);
    assert_null(cJSON_GetObjectItemCaseSensitive(spec_of(told), "model"));
    cJSON_Delete(told);
}

static void the_whole_conversation_is_shipped(void **state)
{
    static const char conversation[] =
        "[{\"role\":\"system\",\"content\":\"You help.\"},{\"role\":\"user\",\"content\":\"one\",\"id\":\"m1\",\"x\":[1]},"
        "{\"role\":\"assistant\",\"content\":\"two\",\"phase\":\"final_answer\"},{\"role\":\"user\",\"content\":\"[\\\"tell\\\"]\"}]";
    cJSON *job = new_job("c1", TELL);
    cJSON_DeleteItemFromObjectCaseSensitive(session_of(job), "messages");
    add_json(session_of(job), "messages", conversation);
    cJSON *told = told_of(*state, job), *run = cJSON_GetObjectItem(told, "run");
    is_json(run, "messages", conversation);
    assert_string_equal(rig_text(run, "assignment"), TELL);
    assert_int_equal(cJSON_GetArraySize(run), 3); /* and `kind`: no reasoning_effort, no execution_epoch */
    cJSON_Delete(told);
}

static void nothing_of_a_child_is_in_arguments_or_environment(void **state)
{
    cJSON *told = told_of(*state, new_job("most-secret-child", TELL));
    is_json(told, "arguments", "[\"fixed\"]");
    const cJSON *environment = cJSON_GetObjectItem(told, "environment"), *variable;
    assert_null(cJSON_GetObjectItem(environment, "RZ_CANARY"));
    assert_non_null(cJSON_GetObjectItem(environment, "PATH"));
    cJSON_ArrayForEach(variable, environment)
    {
        assert_null(strstr(variable->valuestring, "most-secret-child"));
        assert_ptr_not_equal(strstr(variable->string, "RHIZOME_"), variable->string);
    }
    cJSON_Delete(told);
}

static void a_warm_worker_hears_nothing_of_the_child_before(void **state)
{
    cJSON *first = told_of(*state, new_job("c1", TELL)), *second = told_of(*state, new_job("c2", TELL));
    assert_int_equal(pid_of(second), pid_of(first));
    assert_string_equal(rig_text(second, "spec.identity.child_id"), "c1"); /* the name it was born with */
    is_json(cJSON_GetObjectItem(second, "run"), "messages",
            "[{\"role\":\"user\",\"content\":\"[\\\"tell\\\"]\"}]");
    cJSON_Delete(first);
    cJSON_Delete(second);
}

/* ---- whom it serves, and what it says ---- */

static void wait_until_gone(pid_t pid)
{
    uint64_t deadline = process_now_ms() + RIG_PATIENCE_MS;
    while (kill(pid, 0) == 0)
        assert_true(process_now_ms() < deadline);
}

static void a_worker_whose_run_failed_serves_nobody_again(void **state)
{
    char status[32];
    cJSON *before = told_of(*state, new_job("c1", TELL));
    run_job(*state, new_job("c2", "[{\"kind\":\"terminal\",\"status\":\"error\"}]"), status);
    assert_string_equal(status, "error");
    wait_until_gone(pid_of(before));
    cJSON *after = told_of(*state, new_job("c3", TELL));
    assert_int_not_equal(pid_of(after), pid_of(before));
    assert_string_equal(rig_text(after, "spec.identity.child_id"), "c3");
    cJSON_Delete(before);
    cJSON_Delete(after);
}

static void ids_inside_a_workers_events_are_left_alone(void **state)
{
    rig_t *rig = *state;
    rig_event_t event;
    char status[32];
    rig_sub_t *sub = rig_subscribe(rig, "root/c1/sub_agent_event.");
    run_job(rig,
            new_job("c1", "[{\"kind\":\"event\",\"event\":{\"type\":\"runner_progress\",\"session_id\":"
                          "\"other-run-7\",\"round_count\":3}},\"tell\"]"),
            status);
    assert_true(rig_event_next(sub, &event, RIG_PATIENCE_MS));
    assert_string_equal(event.topic, "root/c1/sub_agent_event.runner_progress");
    assert_string_equal(rig_text(event.event, "child_session_id"), "c1");
    assert_string_equal(rig_text(event.event, "event.session_id"), "other-run-7");
    assert_string_equal(rig_text(event.header, "class"), "snapshot");
    rig_event_fini(&event);
    rig_sub_close(&sub);
}

/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(a_worker_is_told_what_upstream_tells_it, rig_with_puppets, rig_away),
    cmocka_unit_test_setup_teardown(a_child_without_a_type_has_the_role_worker, rig_with_puppets, rig_away),
    cmocka_unit_test_setup_teardown(tools_left_out_and_an_empty_list_are_told_apart, rig_with_puppets, rig_away),
    cmocka_unit_test_setup_teardown(the_pinned_model_goes_before_the_jobs, rig_with_puppets, rig_away),
    cmocka_unit_test_setup_teardown(the_jobs_model_takes_the_provider_of_the_session, rig_with_puppets, rig_away),
    cmocka_unit_test_setup_teardown(the_jobs_model_takes_the_default_provider_if_the_session_names_none, rig_with_puppets, rig_away),
    cmocka_unit_test_setup_teardown(without_any_model_none_is_told, rig_with_puppets, rig_away),
    cmocka_unit_test_setup_teardown(the_whole_conversation_is_shipped, rig_with_puppets, rig_away),
    cmocka_unit_test_setup_teardown(nothing_of_a_child_is_in_arguments_or_environment, rig_with_puppets, rig_away),
    cmocka_unit_test_setup_teardown(a_warm_worker_hears_nothing_of_the_child_before, rig_with_puppets, rig_away),
    cmocka_unit_test_setup_teardown(a_worker_whose_run_failed_serves_nobody_again, rig_with_puppets, rig_away),
    cmocka_unit_test_setup_teardown(ids_inside_a_workers_events_are_left_alone, rig_with_puppets, rig_away),
};
/* clang-format on */

RZ_FACTS(tests)
