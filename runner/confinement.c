/* confinement.c - see confinement.h. */
#include "confinement.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PRLIMIT   "/usr/bin/prlimit"
#define SETPRIV   "/usr/bin/setpriv"
#define SHELL     "/bin/sh"
#define ENTER     "echo 0 >\"$0\" && exec \"$@\""
#define WORDS_MAX (BOUNDS + 12) /* of all, before the worker's own */

static const struct {
    const char *key, *flag; /* the flag is prlimit's */
    int what;
    unsigned shift; /* from the setting's unit to the bound's */
} bounds[BOUNDS] = {
    [BOUND_OPEN_FILES] = { "runner.limits.open_files", "--nofile", RLIMIT_NOFILE, 0 },
    [BOUND_PROCESSES] = { "runner.limits.processes", "--nproc", RLIMIT_NPROC, 0 },
    [BOUND_FILE] = { "runner.limits.file_mb", "--fsize", RLIMIT_FSIZE, 20 },
    [BOUND_MEMORY] = { "runner.limits.memory_mb", "--as", RLIMIT_AS, 20 },
};

/* ---- reading ---- */

/* Never above what the runner was given: only root could raise that, and somebody set it. */
static void read_bound(const rz_config_t *config, bound_t which, confinement_t *out)
{
    struct rlimit ours;
    rlim_t wanted = (rlim_t)rz_config_int(config, bounds[which].key) << bounds[which].shift;
    if (wanted > 0 && getrlimit((__rlimit_resource_t)bounds[which].what, &ours) == 0)
        out->bound[which] = wanted < ours.rlim_max ? wanted : ours.rlim_max;
}

static rz_rc_t find_user(const char *name, confinement_t *out, rz_err_t *err)
{
    static const char key[] = "runner.worker_user";
    const struct passwd *user = getpwnam(name);
    if (user == NULL)
        return rz_fail_field(err, RZ_BAD_FIELD, key, "there is no user %.100s", name);
    if (user->pw_uid == 0)
        return rz_fail_field(err, RZ_NOT_ALLOWED, key, "workers must not be root");
    if (geteuid() != 0)
        return rz_fail_field(err, RZ_NOT_ALLOWED, key,
                             "the runner must be root to start workers as %.100s, and is user %u", name,
                             (unsigned)geteuid());
    if (access(SETPRIV, X_OK) != 0 || access(PRLIMIT, X_OK) != 0)
        return rz_fail_field(err, RZ_NOT_ALLOWED, key, "needs " SETPRIV " and " PRLIMIT " (util-linux)");
    out->other_user = true;
    out->uid = user->pw_uid;
    out->gid = user->pw_gid;
    snprintf(out->name, sizeof out->name, "%s", name);
    snprintf(out->home, sizeof out->home, "%s", user->pw_dir);
    return RZ_OK;
}

rz_rc_t confinement_read(const rz_config_t *config, confinement_t *out, rz_err_t *err)
{
    *out = (confinement_t){ 0 };
    for (bound_t which = 0; which < BOUNDS; which++)
        read_bound(config, which, out);
    const char *name = rz_config_str(config, "runner.worker_user");
    return *name != '\0' ? find_user(name, out, err) : RZ_OK;
}

/* ---- starting ---- */

static char *word(const char *flag, unsigned long long number)
{
    rz_buf_t text = { 0 };
    rz_buf_printf(&text, "%s=%llu", flag, number);
    return rz_buf_take(&text, NULL);
}

static size_t put_shell(const char *door, char **out)
{
    size_t n = 0;
    out[n++] = rz_strdup(SHELL);
    out[n++] = rz_strdup("-c");
    out[n++] = rz_strdup(ENTER);
    out[n++] = rz_strdup(door);
    return n;
}

static size_t put_prlimit(const confinement_t *confinement, char **out)
{
    size_t n = 0;
    out[n++] = rz_strdup(PRLIMIT);
    for (bound_t which = 0; which < BOUNDS; which++)
        if (confinement->bound[which] != 0)
            out[n++] = word(bounds[which].flag, confinement->bound[which]);
    return n;
}

static size_t put_setpriv(const confinement_t *confinement, char **out)
{
    size_t n = 0;
    out[n++] = rz_strdup(SETPRIV);
    out[n++] = word("--reuid", confinement->uid);
    out[n++] = word("--regid", confinement->gid);
    out[n++] = rz_strdup("--clear-groups");
    out[n++] = rz_strdup("--inh-caps=-all");
    out[n++] = rz_strdup("--");
    return n;
}

char **confinement_argv(const confinement_t *confinement, const char *door, char *const *argv)
{
    size_t n = 0, at = 0;
    while (argv[n] != NULL)
        n++;
    char **made = rz_alloc((WORDS_MAX + n + 1) * sizeof *made);
    if (door != NULL)
        at += put_shell(door, made);
    if (confinement->other_user) {
        at += put_prlimit(confinement, made + at);
        at += put_setpriv(confinement, made + at);
    }
    for (size_t i = 0; i < n; i++)
        made[at++] = rz_strdup(argv[i]);
    return made;
}

void confinement_argv_free(char ***argv)
{
    for (char **text = *argv; *text != NULL; text++)
        rz_free(*text);
    rz_free(*argv);
    *argv = NULL;
}

int confinement_bound(const confinement_t *confinement, pid_t pid)
{
    int sys = 0;
    for (bound_t which = 0; which < BOUNDS && sys == 0 && !confinement->other_user; which++) {
        struct rlimit limit = { confinement->bound[which], confinement->bound[which] };
        if (limit.rlim_cur != 0 && prlimit(pid, (__rlimit_resource_t)bounds[which].what, &limit, NULL) != 0)
            sys = errno;
    }
    return sys == ESRCH ? 0 : sys;
}

const char *confinement_variable(const confinement_t *confinement, const char *name)
{
    const char *value = getenv(name);
    if (value == NULL || !confinement->other_user)
        return value;
    if (strcmp(name, "HOME") == 0)
        return confinement->home;
    return strcmp(name, "USER") == 0 || strcmp(name, "LOGNAME") == 0 ? confinement->name : value;
}
