/* test_upstream.c - Bamboo's own worker, unmodified, under our broker and runner: what a subscriber sees and
 * what the session becomes must be the same as with rhizome-worker. The worker is built by
 * tests/interop/build_upstream.sh; where it is not there the facts are skipped. */
#include "facts.h"
#include "process.h"
#include "rig.h"

#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#define UPSTREAM_VERSION "2026.6.16"

static const char upstream_worker[] =
    RZ_SOURCE_DIR "/build/upstream/" UPSTREAM_VERSION "/bin/subagent-demo-worker";

static const char *const profiles[] = { "upstream", "echo" }; /* theirs, ours */

static int rig_with(void **state, const char *const *runner_flags)
{
    static char config[600];
    if (access(upstream_worker, X_OK) != 0)
        exit(77);
    snprintf(
        config, sizeof config,
        "\"externalAgents\":{\"upstream\":{\"agent_id\":\"upstream\",\"protocol\":\"actor\",\"permission_profile\":\"\","
        "\"worker_bin\":\"%s\",\"executor\":\"echo\"}}",
        upstream_worker);
    *state = rig_up(&(rig_options_t){ .runners = 1, .config = config, .runner = runner_flags });
    return 0;
}

static int rig_with_both_workers(void **state)
{
    return rig_with(state, NULL);
}

static int rig_of_little_patience(void **state)
{
    static const char *const flags[] = { "--runner-idle-secs", "1", NULL };
    return rig_with(state, flags);
}

/* Whoever has not obeyed a cancel by then is beyond the patience of every fact. */
static int rig_of_much_grace(void **state)
{
    static const char *const flags[] = { "--runner-cancel-grace-ms", "600000", NULL };
    return rig_with(state, flags);
}

static int rig_away(void **state)
{
    rig_t *rig = *state;
    rig_down(&rig);
    return 0;
}

/* One line per event of the child, up to its end, without what names it: class, type and the worker's event
 * verbatim. */
static void transcript(rig_sub_t *sub, const char *child, char *out, size_t max)
{
    size_t n = 0;
    for (int end = 0; !end;) {
        rig_event_t event;
        if (!rig_event_next(sub, &event, RIG_PATIENCE_MS))
            fail_msg("%s never ended; so far: %s", child, out);
        const char *type = rig_text(event.event, "type");
        end = strcmp(type, "sub_agent_completed") == 0;
        if (strcmp(type, "sub_agent_heartbeat") != 0) {
            /* the order of members has no meaning, so they are named one by one; their number tells if there
             * are more */
            const cJSON *inner = cJSON_GetObjectItemCaseSensitive(event.event, "event");
            n += (size_t)snprintf(out + n, max - n, "%s %s [%s %s %d] %s %s\n",
                                  rig_text(event.header, "class"), type, rig_text(inner, "type"),
                                  rig_text(inner, "content"), cJSON_GetArraySize(inner),
                                  rig_text(event.event, "status"), rig_text(event.event, "error"));
        }
        rig_event_fini(&event);
    }
}

static void run_both(rig_t *rig, int round, const char *text)
{
    char lines[2][4096], role[2][16], content[2][256], child[32];
    for (int i = 0; i < 2; i++) {
        snprintf(child, sizeof child, "%s-%d", profiles[i], round);
        rig_sub_t *sub = rig_subscribe(rig, "root/");
        rig_submit(rig, "root", child, profiles[i], text);
        transcript(sub, child, lines[i], sizeof lines[i]);
        rig_last_message(rig, child, role[i], content[i], sizeof content[i]);
        rig_sub_close(&sub);
    }
    assert_string_equal(lines[0], lines[1]);
    assert_string_equal(role[0], role[1]);
    assert_string_equal(content[0], content[1]);
}

static void jobs_cold_and_warm_look_the_same(void **state)
{
    rig_t *rig = *state;
    pid_t workers[8];
    static const char *const texts[] = { "hello world", "", "one", "__sleep_ms:50 alpha only",
                                         "  two   spaces " };
    for (int round = 0; round < 5; round++)
        run_both(rig, round, texts[round]);
    assert_int_equal(rig_descendants(rig, 0, workers, 8),
                     2); /* one warm worker of each kind served all five */
}

static void await_running(rig_t *rig, const char *child)
{
    char request[64];
    snprintf(request, sizeof request, "{\"op\":\"get\",\"child\":\"%s\"}", child);
    rig_await(rig, request, "activation.state", "running");
}

static void await_workers(rig_t *rig, size_t n)
{
    pid_t pids[8];
    uint64_t deadline = process_now_ms() + RIG_PATIENCE_MS;
    while (rig_descendants(rig, 0, pids, 8) != n && process_now_ms() < deadline)
        poll(NULL, 0, 20); /* /proc tells nobody */
    assert_int_equal(rig_descendants(rig, 0, pids, 8), n);
}

static void a_cancel_is_obeyed_and_looks_the_same(void **state)
{
    rig_t *rig = *state;
    char lines[2][2048], status[32];
    for (int i = 0; i < 2; i++) {
        rig_sub_t *sub = rig_subscribe(rig, "root/");
        rig_submit(rig, "root", profiles[i], profiles[i], "__sleep_ms:60000 never");
        await_running(rig, profiles[i]);
        cJSON_Delete(rig_ask(rig, "{\"op\":\"cancel\",\"child\":\"%s\"}", profiles[i]));
        transcript(sub, profiles[i], lines[i], sizeof lines[i]);
        rig_sub_close(&sub);
        await_workers(rig, 0); /* whoever was cancelled is not used again */
    }
    assert_string_equal(lines[0], lines[1]);
    assert_non_null(strstr(lines[0], "cancelled"));
    rig_submit(rig, "root", "next", profiles[0], "goes on");
    rig_wait(rig, "next", status);
    assert_string_equal(status, "completed");
}

/* ---- two at once ---- */

#define PAIR  2
#define WORDS 50

typedef struct {
    char child[PAIR][32];
    char said[PAIR][1024]; /* content of its tokens, in order */
    int started, ended;
    bool together; /* both had started before one ended */
} pair_t;

static int which_of(const pair_t *pair, const char *child)
{
    for (int i = 0; i < PAIR; i++)
        if (strcmp(pair->child[i], child) == 0)
            return i;
    fail_msg("nobody asked for %s", child);
    return -1;
}

static void hear(pair_t *pair, const rig_event_t *event)
{
    const char *type = rig_text(event->event, "type");
    const cJSON *inner = cJSON_GetObjectItemCaseSensitive(event->event, "event");
    char *said = pair->said[which_of(pair, rig_text(event->header, "child"))];
    if (strcmp(rig_text(inner, "type"), "token") == 0)
        strncat(said, rig_text(inner, "content"), sizeof pair->said[0] - strlen(said) - 1);
    pair->together |= pair->started == PAIR && pair->ended == 0;
    pair->started += strcmp(type, "sub_agent_started") == 0;
    pair->ended += strcmp(type, "sub_agent_completed") == 0;
}

/* "mine-0 mine-0 ... " of child 0: what it must say, and nothing else. */
static void words_of(int i, char out[1024])
{
    size_t n = 0;
    for (int w = 0; w < WORDS; w++)
        n += (size_t)snprintf(out + n, 1024 - n, "mine-%d ", i);
}

static void run_pair(rig_t *rig, const char *profile, pair_t *pair)
{
    rig_sub_t *sub = rig_subscribe(rig, "root/");
    for (int i = 0; i < PAIR; i++) {
        char words[1024], text[1100];
        words_of(i, words);
        snprintf(pair->child[i], sizeof pair->child[i], "%s-%d", profile, i);
        snprintf(text, sizeof text, "__sleep_ms:500 %s", words);
        rig_submit(rig, "root", pair->child[i], profile, text);
    }
    while (pair->ended < PAIR) {
        rig_event_t event;
        if (!rig_event_next(sub, &event, RIG_PATIENCE_MS))
            fail_msg("only %d of %d ended", pair->ended, PAIR);
        hear(pair, &event);
        rig_event_fini(&event);
    }
    rig_sub_close(&sub);
}

static void two_children_at_once_hear_nothing_of_each_other(void **state)
{
    rig_t *rig = *state;
    for (int p = 0; p < 2; p++) {
        pair_t pair = { 0 };
        run_pair(rig, profiles[p], &pair);
        assert_true(pair.together);
        await_workers(rig, PAIR * ((size_t)p + 1)); /* one each */
        for (int i = 0; i < PAIR; i++) {
            char words[1024], role[16], content[1100];
            words_of(i, words);
            assert_string_equal(pair.said[i], words);
            rig_last_message(rig, pair.child[i], role, content, sizeof content);
            words[strlen(words) - 1] = '\0'; /* the last space */
            assert_string_equal(content + strlen("echo: "), words);
        }
    }
}

/* ---- parked ---- */

static pid_t only_worker(rig_t *rig)
{
    pid_t pids[8];
    assert_int_equal(rig_descendants(rig, 0, pids, 8), 1);
    return pids[0];
}

static void the_same_process_serves_the_next_run(void **state)
{
    rig_t *rig = *state;
    char status[32], child[32];
    rig_submit(rig, "root", "first", profiles[0], "one");
    rig_wait(rig, "first", status);
    pid_t worker = only_worker(rig);
    for (int i = 0; i < 5; i++) {
        snprintf(child, sizeof child, "again-%d", i);
        rig_submit(rig, "root", child, profiles[0], "two");
        rig_wait(rig, child, status);
        assert_string_equal(status, "completed");
        assert_int_equal(only_worker(rig), worker);
    }
}

static void a_worker_parked_for_too_long_leaves(void **state)
{
    rig_t *rig = *state;
    char status[32];
    for (int i = 0; i < 2; i++) {
        rig_submit(rig, "root", profiles[i], profiles[i], "once");
        rig_wait(rig, profiles[i], status);
        assert_string_equal(status, "completed");
        await_workers(rig, 0);
    }
    rig_submit(rig, "root", "later", profiles[0], "afresh");
    rig_wait(rig, "later", status);
    assert_string_equal(status, "completed");
}

/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(jobs_cold_and_warm_look_the_same, rig_with_both_workers, rig_away),
    cmocka_unit_test_setup_teardown(a_cancel_is_obeyed_and_looks_the_same, rig_of_much_grace, rig_away),
    cmocka_unit_test_setup_teardown(two_children_at_once_hear_nothing_of_each_other, rig_with_both_workers, rig_away),
    cmocka_unit_test_setup_teardown(the_same_process_serves_the_next_run, rig_with_both_workers, rig_away),
    cmocka_unit_test_setup_teardown(a_worker_parked_for_too_long_leaves, rig_of_little_patience, rig_away),
};
/* clang-format on */

RZ_FACTS(tests)
