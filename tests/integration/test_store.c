/* The connection itself: order, batches, neighbours, lost replies, reconnection, verification, tail and
 * admin. */
#include "calls.h"

#include "../facts.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>

/* ---- batches ---- */
typedef struct {
    unsigned count, order_breaks, code[RZ_RC_COUNT];
    unsigned next[512]; /* what each callback expects to be */
} tally_t;

typedef struct {
    tally_t *tally;
    unsigned index;
} slot_t;

static void on_counted(rz_rc_t rc, const rz_reply_t *reply, void *arg)
{
    slot_t *slot = arg;
    (void)reply;
    slot->tally->order_breaks += slot->tally->count != slot->index;
    slot->tally->count++;
    slot->tally->code[rc]++;
}

static void queue_gets(calls_t *calls, tally_t *tally, slot_t *slots, unsigned n)
{
    const rz_str_t args[] = { RZ_STR("nobody"), RZ_STR("") };
    for (unsigned i = 0; i < n; i++) {
        slots[i] = (slot_t){ tally, i };
        rz_store_call(calls->store, "get", args, 2, on_counted, &slots[i]);
    }
}

static void many_operations_are_answered_in_order_and_in_few_batches(void **state)
{
    calls_t *calls = *state;
    tally_t tally = { 0 };
    slot_t slots[300];
    rz_store_stats_t stats;
    queue_gets(calls, &tally, slots, 300);
    assert_int_equal(tally.count, 0);
    calls_until_count(calls, &tally.count, 300);
    assert_int_equal(tally.order_breaks, 0);
    assert_int_equal(tally.code[RZ_NOT_FOUND], 300);
    rz_store_stats(calls->store, &stats);
    assert_int_equal(stats.operations, 300);
    assert_int_equal(stats.batches, 7); /* two at once with one each, then 64 at a time */
}

static void operations_take_effect_in_the_order_they_were_called(void **state)
{
    calls_t *calls = *state;
    rz_submit_t request = plain_submit("c1");
    request.owner = "i1";
    request.token = token(0);
    rz_op_join(calls->store, "i1", "runner-1", "{}", NULL, NULL);
    rz_op_submit(calls->store, &request, NULL, NULL);
    rz_op_start(calls->store, &(rz_write_t){ .child = "c1", .epoch = 1, .token = token(0) }, NULL, NULL);
    assert_int_equal(call_finish(calls, "c1", 1, token(0), "completed", "", ""), RZ_OK);
}

static void an_operation_that_fails_half_way_does_not_hurt_its_neighbours(void **state)
{
    calls_t *calls = *state;
    tally_t tally = { 0 };
    slot_t slots[5];
    redis_do(&calls->redis, "SET rz:{0}:c:broken notahash");
    const rz_str_t broken[] = { RZ_STR("broken"), RZ_STR("") }, nobody[] = { RZ_STR("nobody"), RZ_STR("") };
    for (unsigned i = 0; i < 5; i++) {
        slots[i] = (slot_t){ &tally, i };
        rz_store_call(calls->store, i == 4 ? "no_such_op" : "get", i == 2 ? broken : nobody, i == 3 ? 1 : 2,
                      on_counted, &slots[i]);
    }
    calls_until_count(calls, &tally.count, 5);
    assert_int_equal(tally.order_breaks, 0);
    assert_int_equal(tally.code[RZ_NOT_FOUND], 2);
    assert_int_equal(tally.code[RZ_INTERNAL], 1);
    assert_int_equal(tally.code[RZ_BAD_FIELD], 1);
    assert_int_equal(tally.code[RZ_BAD_KIND], 1);
}

static void the_queue_is_bounded_and_refuses_later_not_at_once(void **state)
{
    calls_t *calls = *state;
    const rz_store_options_t options = { .url = calls->redis.url,
                                         AS("broker", calls->redis),
                                         .queue_max = 10 };
    rz_store_t *mine = calls->store;
    tally_t tally = { 0 };
    slot_t slots[20];
    calls->store = rz_store_open(&calls->loop, &options, NULL);
    queue_gets(calls, &tally, slots, 20);
    assert_int_equal(tally.count, 0);
    calls_until_count(calls, &tally.count, 20);
    assert_int_equal(tally.code[RZ_UNAVAILABLE], 10);
    assert_int_equal(tally.code[RZ_NOT_FOUND], 10);
    rz_store_close(&calls->store);
    calls->store = mine;
}

static void the_queue_is_bounded_by_its_bytes_as_well(void **state)
{
    calls_t *calls = *state;
    const rz_store_options_t options = { .url = calls->redis.url,
                                         AS("broker", calls->redis),
                                         .queue_bytes_max = 100 };
    rz_store_t *mine = calls->store;
    tally_t tally = { 0 };
    slot_t slots[20];
    calls->store = rz_store_open(&calls->loop, &options, NULL);
    queue_gets(calls, &tally, slots, 20);
    calls_until_count(calls, &tally.count, 20);
    assert_in_range(tally.code[RZ_NOT_FOUND], 1, 19);
    assert_int_equal(tally.code[RZ_UNAVAILABLE], 20 - tally.code[RZ_NOT_FOUND]);
    rz_store_close(&calls->store);
    calls->store = mine;
}

/* ---- closing ---- */
static void closing_answers_every_operation_first(void **state)
{
    calls_t *calls = *state;
    tally_t tally = { 0 };
    slot_t slots[100];
    queue_gets(calls, &tally, slots, 100);
    rz_store_close(&calls->store);
    assert_null(calls->store);
    assert_int_equal(tally.count, 100);
    assert_int_equal(tally.code[RZ_UNKNOWN], 2);
    assert_int_equal(tally.code[RZ_UNAVAILABLE], 98);
}

static void on_answer_close(rz_rc_t rc, const rz_reply_t *reply, void *arg)
{
    (void)rc;
    (void)reply;
    rz_store_close(&((calls_t *)arg)->store);
}

static void the_store_may_be_closed_from_inside_an_answer(void **state)
{
    calls_t *calls = *state;
    tally_t tally = { 0 };
    slot_t slots[80];
    rz_store_call(calls->store, "classes", NULL, 0, on_answer_close, calls);
    queue_gets(calls, &tally, slots, 80);
    calls_until_count(calls, &tally.count, 80);
    assert_null(calls->store);
    assert_int_equal(tally.code[RZ_UNKNOWN], 1);
    assert_int_equal(tally.code[RZ_UNAVAILABLE], 79);
}

/* ---- loss ---- */
static void a_reply_that_redis_takes_to_its_grave_is_unknown(void **state)
{
    (void)state;
    static const char *const settings[] = { "--appendonly", "yes", NULL };
    calls_t calls;
    tally_t tally = { 0 };
    slot_t slots[3];
    calls_up(&calls, settings, 0);
    kill(calls.redis.process.pid, SIGSTOP);
    queue_gets(&calls, &tally, slots, 3);
    uv_run(&calls.loop, UV_RUN_NOWAIT); /* writes */
    redis_end(&calls.redis, SIGKILL);
    calls_until_up(&calls, false);
    assert_int_equal(tally.code[RZ_UNKNOWN], 2);
    assert_int_equal(tally.count, 2); /* the third was never sent: it waits for redis */
    redis_again(&calls.redis);
    calls_until_count(&calls, &tally.count, 3);
    assert_int_equal(tally.code[RZ_NOT_FOUND], 1);
    calls_down(&calls);
}

static void a_redis_that_stands_still_is_unknown_after_the_time_out(void **state)
{
    (void)state;
    calls_t calls;
    tally_t tally = { 0 };
    slot_t slots[2];
    calls_up(&calls, NULL, 200);
    kill(calls.redis.process.pid, SIGSTOP);
    queue_gets(&calls, &tally, slots, 2);
    calls_until_count(&calls, &tally.count, 2);
    assert_int_equal(tally.code[RZ_UNKNOWN], 2);
    assert_false(rz_store_up(calls.store));
    kill(calls.redis.process.pid, SIGCONT);
    calls_until_up(&calls, true);
    assert_int_equal(call_get(&calls, "nobody", NULL), RZ_NOT_FOUND);
    calls_down(&calls);
}

static void without_redis_an_operation_is_unavailable_in_time(void **state)
{
    (void)state;
    calls_t calls;
    calls_up(&calls, NULL, 200);
    redis_end(&calls.redis, SIGKILL);
    calls_until_up(&calls, false);
    assert_int_equal(call_get(&calls, "nobody", NULL), RZ_UNAVAILABLE);
    calls_down(&calls);
}

static void after_a_restart_work_goes_on_by_itself(void **state)
{
    (void)state;
    static const char *const settings[] = { "--appendonly", "yes", "--appendfsync", "always", NULL };
    calls_t calls;
    calls_up(&calls, settings, 0);
    rz_submit_t request = plain_submit("c1");
    assert_int_equal(call_submit(&calls, &request), RZ_OK);
    redis_end(&calls.redis, SIGKILL);
    calls_until_up(&calls, false);
    redis_again(&calls.redis);
    calls_until_up(&calls, true);
    assert_int_equal(call_submit(&calls, &request), RZ_DUPLICATE);
    calls_down(&calls);
}

/* ---- verification ---- */
static void a_store_with_another_id_is_not_used(void **state)
{
    calls_t *calls = *state;
    unsigned downs = calls->downs;
    redis_do(&calls->redis, "HSET rz:{0}:store id another");
    redis_do(&calls->redis, "CLIENT KILL TYPE normal");
    calls_until_count(calls, &calls->downs, downs + 1);
    assert_false(rz_store_up(calls->store));
    char back[96];
    snprintf(back, sizeof back, "HSET rz:{0}:store id %s", calls->info.id);
    redis_do(&calls->redis, back);
    calls_until_up(calls, true);
    assert_string_equal(rz_store_id(calls->store), calls->info.id);
}

static void on_second_state(bool up, const char *detail, void *arg)
{
    calls_t *other = arg;
    other->up = up;
    other->ups += up;
    other->downs += !up;
    snprintf(other->detail, sizeof other->detail, "%s", detail);
}

static void an_uninitialised_store_says_so_and_is_used_once_it_is(void **state)
{
    calls_t *calls = *state;
    calls_t other = { 0 };
    redis_do(&calls->redis, "FLUSHALL");
    redis_do(&calls->redis, "FUNCTION FLUSH");
    const rz_store_options_t options = {
        .url = calls->redis.url, AS("broker", calls->redis), .on_state = on_second_state, .arg = &other
    };
    rz_store_t *store = rz_store_open(&calls->loop, &options, NULL);
    calls_until_count(calls, &other.downs, 1);
    assert_string_equal(other.detail, "the store is not initialised: run `rhizome store init`");
    rz_store_info_t info;
    const rz_store_options_t admin = { .url = calls->redis.url, AS("admin", calls->redis) };
    assert_int_equal(rz_store_init(&admin, 1, &info, NULL), RZ_OK);
    calls_until_count(calls, &other.ups, 1);
    rz_store_close(&store);
}

static void durability_is_read_from_redis(void **state)
{
    (void)state;
    static const char *const settings[] = { "--appendonly", "yes", "--appendfsync", "always", NULL };
    calls_t calls;
    calls_up(&calls, settings, 0);
    assert_string_equal(rz_store_durability(calls.store), "strict");
    assert_string_equal(calls.info.durability, "strict");
    redis_do(&calls.redis, "CONFIG SET appendfsync everysec");
    redis_do(&calls.redis, "CLIENT KILL TYPE normal");
    calls_until_up(&calls, false);
    calls_until_up(&calls, true);
    assert_string_equal(rz_store_durability(calls.store), "relaxed");
    calls_down(&calls);
}

static void a_replica_is_not_used(void **state)
{
    calls_t *calls = *state;
    redis_do(&calls->redis, "REPLICAOF 127.0.0.1 1");
    assert_int_equal(call_join(calls, "i1", "runner-1"), RZ_UNAVAILABLE);
    calls_until_up(calls, false);
    redis_do(&calls->redis, "REPLICAOF NO ONE");
    calls_until_up(calls, true);
}

static void a_password_is_needed_and_used(void **state)
{
    (void)state;
    static const char *const settings[] = { "--requirepass", "secret", NULL };
    redis_t redis;
    rz_store_info_t info;
    rz_err_t err = { 0 };
    redis_up(&redis, settings);
    rz_store_options_t options = { .url = redis.url, .password = "wrong" };
    assert_int_equal(rz_store_init(&options, 1, &info, &err), RZ_UNAVAILABLE);
    assert_non_null(strstr(err.text, "WRONGPASS"));
    options.password = "secret";
    assert_int_equal(rz_store_init(&options, 1, &info, NULL), RZ_OK);

    calls_t calls = { 0 };
    options.on_state = on_second_state;
    options.arg = &calls;
    uv_loop_init(&calls.loop);
    calls.store = rz_store_open(&calls.loop, &options, NULL);
    calls_until_count(&calls, &calls.ups, 1);
    rz_store_close(&calls.store);
    options.password = "wrong";
    calls.store = rz_store_open(&calls.loop, &options, NULL);
    calls_until_count(&calls, &calls.downs, 1);
    assert_non_null(strstr(calls.detail, "WRONGPASS"));
    rz_store_close(&calls.store);
    uv_run(&calls.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&calls.loop), 0);
    redis_down(&redis);
}

static void a_refused_connection_is_noticed_at_once(void **state)
{
    (void)state;
    calls_t calls = { 0 };
    const rz_store_options_t options = {
        .url = "redis://127.0.0.1:1", .call_timeout_ms = 60000, .on_state = on_second_state, .arg = &calls
    };
    uv_loop_init(&calls.loop);
    calls.store = rz_store_open(&calls.loop, &options, NULL);
    calls_until_count(&calls, &calls.downs, 1);
    assert_string_equal(calls.detail, "Connection refused");
    rz_store_close(&calls.store);
    uv_run(&calls.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&calls.loop), 0);
}

static void a_url_that_cannot_be_read_is_refused_by_name(void **state)
{
    (void)state;
    static const char *const bad[] = { "",
                                       "http://x",
                                       "unix:relative",
                                       "redis://",
                                       "redis://h:0",
                                       "redis://h:x",
                                       "redis://h/db",
                                       "redis://[::1" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        rz_err_t err = { 0 };
        const rz_store_options_t options = { .url = bad[i] };
        assert_null(rz_store_open(NULL, &options, &err));
        assert_int_equal(err.rc, RZ_BAD_FIELD);
        assert_string_equal(err.field, "redis.url");
    }
}

/* ---- memory ---- */
static void at_maxmemory_what_runs_can_end_but_nothing_new_comes_in(void **state)
{
    calls_t *calls = *state;
    rz_submit_t request = plain_submit("c1");
    request.owner = "i1";
    request.token = token(0);
    assert_int_equal(call_join(calls, "i1", "runner-1"), RZ_OK);
    assert_int_equal(call_submit(calls, &request), RZ_OK);
    redis_do(&calls->redis, "CONFIG SET maxmemory 1");
    unsigned asked = 0;
    char child[24];
    do { /* the store's answer about memory is kept for 100 ms */
        snprintf(child, sizeof child, "full%u", asked);
        request = plain_submit(child);
        asked++;
    } while (call_submit(calls, &request) == RZ_OK && asked < 100000);
    assert_int_equal(calls->answer.rc, RZ_FULL);
    assert_int_equal(call_start(calls, "c1", 1, token(0)), RZ_OK);
    assert_int_equal(call_append(calls, "c1", 1, token(0), 1, 2), RZ_OK);
    assert_int_equal(call_sync(calls, "i1", 1, ""), RZ_OK);
    assert_int_equal(call_finish(calls, "c1", 1, token(0), "completed", "", "{}"), RZ_OK);
}

/* ---- tail ---- */
typedef struct {
    unsigned count;
    char seen[8][64]; /* "stream topic" */
} heard_t;

static void on_entry(const char *stream, const char *id, const rz_reply_t *pairs, void *arg)
{
    heard_t *heard = arg;
    (void)id;
    assert_true(pairs->n >= 2);
    if (heard->count < 8)
        snprintf(heard->seen[heard->count], sizeof heard->seen[0], "%s %.*s", stream, (int)pairs->field[1].n,
                 pairs->field[1].p);
    heard->count++;
}

static rz_tail_t *tail_of(calls_t *calls, heard_t *heard)
{
    static const char *const streams[] = { "broadcast", "completions" };
    const rz_store_options_t options = { .url = calls->redis.url, AS("broker", calls->redis) };
    rz_tail_t *tail = rz_tail_open(&calls->loop, &options, streams, 2, on_entry, heard, NULL);
    assert_non_null(tail);
    return tail;
}

/* A tail hears what comes after it began; when that is, its blocked read shows. */
static void until_blocked(calls_t *calls)
{
    for (;;) {
        assert_int_equal(call_get(calls, "nobody", NULL), RZ_NOT_FOUND);
        if (strstr(redis_do(&calls->redis, "INFO clients"), "blocked_clients:1") != NULL)
            return;
    }
}

static void a_tail_hears_what_comes_from_now_on(void **state)
{
    calls_t *calls = *state;
    heard_t heard = { 0 };
    assert_int_equal(call_broadcast(calls, "before", false), RZ_OK);
    rz_tail_t *tail = tail_of(calls, &heard);
    until_blocked(calls);
    rz_submit_t request = plain_submit("c1");
    assert_int_equal(call_broadcast(calls, "after", false), RZ_OK);
    calls_until_count(calls, &heard.count, 1);
    assert_int_equal(call_submit(calls, &request), RZ_OK);
    assert_int_equal(call_cancel(calls, "c1", NULL), RZ_OK);
    calls_until_count(calls, &heard.count, 3);
    assert_string_equal(heard.seen[0], "broadcast after");
    assert_int_equal(heard.count, 3);
    rz_tail_close(&tail);
}

static void a_tail_goes_on_after_a_reconnect_without_a_gap(void **state)
{
    calls_t *calls = *state;
    heard_t heard = { 0 };
    rz_tail_t *tail = tail_of(calls, &heard);
    until_blocked(calls);
    assert_int_equal(call_broadcast(calls, "one", false), RZ_OK);
    calls_until_count(calls, &heard.count, 1);
    until_blocked(calls);
    redis_do(&calls->redis, "CLIENT KILL TYPE normal");
    redis_do(&calls->redis, "XADD rz:{0}:broadcast * topic two header {} event {}");
    calls_until_count(calls, &heard.count, 2);
    assert_string_equal(heard.seen[1], "broadcast two");
    rz_tail_close(&tail);
}

static void on_entry_close(const char *stream, const char *id, const rz_reply_t *pairs, void *arg)
{
    (void)stream;
    (void)id;
    (void)pairs;
    rz_tail_close(arg);
}

static void a_tail_may_be_closed_from_inside_an_entry(void **state)
{
    calls_t *calls = *state;
    static const char *const streams[] = { "broadcast" };
    const rz_store_options_t options = { .url = calls->redis.url, AS("broker", calls->redis) };
    rz_tail_t *tail = NULL;
    tail = rz_tail_open(&calls->loop, &options, streams, 1, on_entry_close, &tail, NULL);
    until_blocked(calls);
    redis_do(&calls->redis, "XADD rz:{0}:broadcast * topic one header {} event {}");
    while (tail != NULL)
        uv_run(&calls->loop, UV_RUN_ONCE);
    assert_null(tail);
}

/* ---- admin ---- */
static void init_twice_keeps_the_id(void **state)
{
    calls_t *calls = *state;
    rz_store_info_t again;
    const rz_store_options_t options = { .url = calls->redis.url, AS("admin", calls->redis) };
    assert_int_equal(rz_store_init(&options, 1, &again, NULL), RZ_OK);
    assert_string_equal(again.id, calls->info.id);
    assert_int_equal(again.shards, 1);
    assert_string_equal(again.library, rz_store_library_version);
}

static void more_than_one_shard_is_not_served(void **state)
{
    calls_t *calls = *state;
    rz_store_info_t info;
    rz_err_t err = { 0 };
    const rz_store_options_t options = { .url = calls->redis.url, AS("admin", calls->redis) };
    assert_int_equal(rz_store_init(&options, 4, &info, &err), RZ_NOT_SERVED);
    assert_string_equal(err.field, "shards");
}

static void a_store_of_a_newer_library_is_left_alone(void **state)
{
    calls_t *calls = *state;
    rz_store_info_t info;
    const rz_store_options_t options = { .url = calls->redis.url, AS("admin", calls->redis) };
    redis_do(&calls->redis, "HSET rz:{0}:store version 9.1");
    assert_int_equal(rz_store_init(&options, 1, &info, NULL), RZ_CONFLICT);
    assert_int_equal(rz_store_upgrade(&options, &info, NULL), RZ_CONFLICT);
    assert_string_equal(redis_do(&calls->redis, "HGET rz:{0}:store version"), "9.1");
}

static void a_check_tells_a_missing_store_and_a_missing_library(void **state)
{
    calls_t *calls = *state;
    rz_store_info_t info;
    const rz_store_options_t options = { .url = calls->redis.url, AS("admin", calls->redis) };
    rz_submit_t request = plain_submit("c1");
    assert_int_equal(call_submit(calls, &request), RZ_OK);
    assert_int_equal(rz_store_check(&options, &info, NULL), RZ_OK);
    assert_int_equal(info.queued, 1);
    assert_int_equal(info.sessions, 1);
    redis_do(&calls->redis, "FUNCTION FLUSH");
    assert_int_equal(rz_store_check(&options, &info, NULL), RZ_BAD_STORE);
    assert_int_equal(rz_store_upgrade(&options, &info, NULL), RZ_OK);
    assert_int_equal(rz_store_check(&options, &info, NULL), RZ_OK);
    redis_do(&calls->redis, "DEL rz:{0}:store");
    assert_int_equal(rz_store_check(&options, &info, NULL), RZ_NOT_FOUND);
    assert_int_equal(rz_store_upgrade(&options, &info, NULL), RZ_NOT_FOUND);
}

static void a_check_of_no_redis_is_unavailable(void **state)
{
    (void)state;
    rz_store_info_t info;
    rz_err_t err = { 0 };
    const rz_store_options_t options = { .url = "unix:/nonexistent/redis.sock" };
    assert_int_equal(rz_store_check(&options, &info, &err), RZ_UNAVAILABLE);
    assert_non_null(strstr(err.text, "No such file"));
}

static void a_failed_check_does_not_show_the_password(void **state)
{
    (void)state;
    rz_store_info_t info;
    rz_err_t err = { 0 };
    const rz_store_options_t options = { .url = "redis://:hush@127.0.0.1:1" };
    assert_int_equal(rz_store_check(&options, &info, &err), RZ_UNAVAILABLE);
    assert_non_null(strstr(err.text, "127.0.0.1"));
    assert_null(strstr(err.text, "hush"));
}

/* One fact a line, where CMake finds them. */
/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(many_operations_are_answered_in_order_and_in_few_batches, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(operations_take_effect_in_the_order_they_were_called, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(an_operation_that_fails_half_way_does_not_hurt_its_neighbours, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(the_queue_is_bounded_and_refuses_later_not_at_once, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(the_queue_is_bounded_by_its_bytes_as_well, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(closing_answers_every_operation_first, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(the_store_may_be_closed_from_inside_an_answer, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_reply_that_redis_takes_to_its_grave_is_unknown, calls_setup, calls_teardown),
    cmocka_unit_test(a_redis_that_stands_still_is_unknown_after_the_time_out),
    cmocka_unit_test(without_redis_an_operation_is_unavailable_in_time),
    cmocka_unit_test(after_a_restart_work_goes_on_by_itself),
    cmocka_unit_test_setup_teardown(a_store_with_another_id_is_not_used, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(an_uninitialised_store_says_so_and_is_used_once_it_is, calls_setup, calls_teardown),
    cmocka_unit_test(durability_is_read_from_redis),
    cmocka_unit_test_setup_teardown(a_replica_is_not_used, calls_setup, calls_teardown),
    cmocka_unit_test(a_password_is_needed_and_used),
    cmocka_unit_test(a_refused_connection_is_noticed_at_once),
    cmocka_unit_test(a_url_that_cannot_be_read_is_refused_by_name),
    cmocka_unit_test_setup_teardown(at_maxmemory_what_runs_can_end_but_nothing_new_comes_in, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_tail_hears_what_comes_from_now_on, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_tail_goes_on_after_a_reconnect_without_a_gap, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_tail_may_be_closed_from_inside_an_entry, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(init_twice_keeps_the_id, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(more_than_one_shard_is_not_served, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_store_of_a_newer_library_is_left_alone, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_check_tells_a_missing_store_and_a_missing_library, calls_setup, calls_teardown),
    cmocka_unit_test(a_check_of_no_redis_is_unavailable),
    cmocka_unit_test(a_failed_check_does_not_show_the_password),
};
/* clang-format on */

RZ_FACTS(tests)
