/* `rhizome watch PARENT/CHILD --from`: whoever joins, whenever, sees each durable event once or is told of the gap. Real
 * daemons; the truth is what a subscriber heard who was there from the beginning. */
#include "cli.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#define WATCHERS   6
#define EVENTS_MAX 8192

typedef struct {
    unsigned long epoch, seq;
} place_t;

typedef struct {
    place_t at[EVENTS_MAX];
    size_t n;
} places_t;

static rig_t *rig, *beside;
static char members[512];

static const char *const quick[] = { "--broker-sync-ms", "200", "--broker-lease-ms", "1500", NULL };

static int with_log_of(unsigned events, unsigned runners)
{
    snprintf(
        members, sizeof members,
        "\"retention\":{\"log_events\":%u},\"externalAgents\":{\"stream\":{\"agent_id\":\"stream\",\"protocol\":"
        "\"actor\",\"permission_profile\":\"x\",\"executor\":\"command\",\"command\":\"python3\",\"args\":[\"%s/"
        "tests/integration/stream.py\"]}}",
        events, RZ_SOURCE_DIR);
    rig = rig_up(&(rig_options_t){ .runners = runners, .config = members, .broker = quick });
    environment(rig_endpoint(rig, "control"));
    return 0;
}

static int up(void **state)
{
    (void)state;
    return with_log_of(10000, 1);
}

static int up_with_a_short_log(void **state)
{
    (void)state;
    return with_log_of(200, 1);
}

static int down(void **state)
{
    (void)state;
    if (beside != NULL)
        rig_down(&beside);
    rig_down(&rig);
    return 0;
}

/* ---- watchers ---- */

typedef struct {
    process_t process;
    char log[256]; /* stdout and stderr */
} watcher_t;

static void watch(watcher_t *watcher, unsigned i, const char *filter)
{
    snprintf(watcher->log, sizeof watcher->log, "%s/watch-%u.log", rig_dir(rig), i);
    process_start(&watcher->process,
                  (const char *[]){ "rhizome", "watch", filter, "--from", "0", "--json", NULL }, watcher->log,
                  0);
}

static void ends(watcher_t *watcher, int code)
{
    int status = process_end(&watcher->process, 0, 2 * RIG_PATIENCE_MS);
    if (WIFEXITED(status) && WEXITSTATUS(status) == code)
        return;
    process_show_log(watcher->log);
    fail_msg("wait status %d of %s", status, watcher->log);
}

/* ---- the truth ---- */

static bool take_place(const cJSON *header, places_t *out)
{
    if (strcmp(rig_text(header, "class"), "durable") != 0)
        return false;
    assert_true(out->n < EVENTS_MAX);
    out->at[out->n++] =
        (place_t){ (unsigned long)cJSON_GetObjectItemCaseSensitive(header, "epoch")->valuedouble,
                   (unsigned long)cJSON_GetObjectItemCaseSensitive(header, "seq")->valuedouble };
    return true;
}

/* Reads on until n durable events were heard, or the end. True at the end. */
static bool hear(rig_sub_t *sub, places_t *truth, size_t n)
{
    rig_event_t event;
    while (truth->n < n) {
        if (!rig_event_next(sub, &event, RIG_PATIENCE_MS))
            fail_msg("silence after %zu durable events", truth->n);
        take_place(event.header, truth);
        bool end = strcmp(rig_text(event.event, "type"), "sub_agent_completed") == 0;
        rig_event_fini(&event);
        if (end)
            return true;
    }
    return false;
}

static int compare(place_t a, place_t b)
{
    return a.epoch != b.epoch ? (a.epoch < b.epoch ? -1 : 1) : a.seq < b.seq ? -1 : a.seq > b.seq;
}

/* ---- comparing ---- */

typedef struct {
    places_t shown;
    place_t after[64], before[64];
    size_t gaps;
} seen_t;

static place_t place_of(const char *text)
{
    place_t place;
    assert_int_equal(sscanf(text, "%lu-%lu", &place.epoch, &place.seq), 2);
    return place;
}

static void read_line(const char *line, seen_t *seen)
{
    cJSON *entry = *line == '{' ? cJSON_Parse(line) : NULL; /* else a line for people */
    const cJSON *gap = cJSON_GetObjectItemCaseSensitive(entry, "gap");
    if (gap != NULL) {
        seen->after[seen->gaps] = place_of(rig_text(gap, "after"));
        seen->before[seen->gaps++] = place_of(rig_text(gap, "before"));
    } else if (entry != NULL) {
        take_place(cJSON_GetObjectItemCaseSensitive(entry, "header"), &seen->shown);
    }
    cJSON_Delete(entry);
}

static void read_watcher(const watcher_t *watcher, seen_t *seen)
{
    char *line = NULL;
    size_t size = 0;
    FILE *file = fopen(watcher->log, "r");
    assert_non_null(file);
    *seen = (seen_t){ 0 };
    while (getline(&line, &size, file) > 0)
        read_line(line, seen);
    free(line);
    fclose(file);
}

static bool in_a_gap(const seen_t *seen, place_t at)
{
    for (size_t i = 0; i < seen->gaps; i++)
        if (compare(at, seen->after[i]) > 0 && compare(at, seen->before[i]) < 0)
            return true;
    return false;
}

/* Each durable event once, in order, or within a gap that was named; returns how many gaps there were. */
static size_t saw_the_truth(const watcher_t *watcher, const places_t *truth)
{
    static seen_t seen;
    size_t next = 0;
    read_watcher(watcher, &seen);
    for (size_t i = 0; i < truth->n; i++) {
        place_t at = truth->at[i];
        bool lost = in_a_gap(&seen, at);
        bool shown = next < seen.shown.n && compare(seen.shown.at[next], at) == 0;
        if (shown == lost) {
            process_show_log(watcher->log);
            fail_msg("%s: %lu-%lu is %s", watcher->log, at.epoch, at.seq,
                     lost ? "shown, and in a gap" : "missing, and in no gap");
        }
        next += shown;
    }
    if (next != seen.shown.n)
        fail_msg("%s: %lu-%lu is no event, or comes again", watcher->log, seen.shown.at[next].epoch,
                 seen.shown.at[next].seq);
    return seen.gaps;
}

/* ---- facts ---- */

static void whoever_joins_late_misses_nothing_repeats_nothing_and_is_told_what_is_trimmed(void **state)
{
    (void)state;
    static watcher_t watcher[WATCHERS];
    static places_t truth;
    unsigned seed = (unsigned)process_now_ms();
    size_t gaps[WATCHERS];
    print_message("seed %u\n", seed);
    srand(seed);
    truth.n = 0;
    rig_sub_t *sub = rig_subscribe(rig, "p/c/");
    rig_submit(rig, "p", "c", "stream", "3000 1");
    for (unsigned i = 0; i < WATCHERS; i++) { /* some early, some when the log has been trimmed for long */
        assert_false(hear(sub, &truth, truth.n + 1 + (i > 0 ? (size_t)rand() % 300 : 0)));
        watch(&watcher[i], i, "p/c");
    }
    hear(sub, &truth, EVENTS_MAX);
    for (unsigned i = 0; i < WATCHERS; i++) {
        ends(&watcher[i], 0);
        gaps[i] = saw_the_truth(&watcher[i], &truth);
    }
    assert_int_equal(truth.n, 2002); /* two of three, a beginning and an end */
    watch(&watcher[0], WATCHERS, "p/c");
    ends(&watcher[0], 0);
    assert_int_equal(saw_the_truth(&watcher[0], &truth), 1);
    print_message("gaps:");
    for (unsigned i = 0; i < WATCHERS; i++)
        print_message(" %zu", gaps[i]);
    print_message("\n");
    rig_sub_close(&sub);
}

static void a_watcher_goes_on_at_another_broker(void **state)
{
    (void)state;
    static watcher_t watcher[2];
    static places_t truth;
    truth.n = 0;
    beside = rig_up(&(rig_options_t){ .config = members, .broker = quick, .beside = rig });
    await_call("rhizome runner list --control %s --json | jq -e '.runners[0].linked'",
               rig_endpoint(beside, "control"));
    rig_sub_t *sub = rig_subscribe(beside, "p/c/");
    rig_submit(rig, "p", "c", "stream", "6000 1");
    assert_false(hear(sub, &truth, 1));
    watch(&watcher[0], 0, "p/c");
    assert_false(hear(sub, &truth, 300));
    watch(&watcher[1], 1, "p/c");
    await_call("grep t-400 %s", watcher[1].log);
    rig_broker_end(rig, SIGKILL);
    hear(sub, &truth, EVENTS_MAX);
    for (unsigned i = 0; i < 2; i++) {
        ends(&watcher[i], 0);
        assert_int_equal(saw_the_truth(&watcher[i], &truth), 0);
    }
    rig_sub_close(&sub);
    rig_broker_up(rig);
}

static void a_watcher_outlives_a_restart_of_the_only_broker(void **state)
{
    (void)state;
    static watcher_t watcher;
    rig_submit(rig, "p", "c", "stream", "5000 1");
    await_call("rhizome explain c | grep running");
    watch(&watcher, 0, "p/c");
    await_call("grep t-300 %s", watcher.log);
    rig_broker_end(rig, SIGKILL);
    rig_broker_up(rig);
    ends(&watcher, 0);
    static places_t truth; /* of its one epoch: by the chain of prev_durable, which the log has whole */
    truth.n = 0;
    cJSON *reply = NULL;
    for (int page = 0; page < 5; page++) {
        unsigned long seq = truth.n > 0 ? truth.at[truth.n - 1].seq + 1 : 0;
        reply = rig_ask(
            rig, "{\"op\":\"replay\",\"child\":\"c\",\"from_epoch\":1,\"from_seq\":%lu,\"limit\":1000}", seq);
        const cJSON *item;
        cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(reply, "events"))
            take_place(cJSON_GetObjectItemCaseSensitive(item, "header"), &truth);
        cJSON_Delete(reply);
    }
    assert_true(truth.n > 3300);
    assert_int_equal(saw_the_truth(&watcher, &truth), 0);
}

static void a_watcher_follows_a_child_into_its_next_attempt(void **state)
{
    (void)state;
    static watcher_t watcher;
    cJSON *receipt = rig_ask(
        rig,
        "{\"op\":\"submit\",\"job\":{\"parent_session_id\":\"p\",\"child_session_id\":\"c\",\"max_attempts\":2,"
        "\"require\":{\"profile\":\"stream\"},\"session\":{\"id\":\"c\",\"kind\":\"child\",\"messages\":[{\"role\":\"user\","
        "\"content\":\"500 2\"}]}}}");
    assert_string_equal(rig_text(receipt, "code"), "OK");
    cJSON_Delete(receipt);
    await_call("rhizome explain c | grep running");
    watch(&watcher, 0, "p/c");
    await_call("grep t-100 %s", watcher.log);
    shell("kill -9 $(pgrep -P %d)", (int)rig_runner_pid(rig, 0)); /* not the keeper, which ends with it */
    rig_runner_end(rig, 0, 0);
    rig_runner_up(rig);
    ends(&watcher, 0);
    seen_t seen;
    read_watcher(&watcher, &seen);
    assert_int_equal(seen.gaps, 0);
    assert_int_equal(seen.shown.at[0].epoch, 1);
    assert_true(seen.shown.at[seen.shown.n - 1].epoch > 1);
    shell("grep -c sub_agent_started %s", watcher.log);
    out_is("2\n");
    shell("grep -c sub_agent_completed %s", watcher.log);
    out_is("1\n");
}

static void a_watcher_exits_as_its_child_ended(void **state)
{
    (void)state;
    static watcher_t watcher;
    rig_submit(rig, "p", "c", "stream", "100000 2");
    await_call("rhizome explain c | grep running");
    watch(&watcher, 0, "p/c");
    await_call("grep t-10 %s", watcher.log);
    shell("rhizome cancel c --now");
    ends(&watcher, 4);
    shell("rhizome watch p/c --from 0");
    ended_with(4);
    has(said.out, "started");
    has(said.out, "completed");
    shell("rhizome watch p/nobody --from 0");
    ended_with(3);
    shell("rhizome watch q/c --from 0");
    ended_with(3);
    has(said.err, "child of p, not of q");
    shell("rhizome watch p --from 0");
    ended_with(2);
    shell("rhizome watch p/c --from yesterday");
    ended_with(2);
}

static void from_a_place_on_means_from_there(void **state)
{
    (void)state;
    rig_submit(rig, "p", "c", "stream", "30 0");
    char status[32];
    rig_wait(rig, "c", status);
    shell("rhizome watch p/c --from 1-20 --json | jq -r '.header.seq' | head -1");
    shell("test %d -ge 20 && test %d -le 22", atoi(said.out), atoi(said.out));
    ended_with(0);
    shell("rhizome watch p/c --from 1-20 --json | grep -c gap");
    out_is("0\n");
}

/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(whoever_joins_late_misses_nothing_repeats_nothing_and_is_told_what_is_trimmed, up_with_a_short_log, down),
    cmocka_unit_test_setup_teardown(a_watcher_goes_on_at_another_broker, up, down),
    cmocka_unit_test_setup_teardown(a_watcher_outlives_a_restart_of_the_only_broker, up, down),
    cmocka_unit_test_setup_teardown(a_watcher_follows_a_child_into_its_next_attempt, up, down),
    cmocka_unit_test_setup_teardown(a_watcher_exits_as_its_child_ended, up, down),
    cmocka_unit_test_setup_teardown(from_a_place_on_means_from_there, up, down),
};
/* clang-format on */

RZ_FACTS(tests)
