/* Lines on stderr: their shape, their bound, and that strangers cannot forge them. stderr is a file here. */
#include "facts.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static int real_stderr;
static FILE *capture;

static int capture_begin(void **state)
{
    (void)state;
    capture = tmpfile();
    real_stderr = dup(STDERR_FILENO);
    rz_log_setup(NULL, RZ_LOG_INFO);
    return capture != NULL && dup2(fileno(capture), STDERR_FILENO) >= 0 ? 0 : -1;
}

static int capture_end(void **state)
{
    (void)state;
    dup2(real_stderr, STDERR_FILENO);
    close(real_stderr);
    return fclose(capture);
}

/* All that was written so far; caller frees. */
static char *captured(void)
{
    long size = lseek(fileno(capture), 0, SEEK_END);
    char *text = calloc(1, (size_t)size + 1);
    assert_int_equal(pread(fileno(capture), text, (size_t)size, 0), size);
    return text;
}

static void a_line_is_time_level_event_and_keys(void **state)
{
    (void)state;
    rz_log_warn("worker.lost", "child=%s pid=%d", "ch-41", 28117);
    char *line = captured();
    int64_t us;
    line[RZ_RFC3339_LEN] = '\0';
    assert_int_equal(rz_rfc3339_parse(line, &us), 0);
    assert_string_equal(line + RZ_RFC3339_LEN + 1, "warn worker.lost child=ch-41 pid=28117\n");
    free(line);
}

static void the_program_is_named_once_it_is_known(void **state)
{
    (void)state;
    rz_log_setup("rhizome-broker", RZ_LOG_DEBUG);
    rz_log_debug("store.up", "%s", "");
    char *line = captured();
    assert_string_equal(line + RZ_RFC3339_LEN, " rhizome-broker debug store.up\n");
    free(line);
}

static void levels_below_the_threshold_are_silent(void **state)
{
    (void)state;
    rz_log_debug("no", "x=1");
    rz_log_setup(NULL, RZ_LOG_ERROR);
    rz_log_warn("no", "x=1");
    rz_log_setup(NULL, RZ_LOG_OFF);
    rz_log_error("no", "x=1");
    rz_log(RZ_LOG_OFF, "no", "x=1");
    char *text = captured();
    assert_string_equal(text, "");
    free(text);
}

static void control_bytes_cannot_forge_a_line_or_reach_the_terminal(void **state)
{
    (void)state;
    rz_log_info("peer.said", "text=%s", "a\nb\tc\r\x1b[31m\x7f\xc2\x9b gr\xc3\xbc\xc3\x9f");
    char *line = captured();
    assert_string_equal(line + RZ_RFC3339_LEN,
                        " info peer.said text=a\\nb\\tc\\x0d\\x1b[31m\\x7f\\xc2\\x9b gr\xc3\xbc\xc3\x9f\n");
    free(line);
}

static void a_long_line_is_cut_at_4_kib_between_characters(void **state)
{
    (void)state;
    char *text = calloc(1, 9001);
    for (int shift = 0; shift < 2; shift++) {
        memset(text, 'x', 1);
        for (size_t i = (size_t)shift; i + 1 < 9000; i += 2)
            memcpy(text + i, "\xc3\xbc", 2);
        rz_log_info("long", "t=%s", text);
    }
    free(text);
    char *lines = captured(), *second = strchr(lines, '\n') + 1;
    for (int i = 0; i < 2; i++) {
        const char *line = i == 0 ? lines : second;
        size_t n = (size_t)(strchr(line, '\n') - line) + 1;
        assert_true(n <= 4096 && n > 4090);
        assert_memory_equal(line + n - 6, "\xc3\xbc...\n", 6);
    }
    free(lines);
}

static void a_line_that_just_fits_is_not_cut(void **state)
{
    (void)state;
    char text[4001];
    memset(text, 'x', 4000);
    text[4000] = '\0';
    rz_log_info("long", "%s", text);
    char *line = captured();
    assert_int_equal(strlen(line), RZ_RFC3339_LEN + strlen(" info long ") + 4000 + 1);
    free(line);
}

static void errno_is_left_alone(void **state)
{
    (void)state;
    errno = ENOTTY;
    rz_log_info("x", "y=1");
    assert_int_equal(errno, ENOTTY);
}

#define THREADS 4
#define LINES   500

static void *log_many(void *arg)
{
    for (int i = 0; i < LINES; i++)
        rz_log_info("thread", "id=%s id=%s id=%s", (const char *)arg, (const char *)arg, (const char *)arg);
    return NULL;
}

static void lines_of_several_threads_do_not_mix(void **state)
{
    (void)state;
    static const char *const ids[THREADS] = { "a", "b", "c", "d" };
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, log_many, (void *)(uintptr_t)ids[i]), 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    char *text = captured(), *rest = NULL;
    int n = 0;
    for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest), n++) {
        char id = line[strlen(line) - 1], expected[64];
        snprintf(expected, sizeof(expected), " info thread id=%c id=%c id=%c", id, id, id);
        assert_string_equal(line + RZ_RFC3339_LEN, expected);
    }
    assert_int_equal(n, THREADS * LINES);
    free(text);
}

static void levels_are_read_by_name(void **state)
{
    (void)state;
    static const char *const names[] = { "debug", "info", "warn", "error", "off" };
    for (int i = 0; i < 5; i++) {
        rz_log_level_t level;
        assert_int_equal(rz_log_level_parse(names[i], &level), RZ_OK);
        assert_int_equal(level, i);
    }
    rz_log_level_t kept = RZ_LOG_WARN;
    assert_int_equal(rz_log_level_parse("Info", &kept), RZ_BAD_FIELD);
    assert_int_equal(rz_log_level_parse(NULL, &kept), RZ_BAD_FIELD);
    assert_int_equal(kept, RZ_LOG_WARN);
}

/* clang-format off */
static void what_comes_without_end_is_worth_a_line_whenever_it_has_doubled(void **state)
{
    (void)state;
    unsigned lines = 0;
    for (uint64_t n = 1; n <= 1024; n++)
        lines += rz_log_worth(n - 1, n);
    assert_int_equal(lines, 11); /* 1, 2, 4, ... 1024 */
    assert_true(rz_log_worth(3, 100));
    assert_false(rz_log_worth(64, 127));
    assert_false(rz_log_worth(0, 0));
    assert_true(rz_log_worth(UINT64_MAX / 2, UINT64_MAX));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(a_line_is_time_level_event_and_keys, capture_begin, capture_end),
    cmocka_unit_test_setup_teardown(the_program_is_named_once_it_is_known, capture_begin, capture_end),
    cmocka_unit_test_setup_teardown(levels_below_the_threshold_are_silent, capture_begin, capture_end),
    cmocka_unit_test_setup_teardown(control_bytes_cannot_forge_a_line_or_reach_the_terminal, capture_begin, capture_end),
    cmocka_unit_test_setup_teardown(a_long_line_is_cut_at_4_kib_between_characters, capture_begin, capture_end),
    cmocka_unit_test_setup_teardown(a_line_that_just_fits_is_not_cut, capture_begin, capture_end),
    cmocka_unit_test_setup_teardown(errno_is_left_alone, capture_begin, capture_end),
    cmocka_unit_test_setup_teardown(lines_of_several_threads_do_not_mix, capture_begin, capture_end),
    cmocka_unit_test(levels_are_read_by_name),
    cmocka_unit_test(what_comes_without_end_is_worth_a_line_whenever_it_has_doubled),
};
/* clang-format on */

RZ_FACTS(tests)
