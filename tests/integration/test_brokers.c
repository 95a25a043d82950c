/* Several brokers over one store, as users, runners and subscribers see them: real daemons. `rig` is the first, `beside`
 * the second. */
#include "cli.h"
#include "redis.h"

#include <signal.h>

#define LATE_POLL "600000" /* what happens within a fact happened without the poll */

static rig_t *rig, *beside;

static const char *const flags[] = { "--broker-poll-ms", LATE_POLL, "--broker-sync-ms", "200", NULL };

static void second_broker(unsigned runners)
{
    beside = rig_up(&(rig_options_t){ .runners = runners, .broker = flags, .beside = rig });
}

static int up(void **state)
{
    (void)state;
    rig = rig_up(&(rig_options_t){ .broker = flags });
    return 0;
}

static int down(void **state)
{
    (void)state;
    if (beside != NULL)
        rig_down(&beside);
    rig_down(&rig);
    return 0;
}

/* ---- who lives ---- */

static const cJSON *broker_named(const cJSON *hello, const char *name)
{
    const cJSON *broker;
    cJSON_ArrayForEach(broker, cJSON_GetObjectItemCaseSensitive(hello, "brokers"))
    {
        if (strcmp(rig_text(broker, "broker"), name) == 0)
            return broker;
    }
    return NULL;
}

/* Until hello of `of` names the broker at that control endpoint. */
static void await_broker(rig_t *of, const char *name, const char *control)
{
    uint64_t deadline = process_now_ms() + RIG_PATIENCE_MS;
    for (;;) {
        cJSON *hello = rig_ask(of, "{\"op\":\"hello\"}");
        bool told = strcmp(rig_text(broker_named(hello, name), "endpoints.control"), control) == 0;
        if (!told && process_now_ms() > deadline)
            fail_msg("%s is not told of: %s", name, cJSON_PrintUnformatted(hello));
        cJSON_Delete(hello);
        if (told)
            return;
    }
}

static void whoever_knows_one_broker_is_told_of_all(void **state)
{
    (void)state;
    await_broker(rig, "rig", rig_endpoint(rig, "control"));
    second_broker(0);
    await_broker(rig, "beside", rig_endpoint(beside, "control"));
    await_broker(beside, "rig", rig_endpoint(rig, "control"));
}

static int linked_to(rig_t *of)
{
    cJSON *hello = rig_ask(of, "{\"op\":\"hello\"}");
    int n = (int)cJSON_GetObjectItemCaseSensitive(hello, "runners")->valuedouble;
    cJSON_Delete(hello);
    return n;
}

static void await_linked(rig_t *of, int n)
{
    uint64_t deadline = process_now_ms() + RIG_PATIENCE_MS;
    while (linked_to(of) != n)
        if (process_now_ms() > deadline)
            fail_msg("%d runners are linked, not %d", linked_to(of), n);
}

static void a_runner_that_was_told_of_one_broker_links_to_one_that_comes_later(void **state)
{
    (void)state;
    rig_runner_up(rig);
    second_broker(0);
    await_linked(beside, 1);
    assert_int_equal(linked_to(rig), 1);
    rig_sub_t *sub = rig_subscribe(beside, "p/"); /* its handshake needs the runner's echo there */
    char status[32];
    rig_submit(rig, "p", "c", "echo", "heard at the other one");
    rig_event_until_completed(sub, "c", status);
    assert_string_equal(status, "completed");
    rig_sub_close(&sub);
}

static void a_runner_survives_the_only_broker_it_was_told_of(void **state)
{
    (void)state;
    char status[32];
    rig_runner_up(rig);
    second_broker(0);
    await_linked(beside, 1);
    rig_broker_end(rig, SIGKILL);
    rig_submit(beside, "p", "c", "echo", "served by the one that is left");
    rig_wait(beside, "c", status);
    assert_string_equal(status, "completed");
    rig_broker_up(rig);
    await_linked(rig, 1);
}

/* ---- wake-up ---- */

static int counter_of(rig_t *of, const char *name)
{
    cJSON *reply = rig_ask(of, "{\"op\":\"status\"}");
    const cJSON *counters = cJSON_GetObjectItemCaseSensitive(reply, "counters");
    int n = (int)cJSON_GetObjectItemCaseSensitive(counters, name)->valuedouble;
    cJSON_Delete(reply);
    return n;
}

/* True if the runner's credit is there. */
static bool is_home(rig_t *of)
{
    cJSON *reply = rig_ask(of, "{\"op\":\"runners\"}");
    const cJSON *first = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(reply, "runners"), 0);
    const cJSON *room = cJSON_GetObjectItemCaseSensitive(first, "free");
    bool has = room != NULL && room->valuedouble > 0;
    cJSON_Delete(reply);
    return has;
}

/* The poll would come in ten minutes. */
static void a_job_queued_at_one_broker_is_taken_at_once_by_another_that_has_room(void **state)
{
    (void)state;
    second_broker(1);
    await_broker(rig, "beside", rig_endpoint(beside, "control"));
    await_broker(beside, "rig", rig_endpoint(rig, "control"));
    rig_t *home = is_home(rig) ? rig : beside, *other = home == rig ? beside : rig;
    for (int i = 0; i < 3; i++) {
        char child[8], status[32];
        snprintf(child, sizeof child, "c%d", i);
        rig_submit(other, "p", child, "echo", "woken");
        rig_wait(other, child, status);
        assert_string_equal(status, "completed");
    }
    assert_int_equal(counter_of(other, "assigned"), 0);
    assert_int_equal(counter_of(home, "claimed"), 3);
    assert_int_equal(counter_of(home, "wakes"), 3);
    assert_int_equal(counter_of(other, "wakes"), 0);
}

static void a_queue_that_grows_wakes_nobody_again(void **state)
{
    (void)state;
    second_broker(0);
    await_broker(rig, "beside", rig_endpoint(beside, "control"));
    for (int i = 0; i < 50; i++) {
        char child[16];
        snprintf(child, sizeof child, "c%d", i);
        rig_submit(rig, "p", child, "echo", "waits");
    }
    rig_submit(beside, "p", "own", "echo", "waits too");
    char query[200];
    snprintf(query, sizeof query, "redis-cli -s %s xlen rz:{0}:wake", rig_redis_socket(rig));
    shell("%s", query);
    out_is("1\n");
}

/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(whoever_knows_one_broker_is_told_of_all, up, down),
    cmocka_unit_test_setup_teardown(a_runner_that_was_told_of_one_broker_links_to_one_that_comes_later, up, down),
    cmocka_unit_test_setup_teardown(a_runner_survives_the_only_broker_it_was_told_of, up, down),
    cmocka_unit_test_setup_teardown(a_job_queued_at_one_broker_is_taken_at_once_by_another_that_has_room, up, down),
    cmocka_unit_test_setup_teardown(a_queue_that_grows_wakes_nobody_again, up, down),
};
/* clang-format on */

RZ_FACTS(tests)
