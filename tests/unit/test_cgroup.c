/* test_cgroup.c - where the control group of a process is, as /proc tells it. */
#include "cgroup.h"
#include "facts.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define UNIFIED "24 23 0:21 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
#define LEGACY  "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"

static void is_at(const char *membership, const char *mounts, const char *expected)
{
    char path[PATH_MAX];
    rz_err_t err = { 0 };
    if (cgroup_locate(membership, mounts, path, &err) != RZ_OK)
        fail_msg("%s", err.text);
    assert_string_equal(path, expected);
}

static void is_nowhere(const char *membership, const char *mounts, const char *why)
{
    char path[PATH_MAX];
    rz_err_t err = { 0 };
    assert_int_equal(cgroup_locate(membership, mounts, path, &err), RZ_NOT_FOUND);
    assert_non_null(strstr(err.text, why));
}

static void it_lies_below_the_mount_point(void **state)
{
    (void)state;
    is_at("0::/system.slice/rhizome-runner.service\n", UNIFIED,
          "/sys/fs/cgroup/system.slice/rhizome-runner.service");
    is_at("0::/\n", UNIFIED, "/sys/fs/cgroup");
}

static void beside_version_one_it_is_found_too(void **state)
{
    (void)state;
    is_at("5:cpu:/a\n1:name=systemd:/b\n0::/c\n",
          LEGACY "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n", "/sys/fs/cgroup/unified/c");
}

/* As in a container whose mount shows a part of the hierarchy alone. */
static void what_is_mounted_may_begin_further_down(void **state)
{
    (void)state;
    static const char part[] = "24 23 0:21 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n";
    is_at("0::/docker/abc/inner\n", part, "/sys/fs/cgroup/inner");
    is_at("0::/docker/abc\n", part, "/sys/fs/cgroup");
    is_nowhere("0::/docker/abcd\n", part, "is mounted nowhere");
    is_at("0::/docker/abcd\n", "24 23 0:21 /docker/abc /c ro - cgroup2 cgroup rw\n" UNIFIED,
          "/sys/fs/cgroup/docker/abcd");
}

static void a_mount_point_may_hold_a_space(void **state)
{
    (void)state;
    is_at("0::/x\n", "24 23 0:21 / /my\\040groups rw - cgroup2 cgroup2 rw\n", "/my groups/x");
}

static void who_is_in_none_that_can_be_seen_is_told_so(void **state)
{
    (void)state;
    is_nowhere("", UNIFIED, "no control group of version 2");
    is_nowhere("5:cpu:/a\n", UNIFIED, "no control group of version 2");
    is_nowhere("0::/../outside\n", UNIFIED, "no control group of version 2");
    is_nowhere("0::/a\n", LEGACY, "is mounted nowhere");
    is_nowhere("0::/a\n", "", "is mounted nowhere");
}

static void one_that_is_not_there_is_empty_and_removed(void **state)
{
    (void)state;
    assert_true(cgroup_await_empty("/nonexistent/group", 0));
    assert_int_equal(cgroup_remove("/nonexistent/group"), 0);
    assert_int_equal(cgroup_count("/nonexistent/group"), 0);
}

/* ---- bounds: a folder with files in it is a group as far as reading goes ---- */

static char group[32];

static int group_up(void **state)
{
    (void)state;
    snprintf(group, sizeof group, "/tmp/rz-group-XXXXXX");
    return mkdtemp(group) != NULL ? 0 : -1;
}

static int group_away(void **state)
{
    (void)state;
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", group);
    return system(command); /* NOLINT(cert-env33-c) */
}

static void put(const char *name, const char *text)
{
    char path[64];
    snprintf(path, sizeof path, "%s/%s", group, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void holds(const char *name, const char *expected)
{
    char path[64], text[128] = "";
    snprintf(path, sizeof path, "%s/%s", group, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    assert_string_equal(text, expected);
}

static void below(const char *name)
{
    char path[64];
    snprintf(path, sizeof path, "%s/%s", group, name);
    assert_int_equal(mkdir(path, 0700), 0);
}

static void who_is_in_a_group_is_counted_however_deep_that_was_divided(void **state)
{
    (void)state;
    below("0");
    below("0/own");
    below("0/own/inner");
    below("1");
    put("cgroup.procs", "");
    put("0/cgroup.procs", "11\n12\n");
    put("0/own/cgroup.procs", "");
    put("0/own/inner/cgroup.procs", "13\n");
    put("1/cgroup.procs", "14\n");
    assert_int_equal(cgroup_count(group), 4);
}

static void a_controller_that_is_not_delegated_cannot_be_used(void **state)
{
    (void)state;
    put("cgroup.controllers", "cpu memory_like pids\n");
    put("cgroup.subtree_control", "");
    assert_int_equal(cgroup_enable(group, "memory"), ENOENT);
    holds("cgroup.subtree_control", "");
    assert_int_equal(cgroup_enable(group, "pids"), 0);
    holds("cgroup.subtree_control", "+pids");
}

static void a_bound_is_a_number_in_a_file(void **state)
{
    (void)state;
    put("memory.max", "");
    assert_int_equal(cgroup_bound(group, "memory.max", (uint64_t)5 << 30), 0);
    holds("memory.max", "5368709120");
    assert_int_equal(cgroup_bound(group, "pids.max", 5), ENOENT);
}

static void only_a_kill_for_want_of_memory_counts_as_one(void **state)
{
    (void)state;
    assert_int_equal(cgroup_memory_kills(group), 0);
    put("memory.events", "low 0\nhigh 3\nmax 7\noom 2\noom_kill 0\noom_group_kill 5\n");
    assert_int_equal(cgroup_memory_kills(group), 0);
    put("memory.events", "low 0\nhigh 0\nmax 7\noom 1\noom_kill 12\noom_group_kill 0\n");
    assert_int_equal(cgroup_memory_kills(group), 12);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(it_lies_below_the_mount_point),
    cmocka_unit_test(beside_version_one_it_is_found_too),
    cmocka_unit_test(what_is_mounted_may_begin_further_down),
    cmocka_unit_test(a_mount_point_may_hold_a_space),
    cmocka_unit_test(who_is_in_none_that_can_be_seen_is_told_so),
    cmocka_unit_test(one_that_is_not_there_is_empty_and_removed),
    cmocka_unit_test_setup_teardown(who_is_in_a_group_is_counted_however_deep_that_was_divided, group_up,
                                    group_away),
    cmocka_unit_test_setup_teardown(a_controller_that_is_not_delegated_cannot_be_used, group_up, group_away),
    cmocka_unit_test_setup_teardown(a_bound_is_a_number_in_a_file, group_up, group_away),
    cmocka_unit_test_setup_teardown(only_a_kill_for_want_of_memory_counts_as_one, group_up, group_away),
};

RZ_FACTS(tests)
