/* test_replicated.c - nothing is told as done that a failover could take back. */
#include "calls.h"
#include "ensemble.h"

#include "../facts.h"

#include <signal.h>
#include <stdlib.h>

static ensemble_t ensemble;

#define PATIENT_MS 10000 /* of a call; replicas have half of it to confirm */
#define SHORT_MS   3000

static void meet(calls_t *calls, unsigned replicas, uint64_t timeout_ms)
{
    *calls = (calls_t){ .redis = ensemble.redis[0] };
    const rz_store_options_t options = { .url = ensemble.url,
                                         .call_timeout_ms = timeout_ms,
                                         .replicas = replicas };
    calls_meet(calls, &options);
}

static void parted(calls_t *calls)
{
    calls_part(calls);
    ensemble_down(&ensemble);
}

static rz_rc_t submit(calls_t *calls, const char *child)
{
    rz_submit_t request = plain_submit(child);
    return call_submit(calls, &request);
}

static void what_is_answered_is_in_every_replica(void **state)
{
    (void)state;
    calls_t calls;
    rz_store_info_t info;
    rz_store_stats_t stats;
    char command[64];
    ensemble_up(&ensemble, 3, 1, 1);
    meet(&calls, 1, PATIENT_MS);
    assert_string_equal(rz_store_durability(calls.store), "replicated");
    assert_string_equal(rz_store_weakness(calls.store), "");
    for (unsigned i = 0; i < 50; i++) {
        char child[16];
        snprintf(child, sizeof child, "c%u", i);
        assert_int_equal(submit(&calls, child), RZ_OK);
        snprintf(command, sizeof command, "EXISTS rz:{0}:c:%s", child);
        for (unsigned k = 0; k < 3; k++)
            assert_string_equal(redis_do(&ensemble.redis[k], command), "1");
    }
    rz_store_stats(calls.store, &stats);
    assert_int_equal(stats.unconfirmed, 0);
    const rz_store_options_t options = { .url = ensemble.url,
                                         AS("broker", ensemble.redis[0]),
                                         .replicas = 1 };
    assert_int_equal(rz_store_check(&options, &info, NULL), RZ_OK);
    assert_string_equal(info.durability, "replicated");
    parted(&calls);
}

/* Both replicas are in step, and one stands still: its silence is not waited for twice, for the next look sees it gone. */
static void what_a_replica_does_not_confirm_is_unknown_and_counted(void **state)
{
    (void)state;
    calls_t calls;
    rz_store_stats_t stats;
    ensemble_up(&ensemble, 3, 1, 1);
    meet(&calls, 2, SHORT_MS);
    assert_int_equal(submit(&calls, "c1"), RZ_OK);
    kill(ensemble.redis[2].process.pid, SIGSTOP);
    assert_int_equal(submit(&calls, "c2"), RZ_UNKNOWN);
    rz_store_stats(calls.store, &stats);
    assert_int_equal(stats.unconfirmed, 1);
    calls_until_up(&calls, false);
    assert_non_null(strstr(calls.detail, "1 of 2 replicas confirmed"));
    kill(ensemble.redis[2].process.pid, SIGCONT);
    calls_until_up(&calls, true);
    assert_int_equal(submit(&calls, "c2"), RZ_DUPLICATE); /* it had been done */
    parted(&calls);
}

static void with_too_few_replicas_nothing_is_taken_and_with_enough_it_goes_on(void **state)
{
    (void)state;
    calls_t calls;
    ensemble_up(&ensemble, 3, 1, 1);
    meet(&calls, 2, SHORT_MS);
    redis_end(&ensemble.redis[2], SIGKILL);
    calls_until_up(&calls, false);
    while (strstr(calls.detail, "1 of 2 replicas (redis.replicas) are in step") == NULL)
        calls_until_count(&calls, &calls.downs, calls.downs + 1);
    assert_int_equal(submit(&calls, "c1"), RZ_UNAVAILABLE);
    redis_again(&ensemble.redis[2]);
    calls_until_up(&calls, true);
    assert_int_equal(submit(&calls, "c1"), RZ_OK);
    parted(&calls);
}

static void a_replica_too_many_is_waited_for_as_long_as_it_is_there(void **state)
{
    (void)state;
    calls_t calls;
    ensemble_up(&ensemble, 3, 1, 1);
    meet(&calls, 1, SHORT_MS);
    redis_end(&ensemble.redis[2], SIGKILL);
    while (submit(&calls, "c1") == RZ_UNKNOWN || calls.answer.rc == RZ_UNAVAILABLE)
        ;
    assert_true(calls.answer.rc == RZ_OK || calls.answer.rc == RZ_DUPLICATE);
    assert_string_equal(rz_store_durability(calls.store), "replicated");
    parted(&calls);
}

static void a_redis_that_asks_for_no_replica_itself_is_called_weak(void **state)
{
    (void)state;
    calls_t calls;
    ensemble_up(&ensemble, 2, 1, 1);
    redis_do(&ensemble.redis[0], "CONFIG SET min-replicas-to-write 0");
    meet(&calls, 1, PATIENT_MS);
    assert_string_equal(rz_store_durability(calls.store), "strict");
    assert_non_null(strstr(rz_store_weakness(calls.store), "min-replicas-to-write only 0"));
    redis_do(&ensemble.redis[0], "CONFIG SET min-replicas-to-write 1");
    while (rz_store_weakness(calls.store)[0] != '\0')
        uv_run(&calls.loop, UV_RUN_ONCE);
    assert_string_equal(rz_store_durability(calls.store), "replicated");
    parted(&calls);
}

/* ---- tail ---- */

static void on_entry(const char *stream, const char *id, const rz_reply_t *pairs, void *arg)
{
    (void)stream;
    (void)id;
    (void)pairs;
    ++*(unsigned *)arg;
}

static void a_tail_tells_only_what_replicas_have(void **state)
{
    (void)state;
    static const char *const streams[] = { "broadcast" };
    calls_t calls;
    unsigned heard = 0;
    ensemble_up(&ensemble, 2, 1, 2);
    redis_do(&ensemble.redis[0], "CONFIG SET min-replicas-to-write 0");
    meet(&calls, 1, SHORT_MS);
    const rz_store_options_t options = { .url = ensemble.url,
                                         AS("broker", ensemble.redis[0]),
                                         .replicas = 1 };
    rz_tail_t *tail = rz_tail_open(&calls.loop, &options, streams, 1, on_entry, &heard, NULL);
    while (strstr(redis_do(&ensemble.redis[0], "INFO clients"), "blocked_clients:1") == NULL)
        call_get(&calls, "c1", NULL);
    kill(ensemble.redis[1].process.pid, SIGSTOP);
    redis_do(&ensemble.redis[0], "XADD rz:{0}:broadcast * topic t header {} event {}");
    assert_int_equal(submit(&calls, "c1"), RZ_UNKNOWN); /* a second and a half later it is told nowhere */
    assert_int_equal(heard, 0);
    kill(ensemble.redis[1].process.pid, SIGCONT);
    calls_until_count(&calls, &heard, 1);
    assert_int_equal(heard, 1);
    rz_tail_close(&tail);
    parted(&calls);
}

typedef struct {
    calls_t calls; /* first: it is what a store is given */
    rz_tail_t *tail;
    unsigned marks, heard;
} follower_t;

/* As a broker does. */
static void on_mark(const rz_store_mark_t *mark, void *arg)
{
    follower_t *follower = arg;
    (void)mark;
    follower->marks++;
    if (follower->tail != NULL)
        rz_tail_needs(follower->tail, rz_store_confirms(follower->calls.store));
}

/* Of three the successor leaves the primary first. What only the other one has follows the successor, and is lost. */
static void a_tail_tells_nothing_that_a_replica_lacks_which_has_just_left(void **state)
{
    (void)state;
    static const char *const streams[] = { "broadcast" };
    follower_t follower = { 0 };
    calls_t *calls = &follower.calls;
    ensemble_up(&ensemble, 3, 1, 2);
    calls->redis = ensemble.redis[0];
    calls_meet(calls,
               &(rz_store_options_t){
                   .url = ensemble.url, .call_timeout_ms = SHORT_MS, .replicas = 1, .on_mark = on_mark });
    const rz_store_options_t options = { .url = ensemble.url,
                                         AS("broker", ensemble.redis[0]),
                                         .replicas = 1 };
    follower.tail = rz_tail_open(&calls->loop, &options, streams, 1, on_entry, &follower.heard, NULL);
    while (strstr(redis_do(&ensemble.redis[0], "INFO clients"), "blocked_clients:1") == NULL)
        call_get(calls, "c1", NULL);
    calls_until_count(calls, &follower.marks, follower.marks + 1);
    redis_do(&ensemble.redis[2], "REPLICAOF NO ONE");
    redis_do(&ensemble.redis[0], "XADD rz:{0}:broadcast * topic t header {} event {}");
    calls_until_up(calls, false);
    assert_int_equal(follower.heard, 0);
    calls_until_up(calls, true); /* the sentinels had time to name it, and did not */
    calls_until_count(calls, &follower.heard, 1);
    rz_tail_close(&follower.tail);
    parted(calls);
}

/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test(what_is_answered_is_in_every_replica),
    cmocka_unit_test(what_a_replica_does_not_confirm_is_unknown_and_counted),
    cmocka_unit_test(with_too_few_replicas_nothing_is_taken_and_with_enough_it_goes_on),
    cmocka_unit_test(a_replica_too_many_is_waited_for_as_long_as_it_is_there),
    cmocka_unit_test(a_redis_that_asks_for_no_replica_itself_is_called_weak),
    cmocka_unit_test(a_tail_tells_only_what_replicas_have),
    cmocka_unit_test(a_tail_tells_nothing_that_a_replica_lacks_which_has_just_left),
};
/* clang-format on */

RZ_FACTS(tests)
