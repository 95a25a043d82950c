/* test_privacy.c - what an ordinary process sees of a runner, its keeper and a worker of the same user: nothing. */
#include "facts.h"
#include "process.h"

#include "base/key.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_MS 20000
#define ORDINARY    65534 /* root sees everything: as root, the facts make all programs those of this user */

typedef struct {
    char dir[64];
    process_t subject;
} place_t;

/* ---- being somebody ordinary ---- */

static void become_ordinary(void)
{
    if (geteuid() == 0 && (setgroups(0, NULL) != 0 || setgid(ORDINARY) != 0 || setuid(ORDINARY) != 0))
        _exit(255);
}

/* The errno that an ordinary process of the user meets when it opens the file; 0: it may. */
static int open_as_neighbour(pid_t pid, const char *name)
{
    char path[64];
    int status;
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    pid_t probe = fork();
    assert_true(probe >= 0);
    if (probe == 0) {
        become_ordinary();
        char byte;
        int fd = open(path, O_RDONLY);
        _exit(fd < 0 ? errno : strcmp(name, "environ") == 0 && read(fd, &byte, 1) < 0 ? errno : 0);
    }
    assert_int_equal(waitpid(probe, &status, 0), probe);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* ---- the place and its subjects ---- */

static int place_up(void **state)
{
    place_t *place = calloc(1, sizeof *place);
    assert_non_null(place);
    snprintf(place->dir, sizeof place->dir, "/tmp/rz-privacy-XXXXXX");
    assert_non_null(mkdtemp(place->dir));
    if (geteuid() == 0)
        assert_int_equal(chown(place->dir, ORDINARY, ORDINARY), 0);
    *state = place;
    return 0;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status;
    (void)kind;
    (void)where;
    return remove(path);
}

static int place_down(void **state)
{
    place_t *place = *state;
    process_end(&place->subject, SIGTERM, PATIENCE_MS);
    nftw(place->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(place);
    return 0;
}

/* Runs a shell text as the ordinary user, in the place; it replaces itself by what it starts. */
static void start(place_t *place, const char *text)
{
    char log[96], command[1024];
    snprintf(log, sizeof log, "%s/log", place->dir);
    snprintf(command, sizeof command, "cd %s && exec %s", place->dir, text);
    const char *as_other[] = {
        "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/bin/sh", "-c", command, NULL
    };
    process_start(&place->subject, geteuid() == 0 ? as_other : as_other + 4, log, 0);
}

static const char *program(const char *name, char out[400])
{
    const char *bin = getenv("RZ_BIN_DIR");
    if (bin == NULL)
        fail_msg("RZ_BIN_DIR must name the folder of the programs (ctest sets it)");
    snprintf(out, 400, "%s/%s", bin, name);
    return out;
}

static void write_file(const place_t *place, const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", place->dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    if (geteuid() == 0)
        assert_int_equal(fchown(fd, ORDINARY, ORDINARY), 0);
    close(fd);
}

/* Until the file has the word in it; whoever writes it tells nobody else. */
static void await_word(const place_t *place, const char *name, const char *word)
{
    char path[128], text[4096];
    snprintf(path, sizeof path, "%s/%s", place->dir, name);
    for (uint64_t deadline = process_now_ms() + PATIENCE_MS; process_now_ms() < deadline; poll(NULL, 0, 2)) {
        FILE *file = fopen(path, "r");
        size_t n = file != NULL ? fread(text, 1, sizeof text - 1, file) : 0;
        text[n] = '\0';
        if (file != NULL)
            fclose(file);
        if (strstr(text, word) != NULL)
            return;
        if (waitpid(place->subject.pid, NULL, WNOHANG) != 0)
            break;
    }
    process_show_log(place->subject.log);
    fail_msg("no %s in %s", word, path);
}

static void is_closed(pid_t pid)
{
    static const char *const names[] = { "environ", "mem", "maps" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_int_equal(open_as_neighbour(pid, names[i]), EACCES);
}

/* ---- facts ---- */

static void an_ordinary_program_is_open_to_its_neighbours(void **state)
{
    place_t *place = *state;
    start(place, "/bin/sh -c 'echo up; read never </dev/zero'");
    await_word(place, "log", "up");
    assert_int_equal(open_as_neighbour(place->subject.pid, "environ"), 0);
    assert_int_equal(open_as_neighbour(place->subject.pid, "maps"), 0);
}

static void a_runner_and_its_keeper_are_closed(void **state)
{
    place_t *place = *state;
    char path[400], command[700];
    pid_t below[8];
    write_file(place, "keys.json", "{\"mint\":{\"api_key\":\"sk\"}}");
    snprintf(
        command, sizeof command,
        "%s --runner-credentials keys.json --runner-state-dir %s/state --runner-brokers tcp://127.0.0.1:1",
        program("rhizome-runner", path), place->dir);
    start(place, command);
    await_word(place, "log", "runner.up");
    assert_int_equal(process_descendants(place->subject.pid, below, 8), 1);
    is_closed(place->subject.pid);
    is_closed(below[0]);
}

static void a_worker_is_closed(void **state)
{
    place_t *place = *state;
    char path[400], spec[512], command[500];
    snprintf(
        spec, sizeof spec,
        "{\"version\":1,\"identity\":{\"child_id\":\"c\"},\"executor\":{\"kind\":\"echo\"},\"fabric_dir\":\"%s\","
        "\"secrets\":{\"provider_credentials\":[{\"provider\":\"mint\",\"api_key\":\"sk\"}]},\"reusable\":true}",
        place->dir);
    write_file(place, "spec.json", spec);
    snprintf(command, sizeof command, "%s <spec.json", program("rhizome-worker", path));
    start(place, command);
    await_word(place, "c.json", "endpoint");
    is_closed(place->subject.pid);
}

/* It has become the program of this name: who starts it is as closed, being root's. */
static void await_program(const place_t *place, const char *name)
{
    char path[64], comm[32] = "";
    snprintf(path, sizeof path, "/proc/%d/comm", (int)place->subject.pid);
    uint64_t deadline = process_now_ms() + PATIENCE_MS;
    while (strncmp(comm, name, strlen(name)) != 0 || comm[strlen(name)] != '\n') {
        assert_true(process_now_ms() < deadline);
        FILE *file = fopen(path, "r");
        if (file != NULL && fgets(comm, sizeof comm, file) == NULL)
            comm[0] = '\0';
        if (file != NULL)
            fclose(file);
    }
}

/* A port of the loopback at which connections are taken and nobody speaks. */
static int silent_port(uint16_t *port)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    *port = ntohs(at.sin_port);
    return fd;
}

/* While it waits for a broker that does not answer. */
static void a_command_line_with_a_key_is_closed(void **state)
{
    place_t *place = *state;
    char file[128], path[400], command[700];
    rz_key_t key, broker;
    rz_err_t err = { 0 };
    uint16_t port;
    int silent = silent_port(&port);
    rz_key_new(&broker, "broker", RZ_KEY_BROKER, NULL);
    rz_key_new(&key, "me", RZ_KEY_ADMIN, broker.public_key);
    snprintf(file, sizeof file, "%s/me.key", place->dir);
    assert_int_equal(rz_key_save(&key, file, &err), RZ_OK);
    if (geteuid() == 0)
        assert_int_equal(chown(file, ORDINARY, ORDINARY), 0);
    snprintf(command, sizeof command, "%s status --key me.key --control tcp://127.0.0.1:%u",
             program("rhizome", path), (unsigned)port);
    start(place, command);
    await_program(place, "rhizome");
    uint64_t deadline = process_now_ms() + PATIENCE_MS;
    while (open_as_neighbour(place->subject.pid, "environ") != EACCES ||
           open_as_neighbour(place->subject.pid, "maps") != EACCES) /* it has only just begun */
        assert_true(process_now_ms() < deadline);
    is_closed(place->subject.pid);
    close(silent);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(an_ordinary_program_is_open_to_its_neighbours, place_up, place_down),
    cmocka_unit_test_setup_teardown(a_runner_and_its_keeper_are_closed, place_up, place_down),
    cmocka_unit_test_setup_teardown(a_worker_is_closed, place_up, place_down),
    cmocka_unit_test_setup_teardown(a_command_line_with_a_key_is_closed, place_up, place_down),
};

RZ_FACTS(tests)
