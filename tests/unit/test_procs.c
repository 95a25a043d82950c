/* test_procs.c - what /proc says of a family of processes. */
#include "facts.h"
#include "procs.h"

#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB   ((size_t)1 << 20)
#define HOARD (96 * MIB)

/* A process that has touched `bytes` of memory and waits to be killed. It tells `fd` when it is ready. */
static void hoard(size_t bytes, int fd)
{
    char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        _exit(1);
    memset(memory, 1, bytes);
    if (write(fd, ".", 1) == 1)
        pause();
    _exit(0);
}

/* Returns a child of ours; what is hoarded is hoarded by it, or by a child of its own. */
static pid_t family(bool by_grandchild)
{
    int ready[2];
    char byte;
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        setsid();
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a fact that fails leaves nobody behind */
        if (by_grandchild && fork() != 0) {
            pause();
            _exit(0);
        }
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        hoard(HOARD, ready[1]);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    return pid;
}

static void end(pid_t pid)
{
    kill(-pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void resident_memory_is_that_of_the_process(void **state)
{
    (void)state;
    pid_t pid = family(false);
    assert_in_range(procs_resident(pid), HOARD, HOARD + 400 * MIB);
    end(pid);
}

static void resident_memory_counts_what_the_process_started(void **state)
{
    (void)state;
    pid_t pid = family(true);
    assert_in_range(procs_resident(pid), HOARD, HOARD + 400 * MIB);
    end(pid);
}

static void a_process_that_ended_has_no_memory(void **state)
{
    (void)state;
    pid_t pid = family(false);
    end(pid);
    assert_int_equal(procs_resident(pid), 0);
}

/* Lends its memory to a child of vfork() until that one ends, which `fd` decides. */
static void lend(int ready, int fd)
{
    char byte;
    if (vfork() == 0) { /* NOLINT(clang-analyzer-security.insecureAPI.vfork) */
        if (write(ready, ".", 1) != 1 || read(fd, &byte, 1) != 1) /* NOLINT(clang-analyzer-unix.Vfork) */
            _exit(1);
        _exit(0);
    }
    _exit(0);
}

/* It shows as one that waits, not as one that is stopped, and would stop when its child has ended. */
static void a_process_that_was_stopped_inside_vfork_goes_on_too(void **state)
{
    (void)state;
    int ready[2], end_of_child[2], status;
    char byte;
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(end_of_child), 0);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        lend(ready[1], end_of_child[0]);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(procs_stop_descendants(getpid()), 2);
    assert_int_equal(procs_continue_descendants(getpid()), 2);
    assert_int_equal(write(end_of_child[1], ".", 1), 1);
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    assert_false(WIFSTOPPED(status));
    for (int i = 0; i < 2; i++) {
        close(ready[i]);
        close(end_of_child[i]);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(resident_memory_is_that_of_the_process),
    cmocka_unit_test(resident_memory_counts_what_the_process_started),
    cmocka_unit_test(a_process_that_ended_has_no_memory),
    cmocka_unit_test(a_process_that_was_stopped_inside_vfork_goes_on_too),
};
RZ_FACTS(tests)
