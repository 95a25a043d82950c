/* test_secrets.c - a provider's key with a canary in it: used by runs of every kind, and then looked for wherever a
 * secret must not be. Every search is shown to be able to find: a canary planted where it looked is found there. */
#include "facts.h"
#include "process.h"
#include "redis.h"
#include "rig.h"

#include "base/id.h"

#include <fcntl.h>
#include <ftw.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <libgen.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROVIDER  "mint"
#define PROCESSES 256
#define KEY_BYTES "35" /* "sk-" and the canary */
#define URL_BYTES "42"

/* Waits for one steering message between telling and ending, so that there is time to look. */
static const char keyed_script[] =
    "read run; printf '{\"type\":\"told\",\"pid\":\"%d\",\"hash\":\"%s\",\"url_bytes\":\"%s\"}\\n' $$ "
    "\"$(printf %s \"$MINT_KEY\" | sha256sum | cut -d' ' -f1)\" \"${#MINT_URL}\"; "
    "echo 'said on stderr' >&2; read go; echo 'done'";
static const char failing_script[] =
    "read run; echo \"a key of ${#MINT_KEY} bytes is not enough\" >&2; exit 3";

typedef struct {
    char canary[RZ_TOKEN_LEN + 1];
    char dir[64], keys[96], cwd[512]; /* where programs run and cores would fall; the file of keys in it */
    struct rlimit core;
    rig_t *rig;
    rig_sub_t *sub;
    unsigned heard; /* events */
} stage_t;

/* ---- the stage ---- */

static cJSON *shell_profile(const char *id, const char *script)
{
    cJSON *profile = cJSON_CreateObject(), *args = cJSON_AddArrayToObject(profile, "args");
    cJSON_AddStringToObject(profile, "agent_id", id);
    cJSON_AddStringToObject(profile, "protocol", "actor");
    cJSON_AddStringToObject(profile, "permission_profile", "");
    cJSON_AddStringToObject(profile, "executor", "command");
    cJSON_AddStringToObject(profile, "command", "/bin/sh");
    cJSON_AddItemToArray(args, cJSON_CreateString("-c"));
    cJSON_AddItemToArray(args, cJSON_CreateString(script));
    cJSON *env = cJSON_AddObjectToObject(profile, "credential_env");
    cJSON_AddStringToObject(env, "MINT_KEY", "api_key");
    cJSON_AddStringToObject(env, "MINT_URL", "base_url");
    return profile;
}

/* Members of the configuration, without the outer braces. */
static char *make_config(const stage_t *stage)
{
    cJSON *config = cJSON_CreateObject(), *runner = cJSON_AddObjectToObject(config, "runner"),
          *agents = cJSON_AddObjectToObject(config, "externalAgents");
    cJSON_AddStringToObject(cJSON_AddObjectToObject(config, "log"), "level", "debug");
    cJSON_AddStringToObject(runner, "credentials", stage->keys);
    cJSON_AddItemToObject(agents, "keyed", shell_profile("keyed", keyed_script));
    cJSON_AddItemToObject(agents, "failing", shell_profile("failing", failing_script));
    char *text = cJSON_PrintUnformatted(config);
    size_t n = strlen(text);
    memmove(text, text + 1, n - 2);
    text[n - 2] = '\0';
    cJSON_Delete(config);
    return text;
}

static void write_keys(const stage_t *stage)
{
    int fd = open(stage->keys, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    dprintf(fd, "{\"%s\":{\"api_key\":\"sk-%s\",\"base_url\":\"https://x/%s\"}}", PROVIDER, stage->canary,
            stage->canary);
    close(fd);
}

static int stage_up(void **state)
{
    stage_t *stage = calloc(1, sizeof *stage);
    assert_non_null(stage);
    rz_token_new(stage->canary);
    snprintf(stage->dir, sizeof stage->dir, "/tmp/rz-secrets-XXXXXX");
    assert_non_null(mkdtemp(stage->dir));
    snprintf(stage->keys, sizeof stage->keys, "%s/keys.json", stage->dir);
    write_keys(stage);
    /* nothing but the programs themselves keeps a core from being written */
    assert_non_null(getcwd(stage->cwd, sizeof stage->cwd));
    assert_int_equal(getrlimit(RLIMIT_CORE, &stage->core), 0);
    assert_int_equal(setrlimit(RLIMIT_CORE, &(struct rlimit){ stage->core.rlim_max, stage->core.rlim_max }),
                     0);
    assert_int_equal(chdir(stage->dir), 0);
    char *config = make_config(stage);
    stage->rig = rig_up(&(rig_options_t){ .runners = 1, .config = config });
    cJSON_free(config);
    stage->sub = rig_subscribe(stage->rig, "");
    *state = stage;
    return 0;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status;
    (void)kind;
    (void)where;
    return remove(path);
}

static int stage_down(void **state)
{
    stage_t *stage = *state;
    rig_sub_close(&stage->sub);
    rig_down(&stage->rig);
    assert_int_equal(chdir(stage->cwd), 0);
    setrlimit(RLIMIT_CORE, &stage->core);
    nftw(stage->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(stage);
    return 0;
}

/* ---- looking ---- */

static bool holds(const char *bytes, size_t n, const char *needle)
{
    return memmem(bytes, n, needle, strlen(needle)) != NULL;
}

/* The whole file, however little of it is told by its size; NULL when it cannot be opened. */
static char *read_file(const char *path, size_t *len)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    size_t cap = 1 << 16;
    char *bytes = malloc(cap);
    assert_non_null(bytes);
    ssize_t n;
    for (*len = 0; (n = read(fd, bytes + *len, cap - *len)) > 0;) {
        *len += (size_t)n;
        if (*len == cap) {
            bytes = realloc(bytes, cap *= 2);
            assert_non_null(bytes);
        }
    }
    close(fd);
    return bytes;
}

static bool file_holds(const char *path, const char *needle)
{
    size_t len;
    char *bytes = read_file(path, &len);
    bool found = bytes != NULL && holds(bytes, len, needle);
    free(bytes);
    return found;
}

/* nftw takes no argument */
static struct {
    const char *needle;
    unsigned files, hits;
    char last[256]; /* the last hit */
} search;

static int search_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)where;
    if (kind != FTW_F || !S_ISREG(status->st_mode))
        return 0;
    search.files++;
    if (file_holds(path, search.needle)) {
        search.hits++;
        snprintf(search.last, sizeof search.last, "%s", path);
    }
    return 0;
}

static unsigned files_below(const char *dir, const char *needle)
{
    search.needle = needle;
    search.files = search.hits = 0;
    search.last[0] = '\0';
    assert_int_equal(nftw(dir, search_one, 8, FTW_PHYS), 0);
    assert_true(search.files > 0);
    return search.hits;
}

static void plant(const char *dir, const char *canary)
{
    char path[300];
    snprintf(path, sizeof path, "%s/planted", dir);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "before %s behind", canary);
    fclose(file);
}

/* None below dir; and one that is planted there is found. */
static void nowhere_below(const char *dir, const char *canary)
{
    if (files_below(dir, canary) != 0)
        fail_msg("%u files, the last is %s", search.hits, search.last);
    plant(dir, canary);
    assert_int_equal(files_below(dir, canary), 1);
    unlink(search.last);
}

/* ---- runs ---- */

static void submit(stage_t *stage, const char *child, const char *profile)
{
    cJSON *reply =
        rig_ask(stage->rig,
                "{\"op\":\"submit\",\"job\":{\"parent_session_id\":\"root\",\"child_session_id\":\"%s\","
                "\"require\":{\"profile\":\"%s\"},\"session\":{\"id\":\"%s\",\"kind\":\"child\","
                "\"metadata\":{\"provider_name\":\"" PROVIDER "\"},"
                "\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}}}",
                child, profile, child);
    if (strcmp(rig_text(reply, "code"), "OK") != 0)
        fail_msg("receipt: %s", cJSON_PrintUnformatted(reply));
    cJSON_Delete(reply);
}

static void no_canary_in(const stage_t *stage, const char *what, const cJSON *json)
{
    char *text = cJSON_PrintUnformatted(json);
    if (strstr(text, stage->canary) != NULL)
        fail_msg("%s: %s", what, text);
    cJSON_free(text);
}

/* The next event of that type, or of a worker with that type inside; all that pass are searched. */
static cJSON *await_event(stage_t *stage, const char *child, const char *type)
{
    rig_event_t event;
    for (;;) {
        if (!rig_event_next(stage->sub, &event, RIG_PATIENCE_MS))
            fail_msg("no %s of %s", type, child);
        stage->heard++;
        assert_null(strstr(event.topic, stage->canary));
        no_canary_in(stage, event.topic, event.header);
        no_canary_in(stage, event.topic, event.event);
        const char *of = rig_text(event.event, "child_session_id");
        bool met = strcmp(of, child) == 0 && (strcmp(rig_text(event.event, "type"), type) == 0 ||
                                              strcmp(rig_text(event.event, "event.type"), type) == 0);
        cJSON *taken = met ? event.event : NULL;
        event.event = met ? NULL : event.event;
        rig_event_fini(&event);
        if (met)
            return taken;
    }
}

static void ends(stage_t *stage, const char *child, const char *status)
{
    cJSON *event = await_event(stage, child, "sub_agent_completed");
    if (strcmp(rig_text(event, "status"), status) != 0)
        fail_msg("%s: %s", child, cJSON_PrintUnformatted(event));
    cJSON_Delete(event);
}

/* What control tells of a child must hold `word`, so that we know it was looked at, and no canary. */
static void control_tells(stage_t *stage, const char *op, const char *child, const char *word)
{
    cJSON *reply = rig_ask(stage->rig, "{\"op\":\"%s\",\"child\":\"%s\"}", op, child);
    char *text = cJSON_PrintUnformatted(reply);
    if (strstr(text, word) == NULL || strstr(text, stage->canary) != NULL)
        fail_msg("%s of %s: %s", op, child, text);
    cJSON_free(text);
    cJSON_Delete(reply);
}

/* As sha256sum prints it. */
static void digest_of_key(const stage_t *stage, char out[RZ_DIGEST_LEN + 1])
{
    char key[RZ_TOKEN_LEN + 4];
    unsigned char bytes[EVP_MAX_MD_SIZE];
    snprintf(key, sizeof key, "sk-%s", stage->canary);
    assert_int_equal(EVP_Digest(key, strlen(key), bytes, NULL, EVP_sha256(), NULL), 1);
    for (size_t i = 0; i < RZ_DIGEST_LEN / 2; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

static pid_t parent_of(pid_t pid)
{
    char path[64], text[512];
    int parent = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    assert_int_equal(sscanf(strrchr(text, ')') + 1, " %*c %d", &parent), 1);
    return parent;
}

/* Starts a child of `keyed` and returns the pid of its program, which has told that it has the key and waits. */
static pid_t start_keyed(stage_t *stage, const char *child)
{
    char digest[RZ_DIGEST_LEN + 1];
    submit(stage, child, "keyed");
    cJSON *told = await_event(stage, child, "told");
    digest_of_key(stage, digest);
    assert_string_equal(rig_text(told, "event.hash"), digest);
    assert_string_equal(rig_text(told, "event.url_bytes"), URL_BYTES);
    pid_t pid = atoi(rig_text(told, "event.pid"));
    cJSON_Delete(told);
    return pid;
}

static void go_on(stage_t *stage, const char *child)
{
    cJSON *reply = rig_ask(stage->rig, "{\"op\":\"send\",\"child\":\"%s\",\"text\":\"go\"}", child);
    assert_string_equal(rig_text(reply, "code"), "OK");
    cJSON_Delete(reply);
}

/* ---- where it may not be: processes ---- */

/* Command lines and environments of everything below us: the key stands in the environment of `program` alone. What
 * its owner made unreadable is not readable for us either, unless we are root. */
static void only_the_program_shows_it(const stage_t *stage, pid_t program)
{
    pid_t pids[PROCESSES];
    size_t n = process_descendants(getpid(), pids, PROCESSES), shown = 0;
    assert_in_range(n, 6, PROCESSES - 1); /* redis, broker, keeper, runner, worker, program */
    for (size_t i = 0; i < n; i++) {
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pids[i]);
        if (file_holds(path, stage->canary))
            fail_msg("%s shows the key", path);
        snprintf(path, sizeof path, "/proc/%d/environ", (int)pids[i]);
        if (!file_holds(path, stage->canary))
            continue;
        assert_int_equal(pids[i], program);
        shown++;
    }
    assert_int_equal(shown, 1);
}

/* ---- where it may not be: the store ---- */

static void redis_command(const stage_t *stage, const char *command)
{
    redisContext *context = redis_connect(rig_redis_socket(stage->rig));
    assert_true(context != NULL && context->err == 0);
    redisReply *reply = redisCommand(context, command);
    assert_true(reply != NULL && reply->type != REDIS_REPLY_ERROR);
    freeReplyObject(reply);
    redisFree(context);
}

/* The RDB file has every key there is, and is written without compression, which would take text apart; the AOF has
 * every write there ever was. */
static void nowhere_in_redis(const stage_t *stage)
{
    char dir[128], command[128];
    snprintf(dir, sizeof dir, "%s", rig_redis_socket(stage->rig));
    dirname(dir);
    redis_command(stage, "CONFIG SET rdbcompression no");
    redis_command(stage, "SAVE");
    assert_in_range(files_below(dir, "\"provider_name\":\"" PROVIDER "\""), 2,
                    9); /* a session of ours is in both */
    assert_int_equal(files_below(dir, stage->canary), 0);
    snprintf(command, sizeof command, "SET planted %s", stage->canary);
    redis_command(stage, command);
    redis_command(stage, "SAVE");
    assert_in_range(files_below(dir, stage->canary), 2, 9);
}

/* ---- facts ---- */

static void a_key_is_nowhere_but_in_the_pipe_and_its_program(void **state)
{
    stage_t *stage = *state;
    submit(stage, "echoes", "echo");
    ends(stage, "echoes", "completed");

    pid_t program = start_keyed(stage, "asks");
    only_the_program_shows_it(stage, program);
    go_on(stage, "asks");
    ends(stage, "asks", "completed");
    control_tells(stage, "logs", "asks", "said on stderr");
    control_tells(stage, "session_get", "asks", "done");

    submit(stage, "fails", "failing");
    ends(stage, "fails", "error");
    control_tells(stage, "logs", "fails", "a key of " KEY_BYTES " bytes is not enough");
    control_tells(stage, "get", "fails", "a key of " KEY_BYTES " bytes is not enough");

    program = start_keyed(stage, "dies");
    kill(parent_of(program), SIGKILL);
    ends(stage, "dies", "error");
    control_tells(stage, "replay", "dies", "told");
    control_tells(stage, "runners", "dies", "\"credentials\":[\"" PROVIDER "\"]");

    assert_true(stage->heard >= 12);
    nowhere_in_redis(stage);
    nowhere_below(rig_dir(stage->rig), stage->canary); /* logs, state and fabric folders */
    assert_int_equal(files_below(stage->dir, stage->canary), 1);
    assert_string_equal(search.last, stage->keys);
}

/* Crashes a program like any other, which holds the canary, and says whether its core shows it: where cores go
 * elsewhere, what follows proves nothing. */
static bool cores_are_written_here(const stage_t *stage)
{
    char log[128], crash[160];
    process_t process;
    snprintf(log, sizeof log, "%s/control.log", stage->dir);
    snprintf(crash, sizeof crash, "MINT_KEY=%s; export MINT_KEY; kill -SEGV $$", stage->canary);
    const char *argv[] = { "/bin/sh", "-c", crash, NULL };
    process_start(&process, argv, log, 0);
    process_end(&process, 0, RIG_PATIENCE_MS);
    bool written = files_below(stage->dir, stage->canary) == 2;
    if (written)
        unlink(strcmp(search.last, stage->keys) != 0 ? search.last : "core");
    return written;
}

static void a_crash_leaves_no_core_with_a_key_in_it(void **state)
{
    stage_t *stage = *state;
    if (!cores_are_written_here(stage))
        skip();
    pid_t program = start_keyed(stage, "crashes");
    kill(parent_of(program), SIGSEGV);
    ends(stage, "crashes", "error");
    submit(stage, "next", "echo");
    ends(stage, "next", "completed");
    pid_t below[PROCESSES];
    assert_true(process_descendants(rig_runner_pid(stage->rig, 0), below, PROCESSES) > 0);
    kill(below[0], SIGSEGV); /* the keeper's first child is the runner */
    rig_runner_end(stage->rig, 0, 0);
    assert_int_equal(files_below(stage->dir, stage->canary), 1);
    assert_string_equal(search.last, stage->keys);
    nowhere_below(rig_dir(stage->rig), stage->canary);
}

/* How often the needle stands in one mapping; what cannot be read (the kernel's own pages) holds none. */
static unsigned copies_between(int memory, uint64_t from, uint64_t to, const char *needle)
{
    size_t size = (size_t)(to - from), got = 0, length = strlen(needle);
    char *bytes = malloc(size);
    assert_non_null(bytes);
    for (ssize_t n; got < size && (n = pread(memory, bytes + got, size - got, (off_t)(from + got))) > 0;)
        got += (size_t)n;
    unsigned copies = 0;
    for (const char *at = bytes, *end = bytes + got;
         (at = memmem(at, (size_t)(end - at), needle, length)) != NULL; at++)
        copies++;
    free(bytes);
    return copies;
}

/* In all memory of a process; -1 when we may not look. */
static int copies_in(pid_t pid, const char *needle)
{
    char path[64], line[512], access[8];
    uint64_t from, to;
    int copies = 0;
    snprintf(path, sizeof path, "/proc/%d/mem", (int)pid);
    int memory = open(path, O_RDONLY | O_CLOEXEC);
    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    FILE *maps = fopen(path, "r");
    bool readable = memory >= 0 && maps != NULL;
    while (readable && fgets(line, sizeof line, maps) != NULL)
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s", &from, &to, access) == 3 && access[0] == 'r')
            copies += (int)copies_between(memory, from, to, needle);
    if (memory >= 0)
        close(memory);
    if (maps != NULL)
        fclose(maps);
    return readable ? copies : -1;
}

/* The file has the canary twice, in a key and in a URL. */
static void memory_that_held_a_key_is_wiped(void **state)
{
    stage_t *stage = *state;
    pid_t below[PROCESSES];
    submit(stage, "echoes", "echo");
    ends(stage, "echoes", "completed");
    size_t n = process_descendants(rig_runner_pid(stage->rig, 0), below, PROCESSES);
    assert_int_equal(n, 2);
    pid_t runner = below[0], echo = below[1], program = start_keyed(stage, "asks"),
          keyed = parent_of(program);
    if (copies_in(runner, stage->canary) < 0)
        skip();                                            /* that is the point: only root may */
    assert_int_equal(copies_in(runner, stage->canary), 2); /* its table, and nothing that was on the way */
    assert_int_equal(copies_in(keyed, stage->canary), 2);  /* the variables */
    assert_true(copies_in(program, stage->canary) >= 2);
    assert_int_equal(copies_in(echo, stage->canary), 0);
    assert_int_equal(copies_in(rig_runner_pid(stage->rig, 0), stage->canary), 0); /* the keeper */
    assert_int_equal(copies_in(rig_broker_pid(stage->rig), stage->canary), 0);
    go_on(stage, "asks");
    ends(stage, "asks", "completed");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(memory_that_held_a_key_is_wiped, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_key_is_nowhere_but_in_the_pipe_and_its_program, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_crash_leaves_no_core_with_a_key_in_it, stage_up, stage_down),
};

RZ_FACTS(tests)
