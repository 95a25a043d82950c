/* talk: whose words a program's are when it speaks before it was told anything. */
#include "facts.h"

#include "talk.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_S 30 /* then SIGALRM ends it: neither waitid() nor the loop would */

/* A program is started through a copy of whoever starts it. */
__attribute__((constructor)) static void become_a_program(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], LAUNCH_FLAG) == 0)
        launch_exec(argc, argv);
}

typedef struct {
    unsigned events, ends;
} heard_t;

static void on_event(void *arg, rz_str_t event)
{
    (void)event;
    ((heard_t *)arg)->events++;
}

static void on_terminal(void *arg, rz_str_t line)
{
    (void)arg;
    (void)line;
}

static void on_end(void *arg, bool clean, const char *why)
{
    (void)why;
    assert_true(clean);
    ((heard_t *)arg)->ends++;
}

static size_t no_backlog(void *arg)
{
    (void)arg;
    return 0;
}

/* The program has said one thing and exited before its run begins. */
static heard_t hear_an_early_word(bool lasting)
{
    heard_t heard = { 0 };
    uv_loop_t loop;
    assert_int_equal(uv_loop_init(&loop), 0);
    cJSON *args =
        cJSON_Parse("[\"-c\", \"echo '{\\\"type\\\":\\\"token\\\",\\\"content\\\":\\\"early\\\"}'\"]");
    setting_t setting = { .loop = &loop, .program = { .command = "/bin/sh", .args = args } };
    talk_listener_t ears = { .on_event = on_event,
                             .on_terminal = lasting ? on_terminal : NULL,
                             .on_end = on_end,
                             .backlog = no_backlog,
                             .arg = &heard };
    rz_err_t err = { 0 };
    talk_t *talk = talk_open(&setting, &ears, &err);
    if (talk == NULL)
        fail_msg("%s", err.text);
    siginfo_t info;
    alarm(PATIENCE_S);
    assert_int_equal(waitid(P_ALL, 0, &info, WEXITED | WNOWAIT), 0);
    talk_begin_run(talk);
    while (heard.ends == 0)
        uv_run(&loop, UV_RUN_ONCE);
    talk_close(&talk);
    uv_run(&loop, UV_RUN_DEFAULT);
    alarm(0);
    assert_int_equal(uv_loop_close(&loop), 0);
    cJSON_Delete(args);
    return heard;
}

static void a_program_of_one_run_has_no_word_that_is_not_its_runs(void **state)
{
    (void)state;
    assert_int_equal(hear_an_early_word(false).events, 1);
}

static void a_program_of_many_runs_speaks_for_none_before_it_was_told(void **state)
{
    (void)state;
    assert_int_equal(hear_an_early_word(true).events, 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_program_of_one_run_has_no_word_that_is_not_its_runs),
    cmocka_unit_test(a_program_of_many_runs_speaks_for_none_before_it_was_told),
};

RZ_FACTS(tests)
