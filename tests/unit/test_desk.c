/* test_desk.c - one run at a time, one terminal each, with an executor that does what the test says. */
#include "facts.h"

#include "desk.h"

/* One execution of the executor under the test's hand. */
struct execution {
    sink_t sink;
    char assignment[32];
};

static struct {
    execution_t *active;
    bool at_once; /* finish within start */
    int cancels, steers, destroyed, created;
    char steered[32];
} hand;

static void finish(rz_worker_status_t status, const char *result)
{
    outcome_t outcome = { .status = status, .result = rz_str(result) };
    hand.active->sink.finish(hand.active->sink.arg, &outcome);
}

static execution_t *hand_create(const setting_t *setting, const sink_t *sink)
{
    (void)setting;
    assert_null(hand.active); /* never two at a time */
    hand.active = rz_alloc(sizeof(*hand.active));
    hand.active->sink = *sink;
    hand.created++;
    return hand.active;
}

static void hand_start(execution_t *execution, const rz_parent_frame_t *run, rz_str_t frame)
{
    assert_int_equal(frame.p[0], '{');
    snprintf(execution->assignment, sizeof(execution->assignment), "%.*s", (int)run->assignment.n,
             run->assignment.p);
    if (hand.at_once)
        finish(RZ_WORKER_COMPLETED, "\"at once\"");
}

static void hand_steer(execution_t *execution, const char *text)
{
    assert_ptr_equal(execution, hand.active);
    snprintf(hand.steered, sizeof(hand.steered), "%s", text);
    hand.steers++;
}

static void hand_cancel(execution_t *execution)
{
    assert_ptr_equal(execution, hand.active);
    hand.cancels++;
}

static void hand_destroy(execution_t **execution)
{
    if (*execution == NULL)
        return;
    rz_free(*execution);
    *execution = NULL;
    hand.active = NULL;
    hand.destroyed++;
}

static const executor_t by_hand = { hand_create, hand_start, hand_steer, hand_cancel, hand_destroy };

/* What was sent, one frame a line. */
static rz_buf_t sent;

static void on_send(void *arg, rz_str_t frame)
{
    (void)arg;
    rz_buf_put_str(&sent, frame);
    rz_buf_putc(&sent, '\n');
}

static size_t on_backlog(void *arg)
{
    (void)arg;
    return 0;
}

static int open_desk(void **state)
{
    static const setting_t setting;
    static const desk_port_t port = { .send = on_send, .backlog = on_backlog };
    memset(&hand, 0, sizeof(hand));
    *state = desk_create(&by_hand, &setting, &port);
    return 0;
}

static int close_desk(void **state)
{
    desk_t *desk = *state;
    desk_destroy(&desk);
    rz_buf_fini(&sent);
    return hand.created == hand.destroyed ? 0 : -1;
}

static void hear(desk_t *desk, const char *frame)
{
    desk_frame(desk, frame, strlen(frame));
}

static void sent_is(const char *want)
{
    assert_string_equal(sent.len > 0 ? sent.data : "", want);
}

#define RUN(word)  "{\"kind\":\"run\",\"assignment\":\"" word "\"}"
#define CANCEL     "{\"kind\":\"cancel\"}"
#define CANCELLED  "{\"kind\":\"terminal\",\"status\":\"cancelled\"}\n"
#define DONE(word) "{\"kind\":\"terminal\",\"status\":\"completed\",\"result\":\"" word "\"}\n"

static void a_run_sends_its_events_and_then_one_terminal(void **state)
{
    desk_t *desk = *state;
    hear(desk, RUN("a"));
    assert_string_equal(hand.active->assignment, "\"a\"");
    hand.active->sink.event(hand.active->sink.arg, RZ_STR("{\"type\":\"x\"}"));
    finish(RZ_WORKER_COMPLETED, "\"r\"");
    sent_is("{\"kind\":\"event\",\"event\":{\"type\":\"x\"}}\n" DONE("r"));
    assert_true(desk_idle(desk));
}

static void a_run_that_ends_within_its_start_is_whole(void **state)
{
    desk_t *desk = *state;
    hand.at_once = true;
    hear(desk, RUN("a"));
    hear(desk, RUN("b"));
    sent_is(DONE("at once") DONE("at once"));
    assert_true(desk_idle(desk));
    assert_int_equal(hand.destroyed, 2);
}

static void a_cancel_reaches_the_active_run_only(void **state)
{
    desk_t *desk = *state;
    hear(desk, CANCEL);
    assert_int_equal(hand.cancels, 0);
    hear(desk, RUN("a"));
    hear(desk, CANCEL);
    assert_int_equal(hand.cancels, 1);
    finish(RZ_WORKER_CANCELLED, NULL);
    sent_is(CANCELLED);
}

static void a_second_run_cancels_the_first_and_waits(void **state)
{
    desk_t *desk = *state;
    hear(desk, RUN("a"));
    hear(desk, RUN("b"));
    assert_int_equal(hand.cancels, 1);
    assert_string_equal(hand.active->assignment, "\"a\"");
    finish(RZ_WORKER_CANCELLED, NULL);
    assert_string_equal(hand.active->assignment, "\"b\"");
    finish(RZ_WORKER_COMPLETED, "\"b\"");
    sent_is(CANCELLED DONE("b"));
}

static void of_three_runs_each_has_its_terminal(void **state)
{
    desk_t *desk = *state;
    hear(desk, RUN("a"));
    hear(desk, RUN("b"));
    hear(desk, RUN("c"));
    finish(RZ_WORKER_CANCELLED, NULL);
    assert_string_equal(hand.active->assignment, "\"c\"");
    finish(RZ_WORKER_COMPLETED, "\"c\"");
    sent_is(CANCELLED CANCELLED DONE("c"));
    assert_int_equal(hand.created, 2);
}

static void a_waiting_run_can_be_cancelled_before_it_begins(void **state)
{
    desk_t *desk = *state;
    hear(desk, RUN("a"));
    hear(desk, RUN("b"));
    hear(desk, CANCEL);
    finish(RZ_WORKER_CANCELLED, NULL);
    sent_is(CANCELLED CANCELLED);
    assert_int_equal(hand.created, 1);
    assert_true(desk_idle(desk));
}

static void a_message_goes_to_the_active_run_or_nowhere(void **state)
{
    desk_t *desk = *state;
    hear(desk, "{\"kind\":\"message\",\"text\":\"early\"}");
    hear(desk, RUN("a"));
    hear(desk, "{\"kind\":\"message\",\"text\":\"now\"}");
    assert_string_equal(hand.steered, "now");
    finish(RZ_WORKER_COMPLETED, "\"r\"");
    hear(desk, "{\"kind\":\"message\",\"text\":\"late\"}");
    assert_int_equal(hand.steers, 1);
}

static void a_lost_connection_cancels_and_silences_its_run(void **state)
{
    desk_t *desk = *state;
    hear(desk, RUN("a"));
    hear(desk, RUN("b"));
    desk_disconnected(desk);
    hear(desk, RUN("c")); /* the next connection, while the old run still ends */
    hand.active->sink.event(hand.active->sink.arg, RZ_STR("{\"type\":\"late\"}"));
    finish(RZ_WORKER_COMPLETED, "\"late\"");
    assert_string_equal(hand.active->assignment, "\"c\"");
    finish(RZ_WORKER_COMPLETED, "\"c\"");
    sent_is(DONE("c"));
}

static void what_is_no_frame_of_ours_is_ignored(void **state)
{
    desk_t *desk = *state;
    hear(desk, "nonsense");
    hear(desk, "{\"kind\":\"run\"}");
    hear(desk, "{\"kind\":\"owned_tree_reply\",\"id\":\"x\"}");
    hear(desk, "{\"kind\":\"approval_reply\",\"id\":\"x\",\"approved\":true}");
    sent_is("");
    assert_true(desk_idle(desk));
}

static void a_desk_that_ends_stops_its_run_without_a_terminal(void **state)
{
    desk_t *desk = *state;
    hear(desk, RUN("a"));
    hear(desk, RUN("b"));
    sent_is("");
    assert_int_equal(hand.destroyed, 0); /* close_desk counts the rest */
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(a_run_sends_its_events_and_then_one_terminal, open_desk, close_desk),
    cmocka_unit_test_setup_teardown(a_run_that_ends_within_its_start_is_whole, open_desk, close_desk),
    cmocka_unit_test_setup_teardown(a_cancel_reaches_the_active_run_only, open_desk, close_desk),
    cmocka_unit_test_setup_teardown(a_second_run_cancels_the_first_and_waits, open_desk, close_desk),
    cmocka_unit_test_setup_teardown(of_three_runs_each_has_its_terminal, open_desk, close_desk),
    cmocka_unit_test_setup_teardown(a_waiting_run_can_be_cancelled_before_it_begins, open_desk, close_desk),
    cmocka_unit_test_setup_teardown(a_message_goes_to_the_active_run_or_nowhere, open_desk, close_desk),
    cmocka_unit_test_setup_teardown(a_lost_connection_cancels_and_silences_its_run, open_desk, close_desk),
    cmocka_unit_test_setup_teardown(what_is_no_frame_of_ours_is_ignored, open_desk, close_desk),
    cmocka_unit_test_setup_teardown(a_desk_that_ends_stops_its_run_without_a_terminal, open_desk, close_desk),
};

RZ_FACTS(tests)
