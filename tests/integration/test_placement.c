/* test_placement.c - which runner gets a job: labels, warm workers, nobody. The whole fleet is real. */
#include "facts.h"
#include "process.h"
#include "rig.h"

/* The rig reads it for each runner that it starts. */
static const char *runner_flags[8];

static void runner_with(rig_t *rig, const char *labels, const char *slots)
{
    size_t n = 0;
    if (labels != NULL) {
        runner_flags[n++] = "--runner-labels";
        runner_flags[n++] = labels;
    }
    runner_flags[n++] = "--runner-slots";
    runner_flags[n++] = slots;
    runner_flags[n] = NULL;
    rig_runner_up(rig);
}

static rig_t *fleet;

static int rig_without_runners(void **state)
{
    (void)state;
    fleet = rig_up(&(rig_options_t){ .runner = runner_flags });
    return 0;
}

static int rig_away(void **state)
{
    (void)state;
    rig_down(&fleet);
    return 0;
}

/* more: further members of the job, each with a leading comma. The receipt is the caller's. */
static cJSON *submit(const char *child, const char *text, const char *more)
{
    return rig_ask(fleet,
                   "{\"op\":\"submit\",\"job\":{\"parent_session_id\":\"root\",\"child_session_id\":\"%s\","
                   "\"session\":{\"id\":\"%s\",\"kind\":\"child\",\"messages\":[{\"role\":\"user\","
                   "\"content\":\"%s\"}]}%s}}",
                   child, child, text, more);
}

static void accepted(cJSON *receipt)
{
    if (strcmp(rig_text(receipt, "code"), "OK") != 0)
        fail_msg("%s", cJSON_PrintUnformatted(receipt));
    cJSON_Delete(receipt);
}

static void ran_on(const char *child, const char *runner)
{
    cJSON *reply = rig_ask(fleet, "{\"op\":\"wait\",\"child\":\"%s\",\"timeout_ms\":15000}", child);
    assert_string_equal(rig_text(reply, "activation.status"), "completed");
    assert_string_equal(rig_text(reply, "activation.runner"), runner);
    cJSON_Delete(reply);
}

static bool keeps_idle(const char *runner)
{
    cJSON *reply = rig_ask(fleet, "{\"op\":\"runners\"}");
    const cJSON *each;
    bool idle = false;
    cJSON_ArrayForEach(
        each, cJSON_GetObjectItem(reply, "runners")) if (strcmp(rig_text(each, "runner"), runner) == 0) idle =
        cJSON_GetArraySize(cJSON_GetObjectItem(each, "idle")) > 0;
    cJSON_Delete(reply);
    return idle;
}

static void await_idle(const char *runner)
{
    uint64_t deadline = process_now_ms() + RIG_PATIENCE_MS;
    while (!keeps_idle(runner))
        if (process_now_ms() > deadline)
            fail_msg("%s never kept an idle worker", runner);
}

/* ---- facts ---- */

static void a_job_goes_to_the_runner_that_has_its_labels(void **state)
{
    (void)state;
    runner_with(fleet, "cpu", "8");
    runner_with(fleet, "cpu,gpu", "1");
    accepted(submit("c1", "x", ",\"require\":{\"labels\":[\"gpu\"]}"));
    ran_on("c1", "runner-1");
    accepted(submit("c2", "x", ",\"require\":{\"labels\":[\"gpu\",\"cpu\"]}"));
    ran_on("c2", "runner-1");
}

/* The same key: same model, tenant, tools, profile. Labels are no part of it. */
static void a_job_goes_to_the_runner_that_keeps_a_worker_of_its_key(void **state)
{
    (void)state;
    runner_with(fleet, "left", "8");
    runner_with(fleet, "right", "2"); /* without a warm worker it would never come first */
    accepted(submit("c1", "x", ",\"model\":\"m\",\"require\":{\"labels\":[\"right\"]}"));
    ran_on("c1", "runner-1");
    await_idle("runner-1");
    accepted(submit("c2", "x", ",\"model\":\"m\""));
    ran_on("c2", "runner-1");
    accepted(submit("c3", "x", ",\"model\":\"another\""));
    ran_on("c3", "runner-0");
}

static void a_job_that_requires_what_nobody_has_says_so_and_ends_timeout_in_its_time(void **state)
{
    (void)state;
    runner_with(fleet, "cpu", "8");
    cJSON *receipt = submit("c1", "x", ",\"max_queue_secs\":1,\"require\":{\"labels\":[\"gpu\"]}");
    assert_string_equal(rig_text(receipt, "waiting"), "no runner offers label gpu");
    accepted(receipt);
    cJSON *get = rig_ask(fleet, "{\"op\":\"get\",\"child\":\"c1\"}");
    assert_string_equal(rig_text(get, "activation.waiting"), "no runner offers label gpu");
    cJSON_Delete(get);
    cJSON *wait = rig_ask(fleet, "{\"op\":\"wait\",\"child\":\"c1\",\"timeout_ms\":15000}");
    assert_string_equal(rig_text(wait, "activation.status"), "timeout");
    assert_string_equal(rig_text(wait, "activation.error"),
                        "Child session was not started within 1 seconds (max_queue_secs=1)");
    cJSON_Delete(wait);
}

static void what_waits_goes_to_the_runner_that_brings_what_it_requires(void **state)
{
    (void)state;
    runner_with(fleet, "cpu", "8");
    accepted(submit("c1", "x", ",\"require\":{\"labels\":[\"gpu\"]}"));
    runner_with(fleet, "gpu", "8");
    ran_on("c1", "runner-1");
}

static const struct CMUnitTest tests[] = {
    /* clang-format off */
    cmocka_unit_test_setup_teardown(a_job_goes_to_the_runner_that_has_its_labels, rig_without_runners, rig_away),
    cmocka_unit_test_setup_teardown(a_job_goes_to_the_runner_that_keeps_a_worker_of_its_key, rig_without_runners, rig_away),
    cmocka_unit_test_setup_teardown(a_job_that_requires_what_nobody_has_says_so_and_ends_timeout_in_its_time, rig_without_runners, rig_away),
    cmocka_unit_test_setup_teardown(what_waits_goes_to_the_runner_that_brings_what_it_requires, rig_without_runners, rig_away),
    /* clang-format on */
};

RZ_FACTS(tests)
