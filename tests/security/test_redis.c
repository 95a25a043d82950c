/* test_redis.c - the users of ops/redis/users.acl at a real Redis: what a broker may not, tried; what an admin can; and nobody
 * else anything. That a broker can all it needs show the facts of integration, where all of them run as this user (integration/secured.h). */
#include "facts.h"
#include "integration/redis.h"

#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ALLOWED_MAX  128
#define COMMANDS_MAX 1024

static struct {
    redis_t redis;
    redisContext *as; /* the user of the fact */
    char *allowed[ALLOWED_MAX];
    size_t allowed_count;
    char rules[8192];
} house;

/* ---- the house ---- */

static void run(const char *command)
{
    if (system(command) != 0) /* NOLINT(cert-env33-c) */
        fail_msg("%s", command);
}

static void read_allowed(const char *path)
{
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(house.rules, sizeof house.rules, file) != NULL &&
           strncmp(house.rules, "user broker ", 12) != 0)
        ;
    fclose(file);
    house.allowed_count = 0;
    for (char *rest = house.rules, *word; (word = strsep(&rest, " \n")) != NULL;)
        if (word[0] == '+')
            house.allowed[house.allowed_count++] = word + 1;
    assert_in_range(house.allowed_count, 10, ALLOWED_MAX);
}

/* Its passwords lie in its folder: redis.broker, redis.admin. */
static int house_up(void **state)
{
    static char path[128];
    /* so that permission is the one reason left to refuse DEBUG and MODULE */
    static const char *with[] = { "--aclfile",
                                  path,
                                  "--enable-debug-command",
                                  "yes",
                                  "--enable-module-command",
                                  "yes",
                                  "--appendonly",
                                  "yes",
                                  "--appendfsync",
                                  "always",
                                  NULL };
    char command[512];
    (void)state;
    house.redis = (redis_t){ .settings = with };
    snprintf(house.redis.dir, sizeof house.redis.dir, "/tmp/rz-redis-XXXXXX");
    assert_non_null(mkdtemp(house.redis.dir));
    snprintf(house.redis.socket, sizeof house.redis.socket, "%s/redis.sock", house.redis.dir);
    snprintf(house.redis.url, sizeof house.redis.url, "unix:%s", house.redis.socket);
    snprintf(path, sizeof path, "%s/users.acl", house.redis.dir);
    snprintf(command, sizeof command, RZ_SOURCE_DIR "/ops/redis/acl %s > %s", house.redis.dir, path);
    run(command);
    read_allowed(path);
    redis_again(&house.redis);
    return 0;
}

static int house_down(void **state)
{
    (void)state;
    redisFree(house.as);
    house.as = NULL;
    redis_down(&house.redis);
    return 0;
}

static const char *password_of(const char *user)
{
    static char text[128];
    char path[128];
    snprintf(path, sizeof path, "%s/redis.%s", house.redis.dir, user);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    text[strcspn(text, "\n")] = '\0';
    return text;
}

static redisReply *ask(int argc, const char **argv)
{
    redisReply *reply = redisCommandArgv(house.as, argc, argv, NULL);
    if (reply == NULL)
        fail_msg("%s: %s", argv[0], house.as->errstr);
    return reply;
}

/* NULL: nobody. */
static void come_as(const char *user)
{
    redisFree(house.as);
    house.as = redisConnectUnix(house.redis.socket);
    assert_int_equal(house.as->err, 0);
    if (user == NULL)
        return;
    redisReply *reply = ask(3, (const char *[]){ "AUTH", user, password_of(user) });
    assert_string_equal(reply->str, "OK");
    freeReplyObject(reply);
}

/* EXEC alone says it behind a word of its own. */
static void is_refused(const redisReply *reply, const char *command, const char *code)
{
    if (reply->type != REDIS_REPLY_ERROR || strstr(reply->str, code) == NULL)
        fail_msg("%s: %s, not %s", command, reply->str != NULL ? reply->str : "answered", code);
}

static void refused(const char *code, const char *line)
{
    char words[512];
    const char *argv[16];
    int n = 0;
    snprintf(words, sizeof words, "%s", line);
    for (char *rest = words, *word; (word = strsep(&rest, " ")) != NULL;)
        argv[n++] = word;
    redisReply *reply = ask(n, argv);
    is_refused(reply, line, code);
    freeReplyObject(reply);
}

/* The program as this user, its exit code. */
static int rhizome_as(const char *user, const char *arguments)
{
    char command[1024];
    snprintf(
        command, sizeof command,
        "RHIZOME_REDIS_URL=%s RHIZOME_REDIS_USER=%s RHIZOME_REDIS_PASSWORD_FILE=%s/redis.%s %s/rhizome %s >%s/said 2>&1",
        house.redis.url, user, house.redis.dir, user, getenv("RZ_BIN_DIR"), arguments, house.redis.dir);
    return WEXITSTATUS(system(command)); /* NOLINT(cert-env33-c) */
}

/* ---- every command there is ---- */

typedef struct {
    char name[64];
    int arity;
} command_t;

static command_t commands[COMMANDS_MAX];

/* From the server itself, as somebody who may ask: a second one without users. */
static size_t list_commands(void)
{
    redis_t open;
    size_t n = 0;
    redis_up(&open, NULL);
    redisContext *context = redis_connect(open.socket);
    redisReply *names = redisCommand(context, "COMMAND LIST");
    assert_int_equal(names->type, REDIS_REPLY_ARRAY);
    for (size_t i = 0; i < names->elements && n < COMMANDS_MAX; i++) {
        redisReply *info = redisCommand(context, "COMMAND INFO %s", names->element[i]->str);
        snprintf(commands[n].name, sizeof commands[n].name, "%s", names->element[i]->str);
        commands[n++].arity = (int)info->element[0]->element[1]->integer;
        freeReplyObject(info);
    }
    freeReplyObject(names);
    redisFree(context);
    redis_down(&open);
    return n;
}

static bool is_allowed(const char *name)
{
    static const char *const always[] = { "auth", "hello", "quit",
                                          "reset" }; /* also to nobody: they are how one becomes somebody */
    for (size_t i = 0; i < sizeof always / sizeof always[0]; i++)
        if (strcmp(name, always[i]) == 0)
            return true;
    for (size_t i = 0; i < house.allowed_count; i++)
        if (strcmp(house.allowed[i], name) == 0)
            return true;
    return false;
}

/* The first word of commands of two is none by itself. */
static bool is_container(const char *name, size_t count)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < count; i++)
        if (strncmp(commands[i].name, name, n) == 0 && commands[i].name[n] == '|')
            return true;
    return false;
}

/* With as many words as it takes, each a key that a broker has: no other reason is left to refuse it. */
static redisReply *try_command(const command_t *command)
{
    const char *argv[16];
    char name[64];
    int n = 0, least = command->arity < 0 ? -command->arity : command->arity;
    snprintf(name, sizeof name, "%s", command->name);
    for (char *rest = name, *word; (word = strsep(&rest, "|")) != NULL;)
        argv[n++] = word;
    while (n < least)
        argv[n++] = "rz:{0}:x";
    return ask(n, argv);
}

/* ---- facts ---- */

static void a_broker_may_none_of_the_commands_that_it_does_not_need(void **state)
{
    (void)state;
    size_t n = list_commands(), tried = 0;
    come_as("broker");
    for (size_t i = 0; i < n; i++) {
        if (is_allowed(commands[i].name) || is_container(commands[i].name, n))
            continue;
        redisReply *reply = try_command(&commands[i]);
        is_refused(reply, commands[i].name, "NOPERM");
        freeReplyObject(reply);
        tried++;
    }
    assert_in_range(tried, 250, n);
}

static void nor_anything_with_keys_that_are_not_the_stores(void **state)
{
    (void)state;
    come_as("broker");
    refused("NOPERM", "GET other");
    refused("NOPERM", "SET rzx 1");
    refused("NOPERM", "DEL rz:{0}:x other");
    refused("NOPERM", "RENAME rz:{0}:x other");
    refused("NOPERM", "XREAD STREAMS other 0");
    refused("NOPERM", "FCALL rz1_version 1 other");
    refused("NOPERM", "CONFIG SET requirepass x");
    refused("NOPERM", "PUBLISH rz:x y");
}

/* A function that somebody else put there reaches no further either: it has its caller's rights. */
static void nor_through_a_function(void **state)
{
    (void)state;
    static const char library[] =
        "#!lua name=evil\n"
        "redis.register_function('steal', function(keys) return redis.call('GET', 'other') end)\n"
        "redis.register_function('flush', function(keys) return redis.call('FLUSHALL') end)\n";
    come_as("admin");
    redisReply *reply = ask(3, (const char *[]){ "FUNCTION", "LOAD", library });
    assert_int_equal(reply->type, REDIS_REPLY_STRING);
    freeReplyObject(reply);
    come_as("broker");
    refused("ERR", "FCALL steal 1 rz:{0}");
    refused("ERR", "FCALL flush 1 rz:{0}");
    refused("NOPERM", "FUNCTION DELETE evil");
}

static void nobody_without_a_password_may_anything(void **state)
{
    (void)state;
    come_as(NULL);
    refused("NOAUTH", "PING");
    refused("NOAUTH", "GET rz:{0}:store");
    refused("NOAUTH", "CONFIG GET *");
    refused("WRONGPASS", "AUTH default x");
    refused("WRONGPASS", "AUTH broker x");
    refused("WRONGPASS", "AUTH x");
    come_as("broker");
    redisReply *reply = ask(1, (const char *[]){ "RESET" }); /* nobody again */
    freeReplyObject(reply);
    refused("NOAUTH", "GET rz:{0}:store");
}

/* Once it has read what it holds. */
static void answers_with(const char *text, int argc, const char **argv)
{
    uint64_t deadline = process_now_ms() + 30000;
    redisReply *reply = ask(argc, argv);
    while (reply->str != NULL && strncmp(reply->str, "LOADING", 7) == 0 && process_now_ms() < deadline) {
        freeReplyObject(reply);
        reply = ask(argc, argv);
    }
    if (reply->str == NULL || strcmp(reply->str, text) != 0)
        fail_msg("%s: %s", argv[0], reply->str);
    freeReplyObject(reply);
}

/* Redis 7.0 reads its AOF with the rights of `default`. */
static void what_was_answered_is_there_when_redis_comes_back(void **state)
{
    (void)state;
    static const char library[] =
        "#!lua name=pair\n"
        "redis.register_function('pair', function(keys) redis.call('SET', keys[1], 'one') "
        "redis.call('HSET', keys[2], 'two', '2') return 'done' end)\n";
    come_as("admin");
    answers_with("pair", 3, (const char *[]){ "FUNCTION", "LOAD", library });
    come_as("broker");
    answers_with("done", 5, (const char *[]){ "FCALL", "pair", "2", "rz:{0}:a", "rz:{0}:b" });
    redis_end(&house.redis, SIGKILL);
    redis_again(&house.redis);
    come_as("broker");
    answers_with("one", 2, (const char *[]){ "GET", "rz:{0}:a" });
    answers_with("2", 3, (const char *[]){ "HGET", "rz:{0}:b", "two" });
}

static void an_admin_makes_and_checks_a_store_and_a_broker_cannot_make_one(void **state)
{
    (void)state;
    assert_int_equal(rhizome_as("broker", "store init"), 77);
    char command[512];
    snprintf(command, sizeof command, "grep -q 'may not load the library: use --redis-user admin' %s/said",
             house.redis.dir);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
    assert_int_equal(rhizome_as("admin", "store init"), 0);
    assert_int_equal(rhizome_as("admin", "store upgrade"), 0);
    assert_int_equal(rhizome_as("admin", "store check"), 0);
    assert_int_equal(rhizome_as("broker", "store upgrade"), 77);
}

static void an_admin_of_the_store_is_none_of_the_server(void **state)
{
    (void)state;
    come_as("admin");
    static const char *const lines[] = {
        "FLUSHALL", "CONFIG SET dir /", "SHUTDOWN NOSAVE",     "ACL LIST",
        "KEYS *",   "DEBUG SLEEP 0",    "SLAVEOF 127.0.0.1 1", "MODULE LOAD x",
        "EVAL x 0", "GET other",        "FUNCTION FLUSH",      "SAVE",
        "MONITOR",  "CLIENT LIST",      "SUBSCRIBE x"
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        refused("NOPERM", lines[i]);
}

static void passwords_are_made_once_and_never_shown(void **state)
{
    (void)state;
    char command[512], before[128];
    struct stat info;
    snprintf(before, sizeof before, "%s", password_of("broker"));
    assert_int_equal(strlen(before), 64);
    snprintf(command, sizeof command,
             RZ_SOURCE_DIR "/ops/redis/acl %s > %s/again && cmp %s/again %s/users.acl", house.redis.dir,
             house.redis.dir, house.redis.dir, house.redis.dir);
    run(command);
    assert_string_equal(password_of("broker"), before);
    assert_string_not_equal(password_of("admin"), before);
    snprintf(command, sizeof command, "! grep -q %s %s/users.acl", before, house.redis.dir);
    run(command);
    snprintf(command, sizeof command, "%s/redis.broker", house.redis.dir);
    assert_int_equal(stat(command, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
}

/* Of a program that must not start: its exit code, and that it says so. */
static void will_not(const char *command, const char *text)
{
    char line[1024];
    snprintf(line, sizeof line, "timeout 20 %s/%s >%s/said 2>&1", getenv("RZ_BIN_DIR"), command,
             house.redis.dir);
    int status = system(line); /* NOLINT(cert-env33-c) */
    assert_int_equal(WEXITSTATUS(status), 78);
    snprintf(line, sizeof line, "grep -q '%s' %s/said", text, house.redis.dir);
    run(line);
}

static void nobody_speaks_in_the_clear_to_another_host(void **state)
{
    (void)state;
    will_not("rhizome-broker --redis-url redis://192.0.2.1", "redis.plaintext");
    will_not("rhizome-broker --redis-url redis+sentinel://127.0.0.1,192.0.2.1/main", "redis.plaintext");
    will_not("rhizome store check --redis-url redis://192.0.2.1", "ops/redis");
    will_not("rhizome-broker --check-config --redis-url redis://192.0.2.1", "TLS tunnel");
}

static void no_flag_takes_a_password(void **state)
{
    (void)state;
    will_not("rhizome-broker --redis-password hush", "show a password to every user");
    will_not("rhizome store init --redis-url redis://:hush@127.0.0.1", "show a password to every user");
    char line[256];
    snprintf(line, sizeof line, "! grep -q hush %s/said", house.redis.dir);
    run(line);
}

static const struct CMUnitTest tests[] = {
    /* clang-format off */
    cmocka_unit_test_setup_teardown(a_broker_may_none_of_the_commands_that_it_does_not_need, house_up, house_down),
    cmocka_unit_test_setup_teardown(nor_anything_with_keys_that_are_not_the_stores, house_up, house_down),
    cmocka_unit_test_setup_teardown(nor_through_a_function, house_up, house_down),
    cmocka_unit_test_setup_teardown(nobody_without_a_password_may_anything, house_up, house_down),
    cmocka_unit_test_setup_teardown(what_was_answered_is_there_when_redis_comes_back, house_up, house_down),
    cmocka_unit_test_setup_teardown(an_admin_makes_and_checks_a_store_and_a_broker_cannot_make_one, house_up, house_down),
    cmocka_unit_test_setup_teardown(an_admin_of_the_store_is_none_of_the_server, house_up, house_down),
    cmocka_unit_test_setup_teardown(nobody_speaks_in_the_clear_to_another_host, house_up, house_down),
    cmocka_unit_test_setup_teardown(no_flag_takes_a_password, house_up, house_down),
    cmocka_unit_test_setup_teardown(passwords_are_made_once_and_never_shown, house_up, house_down),
    /* clang-format on */
};

RZ_FACTS(tests)
