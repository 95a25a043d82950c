/* test_sentinel.c - the primary is found by its sentinels, and found again. */
#include "calls.h"
#include "ensemble.h"

#include "../facts.h"

#include <signal.h>
#include <stdlib.h>

static ensemble_t ensemble;

static void meet(calls_t *calls, const char *url)
{
    *calls = (calls_t){ .redis = ensemble.redis[0] };
    calls_meet(calls, &(rz_store_options_t){ .url = url });
}

static void works(calls_t *calls, const char *child)
{
    rz_submit_t request = plain_submit(child);
    assert_int_equal(call_submit(calls, &request), RZ_OK);
}

static void the_primary_is_found_also_when_sentinels_are_dead(void **state)
{
    (void)state;
    calls_t calls;
    char url[256];
    rz_store_info_t info;
    ensemble_up(&ensemble, 2, 1, 1);
    snprintf(url, sizeof url, "redis+sentinel://127.0.0.1:1,127.0.0.1:%d,127.0.0.1:2/" ENSEMBLE_NAME,
             ensemble.sentinel_port[0]);
    meet(&calls, url);
    works(&calls, "c1");
    assert_int_equal(
        rz_store_check(&(rz_store_options_t){ .url = url, AS("admin", ensemble.redis[0]) }, &info, NULL),
        RZ_OK);
    assert_int_equal(info.queued, 1);
    assert_string_equal(info.id, rz_store_id(calls.store));
    calls_part(&calls);
    ensemble_down(&ensemble);
}

static void on_detail(bool up, const char *detail, void *arg)
{
    calls_t *calls = arg;
    calls->downs += !up;
    snprintf(calls->detail, sizeof calls->detail, "%s", detail);
}

/* What a store at this url says first. */
static void goes_down_with(const char *url, const char *part)
{
    calls_t calls = { 0 };
    rz_err_t err = { 0 };
    rz_store_info_t info;
    const rz_store_options_t options = {
        .url = url, AS("admin", ensemble.redis[0]), .on_state = on_detail, .arg = &calls
    };
    uv_loop_init(&calls.loop);
    calls.store = rz_store_open(&calls.loop, &options, NULL);
    calls_until_count(&calls, &calls.downs, 1);
    if (strstr(calls.detail, part) == NULL)
        fail_msg("it says: %s", calls.detail);
    calls_part(&calls);
    assert_int_equal(rz_store_check(&options, &info, &err), RZ_UNAVAILABLE);
    if (strstr(err.text, part) == NULL)
        fail_msg("the check says: %s", err.text);
}

static void sentinels_that_do_not_know_are_named(void **state)
{
    (void)state;
    char url[256];
    ensemble_up(&ensemble, 2, 1, 1);
    snprintf(url, sizeof url, "redis+sentinel://127.0.0.1:%d/other", ensemble.sentinel_port[0]);
    goes_down_with(url, "no sentinel knows where other is");
    goes_down_with(url, "No such master");
    goes_down_with("redis+sentinel://127.0.0.1:1/" ENSEMBLE_NAME, "127.0.0.1:1");
    ensemble_down(&ensemble);
}

/* It cannot be replaced: one sentinel finds it silent, two would have to. */
static void a_sentinel_that_names_a_dead_primary_is_asked_until_it_is_back(void **state)
{
    (void)state;
    calls_t calls;
    ensemble_up(&ensemble, 2, 1, 2);
    meet(&calls, ensemble.url);
    redis_end(&ensemble.redis[0], SIGKILL);
    calls_until_up(&calls, false);
    while (strstr(calls.detail, "Connection refused") == NULL)
        calls_until_count(&calls, &calls.downs, calls.downs + 1);
    redis_again(&ensemble.redis[0]);
    calls_until_up(&calls, true);
    calls_part(&calls);
    ensemble_down(&ensemble);
}

typedef struct {
    unsigned count;
    char topic[32];
} heard_t;

static void on_entry(const char *stream, const char *id, const rz_reply_t *pairs, void *arg)
{
    heard_t *heard = arg;
    (void)stream;
    (void)id;
    snprintf(heard->topic, sizeof heard->topic, "%.*s", (int)pairs->field[1].n, pairs->field[1].p);
    heard->count++;
}

/* The old primary lives and answers: nobody's connection breaks of itself. */
static void a_primary_that_was_replaced_is_left_and_the_streams_follow(void **state)
{
    (void)state;
    static const char *const streams[] = { "broadcast" };
    calls_t calls;
    heard_t heard = { 0 };
    ensemble_up(&ensemble, 3, 3, 2);
    meet(&calls, ensemble.url);
    works(&calls, "c1");
    const rz_store_options_t options = { .url = ensemble.url, AS("broker", ensemble.redis[0]) };
    rz_tail_t *tail = rz_tail_open(&calls.loop, &options, streams, 1, on_entry, &heard, NULL);
    while (strstr(redis_do(&ensemble.redis[0], "INFO clients"), "blocked_clients:1") == NULL)
        call_get(&calls, "c1", NULL);

    assert_string_equal(sentinel_do(&ensemble, 0, "SENTINEL FAILOVER " ENSEMBLE_NAME), "OK");
    calls_until_up(&calls, false);
    calls_until_up(&calls, true);
    unsigned now = ensemble_primary(&ensemble);
    assert_true(now > 0);
    assert_int_equal(rz_store_mark(calls.store)->term, 1);
    works(&calls, "c2");
    assert_non_null(strstr(redis_do(&ensemble.redis[now], "HGET rz:{0}:c:c2 a"), "queued"));
    while (heard.count == 0) { /* until the tail has found it too */
        rz_op_broadcast(calls.store, "t/after", RZ_STR("{}"), RZ_STR("{}"), false, NULL, NULL);
        call_get(&calls, "c2", NULL);
    }
    assert_string_equal(heard.topic, "t/after");
    rz_tail_close(&tail);
    calls_part(&calls);
    ensemble_down(&ensemble);
}

/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_primary_is_found_also_when_sentinels_are_dead),
    cmocka_unit_test(sentinels_that_do_not_know_are_named),
    cmocka_unit_test(a_sentinel_that_names_a_dead_primary_is_asked_until_it_is_back),
    cmocka_unit_test(a_primary_that_was_replaced_is_left_and_the_streams_follow),
};
/* clang-format on */

RZ_FACTS(tests)
