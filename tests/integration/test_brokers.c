/* Several brokers over one store, as users, runners and subscribers see them: real daemons. `rig` is the first, `beside`
 * the second. */
#include "cli.h"
#include "keyring.h"
#include "redis.h"

#include <signal.h>
#include <sys/wait.h>

#define LATE_POLL "600000" /* what happens within a fact happened without the poll */

static rig_t *rig, *beside;

static const char *const usual[] = { "--broker-sync-ms", "200", "--broker-lease-ms", "2000", NULL };
static const char *const without_poll[] = {
    "--broker-poll-ms", LATE_POLL, "--broker-sync-ms", "200", "--broker-lease-ms", "2000", NULL
};
static const char *const *flags;

static void second_broker(unsigned runners)
{
    beside = rig_up(&(rig_options_t){ .runners = runners, .broker = flags, .beside = rig });
}

static int up_with(const char *const *broker)
{
    flags = broker;
    rig = rig_up(&(rig_options_t){ .broker = flags });
    return 0;
}

static int up(void **state)
{
    (void)state;
    return up_with(usual);
}

static int up_without_poll(void **state)
{
    (void)state;
    return up_with(without_poll);
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

static bool has_waiter(rig_t *of)
{
    cJSON *reply = rig_ask(of, "{\"op\":\"status\"}");
    bool has_one = cJSON_GetObjectItemCaseSensitive(reply, "waiters")->valuedouble > 0;
    cJSON_Delete(reply);
    return has_one;
}

/* The rig whose broker is home to the one runner, once it has said a sync there. */
static rig_t *home(void)
{
    uint64_t deadline = process_now_ms() + RIG_PATIENCE_MS;
    for (;;) {
        cJSON *reply = rig_ask(rig, "{\"op\":\"runners\"}");
        const cJSON *runner = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(reply, "runners"), 0);
        rig_t *at = strcmp(rig_text(runner, "home"), "rig") == 0      ? rig
                    : strcmp(rig_text(runner, "home"), "beside") == 0 ? beside
                                                                      : NULL;
        cJSON_Delete(reply);
        if (at != NULL)
            return at;
        assert_true(process_now_ms() < deadline);
    }
}

/* The poll would come in ten minutes. */
static void a_job_queued_at_one_broker_is_taken_at_once_by_another_that_has_room(void **state)
{
    (void)state;
    second_broker(1);
    await_broker(rig, "beside", rig_endpoint(beside, "control"));
    await_broker(beside, "rig", rig_endpoint(rig, "control"));
    await_linked(rig, 1);
    await_linked(beside, 1);
    rig_t *at = home(), *other = at == rig ? beside : rig;
    for (int i = 0; i < 3; i++) {
        char child[8], status[32];
        snprintf(child, sizeof child, "c%d", i);
        rig_submit(other, "p", child, "echo", "woken");
        rig_wait(other, child, status);
        assert_string_equal(status, "completed");
    }
    assert_int_equal(counter_of(other, "assigned"), 0);
    assert_int_equal(counter_of(at, "claimed"), 3);
    assert_int_equal(counter_of(at, "wakes"), 3);
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
    assert_string_equal(redis_do(rig_redis(rig), "XLEN rz:{0}:wake"), "1");
}

/* ---- what brokers originate ---- */

typedef struct {
    char header[1024], event[1024];
} said_event_t;

static void text_of(const cJSON *tree, char out[1024])
{
    char *text = cJSON_PrintUnformatted(tree);
    snprintf(out, 1024, "%s", text);
    cJSON_free(text);
}

/* Reads on to the next event of the topic. */
static void hear(rig_sub_t *sub, const char *topic, said_event_t *out)
{
    rig_event_t event;
    for (bool found = false; !found;) {
        if (!rig_event_next(sub, &event, RIG_PATIENCE_MS))
            fail_msg("nothing of %s", topic);
        found = strcmp(event.topic, topic) == 0;
        text_of(event.header, out->header);
        text_of(event.event, out->event);
        rig_event_fini(&event);
    }
}

/* ---- what goes back to its queue: the poll would come in ten minutes ---- */

/* A runner that has begun a job with two attempts, and another beside it that is free. */
static rig_sub_t *one_runs_at_the_first_of_two(void)
{
    said_event_t said_event;
    rig_runner_up(rig);
    rig_sub_t *sub = rig_subscribe(rig, "p/");
    cJSON *reply = rig_ask(
        rig,
        "{\"op\":\"submit\",\"job\":{\"parent_session_id\":\"p\",\"child_session_id\":\"c\",\"max_attempts\":2,"
        "\"require\":{\"profile\":\"echo\"},\"session\":{\"id\":\"c\",\"kind\":\"child\",\"messages\":"
        "[{\"role\":\"user\",\"content\":\"__sleep_ms:60000 x\"}]}}}");
    assert_string_equal(rig_text(reply, "code"), "OK");
    cJSON_Delete(reply);
    hear(sub, "p/c/sub_agent_started", &said_event);
    rig_runner_up(rig);
    return sub;
}

static void it_begins_again(rig_sub_t *sub)
{
    said_event_t said_event;
    char status[32];
    hear(sub, "p/c/sub_agent_started", &said_event);
    cJSON_Delete(rig_ask(rig, "{\"op\":\"cancel\",\"child\":\"c\",\"now\":true}"));
    rig_event_until_completed(sub, "c", status);
    assert_string_equal(status, "cancelled");
    rig_sub_close(&sub);
}

static void what_a_runner_gives_back_is_taken_at_once_by_another(void **state)
{
    (void)state;
    rig_sub_t *sub = one_runs_at_the_first_of_two();
    cJSON *reply = rig_ask(
        rig, "{\"op\":\"runner_drain\",\"runner\":\"runner-0\",\"policy\":\"requeue\",\"deadline_ms\":1}");
    assert_string_equal(rig_text(reply, "code"), "OK");
    cJSON_Delete(reply);
    it_begins_again(sub);
}

static void a_rerun_whose_pause_is_over_is_taken_at_once(void **state)
{
    (void)state;
    pid_t pids[16];
    rig_sub_t *sub = one_runs_at_the_first_of_two();
    assert_true(process_descendants(rig_runner_pid(rig, 0), pids, 16) > 0);
    kill(pids[0], SIGKILL); /* the runner; its keeper ends with it */
    rig_runner_end(rig, 0, 0);
    it_begins_again(sub);
}

/* Both hear it, as the same event; its header holds `id`. */
static void both_hear(rig_sub_t *const sub[2], const char *topic, const char *id, const char *part)
{
    said_event_t first, second;
    hear(sub[0], topic, &first);
    hear(sub[1], topic, &second);
    assert_string_equal(first.header, second.header);
    assert_string_equal(first.event, second.event);
    has(first.header, id);
    has(first.event, part);
}

static void what_one_broker_originates_is_heard_at_every_broker_with_the_same_name(void **state)
{
    (void)state;
    second_broker(0);
    rig_sub_t *const sub[2] = { rig_subscribe(rig, ""), rig_subscribe(beside, "") };

    rig_push(rig, "{\"parent_session_id\":\"p\"}");
    both_hear(sub, "$sys/rejected", "\"id\":\"", "MISSING_FIELD");
    rig_push(beside, "{\"parent_session_id\":\"p\",\"child_session_id\":\"unknown\"}");
    both_hear(sub, "p/unknown/sub_agent_completed", "\"id\":\"", "child session not found");

    cJSON_Delete(rig_ask(
        rig, "{\"op\":\"wait_register\",\"parent\":\"p\",\"children\":[\"queued\"],\"wait_id\":\"w\"}"));
    rig_submit(rig, "p", "queued", "echo", "never begins");
    cJSON_Delete(rig_ask(beside, "{\"op\":\"cancel\",\"child\":\"queued\"}"));
    both_hear(sub, "p/$wait/wait_satisfied", "\"wait\":\"w\"", "cancelled");
    both_hear(sub, "p/queued/sub_agent_completed", "\"epoch\":1,\"seq\":1", "cancelled");

    rig_runner_up(rig);
    await_linked(beside, 1);
    rig_submit(rig, "p", "lost", "echo", "__sleep_ms:60000 its runner dies");
    rig_await(rig, "{\"op\":\"get\",\"child\":\"lost\"}", "activation.state", "running");
    shell("kill -9 $(pgrep -P %d)", (int)rig_runner_pid(rig, 0));
    rig_runner_end(rig, 0, 0);
    both_hear(sub, "p/lost/sub_agent_completed", "\"seq\":1", "runner lost");
    rig_sub_close(&(rig_sub_t *){ sub[0] });
    rig_sub_close(&(rig_sub_t *){ sub[1] });
}

/* ---- any broker ---- */

/* Without what only the asked broker counts. */
static bool agree(const char *verb)
{
    char first[sizeof said.out];
    environment(rig_endpoint(rig, "control"));
    shell("%s", verb);
    ended_with(0);
    snprintf(first, sizeof first, "%s", said.out);
    environment(rig_endpoint(beside, "control"));
    shell("%s", verb);
    ended_with(0);
    return strcmp(said.out, first) == 0;
}

/* Sooner or later: a runner tells the broker that is not its home by its heartbeats. */
static void say_the_same(const char *verb)
{
    uint64_t deadline = process_now_ms() + RIG_PATIENCE_MS;
    while (!agree(verb))
        if (process_now_ms() > deadline)
            fail_msg("they differ on %s", verb);
}

static void whichever_broker_is_asked_the_answer_is_the_same(void **state)
{
    (void)state;
    rig_runner_up(rig);
    second_broker(1);
    await_linked(rig, 2);
    await_linked(beside, 2);
    rig_submit(rig, "p", "slow", "echo", "__sleep_ms:60000 goes on");
    rig_submit(beside, "p", "quick", "echo", "ends");
    char status[32];
    rig_wait(rig, "quick", status);
    rig_await(rig, "{\"op\":\"get\",\"child\":\"slow\"}", "activation.state", "running");
    uint64_t deadline = process_now_ms() + RIG_PATIENCE_MS;
    do { /* the last sync may be from before the run */
        environment(rig_endpoint(beside, "control"));
        shell("rhizome runner list --json | jq -e '[.runners[].free] | add == 15'");
        environment(rig_endpoint(rig, "control"));
        shell("[ %d = 0 ] && rhizome runner list --json | jq -e '[.runners[].free] | add == 15'", said.code);
    } while (said.code != 0 && process_now_ms() < deadline);
    ended_with(0);
    say_the_same("rhizome runner list --json | jq -S '[.runners[] | del(.facts)] | sort_by(.runner)'");
    say_the_same("rhizome ps --json | jq -S '.activations[] | del(.last_event_at)'");
    say_the_same("rhizome status --json | jq -S '{waiting, classes, completions, links}'");
    cJSON_Delete(rig_ask(rig, "{\"op\":\"cancel\",\"child\":\"slow\",\"now\":true}"));
    rig_wait(beside, "slow", status);
    assert_string_equal(status, "cancelled");
}

static void a_command_asks_the_next_broker_when_the_first_is_gone(void **state)
{
    char both[300];
    (void)state;
    second_broker(0);
    snprintf(both, sizeof both, "%s,%s", rig_endpoint(rig, "control"), rig_endpoint(beside, "control"));
    environment(both);
    shell("rhizome status --json | jq -r .broker");
    out_is("rig\n");
    rig_broker_end(rig, SIGKILL);
    shell("rhizome status --json | jq -r .broker");
    out_is("beside\n");
    has(said.err, "connection refused");
    rig_broker_up(rig);
}

/* It was told of one broker only, and learnt of the other from that one. */
static void a_wait_outlives_the_broker_that_was_asked(void **state)
{
    (void)state;
    process_t wait = { 0 };
    char log[200];
    rig_runner_up(rig);
    second_broker(0);
    await_broker(rig, "beside", rig_endpoint(beside, "control"));
    await_linked(beside, 1);
    rig_submit(rig, "p", "c", "echo", "__sleep_ms:60000 long enough");
    rig_await(rig, "{\"op\":\"get\",\"child\":\"c\"}", "activation.state", "running");
    environment(rig_endpoint(rig, "control"));
    snprintf(log, sizeof log, "%s/wait.log", rig_dir(rig));
    process_start(&wait, (const char *[]){ "rhizome", "wait", "c", NULL }, log, 0);
    uint64_t deadline = process_now_ms() + RIG_PATIENCE_MS;
    while (!has_waiter(rig))
        assert_true(process_now_ms() < deadline);
    rig_broker_end(rig, SIGKILL);
    await_call("grep 'going on at %s' %s", rig_endpoint(beside, "control"), log);
    cJSON_Delete(rig_ask(beside, "{\"op\":\"cancel\",\"child\":\"c\",\"now\":true}"));
    int status = process_end(&wait, 0, RIG_PATIENCE_MS);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 4)
        process_show_log(log);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 4);
    rig_broker_up(rig);
}

static void who_joins_through_one_broker_uses_all(void **state)
{
    (void)state;
    process_t joined = { 0 };
    char log[200], folder[200];
    const char *argv[16] = {
        "rhizome", "up", "--join", rig_endpoint(rig, "control"), "--up-state-dir", folder
    };
    second_broker(0);
    await_broker(rig, "beside", rig_endpoint(beside, "control"));
    environment("");
    snprintf(log, sizeof log, "%s/joined.log", rig_dir(rig));
    snprintf(folder, sizeof folder, "%s/joined", rig_dir(rig));
    if (keyring.dir[0] != '\0') {
        argv[6] = "--key";
        argv[7] = keyring_path("runner");
    }
    process_start(&joined, argv, log, 0);
    await_linked(rig, 1);
    await_linked(beside, 1);
    await_call("jq -e '.controls | length == 2' %s/context.json", folder);
    rig_broker_end(rig, SIGKILL);
    shell("rhizome run --up-state-dir %s %s --quiet --executor echo 'still here'", folder, key_flag("admin"));
    int code = said.code;
    process_end(&joined, SIGINT, RIG_PATIENCE_MS);
    if (code != 0)
        process_show_log(log);
    ended_with(0);
    has(said.out, "echo: still here");
    rig_broker_up(rig);
}

/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(whoever_knows_one_broker_is_told_of_all, up, down),
    cmocka_unit_test_setup_teardown(a_runner_that_was_told_of_one_broker_links_to_one_that_comes_later, up, down),
    cmocka_unit_test_setup_teardown(a_runner_survives_the_only_broker_it_was_told_of, up, down),
    cmocka_unit_test_setup_teardown(a_job_queued_at_one_broker_is_taken_at_once_by_another_that_has_room, up_without_poll, down),
    cmocka_unit_test_setup_teardown(what_a_runner_gives_back_is_taken_at_once_by_another, up_without_poll, down),
    cmocka_unit_test_setup_teardown(a_rerun_whose_pause_is_over_is_taken_at_once, up_without_poll, down),
    cmocka_unit_test_setup_teardown(a_queue_that_grows_wakes_nobody_again, up_without_poll, down),
    cmocka_unit_test_setup_teardown(what_one_broker_originates_is_heard_at_every_broker_with_the_same_name, up, down),
    cmocka_unit_test_setup_teardown(whichever_broker_is_asked_the_answer_is_the_same, up, down),
    cmocka_unit_test_setup_teardown(a_command_asks_the_next_broker_when_the_first_is_gone, up, down),
    cmocka_unit_test_setup_teardown(a_wait_outlives_the_broker_that_was_asked, up, down),
    cmocka_unit_test_setup_teardown(who_joins_through_one_broker_uses_all, up, down),
};
/* clang-format on */

RZ_FACTS(tests)
