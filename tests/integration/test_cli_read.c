/* test_cli_read.c - the command line tells how things are: ps, explain, sessions, runners, status. */
#include "cli.h"
#include "redis.h"

#include <stdlib.h>
#include <unistd.h>

static void ps_lists_children_with_their_outcome(void **state)
{
    (void)state;
    shell("rhizome submit '%s' && rhizome wait a && rhizome ps --parent p", JOB("a", "echo", "x"));
    ended_with(0);
    has(said.out, "CHILD");
    has(said.out, "completed");
    shell("rhizome ps --parent nobody --json");
    has(said.out, "\"activations\":[]");
}

static void sessions_are_put_shown_and_guarded_by_their_rev(void **state)
{
    char file[256];
    snprintf(file, sizeof file, "%s/s.json", rig_dir(*state));
    shell("echo "
          "'{\"id\":\"k\",\"kind\":\"child\",\"parent_session_id\":\"p\",\"title\":\"kept\",\"messages\":[],"
          "\"created_at\":\"2026-06-16T09:30:00Z\",\"updated_at\":\"2026-06-16T09:30:00Z\"}' > %s; rhizome "
          "session put %s",
          file, file);
    ended_with(0);
    has(said.out, "rev ");
    shell("rhizome session show k");
    has(said.out, "kept");
    shell("rhizome session put %s", file);
    ended_with(75);
    has(said.err, "CONFLICT");
    shell("rhizome session list");
    has(said.out, "k");
    shell("rhizome session show nobody");
    ended_with(3);
}

static void runners_and_status_are_told(void **state)
{
    (void)state;
    shell("rhizome runner list");
    ended_with(0);
    has(said.out, "runner-0");
    has(said.out, "linked");
    shell("rhizome status");
    ended_with(0);
    has(said.out, "store.");
    shell("rhizome status --json");
    has(said.out, "\"uptime_ms\":");
}

static void ps_narrows_by_parent_status_and_time(void **state)
{
    (void)state;
    shell("rhizome submit '%s'; rhizome submit '%s'; rhizome submit '%s'; rhizome wait a bad",
          JOB("a", "echo", "x"), JOB("bad", "agent", "fail"),
          JOB_OF("q", "other", "\"profile\":\"echo\"", "x"));
    shell("rhizome ps --status error | cut -d' ' -f1");
    out_is("CHILD\nbad\n");
    shell("rhizome ps --parent q | cut -d' ' -f1");
    out_is("CHILD\nother\n");
    shell("rhizome ps --since 1h --parent p | cut -d' ' -f1 | sort");
    out_is("CHILD\na\nbad\n");
    shell("rhizome ps --since 2100-01-01T00:00:00Z | cut -d' ' -f1");
    out_is("CHILD\n");
    shell("rhizome ps --status ended");
    ended_with(2);
    has(said.err, "status");
}

static void ps_pages_until_its_limit(void **state)
{
    (void)state;
    shell(
        "for i in $(seq 1100); do echo '%s'; done | awk '{gsub(/NUMBER/, NR)} 1' | rhizome submit - | wc -l",
        JOB_FOR_GPU("c-NUMBER"));
    out_is("1100\n");
    shell("rhizome ps --limit 1050 | wc -l");
    out_is("1051\n");
    has(said.err, "the list goes on");
    shell("rhizome ps --limit 5000 | cut -d' ' -f1 | sort -u | wc -l");
    out_is("1101\n");
    has_not(said.err, "the list goes on");
    shell("rhizome ps --limit 5000 --json | grep -o '\"child\":' | wc -l");
    out_is("1100\n");
    conforms("rhizome ps --limit 1050 --json");
}

static void ps_tells_why_a_queued_child_waits(void **state)
{
    (void)state;
    shell("rhizome submit '%s'; rhizome ps --status queued", JOB_FOR_GPU("g"));
    ended_with(0);
    has(said.out, "queued");
    has(said.out, "gpu");
    conforms("rhizome ps --json");
}

static void ps_tells_what_a_running_child_does(void **state)
{
    (void)state;
    shell("rhizome submit '%s'", JOB("d", "agent", "dig"));
    await_call("rhizome ps --status running | grep 'tool spade (begin)'");
    conforms("rhizome ps --json");
    shell("rhizome explain d | head -n 1");
    has(said.out, "d runs on runner-0, for ");
    has(said.out, "; last event ");
    has(said.out, "tool spade (begin)");
    shell("rhizome send d up; rhizome wait d");
    ended_with(0);
}

/* ---- explain ---- */

static void explain_tells_why_a_child_waits(void **state)
{
    (void)state;
    shell("rhizome submit '%s'; rhizome explain g", JOB_FOR_GPU("g"));
    ended_with(0);
    has(said.out, "g waits in the queue, for ");
    has(said.out, "gpu");
    has(said.out, "TIME (UTC)");
    has(said.out, " queued ");
    has(said.err, "next: rhizome runner list; rhizome cancel g");
    conforms("rhizome explain g --json");
}

static void explain_tells_how_an_ended_child_came_to_its_end(void **state)
{
    (void)state;
    shell("rhizome submit '%s'; rhizome wait bad; rhizome explain bad", JOB("bad", "agent", "fail"));
    ended_with(0);
    has(said.out, "bad ended error ");
    has(said.out, "out of ideas");
    has(said.out, "parent p, profile agent, attempt 1/1, epoch 1");
    has(said.err, "next: rhizome logs bad; rhizome retry bad");
    shell("rhizome explain bad --json | jq -r '[.transitions[] | .what] | join(\" \")'");
    out_is("assigned running error\n"); /* it was claimed as it came: it never waited */
    shell("rhizome explain bad --json | jq -r '.transitions[0].runner'");
    out_is("runner-0\n");
    conforms("rhizome explain bad --json");
    shell("rhizome explain nobody");
    ended_with(3);
}

/* ---- what the house offers, and who reads it ---- */

static void status_warns_of_a_reader_that_stays_away(void **state)
{
    (void)state;
    assert_string_equal(redis_do(rig_redis(*state), "XGROUP CREATE rz:{0}:completions search 0 MKSTREAM"),
                        "OK");
    shell("rhizome status");
    has(said.out, "search: 0 readers, 0 not read, 0 not acknowledged");
    has_not(said.err, "search");
    shell("rhizome run --quiet --executor echo x && rhizome status");
    ended_with(0);
    has(said.out, "search: 0 readers, 1 not read, 0 not acknowledged");
    has(said.err, "completions: group search has no reader");
    conforms("rhizome status --json");
}

static int rig_with_credentials(void **state)
{
    static char file[] = "/tmp/rhizome-credentials-XXXXXX";
    static const char *const flags[] = { "--runner-credentials", file, NULL };
    snprintf(file, sizeof file, "/tmp/rhizome-credentials-XXXXXX");
    FILE *credentials = fdopen(mkstemp(file), "w"); /* mkstemp makes it 0600 */
    assert_non_null(credentials);
    fputs("{\"anthropic\":{\"api_key\":\"hush-hush\"}} // for children\n", credentials);
    fclose(credentials);
    rig_t *rig = rig_up(&(rig_options_t){ .runners = 1, .runner = flags });
    unlink(file);
    environment(rig_endpoint(rig, "control"));
    *state = rig;
    return 0;
}

static void runner_list_tells_executors_and_whose_keys_are_held_but_no_key(void **state)
{
    (void)state;
    shell("rhizome runner list");
    ended_with(0);
    has(said.out, "EXECUTORS");
    has(said.out, "echo       anthropic    http://127.0.0.1:");
    shell("rhizome runner list --json");
    has(said.out, "anthropic");
    has_not(said.out, "hush-hush");
}

/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(ps_lists_children_with_their_outcome, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(sessions_are_put_shown_and_guarded_by_their_rev, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(runners_and_status_are_told, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(ps_narrows_by_parent_status_and_time, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(ps_pages_until_its_limit, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(ps_tells_why_a_queued_child_waits, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(ps_tells_what_a_running_child_does, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(explain_tells_why_a_child_waits, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(explain_tells_how_an_ended_child_came_to_its_end, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(status_warns_of_a_reader_that_stays_away, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(runner_list_tells_executors_and_whose_keys_are_held_but_no_key, rig_with_credentials, rig_away),
};
/* clang-format on */

RZ_FACTS(tests)
