/* test_pool.c - every rule of the warm pool (rule 3.8), with the real runner and real processes in front
 * of a broker that the test plays. The pool's decisions alone are in tests/unit/test_pool.c. */
#include "facts.h"
#include "stand_in.h"

#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define ACTOR(id, more)                                                                                      \
    "\"" id "\":{\"agent_id\":\"" id "\",\"protocol\":\"actor\",\"permission_profile\":\"p\"," more "}"

/* rhizome-worker with a program that says whose child it is; "hold" waits for a word before. */
#define SAY_PID                                                                                              \
    "\"executor\":\"command\",\"command\":\"/bin/sh\",\"args\":[\"-c\",\"read run; case $run in *hold*) read word;; esac; echo $PPID\"]"

#define PYTHON(mode)                                                                                         \
    "\"executor\":\"echo\",\"worker_bin\":\"python3\",\"worker_args\":[\"" RZ_SOURCE_DIR                     \
    "/tests/faults/bad_worker.py\",\"" mode "\"]"

static const char profiles[] =
    "\"externalAgents\":{" ACTOR("pid", SAY_PID) "," ACTOR("other", SAY_PID) "," ACTOR(
        "stubborn", PYTHON("stubborn")) "," ACTOR("grows",
                                                  PYTHON("grows")) "," ACTOR("ends",
                                                                             PYTHON("ends-with-its-run")) "}";

static stand_in_t s; /* large, and one a process is enough */

/* ---- what the facts say ---- */

static void up(const char *const *flags)
{
    stand_in_up(&s, profiles, flags);
}

static void assign(const char *child, const char *profile, const char *text)
{
    stand_in_assign(&s, child, profile, 1, text, NULL);
}

/* The pid of the worker that served it. */
static pid_t served_by(const char *child)
{
    static const char before[] = "\"content\":\"";
    const seen_t *seen = stand_in_wait(&s, child);
    if (strcmp(seen->status, "completed") != 0)
        fail_msg("%s ended %s: %s", child, seen->status, seen->error);
    const char *content = strstr(seen->reply, before);
    assert_non_null(content);
    return (pid_t)atoi(content + strlen(before));
}

static pid_t run(const char *child, const char *profile)
{
    assign(child, profile, "who");
    return served_by(child);
}

static void hold(const char *child)
{
    assign(child, "pid", "hold");
    stand_in_wait_event(&s, child, "sub_agent_started");
}

static pid_t let_go(const char *child)
{
    rz_link_t steer = { .kind = RZ_LINK_STEER, .child = child, .epoch = 1, .id = "m-1" };
    stand_in_send(&s, &steer, "\"go on\"");
    return served_by(child);
}

static void wait_until_idle(uint64_t n)
{
    uint64_t deadline = process_now_ms() + STAND_IN_PATIENCE_MS;
    while (s.idle != n && process_now_ms() < deadline)
        stand_in_pump(&s, 20);
    assert_int_equal(s.idle, n);
}

/* Neither alive nor waiting to be reaped. Returns after how many milliseconds. */
static uint64_t wait_until_gone(pid_t pid)
{
    uint64_t start = process_now_ms();
    while (kill(pid, 0) == 0 && process_now_ms() < start + STAND_IN_PATIENCE_MS)
        stand_in_pump(&s, 20);
    assert_int_not_equal(kill(pid, 0), 0);
    return process_now_ms() - start;
}

static void down(void)
{
    assert_int_equal(stand_in_down(&s), 0);
}

/* ---- who is taken ---- */

static void the_last_worker_parked_is_the_first_taken(void **state)
{
    (void)state;
    up(NULL);
    hold("ch-1");
    hold("ch-2");
    pid_t first = let_go("ch-1");
    wait_until_idle(1);
    pid_t last = let_go("ch-2");
    wait_until_idle(2);
    assert_int_not_equal(first, last);
    assert_int_equal(run("ch-3", "pid"), last);
    hold("ch-4");
    hold("ch-5"); /* the last one is taken: the one before serves */
    assert_int_equal(let_go("ch-4"), last);
    assert_int_equal(let_go("ch-5"), first);
    down();
}

static bool is_alive(pid_t pid)
{
    pid_t pids[16];
    size_t n = stand_in_workers(&s, pids, 16), i = 0;
    while (i < n && pids[i] != pid)
        i++;
    return i < n;
}

/* While the runner stands still its dead stay zombies, which do not count as alive. */
static void wait_until_dead(pid_t pid)
{
    uint64_t deadline = process_now_ms() + STAND_IN_PATIENCE_MS;
    while (is_alive(pid) && process_now_ms() < deadline)
        stand_in_pump(&s, 10);
    assert_false(is_alive(pid));
}

static void a_run_that_comes_together_with_the_death_of_its_worker_is_not_lost(void **state)
{
    (void)state;
    up(NULL);
    pid_t dead = run("ch-1", "pid");
    wait_until_idle(1);
    kill(stand_in_runner(&s), SIGSTOP); /* it hears of the death and of the run in one turn */
    kill(dead, SIGKILL);
    wait_until_dead(dead);
    assign("ch-2", "pid", "who");
    kill(stand_in_runner(&s), SIGCONT);
    assert_int_not_equal(served_by("ch-2"), dead);
    assert_int_equal(stand_in_seen(&s, "ch-2")->starts, 1);
    wait_until_gone(dead);
    down();
}

static void a_parked_worker_that_dies_is_idle_no_more_and_is_replaced(void **state)
{
    (void)state;
    up(NULL);
    pid_t dead = run("ch-1", "pid");
    wait_until_idle(1);
    kill(dead, SIGKILL);
    wait_until_idle(0);
    wait_until_gone(dead);
    assert_int_not_equal(run("ch-2", "pid"), dead);
    down();
}

static void a_worker_that_ends_with_its_run_serves_no_other(void **state)
{
    (void)state;
    const char *flags[] = { "--runner-slots", "1", NULL };
    up(flags);
    assign("ch-1", "ends", "wait");
    stand_in_wait_event(&s, "ch-1", "token");
    pid_t worker;
    assert_int_equal(stand_in_workers(&s, &worker, 1), 1);
    kill(stand_in_runner(&s), SIGSTOP); /* last frame, exit and the next run arrive in one turn */
    kill(worker, SIGUSR1);
    wait_until_dead(worker);
    assign("ch-2", "ends", "do not wait");
    kill(stand_in_runner(&s), SIGCONT);
    assert_int_equal(served_by("ch-1"), worker);
    assert_int_not_equal(served_by("ch-2"), worker);
    wait_until_gone(worker);
    down();
}

/* ---- who goes ---- */

static void a_full_bucket_retires_its_surplus(void **state)
{
    (void)state;
    const char *flags[] = { "--runner-idle-per-key", "1", NULL };
    up(flags);
    hold("ch-1");
    hold("ch-2");
    hold("ch-3");
    pid_t first = let_go("ch-1"), second = let_go("ch-2"), last = let_go("ch-3");
    wait_until_gone(first);
    wait_until_gone(second);
    wait_until_idle(1);
    assert_int_equal(run("ch-4", "pid"), last);
    down();
}

static void above_idle_max_total_the_least_recently_used_goes(void **state)
{
    (void)state;
    const char *flags[] = { "--runner-idle-max-total", "1", NULL };
    up(flags);
    pid_t older = run("ch-1", "pid");
    wait_until_idle(1);
    pid_t newer = run("ch-2", "other");
    wait_until_gone(older);
    assert_int_equal(run("ch-3", "other"), newer);
    down();
}

static void a_worker_parked_for_too_long_goes(void **state)
{
    (void)state;
    const char *flags[] = { "--runner-idle-secs", "1", NULL };
    up(flags);
    assert_in_range(wait_until_gone(run("ch-1", "pid")), 500, 5000);
    wait_until_idle(0);
    down();
}

/* ---- who waits ---- */

static char dir[32]; /* of the test's own files */

static void write_script(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "#!/bin/sh\n%s", text);
    fclose(file);
    assert_int_equal(chmod(path, 0700), 0);
}

static void up_with_script(const char *text, const char *executor, const char *const *flags)
{
    char members[1024], path[64];
    snprintf(path, sizeof path, "%s/worker.sh", dir);
    write_script(path, text);
    snprintf(members, sizeof members, "\"externalAgents\":{" ACTOR("pid", "\"worker_bin\":\"%s\",%s") "}",
             path, executor);
    stand_in_up(&s, members, flags);
}

static void make_dir(void)
{
    snprintf(dir, sizeof dir, "/tmp/rz-pool-XXXXXX");
    assert_non_null(mkdtemp(dir));
}

static void remove_dir(void)
{
    char command[64];
    snprintf(command, sizeof command, "rm -r '%s'", dir);
    assert_int_equal(system(command), 0);
}

/* Only the first worker comes up; each of the others waits until somebody writes into the gate. */
static void up_with_a_gate(const char *const *flags)
{
    char text[1024], gate[64];
    make_dir();
    snprintf(gate, sizeof gate, "%s/gate", dir);
    assert_int_equal(mkfifo(gate, 0600), 0);
    snprintf(text, sizeof text,
             "[ ! -e %s/first ] || read word < %s\ntouch %s/first\nexec %s/rhizome-worker\n", dir, gate, dir,
             getenv("RZ_BIN_DIR"));
    up_with_script(text, SAY_PID, flags);
}

static void open_gate(void)
{
    char gate[64];
    snprintf(gate, sizeof gate, "%s/gate", dir);
    FILE *file = fopen(gate, "w"); /* returns when one waits there */
    assert_non_null(file);
    fputs("go on\n", file);
    fclose(file);
}

static void a_worker_that_becomes_free_is_handed_to_the_run_that_waits(void **state)
{
    (void)state;
    up_with_a_gate(NULL);
    hold("ch-1");
    assign("ch-2", "pid", "who");
    pid_t worker = let_go("ch-1");
    assert_int_equal(served_by("ch-2"), worker);
    down();
    remove_dir();
}

static void a_worn_worker_is_not_handed_to_the_run_that_waits(void **state)
{
    (void)state;
    const char *flags[] = { "--runner-recycle-runs", "1", NULL };
    up_with_a_gate(flags);
    hold("ch-1");
    assign("ch-2", "pid", "who");
    pid_t worn = let_go("ch-1");
    wait_until_gone(worn);
    open_gate();
    assert_int_not_equal(served_by("ch-2"), worn);
    down();
    remove_dir();
}

/* ---- recycling ---- */

static void a_worker_is_recycled_after_its_runs(void **state)
{
    (void)state;
    const char *flags[] = { "--runner-recycle-runs", "3", NULL };
    pid_t pids[7];
    up(flags);
    for (int i = 0; i < 7; i++) {
        char child[16];
        snprintf(child, sizeof child, "ch-%d", i);
        pids[i] = run(child, "pid");
    }
    assert_true(pids[0] == pids[1] && pids[1] == pids[2]);
    assert_true(pids[3] == pids[4] && pids[4] == pids[5]);
    assert_int_not_equal(pids[2], pids[3]);
    assert_int_not_equal(pids[5], pids[6]);
    wait_until_gone(pids[0]);
    wait_until_gone(pids[3]);
    down();
}

static void a_worker_that_grew_is_recycled(void **state)
{
    (void)state;
    const char *flags[] = { "--runner-recycle-mb", "64", NULL };
    up(flags);
    pid_t small = run("ch-1", "grows");
    assert_int_equal(run("ch-2", "grows"), small);
    assign("ch-3", "grows", "grow");
    assert_int_equal(served_by("ch-3"), small);
    assert_int_not_equal(run("ch-4", "grows"), small);
    wait_until_gone(small);
    down();
}

/* ---- replaced programs ---- */

static char worker_bin[64]; /* a copy of rhizome-worker that the test may replace */

static void replace_worker(void)
{
    char command[1200];
    snprintf(command, sizeof command, "cp '%s/rhizome-worker' '%s.new' && mv '%s.new' '%s'",
             getenv("RZ_BIN_DIR"), worker_bin, worker_bin, worker_bin);
    assert_int_equal(system(command), 0);
}

static void up_with_a_worker_of_our_own(void)
{
    make_dir();
    snprintf(worker_bin, sizeof worker_bin, "%s/worker", dir);
    replace_worker();
    const char *flags[] = { "--runner-worker-bin", worker_bin, NULL };
    up(flags);
}

static void idle_workers_go_within_seconds_when_their_program_is_replaced(void **state)
{
    (void)state;
    up_with_a_worker_of_our_own();
    pid_t old = run("ch-1", "pid");
    wait_until_idle(1);
    replace_worker();
    assert_in_range(wait_until_gone(old), 0, 5000);
    wait_until_idle(0);
    pid_t new = run("ch-2", "pid");
    assert_int_equal(run("ch-3", "pid"), new);
    down();
    remove_dir();
}

static void a_run_outlives_the_replacement_of_its_program_and_its_worker_does_not(void **state)
{
    (void)state;
    up_with_a_worker_of_our_own();
    hold("ch-1");
    pid_t idle = run("ch-2", "pid");
    wait_until_idle(1);
    replace_worker();
    wait_until_gone(idle); /* so the runner has seen it */
    pid_t old = let_go("ch-1");
    assert_in_range(wait_until_gone(old), 0, 2000);
    down();
    remove_dir();
}

static void replace_command(void)
{
    char path[64], new[64];
    snprintf(path, sizeof path, "%s/session", dir);
    snprintf(new, sizeof new, "%s/new", dir);
    write_script(
        new, "while read -r line; do run=$((run + 1))\n"
             "echo '{\"kind\":\"terminal\",\"run\":'$run',\"status\":\"completed\",\"result\":\"'$PPID'\"}'\n"
             "done\n");
    assert_int_equal(rename(new, path), 0);
}

static void idle_workers_go_within_seconds_when_the_program_of_their_session_is_replaced(void **state)
{
    (void)state;
    char members[1024];
    make_dir();
    replace_command();
    snprintf(members, sizeof members,
             "\"externalAgents\":{" ACTOR("pid", "\"executor\":\"session\",\"command\":\"%s/session\"") "}",
             dir);
    stand_in_up(&s, members, NULL);
    pid_t old = run("ch-1", "pid");
    assert_int_equal(run("ch-2", "pid"), old);
    wait_until_idle(1);
    replace_command();
    assert_in_range(wait_until_gone(old), 0, 5000);
    wait_until_idle(0);
    pid_t new = run("ch-3", "pid");
    assert_int_equal(run("ch-4", "pid"), new);
    down();
    remove_dir();
}

/* ---- a worker that cannot be reached ---- */

/* Every start of the worker program adds a line to `starts`; the first `bad` of them refuse connections. */
static void up_with_a_worker_that_refuses(int bad)
{
    char text[1024];
    make_dir();
    snprintf(text, sizeof text,
             "echo x >> %s/starts\n[ $(wc -l < %s/starts) -le %d ] && mode=refuses || mode=grows\n"
             "exec python3 " RZ_SOURCE_DIR "/tests/faults/bad_worker.py $mode\n",
             dir, dir, bad);
    up_with_script(text, "\"executor\":\"echo\"", NULL);
}

static long starts(void)
{
    char path[64];
    struct stat info;
    snprintf(path, sizeof path, "%s/starts", dir);
    assert_int_equal(stat(path, &info), 0);
    return (long)info.st_size / 2; /* "x\n" each */
}

static void a_failed_connect_is_respawned_once(void **state)
{
    (void)state;
    up_with_a_worker_that_refuses(1);
    assert_true(run("ch-1", "pid") > 0);
    assert_int_equal(starts(), 2);
    down();
    remove_dir();
}

static void a_second_failed_connect_is_final(void **state)
{
    (void)state;
    up_with_a_worker_that_refuses(9);
    assign("ch-1", "pid", "x");
    const seen_t *seen = stand_in_wait(&s, "ch-1");
    assert_string_equal(seen->status, "error");
    assert_non_null(strstr(seen->error, "LLM error: actor connect failed: "));
    assert_int_equal(starts(), 2);
    down();
    remove_dir();
}

/* ---- how they go ---- */

static void a_retired_worker_that_ignores_sigterm_is_killed_after_a_second(void **state)
{
    (void)state;
    const char *flags[] = { "--runner-recycle-runs", "1", NULL };
    up(flags);
    assert_in_range(wait_until_gone(run("ch-1", "stubborn")), 900, 3000);
    down();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_last_worker_parked_is_the_first_taken),
    cmocka_unit_test(a_run_that_comes_together_with_the_death_of_its_worker_is_not_lost),
    cmocka_unit_test(a_parked_worker_that_dies_is_idle_no_more_and_is_replaced),
    cmocka_unit_test(a_worker_that_ends_with_its_run_serves_no_other),
    cmocka_unit_test(a_full_bucket_retires_its_surplus),
    cmocka_unit_test(above_idle_max_total_the_least_recently_used_goes),
    cmocka_unit_test(a_worker_parked_for_too_long_goes),
    cmocka_unit_test(a_worker_that_becomes_free_is_handed_to_the_run_that_waits),
    cmocka_unit_test(a_worn_worker_is_not_handed_to_the_run_that_waits),
    cmocka_unit_test(a_worker_is_recycled_after_its_runs),
    cmocka_unit_test(a_worker_that_grew_is_recycled),
    cmocka_unit_test(idle_workers_go_within_seconds_when_their_program_is_replaced),
    cmocka_unit_test(a_run_outlives_the_replacement_of_its_program_and_its_worker_does_not),
    cmocka_unit_test(idle_workers_go_within_seconds_when_the_program_of_their_session_is_replaced),
    cmocka_unit_test(a_failed_connect_is_respawned_once),
    cmocka_unit_test(a_second_failed_connect_is_final),
    cmocka_unit_test(a_retired_worker_that_ignores_sigterm_is_killed_after_a_second),
};
RZ_FACTS(tests)
