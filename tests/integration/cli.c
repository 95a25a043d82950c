/* cli.c - see cli.h. */
#include "cli.h"

#include "keyring.h"

#include <stdarg.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

said_t said;

const char *bin_dir(void)
{
    const char *bin = getenv("RZ_BIN_DIR");
    if (bin == NULL)
        fail_msg("RZ_BIN_DIR must name the folder of the programs (ctest sets it)");
    return bin;
}

void environment(const char *control)
{
    char path[4096];
    const char *now = getenv("PATH");
    if (now != NULL && strncmp(now, bin_dir(), strlen(bin_dir())) != 0) {
        snprintf(path, sizeof path, "%s:%s", bin_dir(), now);
        setenv("PATH", path, 1);
    }
    setenv("RHIZOME_CONTROL", control, 1);
    setenv("NO_COLOR", "1", 1);
    unsetenv("RHIZOME_CONFIG");
    unsetenv("RHIZOME_SECURITY_KEY");
    if (*control != '\0' && keyring.dir[0] != '\0')
        setenv("RHIZOME_SECURITY_KEY", keyring_path("admin"), 1);
}

const char *key_flag(const char *name)
{
    static char flag[420];
    if (keyring.dir[0] == '\0')
        return "";
    snprintf(flag, sizeof flag, "--key %s", keyring_path(name));
    return flag;
}

static size_t slurp(FILE *file, char *out, size_t max)
{
    size_t n = fread(out, 1, max - 1, file);
    out[n] = '\0';
    return n;
}

void shell(const char *fmt, ...)
{
    char line[8192], command[9000], errors[] = "/tmp/rhizome-cli-XXXXXX";
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    int fd = mkstemp(errors);
    assert_true(fd >= 0);
    snprintf(command, sizeof command, "{ %s ; } 2>%s", line, errors);
    FILE *pipe = popen(command, "r"); /* NOLINT(cert-env33-c): the lines stand in this file */
    assert_non_null(pipe);
    slurp(pipe, said.out, sizeof said.out);
    int status = pclose(pipe);
    said.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    FILE *file = fdopen(fd, "r");
    slurp(file, said.err, sizeof said.err);
    fclose(file);
    unlink(errors);
}

void ended_with(int code)
{
    if (said.code != code)
        fail_msg("exit code %d, not %d\nstdout: %s\nstderr: %s", said.code, code, said.out, said.err);
}

void out_is(const char *text)
{
    if (strcmp(said.out, text) != 0)
        fail_msg("stdout is\n%s\nnot\n%s\nstderr: %s", said.out, text, said.err);
}

void has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("no \"%s\" in:\n%s", part, text);
}

void has_not(const char *text, const char *part)
{
    if (strstr(text, part) != NULL)
        fail_msg("\"%s\" in:\n%s", part, text);
}

/* clang-format off */
#define AGENT(name, how) "\"" name "\":{\"agent_id\":\"" name "\",\"protocol\":\"actor\",\"permission_profile\":\"test\"," how "}"
#define COMMAND(program) "\"executor\":\"command\",\"command\":\"python3\",\"args\":[\"" RZ_SOURCE_DIR program "\"]"
#define WORKER(program)  "\"worker_bin\":\"/usr/bin/python3\",\"worker_args\":[\"" RZ_SOURCE_DIR program "\"]"
static const char agents[] = "\"externalAgents\":{"
    AGENT("agent", COMMAND("/tests/integration/agent.py")) ","
    AGENT("survey", COMMAND("/ops/agents/survey.py")) ","
    AGENT("asker", "\"approvals\":\"ask\"," WORKER("/tests/interop/contract_worker.py")) "}";
/* clang-format on */

int rig_with_agents(void **state)
{
    rig_t *rig = rig_up(&(rig_options_t){ .runners = 1, .config = agents });
    environment(rig_endpoint(rig, "control"));
    *state = rig;
    return 0;
}

int rig_away(void **state)
{
    rig_t *rig = *state;
    rig_down(&rig);
    return 0;
}

int nothing_up(void **state)
{
    (void)state;
    environment("tcp://127.0.0.1:9");
    return 0;
}

void await_call(const char *fmt, ...)
{
    char line[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    uint64_t deadline = process_now_ms() + RIG_PATIENCE_MS;
    do {
        shell("%s", line);
        if (said.code != 0 && process_now_ms() > deadline)
            fail_msg("never: %s\nstdout: %s\nstderr: %s", line, said.out, said.err);
    } while (said.code != 0);
}

void await_state(const char *child, const char *word)
{
    await_call("rhizome ps | grep '^%s .* %s '", child, word);
}

void conforms(const char *call)
{
    shell("%s | /usr/bin/python3 %s/tests/interop/check_schemas.py control-reply", call, RZ_SOURCE_DIR);
    ended_with(0);
}
