/* test_cgroup.c - a runner whose control group was delegated to it: who is where in it, and that nobody gets out of its reach.
 * The group is made below our own and goes with the fact; where none can be made, the facts are skipped. */
#include "cgroup.h"
#include "facts.h"
#include "stand_in.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define GONE_MS  5000
#define LOOK_MS  10
#define ORDINARY 65534 /* nobody */

static stand_in_t s;
static char own[PATH_MAX], family_file[64];

static const char *const insisting[] = { "--runner-cgroups", "on", NULL };
static const char *const quick[] = { "--runner-cgroups", "on", "--runner-freeze-ms", "1500", NULL };

/* ---- the group ---- */

static int group_up(void **state)
{
    char base[PATH_MAX], name[32], file[PATH_MAX + 16];
    rz_err_t err = { 0 };
    (void)state;
    snprintf(name, sizeof name, "rz-fact-%d", (int)getpid());
    snprintf(family_file, sizeof family_file, "/tmp/rz-family-%d", (int)getpid());
    if (cgroup_of_self(base, &err) != RZ_OK) {
        print_message("SKIPPED: %s\n", err.text);
        exit(77);
    }
    bool made = cgroup_make(base, name, own);
    snprintf(file, sizeof file, "%s/cgroup.kill", own);
    if (!made || access(file, W_OK) != 0) {
        print_message("SKIPPED: no control group can be made in %s: %s\n", base, strerror(errno));
        exit(77);
    }
    stand_in_within(own);
    return 0;
}

static int group_away(void **state)
{
    (void)state;
    stand_in_within(NULL);
    stand_in_as(0);
    cgroup_kill(own);
    unlink(family_file);
    return cgroup_await_empty(own, GONE_MS) ? cgroup_remove(own) : -1;
}

static const char *in_own(const char *name)
{
    static char path[PATH_MAX + 64];
    snprintf(path, sizeof path, "%s/%s", own, name);
    return path;
}

static bool is_in(pid_t pid, const char *group)
{
    char path[PATH_MAX + 64], line[64];
    bool found = false;
    snprintf(path, sizeof path, "%s/%s/cgroup.procs", own, group);
    FILE *file = fopen(path, "r");
    while (file != NULL && !found && fgets(line, sizeof line, file) != NULL)
        found = strtol(line, NULL, 10) == pid;
    if (file != NULL)
        fclose(file);
    return found;
}

static bool says(const char *group, const char *file, const char *text)
{
    char path[PATH_MAX + 64], said[256] = "";
    snprintf(path, sizeof path, "%s/%s/%s", own, group, file);
    FILE *opened = fopen(path, "r");
    if (opened == NULL)
        return false;
    said[fread(said, 1, sizeof said - 1, opened)] = '\0';
    fclose(opened);
    return strstr(said, text) != NULL;
}

static bool logged(const char *text)
{
    return process_log_count(s.runner.log, text) > 0;
}

/* Nobody is answered meanwhile. */
static void await(bool (*look)(const void *arg), const void *arg, const char *what)
{
    uint64_t deadline_ms = process_now_ms() + GONE_MS;
    while (!look(arg)) {
        if (process_now_ms() > deadline_ms) {
            process_show_log(s.runner.log);
            fail_msg("not within %d ms: %s", GONE_MS, what);
        }
        poll(NULL, 0, LOOK_MS);
    }
}

static bool is_gone(const void *pid)
{
    return stand_in_state(*(const pid_t *)pid) == 0;
}

static bool is_group_gone(const void *group)
{
    return access(in_own(group), F_OK) != 0;
}

static bool is_frozen(const void *frozen)
{
    return says("workers", "cgroup.events", frozen);
}

/* ---- what runs in it ---- */

/* Returns the pid of who was left behind: double-forked, of a session of its own, deaf to TERM. */
static pid_t run_family(const char *const *flags)
{
    stand_in_up(&s, stand_in_family(family_file), flags);
    stand_in_assign(&s, "ch-1", "family", 1, "x", NULL);
    stand_in_wait_event(&s, "ch-1", "sub_agent_started");
    return stand_in_left_behind(&s, family_file);
}

/* ---- who is where ---- */

static void each_worker_has_a_group_of_its_own_and_the_runner_another(void **state)
{
    (void)state;
    stand_in_up(&s, "", insisting);
    stand_in_assign(&s, "ch-1", "echo", 1, "__sleep_ms:60000 x", NULL);
    stand_in_assign(&s, "ch-2", "echo", 1, "__sleep_ms:60000 x", NULL);
    stand_in_wait_event(&s, "ch-1", "sub_agent_started");
    stand_in_wait_event(&s, "ch-2", "sub_agent_started");
    assert_true(is_in(s.runner.pid, "daemon"));
    assert_true(is_in(stand_in_runner(&s), "daemon"));
    pid_t workers[8];
    assert_int_equal(stand_in_workers(&s, workers, 8), 2);
    assert_true(is_in(workers[0], "workers/0") != is_in(workers[1], "workers/0"));
    assert_true(is_in(workers[0], "workers/1") != is_in(workers[1], "workers/1"));
    assert_true(logged("tree.by_control_group"));
    assert_int_equal(stand_in_end(&s, SIGQUIT), 131);
    assert_true(cgroup_await_empty(own, GONE_MS));
}

static void what_leaves_its_session_is_in_its_workers_group_yet(void **state)
{
    (void)state;
    pid_t left = run_family(insisting);
    assert_true(is_in(left, "workers/0"));
    assert_int_equal(stand_in_end(&s, SIGQUIT), 131);
}

static int takes_root(void **state)
{
    if (geteuid() != 0) {
        print_message("SKIPPED: needs root\n");
        exit(77);
    }
    return group_up(state);
}

static void serves_in_a_group(void)
{
    pid_t worker;
    stand_in_assign(&s, "ch-1", "echo", 1, "x", NULL);
    assert_string_equal(stand_in_wait(&s, "ch-1")->status, "completed");
    assert_int_equal(stand_in_workers(&s, &worker, 1), 1);
    assert_true(is_in(worker, "workers/0"));
    assert_int_equal(stand_in_down(&s), 0);
}

static void a_runner_that_is_not_root_uses_what_it_may_write(void **state)
{
    (void)state;
    assert_int_equal(chown(own, ORDINARY, ORDINARY), 0);
    assert_int_equal(chown(in_own("cgroup.procs"), ORDINARY, ORDINARY), 0);
    stand_in_as(ORDINARY);
    stand_in_up(&s, "", NULL);
    assert_true(logged("tree.by_control_group"));
    serves_in_a_group();
}

static void a_worker_of_another_user_is_in_its_group_too(void **state)
{
    (void)state;
    char reachable[64]; /* the stand-in's own folder is closed to others */
    snprintf(reachable, sizeof reachable, "/tmp/rz-grouped-%d", (int)getpid());
    const char *const flags[] = {
        "--runner-cgroups", "on", "--runner-worker-user", "nobody", "--runner-state-dir", reachable, NULL
    };
    stand_in_up(&s, "", flags);
    serves_in_a_group();
    assert_int_equal(rmdir(reachable), 0);
}

static void a_program_that_is_missing_is_told_as_without_groups(void **state)
{
    (void)state;
    static const char members[] =
        "\"externalAgents\":{\"lost\":{\"agent_id\":\"lost\",\"protocol\":\"actor\",\"permission_profile\":\"p\","
        "\"executor\":\"echo\",\"worker_bin\":\"/nonexistent/worker\"}}";
    stand_in_up(&s, members, insisting);
    stand_in_assign(&s, "ch-1", "lost", 1, "x", NULL);
    const seen_t *seen = stand_in_wait(&s, "ch-1");
    assert_string_equal(seen->status, "error");
    assert_non_null(strstr(seen->error, "/nonexistent/worker: No such file or directory"));
    assert_int_equal(stand_in_down(&s), 0);
}

/* ---- the end ---- */

static void who_left_the_session_of_its_worker_goes_with_it(void **state)
{
    (void)state;
    pid_t left = run_family(insisting);
    stand_in_cancel(&s, "ch-1", true);
    assert_string_equal(stand_in_wait(&s, "ch-1")->status, "cancelled");
    await(is_gone, &left, "the death of who was left behind");
    await(is_group_gone, "workers/0", "the end of its group");
    assert_int_equal(stand_in_down(&s), 0);
}

static void groups_that_a_worker_made_below_its_own_go_with_it(void **state)
{
    (void)state;
    stand_in_up(&s, "", insisting);
    stand_in_assign(&s, "ch-1", "echo", 1, "__sleep_ms:60000 x", NULL);
    stand_in_wait_event(&s, "ch-1", "sub_agent_started");
    assert_int_equal(mkdir(in_own("workers/0/a"), 0755), 0);
    assert_int_equal(mkdir(in_own("workers/0/a/b"), 0755), 0);
    stand_in_cancel(&s, "ch-1", true);
    stand_in_wait(&s, "ch-1");
    await(is_group_gone, "workers/0", "the end of its group");
    assert_int_equal(stand_in_down(&s), 0);
}

static void nobody_is_left_of_a_killed_runner(void **state)
{
    (void)state;
    pid_t left = run_family(insisting);
    kill(stand_in_runner(&s), SIGKILL);
    await(is_gone, &left, "the death of who was left behind");
    assert_int_equal(stand_in_end(&s, 0), 137);
    assert_true(cgroup_await_empty(own, GONE_MS));
}

/* Nobody is there to end them then; whoever is started in the same group does. */
static void what_a_runner_and_its_keeper_left_is_ended_by_the_next_one(void **state)
{
    (void)state;
    pid_t left = run_family(insisting), runner = stand_in_runner(&s);
    kill(runner, SIGSTOP);
    kill(s.runner.pid, SIGKILL);
    kill(runner, SIGKILL);
    assert_int_equal(stand_in_end(&s, 0), 137);
    assert_int_not_equal(stand_in_state(left), 0);
    assert_int_equal(cgroup_freeze(in_own("workers"), true), 0);
    stand_in_up(&s, "", insisting);
    assert_int_equal(stand_in_state(left), 0);
    assert_true(logged("tree.stale"));
    stand_in_assign(&s, "ch-1", "echo", 1, "x", NULL);
    assert_string_equal(stand_in_wait(&s, "ch-1")->status, "completed");
    assert_int_equal(stand_in_down(&s), 0);
}

/* ---- standing still ---- */

static void all_stand_still_while_no_broker_answers_and_go_on_when_one_confirms(void **state)
{
    (void)state;
    stand_in_ping_ms = 300; /* so that silence shows soon */
    pid_t left = run_family(quick);
    await(is_frozen, "frozen 1", "standing still");
    assert_true(is_in(left, "workers/0"));
    assert_int_not_equal(stand_in_state(left), 'T'); /* to itself and its parent it is as before */
    uint64_t deadline_ms = process_now_ms() + STAND_IN_PATIENCE_MS;
    while (!is_frozen("frozen 0")) {
        stand_in_pump(&s, LOOK_MS);
        assert_true(process_now_ms() < deadline_ms);
    }
    assert_int_equal(stand_in_end(&s, SIGQUIT), 131);
    assert_int_equal(stand_in_state(left), 0);
}

static void who_stands_still_can_be_killed(void **state)
{
    (void)state;
    stand_in_ping_ms = 300; /* so that silence shows soon */
    pid_t left = run_family(quick);
    await(is_frozen, "frozen 1", "standing still");
    kill(stand_in_runner(&s), SIGKILL);
    await(is_gone, &left, "the death of who stood still");
    assert_int_equal(stand_in_end(&s, 0), 137);
}

/* ---- where it is not ours ---- */

/* Starts it in that group, with one more setting (NULL: none), and it must not come up. Its exit code. */
static int fails_in(const char *group, const char *flag, const char *value, const char *text)
{
    char log[64], program[512], door[PATH_MAX + 64], said[4096] = "";
    process_t runner;
    snprintf(log, sizeof log, "/tmp/rz-refused-%d", (int)getpid());
    snprintf(program, sizeof program, "%s/rhizome-runner", getenv("RZ_BIN_DIR"));
    snprintf(door, sizeof door, "%s/cgroup.procs", group);
    const char *const argv[] = { "sh", "-c",    "echo 0 >\"$0\" && exec \"$@\"",
                                 door, program, "--runner-cgroups",
                                 "on", flag,    value,
                                 NULL };
    process_start(&runner, argv, log, 0);
    int status = process_end(&runner, 0, STAND_IN_PATIENCE_MS);
    FILE *file = fopen(log, "r");
    assert_non_null(file);
    said[fread(said, 1, sizeof said - 1, file)] = '\0';
    fclose(file);
    unlink(log);
    if (strstr(said, text) == NULL)
        assert_string_equal(said, text);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void refuses(const char *group, const char *flag, const char *value, const char *text)
{
    assert_int_equal(fails_in(group, flag, value, text), 78);
}

static bool is_there(const void *pid)
{
    return is_in(*(const pid_t *)pid, ".") || is_in(*(const pid_t *)pid, "daemon");
}

static pid_t put_somebody_into(const char *group)
{
    pid_t pid = fork();
    if (pid == 0) {
        if (cgroup_enter(group) == 0)
            pause();
        _exit(1);
    }
    await(is_there, &pid, "entering the group");
    return pid;
}

static void a_group_with_others_in_it_is_left_alone(void **state)
{
    (void)state;
    pid_t other = put_somebody_into(own);
    refuses(own, NULL, NULL, "has other processes in it; start it in a group of its own");
    stand_in_up(&s, "", NULL);
    assert_true(logged("tree.by_signals"));
    stand_in_assign(&s, "ch-1", "echo", 1, "x", NULL);
    assert_string_equal(stand_in_wait(&s, "ch-1")->status, "completed");
    assert_int_equal(stand_in_down(&s), 0);
    assert_true(is_group_gone("workers"));
    kill(other, SIGKILL);
    waitpid(other, NULL, 0);
}

static void one_whose_predecessor_does_not_go_may_be_started_again(void **state)
{
    (void)state;
    char daemon[PATH_MAX];
    assert_true(cgroup_make(own, "daemon", daemon));
    pid_t other = put_somebody_into(daemon);
    assert_int_equal(fails_in(own, NULL, NULL, "another runner is in "), 69);
    kill(other, SIGKILL);
    waitpid(other, NULL, 0);
}

static void root_takes_what_is_marked_as_delegated(void **state)
{
    (void)state;
    stand_in_up(&s, "", NULL);
    assert_true(logged("is not marked as delegated"));
    assert_int_equal(stand_in_down(&s), 0);
    assert_int_equal(setxattr(own, "user.delegate", "1", 1, 0), 0);
    stand_in_up(&s, "", NULL);
    assert_true(logged("tree.by_control_group"));
    assert_int_equal(stand_in_down(&s), 0);
}

static void off_is_off(void **state)
{
    (void)state;
    static const char *const flags[] = { "--runner-cgroups", "off", NULL };
    stand_in_up(&s, "", flags);
    assert_true(logged("tree.by_signals"));
    assert_int_equal(stand_in_down(&s), 0);
}

/* ---- bounds ---- */

static void a_bound_without_groups_is_no_start(void **state)
{
    (void)state;
    pid_t other = put_somebody_into(own);
    refuses(own, "--runner-limits-worker-processes", "64",
            "runner.limits.worker_processes: takes control groups: ");
    kill(other, SIGKILL);
    waitpid(other, NULL, 0);
}

static void wants(const char *controller)
{
    if (says(".", "cgroup.controllers", controller))
        return;
    print_message("SKIPPED: the controller %s is not of version 2 here\n", controller);
    group_away(NULL);
    exit(77);
}

static void a_bound_whose_controller_is_missing_is_no_start(void **state)
{
    (void)state;
    char bare[PATH_MAX]; /* ours gives on no controller, whatever it has */
    assert_true(cgroup_make(own, "bare", bare));
    refuses(
        bare, "--runner-limits-worker-memory-mb", "64",
        "runner.limits.worker_memory_mb: takes control groups: the controller memory is not delegated to");
    refuses(bare, "--runner-limits-worker-processes", "64",
            "runner.limits.worker_processes: takes control groups: the controller pids is not delegated to");
}

static bool blames_memory(const seen_t *seen)
{
    return strstr(seen->error, ": out of memory (runner.limits.worker_memory_mb)") != NULL;
}

static void who_takes_more_memory_than_its_worker_may_is_killed_and_the_run_says_why(void **state)
{
    (void)state;
    static const char *const flags[] = { "--runner-cgroups", "on", "--runner-limits-worker-memory-mb", "32",
                                         NULL };
    static const char members[] =
        "\"externalAgents\":{\"greedy\":{\"agent_id\":\"greedy\",\"protocol\":\"actor\",\"permission_"
        "profile\":\"p\",\"executor\":\"echo\",\"worker_bin\":\"/bin/sh\",\"worker_args\":[\"-c\","
        "\"x=xxxxxxxx; while :; do x=$x$x; done\"]}}";
    wants("memory");
    stand_in_up(&s, members, flags);
    stand_in_assign(&s, "ch-1", "greedy", 1, "x", NULL);
    const seen_t *seen = stand_in_wait(&s, "ch-1");
    assert_string_equal(seen->status, "error");
    if (!blames_memory(seen))
        fail_msg("%s", seen->error);
    stand_in_assign(&s, "ch-2", "echo", 1, "x", NULL);
    assert_string_equal(stand_in_wait(&s, "ch-2")->status, "completed");
    assert_int_equal(stand_in_down(&s), 0);
}

/* Its worker lives on and reports it like any end; and what happened in a run is not the next one's. */
static void a_program_that_is_killed_for_its_memory_ends_its_own_run_with_that_reason_and_no_other(
    void **state)
{
    (void)state;
    static const char *const flags[] = { "--runner-cgroups", "on", "--runner-limits-worker-memory-mb", "64",
                                         NULL };
    static const char members[] =
        "\"externalAgents\":{\"greedy\":{\"agent_id\":\"greedy\",\"protocol\":\"actor\",\"permission_"
        "profile\":\"p\",\"executor\":\"command\",\"command\":\"/bin/sh\",\"args\":[\"-c\","
        "\"take() { x=xxxxxxxx; while :; do x=$x$x; done; }; read -r run; case $run in"
        " *lose-a-child*) (take); exit 0 ;; *end-with-3*) echo $PPID >&2; exit 3 ;; *) take ;; esac\"]}}";
    char worker_and_all[64];
    pid_t worker;
    wants("memory");
    stand_in_up(&s, members, flags);
    stand_in_assign(&s, "ch-1", "greedy", 1, "lose-a-child", NULL);
    assert_string_equal(stand_in_wait(&s, "ch-1")->status, "completed");
    assert_true(says("workers/0", "memory.events", "oom_kill 1"));
    assert_int_equal(stand_in_workers(&s, &worker, 1), 1);
    stand_in_assign(&s, "ch-2", "greedy", 1, "end-with-3", NULL);
    snprintf(worker_and_all, sizeof worker_and_all, "LLM error: /bin/sh exited with status 3: %d",
             (int)worker);
    assert_string_equal(stand_in_wait(&s, "ch-2")->error, worker_and_all);
    stand_in_assign(&s, "ch-3", "greedy", 1, "x", NULL);
    const seen_t *seen = stand_in_wait(&s, "ch-3");
    assert_string_equal(seen->status, "error");
    if (strstr(seen->error, "was killed by signal 9") == NULL || !blames_memory(seen))
        fail_msg("%s", seen->error);
    assert_int_equal(stand_in_down(&s), 0);
}

static void a_worker_has_the_processes_that_it_may_have(void **state)
{
    (void)state;
    static const char *const flags[] = { "--runner-cgroups", "on", "--runner-limits-worker-processes", "12",
                                         NULL };
    wants("pids");
    stand_in_up(&s, "", flags);
    stand_in_assign(&s, "ch-1", "echo", 1, "x", NULL);
    assert_string_equal(stand_in_wait(&s, "ch-1")->status, "completed");
    assert_true(says("workers/0", "pids.max", "12\n"));
    assert_int_equal(stand_in_down(&s), 0);
}

static const struct CMUnitTest tests[] = {
    /* clang-format off */
    cmocka_unit_test_setup_teardown(each_worker_has_a_group_of_its_own_and_the_runner_another, group_up, group_away),
    cmocka_unit_test_setup_teardown(what_leaves_its_session_is_in_its_workers_group_yet, group_up, group_away),
    cmocka_unit_test_setup_teardown(a_runner_that_is_not_root_uses_what_it_may_write, takes_root, group_away),
    cmocka_unit_test_setup_teardown(a_worker_of_another_user_is_in_its_group_too, takes_root, group_away),
    cmocka_unit_test_setup_teardown(a_program_that_is_missing_is_told_as_without_groups, group_up, group_away),
    cmocka_unit_test_setup_teardown(who_left_the_session_of_its_worker_goes_with_it, group_up, group_away),
    cmocka_unit_test_setup_teardown(groups_that_a_worker_made_below_its_own_go_with_it, group_up, group_away),
    cmocka_unit_test_setup_teardown(nobody_is_left_of_a_killed_runner, group_up, group_away),
    cmocka_unit_test_setup_teardown(what_a_runner_and_its_keeper_left_is_ended_by_the_next_one, group_up, group_away),
    cmocka_unit_test_setup_teardown(all_stand_still_while_no_broker_answers_and_go_on_when_one_confirms, group_up, group_away),
    cmocka_unit_test_setup_teardown(who_stands_still_can_be_killed, group_up, group_away),
    cmocka_unit_test_setup_teardown(a_group_with_others_in_it_is_left_alone, group_up, group_away),
    cmocka_unit_test_setup_teardown(one_whose_predecessor_does_not_go_may_be_started_again, group_up, group_away),
    cmocka_unit_test_setup_teardown(root_takes_what_is_marked_as_delegated, takes_root, group_away),
    cmocka_unit_test_setup_teardown(off_is_off, group_up, group_away),
    cmocka_unit_test_setup_teardown(a_bound_without_groups_is_no_start, group_up, group_away),
    cmocka_unit_test_setup_teardown(a_bound_whose_controller_is_missing_is_no_start, group_up, group_away),
    cmocka_unit_test_setup_teardown(who_takes_more_memory_than_its_worker_may_is_killed_and_the_run_says_why, group_up, group_away),
    cmocka_unit_test_setup_teardown(a_program_that_is_killed_for_its_memory_ends_its_own_run_with_that_reason_and_no_other, group_up, group_away),
    cmocka_unit_test_setup_teardown(a_worker_has_the_processes_that_it_may_have, group_up, group_away),
    /* clang-format on */
};

RZ_FACTS(tests)
