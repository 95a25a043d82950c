/* What happens at the bounds, to a whole fleet: Redis has no memory left, or the queue no place. */
#include "facts.h"
#include "process.h"
#include "redis.h"
#include "rig.h"

#include <hiredis/hiredis.h>

static rig_t *rig;

static int up(void **state)
{
    static const char *const one_slot[] = { "--runner-slots", "1", NULL };
    (void)state;
    rig = rig_up(&(rig_options_t){ .runners = 1, .runner = one_slot });
    return 0;
}

static int down(void **state)
{
    (void)state;
    rig_down(&rig);
    return 0;
}

static void set_maxmemory(const char *bytes)
{
    redisContext *redis = redis_connect(rig_redis_socket(rig));
    assert_non_null(redis);
    redisReply *reply = redisCommand(redis, "CONFIG SET maxmemory %s", bytes);
    assert_non_null(reply);
    assert_string_equal(reply->str, "OK");
    freeReplyObject(reply);
    redisFree(redis);
}

static cJSON *try_submit(const char *child)
{
    return rig_ask(
        rig,
        "{\"op\":\"submit\",\"job\":{\"parent_session_id\":\"p\",\"child_session_id\":\"%s\",\"require\":{\"profile\":\"echo\"},"
        "\"session\":{\"id\":\"%s\",\"kind\":\"child\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}}}",
        child, child);
}

/* One runs, three wait; nothing new comes in, and all four end. */
static void what_was_accepted_ends_while_redis_has_no_memory_left(void **state)
{
    (void)state;
    static const char *const child[] = { "runs", "waits-1", "waits-2", "waits-3" };
    char status[32];
    for (int i = 0; i < 4; i++)
        rig_submit(rig, "p", child[i], "echo", i == 0 ? "__sleep_ms:1500 on and on" : "later");
    rig_await(rig, "{\"op\":\"get\",\"child\":\"runs\"}", "activation.state", "running");
    set_maxmemory("1");
    rig_await(
        rig,
        "{\"op\":\"submit\",\"job\":{\"parent_session_id\":\"p\",\"child_session_id\":\"late\",\"session\":{\"id\":\"late\","
        "\"kind\":\"child\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}}}",
        "code", "FULL");
    cJSON *reply = try_submit("late");
    assert_true(cJSON_GetObjectItemCaseSensitive(reply, "retry_after_ms")->valuedouble > 0);
    cJSON_Delete(reply);
    for (int i = 0; i < 4; i++) {
        rig_wait(rig, child[i], status);
        assert_string_equal(status, "completed");
    }
    set_maxmemory("0");
    reply = try_submit("after");
    for (uint64_t deadline = process_now_ms() + RIG_PATIENCE_MS;
         strcmp(rig_text(reply, "code"), "OK") != 0;) {
        assert_string_equal(rig_text(reply, "code"), "FULL"); /* its answer is kept for a moment */
        assert_true(process_now_ms() < deadline);
        cJSON_Delete(reply);
        reply = try_submit("after");
    }
    cJSON_Delete(reply);
    rig_wait(rig, "after", status);
    assert_string_equal(status, "completed");
}

/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(what_was_accepted_ends_while_redis_has_no_memory_left, up, down),
};
/* clang-format on */
RZ_FACTS(tests)
