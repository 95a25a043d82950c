/* test_upstream.c - Bamboo's own worker, unmodified, under our broker and runner: what a subscriber sees and
 * what the session becomes must be the same as with rhizome-worker. The worker is built by
 * tests/interop/build_upstream.sh; where it is not there the facts are skipped. */
#include "facts.h"
#include "process.h"
#include "rig.h"

#include <stdlib.h>
#include <unistd.h>

#define UPSTREAM_VERSION "2026.6.16"

static const char upstream_worker[] =
    RZ_SOURCE_DIR "/build/upstream/" UPSTREAM_VERSION "/bin/subagent-demo-worker";

static int rig_with_both_workers(void **state)
{
    static char config[600];
    if (access(upstream_worker, X_OK) != 0)
        exit(77);
    snprintf(
        config, sizeof config,
        "\"externalAgents\":{\"upstream\":{\"agent_id\":\"upstream\",\"protocol\":\"actor\",\"permission_profile\":\"\","
        "\"worker_bin\":\"%s\",\"executor\":\"echo\"}}",
        upstream_worker);
    *state = rig_up(&(rig_options_t){ .runners = 1, .config = config });
    return 0;
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
    static const char *const profiles[] = { "upstream", "echo" };
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

static void a_cancel_looks_the_same(void **state)
{
    rig_t *rig = *state;
    static const char *const profiles[] = { "upstream", "echo" };
    char lines[2][2048];
    for (int i = 0; i < 2; i++) {
        rig_sub_t *sub = rig_subscribe(rig, "root/");
        rig_submit(rig, "root", profiles[i], profiles[i], "__sleep_ms:60000 never");
        char request[64];
        snprintf(request, sizeof request, "{\"op\":\"get\",\"child\":\"%s\"}", profiles[i]);
        rig_await(rig, request, "activation.state", "running");
        cJSON_Delete(rig_ask(rig, "{\"op\":\"cancel\",\"child\":\"%s\"}", profiles[i]));
        transcript(sub, profiles[i], lines[i], sizeof lines[i]);
        rig_sub_close(&sub);
    }
    assert_string_equal(lines[0], lines[1]);
    assert_non_null(strstr(lines[0], "cancelled"));
}

/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(jobs_cold_and_warm_look_the_same, rig_with_both_workers, rig_away),
    cmocka_unit_test_setup_teardown(a_cancel_looks_the_same, rig_with_both_workers, rig_away),
};
/* clang-format on */

RZ_FACTS(tests)
