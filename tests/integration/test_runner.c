/* test_runner.c - the real runner with real workers, in front of a broker that the test plays. */
#include "facts.h"
#include "stand_in.h"

#include "base/buf.h"

#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ECHO_EVENTS "sub_agent_heartbeat sub_agent_started token token complete sub_agent_completed"

#define KEEPER_SILENCE_MS 12000

static stand_in_t s; /* large, and one a process is enough */

static void up(const char *const *flags)
{
    stand_in_up(&s, "", flags);
}

static void echo(const char *child, const char *text)
{
    stand_in_assign(&s, child, "echo", 1, text, NULL);
}

static void an_echo_assignment_is_started_run_and_finished(void **state)
{
    (void)state;
    up(NULL);
    echo("ch-1", "hello world");
    const seen_t *seen = stand_in_wait(&s, "ch-1");
    assert_string_equal(seen->status, "completed");
    assert_string_equal(seen->error, "");
    assert_true(stand_in_replied(seen, "echo: hello world"));
    assert_string_equal(seen->events, ECHO_EVENTS);
    assert_false(seen->gap);
    assert_int_equal(seen->starts, 1);
    assert_int_equal(seen->finishes, 1);
    assert_int_equal(stand_in_down(&s), 0);
    assert_int_equal(s.byes, 1);
}

static void the_next_run_of_a_key_finds_its_worker_warm(void **state)
{
    (void)state;
    pid_t first[8], second[8];
    up(NULL);
    echo("ch-1", "one");
    stand_in_wait(&s, "ch-1");
    assert_int_equal(stand_in_workers(&s, first, 8), 1);
    while (s.idle != 1)
        stand_in_pump(&s, 100);
    for (int i = 2; i < 50; i++) {
        char child[32];
        snprintf(child, sizeof child, "ch-%d", i);
        echo(child, "again");
        assert_string_equal(stand_in_wait(&s, child)->status, "completed");
    }
    assert_int_equal(stand_in_workers(&s, second, 8), 1);
    assert_int_equal(first[0], second[0]);
    assert_int_equal(stand_in_down(&s), 0);
}

static void credit_counts_assignments_whose_end_is_not_known(void **state)
{
    (void)state;
    const char *flags[] = { "--runner-slots", "2", NULL };
    up(flags);
    assert_int_equal(s.granted, 2);
    echo("ch-1", "__sleep_ms:60000 x");
    echo("ch-2", "quick");
    stand_in_wait(&s, "ch-2");
    while (s.granted < 3)
        stand_in_pump(&s, 100);
    stand_in_pump_for(&s, 100);
    assert_int_equal(s.granted, 3); /* two came, one has ended: one more may come */
    rz_link_t cancel = { .kind = RZ_LINK_CANCEL, .child = "ch-1", .epoch = 1 };
    stand_in_send(&s, &cancel, NULL);
    assert_string_equal(stand_in_wait(&s, "ch-1")->status, "cancelled");
    while (s.granted < 4)
        stand_in_pump(&s, 100);
    assert_int_equal(stand_in_down(&s), 0);
}

static void a_cancelled_run_ends_cancelled_and_says_so_once(void **state)
{
    (void)state;
    up(NULL);
    echo("ch-1", "__sleep_ms:60000 x");
    stand_in_wait_event(&s, "ch-1", "sub_agent_started");
    rz_link_t cancel = { .kind = RZ_LINK_CANCEL, .child = "ch-1", .epoch = 1 };
    stand_in_send(&s, &cancel, NULL);
    stand_in_send(&s, &cancel, NULL);
    const seen_t *seen = stand_in_wait(&s, "ch-1");
    assert_string_equal(seen->status, "cancelled");
    assert_string_equal(seen->error, "Cancelled");
    stand_in_pump_for(&s, 100);
    assert_int_equal(seen->finishes, 1);
    assert_int_equal(stand_in_down(&s), 0);
}

static void a_worker_killed_in_mid_run_is_one_error_within_a_second(void **state)
{
    (void)state;
    pid_t workers[8];
    const char *flags[] = { "--runner-slots", "1", NULL };
    up(flags);
    echo("ch-1", "__sleep_ms:60000 x");
    stand_in_wait_event(&s, "ch-1", "sub_agent_started");
    assert_int_equal(stand_in_workers(&s, workers, 8), 1);
    uint64_t killed_ms = process_now_ms();
    kill(workers[0], SIGKILL);
    const seen_t *seen = stand_in_wait(&s, "ch-1");
    assert_in_range(seen->done_ms - killed_ms, 0, 1000);
    assert_string_equal(seen->status, "error");
    assert_string_equal(seen->error, "LLM error: actor child closed before terminal");
    echo("ch-2", "next");
    assert_string_equal(stand_in_wait(&s, "ch-2")->status, "completed");
    assert_int_equal(seen->finishes, 1);
    assert_int_equal(stand_in_down(&s), 0);
}

static void wait_until_gone(const pid_t *pids, size_t n)
{
    uint64_t deadline = process_now_ms() + STAND_IN_PATIENCE_MS;
    for (size_t i = 0; i < n; i++)
        while (kill(pids[i], 0) == 0 && process_now_ms() < deadline) {
            char path[64], text[64] = "";
            snprintf(path, sizeof path, "/proc/%d/stat", (int)pids[i]);
            FILE *file = fopen(path, "r");
            const char *behind =
                file != NULL && fgets(text, sizeof text, file) != NULL ? strrchr(text, ')') : NULL;
            if (file != NULL)
                fclose(file);
            if (behind == NULL || behind[2] == 'Z')
                break;
        }
    assert_true(process_now_ms() < deadline);
}

/* The runner's own heartbeats are the clock: they are 100 ms apart, and made by the same loop. */
static void the_death_of_a_worker_is_told_before_a_second_heartbeat_of_100_ms(void **state)
{
    (void)state;
    pid_t workers[8];
    up(NULL);
    echo("ch-1", "__sleep_ms:60000 x");
    stand_in_wait_event(&s, "ch-1", "sub_agent_started");
    assert_int_equal(stand_in_workers(&s, workers, 8), 1);
    kill(workers[0], SIGKILL);
    while (stand_in_state(workers[0]) != 0)
        ;
    while (stand_in_pump(&s, 0)) /* what was said before counts as before */
        ;
    uint64_t syncs = s.syncs;
    while (stand_in_seen(&s, "ch-1")->finishes == 0)
        stand_in_pump(&s, 100);
    assert_in_range(s.syncs - syncs, 0, 1);
    stand_in_wait(&s, "ch-1");
    assert_int_equal(stand_in_down(&s), 0);
}

static void a_warm_worker_that_died_costs_no_run(void **state)
{
    (void)state;
    pid_t workers[8];
    up(NULL);
    echo("ch-1", "one");
    stand_in_wait(&s, "ch-1");
    assert_int_equal(stand_in_workers(&s, workers, 8), 1);
    kill(workers[0], SIGKILL);
    wait_until_gone(workers, 1);
    echo("ch-2", "two");
    assert_string_equal(stand_in_wait(&s, "ch-2")->status, "completed");
    assert_int_equal(stand_in_down(&s), 0);
}

static void a_refused_write_is_repeated_until_it_is_taken(void **state)
{
    (void)state;
    up(NULL);
    s.write_code = RZ_UNAVAILABLE;
    echo("ch-1", "have patience");
    seen_t *seen = stand_in_seen(&s, "ch-1");
    while (seen->starts + seen->finishes < 4) /* finish overtakes start, and is refused as well */
        stand_in_pump(&s, 100);
    assert_null(strstr(seen->events, "sub_agent_completed")); /* nothing is over before the store says so */
    s.write_code = RZ_OK;
    stand_in_wait(&s, "ch-1");
    assert_string_equal(seen->status, "completed");
    assert_string_equal(seen->events, ECHO_EVENTS);
    assert_int_equal(stand_in_down(&s), 0);
}

static void run_until_refused(const char *child, const char *text, rz_rc_t code)
{
    s.write_code = code;
    echo(child, text);
    const seen_t *seen = stand_in_seen(&s, child);
    while (seen->finishes == 0)
        stand_in_pump(&s, 100);
}

static void a_finish_whose_answer_was_lost_is_published_once(void **state)
{
    (void)state;
    up(NULL);
    run_until_refused("ch-1", "once only", RZ_UNKNOWN);
    assert_null(strstr(stand_in_seen(&s, "ch-1")->events, "sub_agent_completed"));
    s.write_code = RZ_DUPLICATE;
    stand_in_wait_event(&s, "ch-1", "sub_agent_completed");
    s.write_code = RZ_OK;
    stand_in_pump_for(&s, 300);
    assert_string_equal(stand_in_seen(&s, "ch-1")->events, ECHO_EVENTS);
    assert_int_equal(stand_in_down(&s), 0);
}

static void cancel_and_steering_come_too_late_for_a_run_that_has_ended(void **state)
{
    (void)state;
    up(NULL);
    run_until_refused("ch-1", "too late", RZ_UNAVAILABLE);
    rz_link_t cancel = { .kind = RZ_LINK_CANCEL, .child = "ch-1", .epoch = 1, .now = true };
    rz_link_t steer = { .kind = RZ_LINK_STEER, .child = "ch-1", .epoch = 1, .id = "m-1" };
    stand_in_send(&s, &cancel, NULL);
    stand_in_send(&s, &steer, "\"hello\"");
    while (stand_in_seen(&s, "ch-1")->steered_dead == 0)
        stand_in_pump(&s, 100);
    s.write_code = RZ_OK;
    const seen_t *seen = stand_in_wait(&s, "ch-1");
    assert_string_equal(seen->status, "completed");
    assert_string_equal(seen->events, ECHO_EVENTS);
    assert_int_equal(seen->steered_live, 0);
    assert_int_equal(stand_in_down(&s), 0);
}

static void a_fenced_run_publishes_nothing_more_and_its_worker_is_gone(void **state)
{
    (void)state;
    pid_t workers[8];
    up(NULL);
    s.write_code = RZ_FENCED;
    echo("ch-1", "__sleep_ms:60000 x");
    stand_in_wait_event(&s, "ch-1", "sub_agent_started");
    uint64_t deadline = process_now_ms() + STAND_IN_PATIENCE_MS;
    while (stand_in_workers(&s, workers, 8) > 0 && process_now_ms() < deadline)
        stand_in_pump(&s, 20);
    assert_int_equal(stand_in_workers(&s, workers, 8), 0);
    assert_string_equal(stand_in_seen(&s, "ch-1")->events, "sub_agent_heartbeat sub_agent_started");
    s.write_code = RZ_OK;
    echo("ch-2", "next");
    assert_string_equal(stand_in_wait(&s, "ch-2")->status, "completed");
    assert_int_equal(stand_in_seen(&s, "ch-1")->finishes, 0);
    assert_int_equal(stand_in_down(&s), 0);
}

static void what_the_store_says_is_not_ours_is_dropped(void **state)
{
    (void)state;
    up(NULL);
    echo("ch-1", "__sleep_ms:60000 x");
    stand_in_wait_event(&s, "ch-1", "sub_agent_started");
    uint64_t syncs = s.syncs;
    while (s.syncs < syncs + 2)
        stand_in_pump(&s, 100);
    s.disown = true;
    pid_t workers[8];
    uint64_t deadline = process_now_ms() + STAND_IN_PATIENCE_MS;
    while (stand_in_workers(&s, workers, 8) > 0 && process_now_ms() < deadline)
        stand_in_pump(&s, 20);
    assert_int_equal(stand_in_workers(&s, workers, 8), 0);
    assert_int_equal(stand_in_seen(&s, "ch-1")->finishes, 0);
    assert_int_equal(stand_in_down(&s), 0);
}

static void a_new_epoch_of_a_child_replaces_the_old_one(void **state)
{
    (void)state;
    up(NULL);
    echo("ch-1", "__sleep_ms:60000 old");
    stand_in_wait_event(&s, "ch-1", "sub_agent_started");
    stand_in_assign(&s, "ch-1", "echo", 2, "new", NULL);
    const seen_t *seen = stand_in_wait(&s, "ch-1");
    assert_true(stand_in_replied(seen, "echo: new"));
    assert_int_equal(seen->finishes, 1);
    assert_int_equal(stand_in_down(&s), 0);
}

static void a_broker_that_forgot_the_runner_hears_hello_again(void **state)
{
    (void)state;
    up(NULL);
    char before[64];
    snprintf(before, sizeof before, "%s", s.incarnation);
    rz_link_t refused = { .kind = RZ_LINK_REFUSED, .code = RZ_NOT_FOUND, .message = "who are you" };
    stand_in_send(&s, &refused, NULL);
    while (s.hellos < 2)
        stand_in_pump(&s, 100);
    assert_string_equal(s.incarnation, before);
    echo("ch-1", "still here");
    assert_string_equal(stand_in_wait(&s, "ch-1")->status, "completed");
    assert_int_equal(stand_in_down(&s), 0);
}

/* It may have been given to somebody else, or have run here already over another link: only sync knows. */
static void an_assignment_of_a_link_that_was_given_up_is_not_run(void **state)
{
    (void)state;
    up(NULL);
    rz_link_t refused = { .kind = RZ_LINK_REFUSED, .code = RZ_NOT_FOUND, .message = "who are you" };
    stand_in_send(&s, &refused, NULL);
    echo("stale", "must not run"); /* read behind the refusal, before any welcome */
    while (s.hellos < 2)
        stand_in_pump(&s, 100);
    echo("ch-1", "still here");
    assert_string_equal(stand_in_wait(&s, "ch-1")->status, "completed");
    assert_int_equal(stand_in_seen(&s, "stale")->starts, 0);
    assert_int_equal(stand_in_seen(&s, "stale")->finishes, 0);
    assert_int_equal(stand_in_down(&s), 0);
}

static void a_run_goes_on_over_a_new_link_and_still_takes_its_slot(void **state)
{
    (void)state;
    const char *flags[] = { "--runner-slots", "3", NULL };
    up(flags);
    echo("ch-1", "__sleep_ms:1000 x");
    stand_in_wait_event(&s, "ch-1", "sub_agent_started");
    rz_link_t refused = { .kind = RZ_LINK_REFUSED, .code = RZ_NOT_FOUND, .message = "who are you" };
    stand_in_send(&s, &refused, NULL);
    while (s.hellos < 2 || s.granted != 2) /* nothing came over this link, and one of three is taken */
        stand_in_pump(&s, 100);
    assert_string_equal(stand_in_wait(&s, "ch-1")->status, "completed");
    while (s.granted != 3)
        stand_in_pump(&s, 100);
    assert_int_equal(stand_in_seen(&s, "ch-1")->finishes, 1);
    assert_int_equal(stand_in_down(&s), 0);
}

static void a_dead_incarnation_stops_its_work_and_comes_back_as_another(void **state)
{
    (void)state;
    up(NULL);
    char before[64];
    snprintf(before, sizeof before, "%s", s.incarnation);
    echo("ch-1", "__sleep_ms:60000 x");
    stand_in_wait_event(&s, "ch-1", "sub_agent_started");
    s.sync_code = RZ_DEAD;
    while (s.hellos < 2)
        stand_in_pump(&s, 100);
    assert_string_not_equal(s.incarnation, before);
    echo("ch-2", "anew");
    assert_string_equal(stand_in_wait(&s, "ch-2")->status, "completed");
    assert_int_equal(stand_in_seen(&s, "ch-1")->finishes, 0);
    assert_int_equal(stand_in_down(&s), 0);
}

static void a_death_that_is_told_twice_is_one(void **state)
{
    (void)state;
    up(NULL);
    char before[64];
    snprintf(before, sizeof before, "%s", s.incarnation);
    rz_link_t refused = { .kind = RZ_LINK_REFUSED, .code = RZ_DEAD, .message = "condemned" };
    stand_in_send(&s, &refused, NULL);
    stand_in_send(&s, &refused, NULL);
    while (s.hellos < 2)
        stand_in_pump(&s, 100);
    assert_string_not_equal(s.incarnation, before);
    stand_in_pump_for(&s, 300);
    assert_int_equal(s.hellos, 2);
    stand_in_send(&s, &refused, NULL);
    while (s.hellos < 3)
        stand_in_pump(&s, 100);
    assert_int_equal(stand_in_down(&s), 0);
}

/* The second death within five seconds has it wait; what comes then answers the hello of a life that is over. */
static void a_welcome_to_an_incarnation_of_before_is_not_taken_for_one(void **state)
{
    (void)state;
    up(NULL);
    const rz_link_t refused = { .kind = RZ_LINK_REFUSED, .code = RZ_DEAD, .message = "condemned" };
    const rz_link_t welcome = { .kind = RZ_LINK_WELCOME,
                                .version = RZ_PROTOCOL_VERSION,
                                .broker = "stand-in",
                                .publish = s.publish,
                                .sync_ms = 100,
                                .ping_ms = 100 };
    uint64_t syncs = s.syncs;
    stand_in_send(&s, &refused, NULL);
    while (s.hellos < 2 || s.syncs == syncs)
        stand_in_pump(&s, 100);
    stand_in_send(&s, &refused, NULL);
    stand_in_send(&s, &welcome, NULL);
    stand_in_pump_for(&s, 1000);
    assert_int_equal(s.hellos, 2);
    syncs = s.syncs;
    stand_in_pump_for(&s, 500);
    assert_int_equal(s.syncs, syncs);
    while (s.hellos < 3)
        stand_in_pump(&s, 100);
    echo("ch-1", "x");
    assert_string_equal(stand_in_wait(&s, "ch-1")->status, "completed");
    assert_int_equal(stand_in_down(&s), 0);
}

static void steering_reaches_only_a_living_run(void **state)
{
    (void)state;
    up(NULL);
    echo("ch-1", "__sleep_ms:60000 x");
    stand_in_wait_event(&s, "ch-1", "sub_agent_started");
    rz_link_t steer = { .kind = RZ_LINK_STEER, .child = "ch-1", .epoch = 1, .id = "m-1" };
    stand_in_send(&s, &steer, "\"be \\\"quick\\\"\"");
    while (stand_in_seen(&s, "ch-1")->steered_live == 0)
        stand_in_pump(&s, 100);
    steer.child = "nobody";
    stand_in_send(&s, &steer, "\"hello\"");
    while (stand_in_seen(&s, "nobody")->steered_dead == 0)
        stand_in_pump(&s, 100);
    rz_link_t cancel = { .kind = RZ_LINK_CANCEL, .child = "ch-1", .epoch = 1, .now = true };
    stand_in_send(&s, &cancel, NULL);
    stand_in_wait(&s, "ch-1");
    assert_int_equal(stand_in_down(&s), 0);
}

static void the_watchdog_ends_a_silent_run_with_its_sentence(void **state)
{
    (void)state;
    up(NULL);
    stand_in_assign(&s, "ch-1", "echo", 1, "__sleep_ms:60000 x",
                    "{\"child_watchdog.max_idle_secs\":\"1\",\"child_watchdog.check_interval_secs\":\"1\"}");
    const seen_t *seen = stand_in_wait(&s, "ch-1");
    assert_string_equal(seen->status, "timeout");
    assert_string_equal(seen->error,
                        "Child session idle timeout after 1 seconds without events (max_idle_secs=1)");
    assert_int_equal(stand_in_down(&s), 0);
}

static void an_unknown_profile_is_one_clear_error(void **state)
{
    (void)state;
    up(NULL);
    stand_in_assign(&s, "ch-1", "nobody", 1, "x", NULL);
    const seen_t *seen = stand_in_wait(&s, "ch-1");
    assert_string_equal(seen->status, "error");
    assert_non_null(strstr(seen->error, "No external runner matched"));
    assert_string_equal(seen->events, "sub_agent_started sub_agent_completed");
    assert_int_equal(stand_in_down(&s), 0);
}

static void a_program_that_cannot_be_started_is_one_clear_error(void **state)
{
    (void)state;
    const char *flags[] = { "--runner-worker-bin", "/nowhere/worker", NULL };
    up(flags);
    echo("ch-1", "x");
    const seen_t *seen = stand_in_wait(&s, "ch-1");
    assert_string_equal(seen->status, "error");
    assert_string_equal(seen->error,
                        "LLM error: actor spawn/register failed: /nowhere/worker: No such file or directory");
    assert_int_equal(stand_in_down(&s), 0);
}

static void workers_that_nobody_waits_for_any_more_do_not_pile_up(void **state)
{
    (void)state;
    enum { PROFILES = 5, ENOUGH = 2 };
    char members[2048] = "\"externalAgents\":{";
    for (int i = 0; i < PROFILES; i++) {
        size_t len = strlen(members);
        snprintf(
            members + len, sizeof members - len,
            "%s\"p%d\":{\"agent_id\":\"p%d\",\"protocol\":\"actor\",\"permission_profile\":\"p\",\"executor\":\"echo\",\"worker_bin\":\"sleep\",\"worker_args\":[\"60\"]}",
            i > 0 ? "," : "", i, i);
    }
    snprintf(members + strlen(members), sizeof members - strlen(members), "}");
    const char *flags[] = { "--runner-slots", "1", "--runner-idle-max-total", "1", NULL };
    stand_in_up(&s, members, flags);
    for (int i = 0; i < PROFILES; i++) {
        pid_t pids[16];
        char profile[8];
        size_t before = stand_in_workers(&s, pids, 16);
        uint64_t deadline = process_now_ms() + STAND_IN_PATIENCE_MS;
        snprintf(profile, sizeof profile, "p%d", i);
        stand_in_assign(&s, profile, profile, 1, "x", NULL);
        while (stand_in_workers(&s, pids, 16) <= before && process_now_ms() < deadline)
            stand_in_pump(&s, 20);
        rz_link_t cancel = { .kind = RZ_LINK_CANCEL, .child = profile, .epoch = 1 };
        stand_in_send(&s, &cancel, NULL);
        assert_string_equal(stand_in_wait(&s, profile)->status, "cancelled");
        while (stand_in_workers(&s, pids, 16) > ENOUGH && process_now_ms() < deadline)
            stand_in_pump(&s, 20);
        assert_in_range(stand_in_workers(&s, pids, 16), 1, ENOUGH);
    }
    assert_int_equal(stand_in_down(&s), 0);
}

static void a_state_folder_that_others_may_write_to_is_refused(void **state)
{
    (void)state;
    char program[512], dir[] = "/tmp/rz-shared-XXXXXX", log[64];
    snprintf(program, sizeof program, "%s/rhizome-runner", getenv("RZ_BIN_DIR"));
    assert_non_null(mkdtemp(dir));
    assert_int_equal(chmod(dir, 0777), 0);
    snprintf(log, sizeof log, "%s/log", dir);
    const char *argv[] = {
        program, "--runner-brokers", "tcp://127.0.0.1:1", "--runner-state-dir", dir, NULL
    };
    process_t runner;
    process_start(&runner, argv, log, 0);
    int status = process_end(&runner, 0, STAND_IN_PATIENCE_MS);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 78);
    unlink(log);
    assert_int_equal(rmdir(dir), 0);
}

static void idle_workers_grow_old_and_go(void **state)
{
    (void)state;
    pid_t workers[8];
    const char *flags[] = { "--runner-idle-secs", "1", NULL };
    up(flags);
    echo("ch-1", "x");
    stand_in_wait(&s, "ch-1");
    assert_int_equal(stand_in_workers(&s, workers, 8), 1);
    uint64_t deadline = process_now_ms() + STAND_IN_PATIENCE_MS;
    while (stand_in_workers(&s, workers, 8) > 0 && process_now_ms() < deadline)
        stand_in_pump(&s, 20);
    assert_int_equal(stand_in_workers(&s, workers, 8), 0);
    assert_int_equal(stand_in_down(&s), 0);
}

static void a_drained_runner_lets_work_end_and_says_bye(void **state)
{
    (void)state;
    up(NULL);
    echo("ch-1", "__sleep_ms:1500 x");
    stand_in_wait_event(&s, "ch-1", "sub_agent_started");
    kill(s.runner.pid, SIGTERM);
    assert_string_equal(stand_in_wait(&s, "ch-1")->status, "completed");
    assert_int_equal(stand_in_end(&s, 0), 0);
    assert_int_equal(s.byes, 1);
}

static void an_assignment_that_meets_a_draining_runner_goes_back(void **state)
{
    (void)state;
    up(NULL);
    echo("ch-1", "__sleep_ms:1500 x");
    stand_in_wait_event(&s, "ch-1", "sub_agent_started");
    kill(s.runner.pid, SIGTERM);
    while (s.granted != 1) /* as many as came: it takes no more */
        stand_in_pump(&s, 100);
    echo("ch-2", "too late");
    stand_in_wait(&s, "ch-1");
    const seen_t *late = stand_in_wait(&s, "ch-2");
    assert_int_equal(late->releases, 1);
    assert_int_equal(late->starts, 0);
    assert_int_equal(stand_in_end(&s, 0), 0);
}

static void an_end_that_is_taken_while_the_runner_leaves_is_published(void **state)
{
    (void)state;
    up(NULL);
    s.write_code = RZ_UNAVAILABLE;
    stand_in_assign(&s, "ch-1", "nobody", 1, "x", NULL); /* ends at once, and needs no worker */
    const seen_t *seen = stand_in_wait(&s, "ch-1");
    kill(stand_in_runner(&s), SIGQUIT);
    s.write_code = RZ_OK;
    stand_in_wait(&s, "ch-1");
    assert_true(seen->completed);
    assert_int_equal(stand_in_end(&s, 0), 131);
    assert_int_equal(s.byes, 1);
}

static void nothing_outlives_a_killed_runner(void **state)
{
    (void)state;
    pid_t workers[8];
    up(NULL);
    echo("ch-1", "__sleep_ms:60000 x");
    stand_in_wait_event(&s, "ch-1", "sub_agent_started");
    size_t n = stand_in_workers(&s, workers, 8);
    assert_int_equal(n, 1);
    kill(stand_in_runner(&s), SIGKILL);
    wait_until_gone(workers, n);
    assert_int_equal(stand_in_down(&s), 137);
}

static void nothing_outlives_a_killed_keeper(void **state)
{
    (void)state;
    pid_t family[8];
    up(NULL);
    echo("ch-1", "__sleep_ms:60000 x");
    stand_in_wait_event(&s, "ch-1", "sub_agent_started");
    size_t n = process_descendants(s.runner.pid, family, 8);
    assert_int_equal(n, 2);
    assert_int_equal(stand_in_end(&s, SIGKILL), 137);
    wait_until_gone(family, n);
}

static void a_stopped_runner_is_ended_by_its_keeper(void **state)
{
    (void)state;
    pid_t family[8];
    up(NULL);
    echo("ch-1", "__sleep_ms:60000 x");
    stand_in_wait_event(&s, "ch-1", "sub_agent_started");
    size_t n = process_descendants(s.runner.pid, family, 8);
    kill(stand_in_runner(&s), SIGSTOP);
    wait_until_gone(family, n);
    assert_int_equal(stand_in_down(&s), 137);
}

static void a_stop_of_keeper_and_runner_together_is_no_silence(void **state)
{
    (void)state;
    up(NULL);
    echo("ch-1", "before");
    stand_in_wait(&s, "ch-1");
    pid_t runner = stand_in_runner(&s);
    kill(s.runner.pid, SIGSTOP); /* as Ctrl-Z does: a terminal's whole group */
    kill(runner, SIGSTOP);
    stand_in_pump_for(&s, KEEPER_SILENCE_MS + 1000);
    kill(s.runner.pid, SIGCONT);
    stand_in_pump_for(&s, 200); /* the keeper looks first */
    int hellos = s.hellos;
    uint64_t syncs = s.syncs;
    kill(runner, SIGCONT);
    while (s.syncs == syncs)
        stand_in_pump(&s, 100);
    assert_int_equal(s.hellos, hellos); /* nor was it our silence that it did not listen */
    echo("ch-2", "after");
    assert_string_equal(stand_in_wait(&s, "ch-2")->status, "completed");
    assert_int_equal(stand_in_down(&s), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(an_echo_assignment_is_started_run_and_finished),
    cmocka_unit_test(the_next_run_of_a_key_finds_its_worker_warm),
    cmocka_unit_test(credit_counts_assignments_whose_end_is_not_known),
    cmocka_unit_test(a_cancelled_run_ends_cancelled_and_says_so_once),
    cmocka_unit_test(a_worker_killed_in_mid_run_is_one_error_within_a_second),
    cmocka_unit_test(the_death_of_a_worker_is_told_before_a_second_heartbeat_of_100_ms),
    cmocka_unit_test(a_warm_worker_that_died_costs_no_run),
    cmocka_unit_test(a_refused_write_is_repeated_until_it_is_taken),
    cmocka_unit_test(a_finish_whose_answer_was_lost_is_published_once),
    cmocka_unit_test(cancel_and_steering_come_too_late_for_a_run_that_has_ended),
    cmocka_unit_test(a_fenced_run_publishes_nothing_more_and_its_worker_is_gone),
    cmocka_unit_test(what_the_store_says_is_not_ours_is_dropped),
    cmocka_unit_test(a_new_epoch_of_a_child_replaces_the_old_one),
    cmocka_unit_test(a_broker_that_forgot_the_runner_hears_hello_again),
    cmocka_unit_test(an_assignment_of_a_link_that_was_given_up_is_not_run),
    cmocka_unit_test(a_run_goes_on_over_a_new_link_and_still_takes_its_slot),
    cmocka_unit_test(a_dead_incarnation_stops_its_work_and_comes_back_as_another),
    cmocka_unit_test(a_death_that_is_told_twice_is_one),
    cmocka_unit_test(a_welcome_to_an_incarnation_of_before_is_not_taken_for_one),
    cmocka_unit_test(steering_reaches_only_a_living_run),
    cmocka_unit_test(the_watchdog_ends_a_silent_run_with_its_sentence),
    cmocka_unit_test(an_unknown_profile_is_one_clear_error),
    cmocka_unit_test(a_program_that_cannot_be_started_is_one_clear_error),
    cmocka_unit_test(workers_that_nobody_waits_for_any_more_do_not_pile_up),
    cmocka_unit_test(a_state_folder_that_others_may_write_to_is_refused),
    cmocka_unit_test(idle_workers_grow_old_and_go),
    cmocka_unit_test(a_drained_runner_lets_work_end_and_says_bye),
    cmocka_unit_test(an_assignment_that_meets_a_draining_runner_goes_back),
    cmocka_unit_test(an_end_that_is_taken_while_the_runner_leaves_is_published),
    cmocka_unit_test(nothing_outlives_a_killed_runner),
    cmocka_unit_test(nothing_outlives_a_killed_keeper),
    cmocka_unit_test(a_stopped_runner_is_ended_by_its_keeper),
    cmocka_unit_test(a_stop_of_keeper_and_runner_together_is_no_silence),
};
RZ_FACTS(tests)
