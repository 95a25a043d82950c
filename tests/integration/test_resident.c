/* test_resident.c - a resident agent as ops/README.md tells it: a runner with a label and one slot, beside an ordinary
 * runner that has room for everything. */
#include "facts.h"
#include "rig.h"

#include <signal.h>

enum { ORDINARY, RESIDENT };

/* Flags of the next runner: the ordinary one starts with none. */
static const char *flags[5];

static int rig_with_a_resident(void **state)
{
    static const char *const resident[] = { "--runner-labels", "reviewer", "--runner-slots", "1", NULL };
    flags[0] = NULL;
    rig_t *rig = rig_up(&(rig_options_t){ .runners = 1, .runner = flags });
    memcpy(flags, resident, sizeof resident);
    rig_runner_up(rig);
    *state = rig;
    return 0;
}

static int rig_away(void **state)
{
    rig_t *rig = *state;
    rig_down(&rig);
    return 0;
}

/* Returns the receipt. */
static cJSON *submit(rig_t *rig, const char *child, const char *text)
{
    cJSON *reply = rig_ask(
        rig,
        "{\"op\":\"submit\",\"job\":{\"parent_session_id\":\"root\",\"child_session_id\":\"%s\",\"require\":{\"profile\":\"echo\",\"labels\":[\"reviewer\"]},\"session\":{\"id\":\"%s\",\"kind\":\"child\",\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}]}}}",
        child, child, text);
    assert_string_equal(rig_text(reply, "code"), "OK");
    return reply;
}

static void completes(rig_t *rig, const char *child)
{
    char status[32];
    rig_wait(rig, child, status);
    assert_string_equal(status, "completed");
}

static pid_t only_worker(const rig_t *rig)
{
    pid_t of[2][8];
    assert_int_equal(rig_descendants(rig, ORDINARY, of[ORDINARY], 8), 0);
    assert_int_equal(rig_descendants(rig, RESIDENT, of[RESIDENT], 8), 1);
    return of[RESIDENT][0];
}

static void what_requires_its_label_is_served_by_the_resident_and_by_one_worker(void **state)
{
    rig_t *rig = *state;
    cJSON_Delete(submit(rig, "c1", "one"));
    completes(rig, "c1");
    pid_t worker = only_worker(rig);
    cJSON_Delete(submit(rig, "c2", "two"));
    completes(rig, "c2");
    assert_int_equal(only_worker(rig), worker);
}

static void while_the_resident_is_busy_its_work_waits_although_others_have_room(void **state)
{
    rig_t *rig = *state;
    cJSON_Delete(submit(rig, "c1", "__sleep_ms:60000 long"));
    rig_await(rig, "{\"op\":\"get\",\"child\":\"c1\"}", "activation.state", "running");
    rig_await(rig, "{\"op\":\"get\",\"child\":\"c1\"}", "activation.runner", "runner-1");
    cJSON *receipt = submit(rig, "c2", "next");
    assert_string_equal(rig_text(receipt, "activation.state"), "queued");
    assert_string_equal(rig_text(receipt, "waiting"), ""); /* somebody offers it: it is only its turn */
    cJSON_Delete(receipt);
    rig_submit(rig, "root", "anybody", "echo", "goes by");
    cJSON_Delete(rig_ask(rig, "{\"op\":\"cancel\",\"child\":\"c1\"}"));
    completes(rig, "c2");
}

/* Between the beginning of a run and the last event of its worker no other one begins. */
static void the_resident_runs_one_child_at_a_time(void **state)
{
    enum { CHILDREN = 10 };
    rig_t *rig = *state;
    char child[8], active[64] = "";
    rig_sub_t *sub = rig_subscribe(rig, "root/");
    for (int i = 0; i < CHILDREN; i++) {
        snprintf(child, sizeof child, "c%d", i);
        cJSON_Delete(submit(rig, child, "__sleep_ms:20 x"));
    }
    for (int ended = 0; ended < CHILDREN;) {
        rig_event_t event;
        assert_true(rig_event_next(sub, &event, RIG_PATIENCE_MS));
        const char *whose = rig_text(event.event, "child_session_id");
        if (strcmp(rig_text(event.event, "type"), "sub_agent_started") == 0) {
            assert_string_equal(active, "");
            snprintf(active, sizeof active, "%s", whose);
        } else if (strcmp(rig_text(event.event, "event.type"), "complete") == 0) {
            assert_string_equal(active, whose);
            active[0] = '\0';
        }
        ended += strcmp(rig_text(event.event, "type"), "sub_agent_completed") == 0;
        rig_event_fini(&event);
    }
    only_worker(rig);
    rig_sub_close(&sub);
}

static void while_the_resident_is_away_the_receipt_says_so(void **state)
{
    rig_t *rig = *state;
    rig_runner_end(rig, RESIDENT, SIGTERM);
    cJSON *receipt = submit(rig, "c1", "x");
    assert_string_equal(rig_text(receipt, "waiting"), "no runner offers label reviewer");
    cJSON_Delete(receipt);
}

/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(what_requires_its_label_is_served_by_the_resident_and_by_one_worker, rig_with_a_resident, rig_away),
    cmocka_unit_test_setup_teardown(while_the_resident_is_busy_its_work_waits_although_others_have_room, rig_with_a_resident, rig_away),
    cmocka_unit_test_setup_teardown(the_resident_runs_one_child_at_a_time, rig_with_a_resident, rig_away),
    cmocka_unit_test_setup_teardown(while_the_resident_is_away_the_receipt_says_so, rig_with_a_resident, rig_away),
};
/* clang-format on */

RZ_FACTS(tests)
