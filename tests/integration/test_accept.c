/* test_accept.c - a broker whose store is not the one it knew: what it says, to whom, and how it goes on. */
#include "bare.h"
#include "outside.h"

#include "../facts.h"
#include "state/store.h"

#include <signal.h>
#include <stdlib.h>

static char broker_at[128];

static void find_broker(void)
{
    cJSON *reply = ask("{\"op\":\"hello\"}");
    snprintf(broker_at, sizeof broker_at, "%s", text_at(reply, "endpoints.http"));
    cJSON_Delete(reply);
}

/* Its link may break first, before it has looked again. */
static void refuses_with(const char *part)
{
    uint64_t deadline = process_now_ms() + PATIENCE_MS;
    cJSON *hello = ask("{\"op\":\"hello\"}");
    while (strstr(text_at(hello, "store_reason"), part) == NULL) {
        if (process_now_ms() > deadline)
            fail_msg("it says: %s", text_at(hello, "store_reason"));
        cJSON_Delete(hello);
        hello = ask("{\"op\":\"hello\"}");
    }
    cJSON *reply = submit("c9", "");
    assert_string_equal(text_at(hello, "store"), "down");
    assert_string_equal(text_at(reply, "code"), "BAD_STORE");
    assert_non_null(strstr(text_at(reply, "message"), part));
    assert_non_null(strstr(text_at(reply, "message"), "rhizome store accept"));
    cJSON_Delete(hello);
    cJSON_Delete(reply);
    page_await(broker_at, "/readyz?verbose", 503, part);
}

static void accept_at_stage(bool make)
{
    rz_store_info_t info;
    const rz_store_options_t options = { .url = stage.redis.url, AS("admin", stage.redis) };
    if (make)
        assert_int_equal(rz_store_init(&options, 1, &info, NULL), RZ_OK);
    assert_int_equal(rz_store_accept(&options, &info, NULL), RZ_OK);
    await("{\"op\":\"status\"}", "store.state", "up");
}

static void a_broker_whose_store_was_emptied_says_so_to_everyone_who_asks(void **state)
{
    (void)state;
    assert_int_equal(stage_open(NULL, NULL), 0);
    find_broker();
    answers(submit("c1", ""), "OK");
    redis_do(&stage.redis, "FLUSHALL");
    refuses_with("is gone, Redis holds none");
    accept_at_stage(true);
    page_await(broker_at, "/readyz", 200, "ok");
    answers(submit("c9", ""), "OK");
    assert_int_equal(stage_down(NULL), 0);
}

static void a_broker_that_starts_anew_still_knows_its_store(void **state)
{
    (void)state;
    char dir[] = "/tmp/rz-identity-XXXXXX", file[160];
    assert_non_null(mkdtemp(dir));
    char control[160];
    snprintf(control, sizeof control, "ipc://%s/control", dir);
    const char *const flags[] = { "--broker-state-dir", dir, "--broker-control", control, NULL };
    assert_int_equal(stage_open(NULL, flags), 0);
    redis_do(&stage.redis, "SET rz:{0}:tick 9000000");
    await("{\"op\":\"get\",\"child\":\"nobody\"}", "code", "NOT_FOUND");
    snprintf(file, sizeof file, "grep -q '\"tick\":90' %s/store-b1.json", dir);
    while (system(file) != 0)
        await("{\"op\":\"get\",\"child\":\"nobody\"}", "code", "NOT_FOUND");
    process_end(&stage.broker, SIGKILL, PATIENCE_MS);
    redis_do(&stage.redis, "SET rz:{0}:tick 10");
    stage_broker_unready();
    find_broker();
    refuses_with("went back by");
    accept_at_stage(false);
    page_await(broker_at, "/readyz", 200, "ok");
    assert_int_equal(stage_down(NULL), 0);
    snprintf(file, sizeof file, "rm -r %s", dir);
    assert_int_equal(system(file), 0);
}

/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_broker_whose_store_was_emptied_says_so_to_everyone_who_asks),
    cmocka_unit_test(a_broker_that_starts_anew_still_knows_its_store),
};
/* clang-format on */

RZ_FACTS(tests)
