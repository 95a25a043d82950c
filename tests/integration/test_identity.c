/* test_identity.c - a store that was emptied, replaced, set back or started anew: what is noticed, what stops, and how it
 * goes on. */
#include "calls.h"

#include "../facts.h"

#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdlib.h>

#define TERM 4294967296ull /* epochs of one term */

static const char *const kept[] = { "--appendonly", "yes", "--appendfsync", "always", NULL };

/* ---- terms ---- */

static uint64_t claimed_epoch(calls_t *calls, const char *child)
{
    rz_submit_t request = plain_submit(child);
    request.job = NULL; /* once more each time */
    request.owner = "i1";
    request.token = token(0);
    assert_int_equal(call_submit(calls, &request), RZ_OK);
    return calls->answer.assigned[0].epoch;
}

static void a_restart_of_redis_begins_a_term_and_epochs_only_grow(void **state)
{
    (void)state;
    calls_t calls;
    calls_up(&calls, kept, 0);
    assert_int_equal(rz_store_mark(calls.store)->term, 0);
    assert_int_equal(call_join(&calls, "i1", "runner-1"), RZ_OK);
    assert_int_equal(claimed_epoch(&calls, "c1"), 1);
    assert_int_equal(call_finish(&calls, "c1", 1, token(0), "completed", "", ""), RZ_OK);
    redis_end(&calls.redis, SIGKILL);
    calls_until_up(&calls, false);
    redis_again(&calls.redis);
    calls_until_up(&calls, true);
    assert_int_equal(rz_store_mark(calls.store)->term, 1);
    assert_int_equal(claimed_epoch(&calls, "c1"), TERM + 1);
    assert_int_equal(call_append(&calls, "c1", TERM + 1, token(0), 1, 2), RZ_OK);
    assert_int_equal(call_finish(&calls, "c1", TERM + 1, token(0), "completed", "", ""), RZ_OK);
    assert_int_equal(claimed_epoch(&calls, "c1"), TERM + 2);
    calls_down(&calls);
}

static void of_several_brokers_one_raises_the_term(void **state)
{
    calls_t *calls = *state;
    const redis_t *redis = &calls->redis;
    redis_do(redis, "HSET rz:{0}:store lineage old term 4");
    assert_string_equal(redis_do(redis, "FCALL rz1_term 1 rz:{0} old new 0"), "5");
    assert_string_equal(redis_do(redis, "FCALL rz1_term 1 rz:{0} old new 0"), "5");
    assert_string_equal(redis_do(redis, "FCALL rz1_term 1 rz:{0} new new 0"), "5");
    assert_string_equal(redis_do(redis, "FCALL rz1_term 1 rz:{0} new new 9"), "9");
    assert_string_equal(redis_do(redis, "HGET rz:{0}:store lineage"), "new");
}

/* ---- stops ---- */

static void stops_with(calls_t *calls, const char *part)
{
    calls_until_up(calls, false);
    while (strstr(calls->detail, part) == NULL)
        calls_until_count(calls, &calls->downs, calls->downs + 1);
    assert_int_equal(rz_store_state(calls->store), RZ_BAD_STORE);
    assert_int_equal(call_get(calls, "nobody", NULL), RZ_UNAVAILABLE);
}

static rz_rc_t accept_store(const calls_t *calls, rz_store_info_t *info)
{
    const rz_store_options_t options = { .url = calls->redis.url, AS("admin", calls->redis) };
    return rz_store_accept(&options, info, NULL);
}

static void an_emptied_store_stops_until_a_new_one_is_made_and_accepted(void **state)
{
    (void)state;
    calls_t calls;
    rz_store_info_t info;
    calls_up(&calls, NULL, 300);
    redis_do(&calls.redis, "FLUSHALL");
    assert_int_equal(call_join(&calls, "i1", "runner-1"), RZ_UNAVAILABLE);
    assert_string_equal(redis_do(&calls.redis, "DBSIZE"), "0");
    stops_with(&calls, "is gone, Redis holds none");
    assert_int_equal(accept_store(&calls, &info), RZ_NOT_FOUND);
    const rz_store_options_t options = { .url = calls.redis.url, AS("admin", calls.redis) };
    assert_int_equal(rz_store_init(&options, 1, &info, NULL), RZ_OK);
    stops_with(&calls, "this is store");
    assert_int_equal(accept_store(&calls, &info), RZ_OK);
    assert_true(info.accepted);
    calls_until_up(&calls, true);
    assert_string_equal(rz_store_id(calls.store), info.id);
    assert_string_not_equal(rz_store_id(calls.store), calls.info.id);
    calls_down(&calls);
}

/* Writes a snapshot, lets the store go on for a minute of its own time, and puts the snapshot back. */
static void set_back(calls_t *calls)
{
    redis_do(&calls->redis, "SET rz:{0}:tick 1000000");
    redis_do(&calls->redis, "SAVE");
    redis_do(&calls->redis, "SET rz:{0}:tick 1060000");
    while (rz_store_mark(calls->store)->tick != 1060000)
        uv_run(&calls->loop, UV_RUN_ONCE);
    redis_end(&calls->redis, SIGKILL);
    redis_again(&calls->redis);
}

static void an_old_snapshot_stops_until_it_is_accepted(void **state)
{
    (void)state;
    calls_t calls;
    rz_store_info_t info;
    calls_up(&calls, NULL, 300);
    assert_int_equal(call_join(&calls, "i1", "runner-1"), RZ_OK);
    set_back(&calls);
    stops_with(&calls, "went back by 60 s");
    uint64_t term = rz_store_mark(calls.store)->term;
    assert_int_equal(accept_store(&calls, &info), RZ_OK);
    assert_int_equal(info.tick_ms, 1000000);
    calls_until_up(&calls, true);
    assert_true(rz_store_mark(calls.store)->term > term);
    assert_int_equal(call_sync(&calls, "i1", 1, ""), RZ_OK); /* nobody was given up */
    /* it holds for this life of Redis only */
    set_back(&calls);
    stops_with(&calls, "went back by 60 s");
    calls_down(&calls);
}

/* Only one broker knew better. Were it alone in that, the others would serve the snapshot, and by the time they had brought
 * it as far as it once was nobody would see any more what is missing. */
static void what_one_broker_refused_all_refuse_until_it_is_accepted(void **state)
{
    (void)state;
    calls_t calls;
    rz_store_info_t info;
    rz_err_t err = { 0 };
    calls_up(&calls, NULL, 300);
    const rz_store_options_t without_memory = { .url = calls.redis.url, AS("admin", calls.redis) };
    set_back(&calls);
    stops_with(&calls, "went back by 60 s");
    while (strcmp(redis_do(&calls.redis, "HEXISTS rz:{0}:store refused"), "1") != 0)
        uv_run(&calls.loop, UV_RUN_ONCE);
    redis_do(&calls.redis, "SET rz:{0}:tick 2000000");
    assert_int_equal(rz_store_check(&without_memory, &info, &err), RZ_BAD_STORE);
    assert_non_null(strstr(err.text, "went back by 60 s"));
    assert_int_equal(accept_store(&calls, &info), RZ_OK);
    calls_until_up(&calls, true);
    assert_int_equal(rz_store_check(&without_memory, &info, NULL), RZ_OK);
    calls_down(&calls);
}

/* The runner is gone as well: what the snapshot calls assigned is not given to another for free. */
static void what_was_assigned_in_an_accepted_snapshot_counts_as_begun(void **state)
{
    (void)state;
    calls_t calls;
    rz_store_info_t info;
    calls_up(&calls, NULL, 300);
    assert_int_equal(call_join(&calls, "i1", "runner-1"), RZ_OK);
    claimed_epoch(&calls, "c1");
    set_back(&calls);
    stops_with(&calls, "went back by 60 s");
    assert_int_equal(accept_store(&calls, &info), RZ_OK);
    calls_until_up(&calls, true);
    assert_int_equal(call_join(&calls, "i2", "runner-1"), RZ_OK);
    assert_int_equal(call_get(&calls, "c1", NULL), RZ_OK);
    assert_string_equal(calls.answer.status, "error");
    assert_string_equal(calls.answer.error, "runner lost: runner-1");
    calls_down(&calls);
}

/* Its runner lives, and does not hold it any more: it may have ended since the snapshot. */
static void what_ran_in_an_accepted_snapshot_is_not_run_again(void **state)
{
    (void)state;
    calls_t calls;
    rz_store_info_t info;
    calls_up(&calls, NULL, 300);
    assert_int_equal(call_join(&calls, "i1", "runner-1"), RZ_OK);
    uint64_t epoch = claimed_epoch(&calls, "c1");
    assert_int_equal(call_reassign(&calls, "c1", "i1"), RZ_OK);
    assert_int_equal(call_start(&calls, "c1", epoch, token(0)), RZ_OK);
    set_back(&calls);
    stops_with(&calls, "went back by 60 s");
    assert_int_equal(accept_store(&calls, &info), RZ_OK);
    calls_until_up(&calls, true);
    assert_int_equal(call_reassign(&calls, "c1", "i1"), RZ_FENCED);
    assert_int_equal(call_get(&calls, "c1", NULL), RZ_OK);
    assert_string_equal(calls.answer.status, "error");
    assert_string_equal(calls.answer.error, "lost with an earlier state of the store");
    /* what begins now is its own again */
    claimed_epoch(&calls, "c2");
    assert_int_equal(call_reassign(&calls, "c2", "i1"), RZ_OK);
    calls_down(&calls);
}

static void a_store_that_lost_its_functions_says_so_and_goes_on_with_them(void **state)
{
    (void)state;
    calls_t calls;
    rz_store_info_t info;
    calls_up(&calls, NULL, 300);
    redis_do(&calls.redis, "FUNCTION FLUSH");
    stops_with(&calls, "functions are not loaded: run `rhizome store upgrade`");
    const rz_store_options_t options = { .url = calls.redis.url, AS("admin", calls.redis) };
    assert_int_equal(rz_store_upgrade(&options, &info, NULL), RZ_OK);
    calls_until_up(&calls, true);
    assert_string_equal(rz_store_id(calls.store), calls.info.id);
    calls_down(&calls);
}

/* ---- what a crash took with it is named ---- */

static void finish_of(calls_t *calls, const char *child, uint64_t epoch)
{
    assert_int_equal(call_finish(calls, child, epoch, token(0), "completed", "", ""), RZ_OK);
}

static void what_was_acknowledged_and_is_missing_is_counted(void **state)
{
    (void)state;
    calls_t calls;
    rz_store_stats_t stats = { 0 };
    calls_up(&calls, NULL, 0);
    assert_int_equal(call_join(&calls, "i1", "runner-1"), RZ_OK);
    uint64_t kept_epoch = claimed_epoch(&calls, "kept");
    uint64_t lost_epoch = claimed_epoch(&calls, "end-lost");
    finish_of(&calls, "kept", kept_epoch);
    redis_do(&calls.redis, "SAVE");
    finish_of(&calls, "end-lost", lost_epoch);
    claimed_epoch(&calls, "lost");
    redis_end(&calls.redis, SIGKILL);
    calls_until_up(&calls, false);
    redis_again(&calls.redis);
    calls_until_up(&calls, true); /* some seconds less are no reason to stop */
    while (stats.vanished < 2) {
        call_get(&calls, "kept", NULL);
        rz_store_stats(calls.store, &stats);
    }
    assert_int_equal(call_get(&calls, "kept", NULL), RZ_OK);
    rz_store_stats(calls.store, &stats);
    assert_int_equal(stats.vanished, 2);
    calls_down(&calls);
}

/* ---- versions side by side ---- */

static void load(const calls_t *calls, const char *text)
{
    redisContext *redis = redis_connect(calls->redis.socket);
    redisReply *reply = redisCommand(redis, "FUNCTION LOAD REPLACE %s", text);
    assert_int_equal(reply->type, REDIS_REPLY_STRING);
    freeReplyObject(reply);
    redisFree(redis);
}

/* The library of this program, telling another version. */
static void load_as(const calls_t *calls, const char *version)
{
    static const char line[] = "local VERSION = '";
    const char *at = strstr(rz_store_library, line) + strlen(line);
    char *text = malloc(strlen(rz_store_library) + 16);
    assert_non_null(text);
    sprintf(text, "%.*s%s%s", (int)(at - rz_store_library), rz_store_library, version, strchr(at, '\''));
    load(calls, text);
    free(text);
}

static void two_majors_are_loaded_side_by_side_and_both_are_told(void **state)
{
    calls_t *calls = *state;
    rz_store_info_t info;
    char both[64];
    const rz_store_options_t options = { .url = calls->redis.url, AS("admin", calls->redis) };
    load(calls, "#!lua name=rz2\nredis.register_function{function_name='rz2_version',flags={'no-writes'},"
                "callback=function() return {'2.0','',''} end}");
    assert_int_equal(rz_store_check(&options, &info, NULL), RZ_OK);
    assert_string_equal(info.library, rz_store_library_version);
    snprintf(both, sizeof both, "rz1 %s", rz_store_library_version);
    assert_non_null(strstr(info.libraries, both));
    assert_non_null(strstr(info.libraries, "rz2 2.0"));
    assert_int_equal(rz_store_upgrade(&options, &info, NULL), RZ_OK);
    assert_non_null(strstr(redis_do(&calls->redis, "FUNCTION LIST"), "rz2_version"));
    assert_int_equal(call_get(calls, "nobody", NULL), RZ_NOT_FOUND);
}

static void a_later_minor_serves_and_is_not_replaced_by_an_older(void **state)
{
    calls_t *calls = *state;
    rz_store_info_t info;
    rz_err_t err = { 0 };
    const rz_store_options_t options = { .url = calls->redis.url, AS("admin", calls->redis) };
    load_as(calls, "1.99");
    redis_do(&calls->redis, "CLIENT KILL TYPE normal");
    calls_until_up(calls, false);
    calls_until_up(calls, true);
    assert_int_equal(rz_store_check(&options, &info, NULL), RZ_OK);
    assert_string_equal(info.library, "1.99");
    assert_int_equal(rz_store_upgrade(&options, &info, &err), RZ_CONFLICT);
    assert_non_null(strstr(err.text, "1.99"));
    assert_int_equal(rz_store_init(&options, 1, &info, NULL), RZ_CONFLICT);
}

static void an_older_minor_does_not_serve_and_the_way_out_is_told(void **state)
{
    (void)state;
    calls_t calls;
    calls_up(&calls, NULL, 300);
    load_as(&calls, "1.1");
    stops_with(&calls, "the store's library is 1.1");
    assert_non_null(strstr(calls.detail, "rhizome store upgrade"));
    calls_down(&calls);
}

/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_restart_of_redis_begins_a_term_and_epochs_only_grow),
    cmocka_unit_test_setup_teardown(of_several_brokers_one_raises_the_term, calls_setup, calls_teardown),
    cmocka_unit_test(an_emptied_store_stops_until_a_new_one_is_made_and_accepted),
    cmocka_unit_test(an_old_snapshot_stops_until_it_is_accepted),
    cmocka_unit_test(what_one_broker_refused_all_refuse_until_it_is_accepted),
    cmocka_unit_test(what_was_assigned_in_an_accepted_snapshot_counts_as_begun),
    cmocka_unit_test(what_ran_in_an_accepted_snapshot_is_not_run_again),
    cmocka_unit_test(a_store_that_lost_its_functions_says_so_and_goes_on_with_them),
    cmocka_unit_test(what_was_acknowledged_and_is_missing_is_counted),
    cmocka_unit_test_setup_teardown(two_majors_are_loaded_side_by_side_and_both_are_told, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_later_minor_serves_and_is_not_replaced_by_an_older, calls_setup, calls_teardown),
    cmocka_unit_test(an_older_minor_does_not_serve_and_the_way_out_is_told),
};
/* clang-format on */

RZ_FACTS(tests)
