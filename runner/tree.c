/* tree.c - see tree.h. */
#include "tree.h"

#include "base/buf.h"
#include "base/log.h"
#include "cgroup.h"
#include "procs.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define STALE_MS 5000 /* for a predecessor to be gone, and for what it left from SIGKILL to its end */
#define GONE_MS  1000 /* the same for ours, whose end was seen in /proc already          */

/* Of a branch as a whole. */
enum { BRANCH_MEMORY, BRANCH_PROCESSES, BRANCH_BOUNDS };
static const struct {
    const char *key, *controller, *file;
} bounds[BRANCH_BOUNDS] = {
    [BRANCH_MEMORY] = { "runner.limits.worker_memory_mb", "memory", "memory.max" },
    [BRANCH_PROCESSES] = { "runner.limits.worker_processes", "pids", "pids.max" },
};

struct branch {
    tree_t *tree;
    char *group, *door; /* NULL: by signals         */
    branch_t *next;     /* of those that are leaving */
};

struct tree {
    bool grouped;
    uint64_t bound[BRANCH_BOUNDS]; /* 0: none */
    char workers[PATH_MAX];        /* the group of all branches */
    unsigned long next;
    branch_t *leaving; /* closed, and somebody may be in them yet */
};

/* ---- opening ---- */

/* Its runner and keeper are dead, or `daemon` would not be empty. A frozen group can be killed, but not used again as it is. */
static rz_rc_t clear(const char *workers, rz_err_t *err)
{
    size_t left = cgroup_count(workers);
    cgroup_kill(workers);
    if (!cgroup_await_empty(workers, STALE_MS))
        return rz_fail_sys(err, EBUSY, "%.150s: what a runner left there does not end", workers);
    int sys = cgroup_remove(workers);
    if (sys != 0)
        return rz_fail_sys(err, sys, "%.150s cannot be removed", workers);
    if (left > 0)
        rz_log_warn("tree.stale", "group=%s processes=%zu", workers, left);
    return RZ_OK;
}

static rz_rc_t divide(tree_t *tree, const char *own, rz_err_t *err)
{
    char daemon[PATH_MAX];
    if (!cgroup_make(own, "daemon", daemon))
        return rz_fail_sys(err, errno, "%.150s/daemon", own);
    if (!cgroup_await_empty(daemon, STALE_MS))
        return rz_fail_sys(err, EBUSY, "another runner is in %.150s", daemon);
    if (!cgroup_make(own, "workers", tree->workers))
        return rz_fail_sys(err, errno, "%.150s/workers", own);
    if (clear(tree->workers, err) != RZ_OK)
        return err->rc;
    if (!cgroup_make(own, "workers", tree->workers))
        return rz_fail_sys(err, errno, "%.150s/workers", own);
    int sys = cgroup_enter(daemon);
    return sys == 0 ? RZ_OK : rz_fail_sys(err, sys, "entering %.150s", daemon);
}

/* Its own group must be left by then: one that has controllers on has no members but groups. */
static rz_rc_t allow_bounds(const tree_t *tree, const char *own, rz_err_t *err)
{
    for (size_t i = 0; i < BRANCH_BOUNDS; i++) {
        if (tree->bound[i] == 0)
            continue;
        int sys = cgroup_enable(own, bounds[i].controller);
        if (sys == 0)
            sys = cgroup_enable(tree->workers, bounds[i].controller);
        if (sys != 0)
            return rz_fail(err, RZ_NOT_ALLOWED, "the controller %s is not delegated to %.100s: %s",
                           bounds[i].controller, own, strerror(sys));
    }
    return RZ_OK;
}

static rz_rc_t group(tree_t *tree, tree_wish_t wish, rz_err_t *err)
{
    char own[PATH_MAX];
    if (wish == TREE_OFF)
        return rz_fail(err, RZ_NOT_ALLOWED, "runner.cgroups is off");
    rz_rc_t rc = cgroup_of_self(own, err);
    if (rc == RZ_OK)
        rc = cgroup_check_ours(own, wish == TREE_ON, err);
    if (rc == RZ_OK)
        rc = divide(tree, own, err);
    return rc == RZ_OK ? allow_bounds(tree, own, err) : rc;
}

/* Because of which setting signals will not do; NULL: they will. */
static const char *demanded_by(const tree_t *tree, tree_wish_t wish)
{
    for (size_t i = 0; i < BRANCH_BOUNDS; i++)
        if (tree->bound[i] != 0)
            return bounds[i].key;
    return wish == TREE_ON ? "runner.cgroups" : NULL;
}

tree_t *tree_open(const tree_options_t *options, rz_err_t *err)
{
    rz_err_t why = { 0 };
    tree_t *tree = rz_alloc(sizeof *tree);
    tree->bound[BRANCH_MEMORY] = options->memory_bytes;
    tree->bound[BRANCH_PROCESSES] = options->processes;
    const char *demand = demanded_by(tree, options->wish);
    tree->grouped = group(tree, options->wish, &why) == RZ_OK;
    if (tree->grouped) {
        rz_log_info("tree.by_control_group", "workers=%s", tree->workers);
    } else if (demand == NULL) {
        rz_log_info("tree.by_signals", "why=\"%s\"", why.text);
    } else {
        rz_fail_field(err, why.rc, demand,
                      "takes control groups: %s; start it in a group of its own (Delegate=yes), or take "
                      "the setting out",
                      why.text);
        tree_close(&tree);
    }
    return tree;
}

static void free_branch(branch_t *branch)
{
    rz_free(branch->group);
    rz_free(branch->door);
    rz_free(branch);
}

void tree_close(tree_t **tree_ref)
{
    tree_t *tree = *tree_ref;
    if (tree == NULL)
        return;
    for (branch_t *branch = tree->leaving, *next; branch != NULL; branch = next) {
        next = branch->next;
        free_branch(branch);
    }
    rz_free(tree);
    *tree_ref = NULL;
}

bool tree_is_grouped(const tree_t *tree)
{
    return tree->grouped;
}

/* ---- the whole ---- */

size_t tree_freeze(const tree_t *tree)
{
    if (!tree->grouped)
        return procs_stop_descendants(getpid());
    cgroup_freeze(tree->workers, true);
    return cgroup_count(tree->workers);
}

size_t tree_thaw(const tree_t *tree)
{
    if (!tree->grouped)
        return procs_continue_descendants(getpid());
    cgroup_freeze(tree->workers, false);
    return cgroup_count(tree->workers);
}

size_t tree_sweep(const tree_t *tree)
{
    size_t grouped = tree->grouped ? cgroup_count(tree->workers) : 0;
    if (tree->grouped)
        cgroup_kill(tree->workers);
    size_t seen = procs_sweep();
    if (tree->grouped && cgroup_await_empty(tree->workers, GONE_MS))
        cgroup_remove(tree->workers);
    return grouped > seen ? grouped : seen;
}

void tree_tidy(tree_t *tree)
{
    for (branch_t **at = &tree->leaving; *at != NULL;) {
        branch_t *branch = *at;
        if (cgroup_remove(branch->group) != 0) {
            at = &branch->next;
            continue;
        }
        *at = branch->next;
        free_branch(branch);
    }
}

/* ---- one worker ---- */

/* 0 or errno. */
static int make_group(const tree_t *tree, const char *name, char out[PATH_MAX])
{
    if (!cgroup_make(tree->workers, name, out))
        return errno;
    int sys = 0;
    for (size_t i = 0; i < BRANCH_BOUNDS && sys == 0; i++)
        if (tree->bound[i] != 0)
            sys = cgroup_bound(out, bounds[i].file, tree->bound[i]);
    return sys;
}

branch_t *branch_open(tree_t *tree, rz_err_t *err)
{
    char name[32], path[PATH_MAX];
    branch_t *branch = rz_alloc(sizeof *branch);
    branch->tree = tree;
    if (!tree->grouped)
        return branch;
    snprintf(name, sizeof name, "%lu", tree->next++);
    int sys = make_group(tree, name, path);
    if (sys != 0) {
        rz_fail_sys(err, sys, "control group %.150s/%s", tree->workers, name);
        free_branch(branch);
        return NULL;
    }
    rz_buf_t door = { 0 };
    rz_buf_printf(&door, "%s/cgroup.procs", path);
    branch->door = rz_buf_take(&door, NULL);
    branch->group = rz_strdup(path);
    return branch;
}

const char *branch_door(const branch_t *branch)
{
    return branch->door;
}

uint64_t branch_memory_kills(const branch_t *branch)
{
    bool bounded = branch->group != NULL && branch->tree->bound[BRANCH_MEMORY] != 0;
    return bounded ? cgroup_memory_kills(branch->group) : 0;
}

/* One that has not entered its group yet is in its process group. */
void branch_kill(const branch_t *branch, pid_t leader)
{
    kill(-leader, SIGKILL);
    if (branch->group != NULL)
        cgroup_kill(branch->group);
}

void branch_close(branch_t **branch_ref, pid_t leader)
{
    branch_t *branch = *branch_ref;
    if (branch == NULL)
        return;
    *branch_ref = NULL;
    if (branch->group == NULL) {
        if (leader != 0)
            procs_kill_session(leader);
        free_branch(branch);
        return;
    }
    cgroup_kill(branch->group);
    branch->next = branch->tree->leaving;
    branch->tree->leaving = branch;
    tree_tidy(branch->tree);
}
