/* The store's own time and what becomes due by it: queue deadlines, limits of waits, retention, what is
 * forgotten because there is too much of it. Against a real Redis; the test is the broker that watches. */
#include "calls.h"

#include "../facts.h"

#include <stdlib.h>

static calls_t *joined(void **state)
{
    calls_t *calls = *state;
    assert_int_equal(call_join(calls, "i1", "runner-1"), RZ_OK);
    return calls;
}

static const char *redis_is(calls_t *calls, const char *command)
{
    return redis_do(&calls->redis, command);
}

/* Queued for at most so long. */
static void queue(calls_t *calls, const char *child, uint64_t max_queue_ms)
{
    rz_submit_t request = plain_submit(child);
    request.max_queue_ms = max_queue_ms;
    assert_int_equal(call_submit(calls, &request), RZ_OK);
    assert_int_equal(calls->answer.state, RZ_ACT_QUEUED);
}

/* One that ends `error` at once. */
static rz_rc_t submit_doomed(calls_t *calls, const char *child, const char *job)
{
    rz_submit_t request = plain_submit(child);
    request.job = job;
    request.doom = "nobody runs it";
    return call_submit(calls, &request);
}

static void ended(calls_t *calls, const char *child)
{
    assert_int_equal(submit_doomed(calls, child, "j"), RZ_OK);
    assert_int_equal(calls->answer.state, RZ_ACT_TERMINAL);
}

static void status_is(calls_t *calls, const char *child, const char *status)
{
    assert_int_equal(call_get(calls, child, NULL), RZ_OK);
    assert_string_equal(calls->answer.status, status);
}

/* Time stands still; what ended so long ago is let go of. */
static rz_tick_result_t retain(calls_t *calls, uint64_t retention_ms, uint64_t tombstone_ms)
{
    const rz_tick_t tick = { .retention_ms = retention_ms,
                             .tombstone_ms = tombstone_ms,
                             .completions_max = 1000000 };
    assert_int_equal(call_tick_of(calls, &tick), RZ_OK);
    return calls->answer.tick;
}

static size_t entries(calls_t *calls)
{
    return strtoul(redis_is(calls, "XLEN rz:{0}:completions"), NULL, 10);
}

static void trim_to(calls_t *calls, uint64_t max)
{
    const rz_tick_t tick = { .retention_ms = 1000, .tombstone_ms = 1000, .completions_max = max };
    assert_int_equal(call_tick_of(calls, &tick), RZ_OK);
}

/* ---- time ---- */

static void time_is_what_brokers_watched_and_never_goes_back(void **state)
{
    calls_t *calls = *state;
    rz_tick_t tick = { .retention_ms = 1000, .tombstone_ms = 1000, .completions_max = 1000 };
    assert_int_equal(call_tick_of(calls, &tick), RZ_OK);
    assert_int_equal(calls->answer.tick.tick, 0);
    tick.elapsed_ms = 700;
    call_tick_of(calls, &tick);
    assert_int_equal(calls->answer.tick.tick, 700);
    tick.elapsed_ms = 600; /* another broker, which saw the same tick a little later */
    call_tick_of(calls, &tick);
    assert_int_equal(calls->answer.tick.tick, 700);
    tick = (rz_tick_t){ 700, 50, 1000, 1000, 1000 };
    call_tick_of(calls, &tick);
    assert_int_equal(calls->answer.tick.tick, 750);
}

/* ---- brokers ---- */

static const char *tick_as(calls_t *calls, const char *broker, unsigned seen, unsigned elapsed)
{
    char command[200];
    snprintf(command, sizeof command,
             "FCALL rz1_batch 1 rz:{0} %s tick 6 %u %u 1000 1000 1000 {\"at\":\"%s\"}", broker, seen, elapsed,
             broker);
    return redis_do(&calls->redis, command);
}

static void a_broker_is_told_of_for_ten_seconds_after_its_last_tick(void **state)
{
    calls_t *calls = *state;
    assert_string_equal(tick_as(calls, "b1", 0, 0), "OK 8 0 0 0 0 0 0 b1 {\"at\":\"b1\"}");
    assert_non_null(strstr(tick_as(calls, "b2", 0, 10000), "b1 {\"at\":\"b1\"}"));
    assert_string_equal(tick_as(calls, "b2", 10000, 1), "OK 8 10001 0 0 0 0 0 b2 {\"at\":\"b2\"}");
    assert_non_null(
        strstr(tick_as(calls, "b1", 10001, 1), "b2 {\"at\":\"b2\"}")); /* it is back, and knows the other */
    assert_string_equal(redis_is(calls, "HLEN rz:{0}:brokers"), "2");
}

/* ---- queue deadlines ---- */

static void what_nobody_takes_ends_timeout_at_its_deadline(void **state)
{
    calls_t *calls = *state;
    call_tick(calls, 5000);
    queue(calls, "c1", 2000);
    call_tick(calls, 1999);
    assert_int_equal(calls->answer.tick.queue_expired, 0);
    status_is(calls, "c1", "pending");
    call_tick(calls, 1);
    assert_int_equal(calls->answer.tick.queue_expired, 1);
    status_is(calls, "c1", "timeout");
    assert_string_equal(calls->answer.error,
                        "Child session was not started within 2 seconds (max_queue_secs=2)");
    assert_int_equal(calls->answer.state, RZ_ACT_TERMINAL);
    call_classes(calls);
    assert_int_equal(calls->answer.n, 0);
    assert_string_equal(redis_is(calls, "GET rz:{0}:n"), "0");
    assert_string_equal(redis_is(calls, "XLEN rz:{0}:broadcast"), "1");
    assert_int_equal(entries(calls), 1);
}

static void without_a_limit_it_waits_for_ever(void **state)
{
    calls_t *calls = *state;
    queue(calls, "c1", 0);
    call_tick(calls, 400000000000);
    assert_int_equal(calls->answer.tick.queue_expired, 0);
    status_is(calls, "c1", "pending");
}

static void what_was_taken_has_no_deadline(void **state)
{
    calls_t *calls = joined(state);
    queue(calls, "c1", 2000);
    assert_int_equal(call_claim(calls, "i1", 1), RZ_OK);
    assert_string_equal(redis_is(calls, "ZCARD rz:{0}:t"), "0");
    call_tick(calls, 9000);
    assert_int_equal(calls->answer.tick.queue_expired, 0);
    status_is(calls, "c1", "pending");
}

static void what_was_cancelled_in_the_queue_has_no_deadline(void **state)
{
    calls_t *calls = *state;
    queue(calls, "c1", 2000);
    assert_int_equal(call_cancel(calls, "c1", NULL), RZ_OK);
    assert_string_equal(redis_is(calls, "ZCARD rz:{0}:t"), "0");
    call_tick(calls, 9000);
    status_is(calls, "c1", "cancelled");
}

static void what_is_given_back_waits_as_long_again(void **state)
{
    calls_t *calls = joined(state);
    queue(calls, "c1", 2000);
    call_tick(calls, 1500);
    assert_int_equal(call_claim(calls, "i1", 1), RZ_OK);
    assert_int_equal(call_release(calls, "c1", 1, token(0)), RZ_OK);
    call_tick(calls, 1999);
    status_is(calls, "c1", "pending");
    call_tick(calls, 1);
    status_is(calls, "c1", "timeout");
}

static void a_retry_waits_as_long_again(void **state)
{
    calls_t *calls = *state;
    queue(calls, "c1", 2000);
    call_tick(calls, 2000);
    status_is(calls, "c1", "timeout");
    assert_int_equal(call_retry(calls, "c1"), RZ_OK);
    call_tick(calls, 1999);
    status_is(calls, "c1", "pending");
    call_tick(calls, 1);
    status_is(calls, "c1", "timeout");
}

static void more_deadlines_than_a_step_takes_are_settled_by_further_steps(void **state)
{
    calls_t *calls = *state;
    for (unsigned i = 0; i < 70; i++) {
        char child[16];
        snprintf(child, sizeof child, "c%u", i);
        queue(calls, child, 1000);
    }
    rz_tick_t tick = {
        .elapsed_ms = 1000, .retention_ms = 5000, .tombstone_ms = 5000, .completions_max = 1000
    };
    assert_int_equal(call_tick_of(calls, &tick), RZ_OK);
    assert_int_equal(calls->answer.tick.queue_expired, 64);
    assert_true(calls->answer.tick.more);
    assert_int_equal(call_tick_of(calls, &tick), RZ_OK);
    assert_int_equal(calls->answer.tick.queue_expired, 6);
    assert_false(calls->answer.tick.more);
}

/* ---- waits ---- */

static void a_wait_expires_once_and_a_later_end_changes_nothing(void **state)
{
    calls_t *calls = *state;
    assert_int_equal(call_wait_register(calls, "w1", "c1", 1000), RZ_OK);
    call_tick(calls, 999);
    call_wait_get(calls, "w1");
    assert_string_equal(calls->answer.wait_state, "waiting");
    call_tick(calls, 1);
    assert_int_equal(calls->answer.tick.waits_expired, 1);
    call_wait_get(calls, "w1");
    assert_string_equal(calls->answer.wait_state, "expired");
    assert_int_equal(entries(calls), 1);
    assert_non_null(strstr(redis_is(calls, "XRANGE rz:{0}:completions - +"), "kind wait_expired"));
    ended(calls, "c1");
    call_tick(calls, 5000);
    assert_int_equal(calls->answer.tick.waits_expired, 0);
    call_wait_get(calls, "w1");
    assert_string_equal(calls->answer.wait_state, "expired");
    assert_null(strstr(redis_is(calls, "XRANGE rz:{0}:completions - +"), "wait_satisfied"));
}

static void a_satisfied_wait_does_not_expire(void **state)
{
    calls_t *calls = *state;
    assert_int_equal(call_wait_register(calls, "w1", "c1", 1000), RZ_OK);
    ended(calls, "c1");
    call_tick(calls, 2000);
    assert_int_equal(calls->answer.tick.waits_expired, 0);
    call_wait_get(calls, "w1");
    assert_string_equal(calls->answer.wait_state, "satisfied");
}

static void an_old_wait_is_forgotten_with_the_sessions_of_its_time(void **state)
{
    calls_t *calls = *state;
    call_wait_register(calls, "w1", "c1", 0);
    ended(calls, "c1");
    call_tick(calls, 5000);
    retain(calls, 5000, 9000);
    assert_int_equal(call_wait_get(calls, "w1"), RZ_NOT_FOUND);
}

static void a_wait_without_a_limit_has_upstreams_six_hours(void **state)
{
    calls_t *calls = *state;
    assert_int_equal(call_wait_register(calls, "w1", "c1", 0), RZ_OK);
    call_tick(calls, 21599999);
    assert_int_equal(calls->answer.tick.waits_expired, 0);
    call_tick(calls, 1);
    assert_int_equal(calls->answer.tick.waits_expired, 1);
}

static void a_child_has_so_many_open_waits_and_no_more(void **state)
{
    calls_t *calls = *state;
    char id[16];
    for (unsigned i = 0; i < 64; i++) {
        snprintf(id, sizeof id, "w-%u", i);
        assert_int_equal(call_wait_register(calls, id, "c1", 0), RZ_OK);
    }
    assert_int_equal(call_wait_register(calls, "one-more", "c1", 0), RZ_FULL);
    assert_int_equal(call_wait_get(calls, "one-more"), RZ_NOT_FOUND);
    assert_int_equal(call_wait_register(calls, "w-3", "c1", 0), RZ_DUPLICATE);
    ended(calls, "c1");
    assert_int_equal(call_wait_register(calls, "one-more", "c1", 0), RZ_OK);
}

/* ---- retention ---- */

static void what_ended_long_ago_becomes_a_tombstone(void **state)
{
    calls_t *calls = *state;
    ended(calls, "c1");
    call_tick(calls, 5000);
    assert_int_equal(retain(calls, 5001, 9000).retired, 0);
    assert_int_equal(retain(calls, 5000, 9000).retired, 1);
    assert_int_equal(call_session_get(calls, "c1"), RZ_NOT_FOUND);
    assert_int_equal(call_get(calls, "c1", "j"), RZ_OK);
    assert_string_equal(calls->answer.status, "error");
    assert_int_equal(call_list(calls, NULL, 10), RZ_OK);
    assert_int_equal(calls->answer.n, 0);
    call_list(calls, "p1", 10);
    assert_int_equal(calls->answer.n, 0);
    assert_string_equal(redis_is(calls, "EXISTS rz:{0}:m:c1 rz:{0}:e:c1 rz:{0}:l:c1"), "0");
    assert_int_equal(retain(calls, 5000, 9000).retired, 0);
}

static void what_is_said_to_an_ended_child_keeps_its_session_as_long_again(void **state)
{
    calls_t *calls = *state;
    ended(calls, "c1");
    call_tick(calls, 4000);
    assert_int_equal(call_steer(calls, "c1", "s1", "{}"), RZ_OK);
    call_tick(calls, 4000);
    assert_int_equal(retain(calls, 5000, 9000).retired, 0);
    assert_int_equal(call_session_get(calls, "c1"), RZ_OK);
}

static void a_tombstone_still_answers_duplicate_and_conflict(void **state)
{
    calls_t *calls = *state;
    ended(calls, "c1");
    retain(calls, 0, 9000);
    assert_int_equal(submit_doomed(calls, "c1", "j"), RZ_DUPLICATE);
    assert_string_equal(calls->answer.status, "error");
    rz_submit_t other = plain_submit("c1");
    other.job = "j";
    other.digest = "digest-2";
    assert_int_equal(call_submit(calls, &other), RZ_CONFLICT);
}

static void whose_a_child_is_stays_known_as_long_as_its_id(void **state)
{
    calls_t *calls = *state;
    rz_submit_t its = plain_submit("c1");
    its.tenant = "acme";
    its.own = true;
    assert_int_equal(call_whose(calls, "c1"), RZ_NOT_FOUND);
    assert_int_equal(call_submit(calls, &its), RZ_OK);
    assert_int_equal(call_cancel(calls, "c1", NULL), RZ_OK);
    assert_int_equal(retain(calls, 0, 9000).retired, 1);
    assert_int_equal(call_whose(calls, "c1"), RZ_OK);
    assert_string_equal(calls->answer.text[0], "p1");
    assert_string_equal(calls->answer.text[1], "acme");
    rz_submit_t others = its;
    others.tenant = "other";
    assert_int_equal(call_submit(calls, &others), RZ_CONFLICT);
    its.job = "j-next";
    assert_int_equal(call_submit(calls, &its), RZ_OK);
}

static void a_tombstone_has_no_session_to_run_steer_or_retry(void **state)
{
    calls_t *calls = *state;
    ended(calls, "c1");
    retain(calls, 0, 9000);
    rz_submit_t bare = plain_submit("c1");
    bare.job = "j-next";
    bare.header = (rz_str_t){ NULL, 0 };
    bare.message_count = 0;
    assert_int_equal(call_submit(calls, &bare), RZ_NOT_FOUND);
    assert_int_equal(call_steer(calls, "c1", "s1", "{}"), RZ_NOT_FOUND);
    assert_int_equal(call_retry(calls, "c1"), RZ_NOT_FOUND);
}

static void a_job_with_its_session_brings_a_tombstone_back_to_life(void **state)
{
    calls_t *calls = *state;
    ended(calls, "c1");
    uint64_t epoch = (call_get(calls, "c1", NULL), calls->answer.epoch);
    retain(calls, 0, 9000);
    rz_submit_t again = plain_submit("c1");
    assert_int_equal(call_submit(calls, &again), RZ_OK);
    assert_int_equal(calls->answer.activation, 2);
    assert_int_equal(call_session_get(calls, "c1"), RZ_OK);
    call_list(calls, "p1", 10);
    assert_int_equal(calls->answer.n, 1);
    assert_int_equal(call_cancel(calls, "c1", NULL), RZ_OK);
    assert_true(calls->answer.epoch > epoch);
    call_tick(calls, 5000);
    assert_int_equal(retain(calls, 9000, 1000).forgotten, 0);
    status_is(calls, "c1", "cancelled");
}

static void a_tombstone_takes_a_session_as_if_there_were_none(void **state)
{
    calls_t *calls = *state;
    ended(calls, "c1");
    retain(calls, 0, 9000);
    const rz_session_put_t put = { .child = "c1", .header = RZ_STR("{\"id\":\"c1\"}") };
    assert_int_equal(call_session_put(calls, &put), RZ_OK);
    assert_int_equal(call_session_get(calls, "c1"), RZ_OK);
    assert_int_equal(call_session_put(calls, &put), RZ_CONFLICT);
}

static void a_tombstone_goes_in_its_time_and_then_nothing_is_known(void **state)
{
    calls_t *calls = *state;
    ended(calls, "c1");
    retain(calls, 0, 9000);
    call_tick(calls, 9000);
    assert_int_equal(retain(calls, 0, 9001).forgotten, 0);
    assert_int_equal(retain(calls, 0, 9000).forgotten, 1);
    assert_int_equal(call_get(calls, "c1", NULL), RZ_NOT_FOUND);
    assert_string_equal(redis_is(calls, "KEYS rz:{0}:*:c1"), "");
    assert_int_equal(submit_doomed(calls, "c1", "j"), RZ_OK);
}

static void who_lives_is_kept_until_long_after_the_next_end(void **state)
{
    calls_t *calls = joined(state);
    ended(calls, "c1");
    queue(calls, "c1", 0);
    call_tick(calls, 5000);
    assert_int_equal(retain(calls, 1000, 9000).retired, 0);
    assert_int_equal(call_session_get(calls, "c1"), RZ_OK);
    assert_int_equal(call_cancel(calls, "c1", NULL), RZ_OK);
    assert_int_equal(retain(calls, 1000, 9000).retired, 0);
    call_tick(calls, 1000);
    assert_int_equal(retain(calls, 1000, 9000).retired, 1);
}

static void a_session_that_was_never_run_goes_too(void **state)
{
    calls_t *calls = *state;
    const rz_session_put_t put = { .child = "c1", .header = RZ_STR("{\"id\":\"c1\"}") };
    assert_int_equal(call_session_put(calls, &put), RZ_OK);
    call_tick(calls, 5000);
    assert_int_equal(retain(calls, 5001, 9000).retired, 0);
    assert_int_equal(retain(calls, 5000, 9000).retired, 1);
    assert_int_equal(call_session_get(calls, "c1"), RZ_NOT_FOUND);
}

static void one_step_lets_go_of_a_few_sessions_only(void **state)
{
    calls_t *calls = *state;
    for (unsigned i = 0; i < 20; i++) {
        char child[16];
        snprintf(child, sizeof child, "c%u", i);
        ended(calls, child);
    }
    rz_tick_result_t first = retain(calls, 0, 9000);
    assert_int_equal(first.retired, 16);
    assert_true(first.more);
    rz_tick_result_t second = retain(calls, 0, 9000);
    assert_int_equal(second.retired, 4);
    assert_false(second.more);
}

/* ---- completions ---- */

/* Nodes of ten entries: trimming drops whole nodes. */
static int small_nodes(void **state)
{
    static const char *const settings[] = { "--stream-node-max-entries", "10", NULL };
    calls_t *calls = calloc(1, sizeof *calls);
    assert_non_null(calls);
    calls_up(calls, settings, 0);
    for (unsigned i = 0; i < 300; i++)
        redis_do(&calls->redis, "XADD rz:{0}:completions * kind completion");
    *state = calls;
    return 0;
}

static void completions_are_kept_to_about_as_many_as_configured(void **state)
{
    calls_t *calls = *state;
    trim_to(calls, 300);
    assert_int_equal(entries(calls), 300);
    trim_to(calls, 100);
    assert_in_range(entries(calls), 100, 110);
}

static void a_stream_that_is_far_too_long_is_trimmed_by_further_steps(void **state)
{
    calls_t *calls = *state;
    redis_is(calls, "EVAL for\ti=1,25000\tdo\tredis.call('XADD','rz:{0}:completions','*','kind','x')\tend 0");
    trim_to(calls, 100);
    assert_true(calls->answer.tick.more);
    trim_to(calls, 100);
    trim_to(calls, 100);
    assert_in_range(entries(calls), 100, 300);
    assert_false(calls->answer.tick.more);
}

static void what_a_group_still_needs_asks_for_no_further_step(void **state)
{
    calls_t *calls = *state;
    redis_is(calls, "XGROUP CREATE rz:{0}:completions slow 0");
    redis_is(calls, "EVAL for\ti=1,25000\tdo\tredis.call('XADD','rz:{0}:completions','*','kind','x')\tend 0");
    trim_to(calls, 100);
    assert_false(calls->answer.tick.more);
    assert_int_equal(entries(calls), 25300);
}

static void nothing_is_dropped_that_a_group_was_not_given_or_did_not_acknowledge(void **state)
{
    calls_t *calls = *state;
    redis_is(calls, "XGROUP CREATE rz:{0}:completions slow 0");
    redis_is(calls, "XGROUP CREATE rz:{0}:completions quick 0");
    redis_is(calls, "XREADGROUP GROUP quick q COUNT 300 STREAMS rz:{0}:completions >");
    trim_to(calls, 100);
    assert_int_equal(entries(calls), 300);
    redis_is(calls, "XREADGROUP GROUP slow s COUNT 150 STREAMS rz:{0}:completions >");
    trim_to(calls, 100);
    assert_int_equal(entries(calls), 300); /* nobody has acknowledged any */
}

static void what_every_group_acknowledged_goes(void **state)
{
    calls_t *calls = *state;
    char id[64], command[128];
    redis_is(calls, "XGROUP CREATE rz:{0}:completions g 0");
    for (unsigned i = 0; i < 150; i++) {
        /* "key id kind completion" */
        sscanf(redis_is(calls, "XREADGROUP GROUP g c COUNT 1 STREAMS rz:{0}:completions >"), "%*s %63s", id);
        snprintf(command, sizeof command, "XACK rz:{0}:completions g %s", id);
        assert_string_equal(redis_is(calls, command), "1");
    }
    trim_to(calls, 100);
    assert_in_range(entries(calls), 151, 161);
    redis_is(calls, "XGROUP DESTROY rz:{0}:completions g");
    trim_to(calls, 100);
    assert_in_range(entries(calls), 100, 110);
}

/* ---- what is forgotten because there is too much of it ---- */

static void job_ids_are_forgotten_oldest_first(void **state)
{
    calls_t *calls = *state;
    char job[16];
    for (unsigned i = 0; i < 300; i++) {
        snprintf(job, sizeof job, "j-%u", i);
        assert_int_equal(submit_doomed(calls, "c1", job), RZ_OK);
    }
    assert_in_range(strtoul(redis_is(calls, "HLEN rz:{0}:c:c1"), NULL, 10), 128, 256);
    assert_int_equal(submit_doomed(calls, "c1", "j-299"), RZ_DUPLICATE);
    assert_int_equal(submit_doomed(calls, "c1", "j-180"), RZ_DUPLICATE);
    assert_int_equal(call_get(calls, "c1", "j-0"), RZ_NOT_FOUND);
    assert_int_equal(submit_doomed(calls, "c1", "j-0"), RZ_OK);
}

static void steering_ids_are_forgotten_oldest_first(void **state)
{
    calls_t *calls = *state;
    char id[16];
    ended(calls, "c1");
    for (unsigned i = 0; i < 1005; i++) {
        snprintf(id, sizeof id, "s-%04u", i);
        assert_int_equal(call_steer(calls, "c1", id, "{}"), RZ_OK);
    }
    assert_string_equal(redis_is(calls, "ZCARD rz:{0}:s:c1"), "1000");
    assert_int_equal(call_steer(calls, "c1", "s-1004", "{}"), RZ_DUPLICATE);
    assert_int_equal(call_steer(calls, "c1", "s-0005", "{}"), RZ_DUPLICATE);
    assert_int_equal(call_steer(calls, "c1", "s-0004", "{}"), RZ_OK);
}

static void of_many_transitions_the_latest_are_kept(void **state)
{
    calls_t *calls = *state;
    char id[16];
    for (unsigned i = 0; i < 450; i++) {
        rz_submit_t request = plain_submit("c1");
        snprintf(id, sizeof id, "d-%u", i);
        request.job = request.doom = id;
        assert_int_equal(call_submit(calls, &request), RZ_OK);
    }
    assert_int_equal(call_explain(calls, "c1"), RZ_OK);
    assert_in_range(calls->answer.left, 100, 200);
    assert_string_equal(calls->answer.text[calls->answer.n - 1], "error d-449");
    assert_string_equal(calls->answer.text[0], "error d-386");
}

static void steering_does_not_push_out_what_else_happened(void **state)
{
    calls_t *calls = *state;
    char id[16];
    queue(calls, "c1", 0);
    for (unsigned i = 0; i < 250; i++) {
        snprintf(id, sizeof id, "s-%u", i);
        assert_int_equal(call_steer(calls, "c1", id, "{}"), RZ_OK);
    }
    assert_int_equal(call_explain(calls, "c1"), RZ_OK);
    assert_int_equal(calls->answer.left, 21);
    assert_string_equal(calls->answer.text[0], "queued ");
    assert_string_equal(calls->answer.text[20], "steer s-19");
}

/* ---- what library 1.0 left ---- */

/* Its packed activations had no queue limit: the last word is missing. (A tab, for commands are cut at spaces.) */
static void make_old(calls_t *calls, const char *child)
{
    char command[400];
    snprintf(
        command, sizeof command,
        "EVAL local\tk='rz:{0}:c:%s'\tlocal\ta=redis.call('HGET',k,'a')\treturn\tredis.call('HSET',k,'a',"
        "(string.gsub(a,'%%s%%S+$',''))) 0",
        child);
    assert_string_equal(redis_is(calls, command), "0");
    snprintf(command, sizeof command,
             "EVAL local\t_,n=string.gsub(redis.call('HGET','rz:{0}:c:%s','a'),'%%S+','')\treturn\tn 0",
             child);
    assert_string_equal(redis_is(calls, command), "19");
}

static void an_activation_of_the_older_library_is_read_run_and_ended(void **state)
{
    calls_t *calls = joined(state);
    queue(calls, "c1", 0);
    make_old(calls, "c1");
    assert_int_equal(call_get(calls, "c1", NULL), RZ_OK);
    assert_int_equal(calls->answer.state, RZ_ACT_QUEUED);
    assert_int_equal(calls->answer.activation, 1);
    assert_string_equal(calls->answer.parent, "p1");
    assert_int_equal(call_claim(calls, "i1", 1), RZ_OK);
    assert_int_equal(calls->answer.n, 1);
    assert_int_equal(call_start(calls, "c1", 1, token(0)), RZ_OK);
    make_old(calls, "c1");
    assert_int_equal(call_finish(calls, "c1", 1, token(0), "completed", NULL, ""), RZ_OK);
    make_old(calls, "c1");
    status_is(calls, "c1", "completed");
    call_list(calls, NULL, 10);
    assert_int_equal(calls->answer.n, 1);
    assert_int_equal(call_retry(calls, "c1"), RZ_OK);
    call_tick(calls, 400000000000);
    assert_int_equal(calls->answer.tick.queue_expired, 0);
}

/* Under library 1.0 nothing said when a child ended, and nothing was ever retired. */
static void an_upgrade_gives_what_ended_under_the_older_library_its_time(void **state)
{
    calls_t *calls = *state;
    const rz_store_options_t options = { .url = calls->redis.url, AS("admin", calls->redis) };
    rz_store_info_t info;
    ended(calls, "c1");
    queue(calls, "c2", 0);
    redis_is(calls, "DEL rz:{0}:z");
    redis_is(calls, "HSET rz:{0}:store version 1.0");
    assert_int_equal(retain(calls, 0, 9000).retired, 0);
    assert_int_equal(rz_store_upgrade(&options, &info, NULL), RZ_OK);
    assert_int_equal(retain(calls, 0, 9000).retired, 1);
    assert_int_equal(call_get(calls, "c2", NULL), RZ_OK);
}

static const struct CMUnitTest tests[] = {
    /* clang-format off */
    cmocka_unit_test_setup_teardown(time_is_what_brokers_watched_and_never_goes_back, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_broker_is_told_of_for_ten_seconds_after_its_last_tick, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(what_nobody_takes_ends_timeout_at_its_deadline, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(without_a_limit_it_waits_for_ever, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(what_was_taken_has_no_deadline, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(what_was_cancelled_in_the_queue_has_no_deadline, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(what_is_given_back_waits_as_long_again, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_retry_waits_as_long_again, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(more_deadlines_than_a_step_takes_are_settled_by_further_steps, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_wait_expires_once_and_a_later_end_changes_nothing, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_satisfied_wait_does_not_expire, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(an_old_wait_is_forgotten_with_the_sessions_of_its_time, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_wait_without_a_limit_has_upstreams_six_hours, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_child_has_so_many_open_waits_and_no_more, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(what_ended_long_ago_becomes_a_tombstone, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(whose_a_child_is_stays_known_as_long_as_its_id, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(what_is_said_to_an_ended_child_keeps_its_session_as_long_again, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_tombstone_still_answers_duplicate_and_conflict, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_tombstone_has_no_session_to_run_steer_or_retry, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_job_with_its_session_brings_a_tombstone_back_to_life, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_tombstone_takes_a_session_as_if_there_were_none, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_tombstone_goes_in_its_time_and_then_nothing_is_known, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(who_lives_is_kept_until_long_after_the_next_end, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_session_that_was_never_run_goes_too, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(one_step_lets_go_of_a_few_sessions_only, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(completions_are_kept_to_about_as_many_as_configured, small_nodes, calls_teardown),
    cmocka_unit_test_setup_teardown(what_a_group_still_needs_asks_for_no_further_step, small_nodes, calls_teardown),
    cmocka_unit_test_setup_teardown(a_stream_that_is_far_too_long_is_trimmed_by_further_steps, small_nodes, calls_teardown),
    cmocka_unit_test_setup_teardown(nothing_is_dropped_that_a_group_was_not_given_or_did_not_acknowledge, small_nodes, calls_teardown),
    cmocka_unit_test_setup_teardown(what_every_group_acknowledged_goes, small_nodes, calls_teardown),
    cmocka_unit_test_setup_teardown(job_ids_are_forgotten_oldest_first, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(steering_ids_are_forgotten_oldest_first, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(of_many_transitions_the_latest_are_kept, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(steering_does_not_push_out_what_else_happened, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(an_activation_of_the_older_library_is_read_run_and_ended, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(an_upgrade_gives_what_ended_under_the_older_library_its_time, calls_setup, calls_teardown),
    /* clang-format on */
};

RZ_FACTS(tests)
