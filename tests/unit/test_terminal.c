/* test_terminal.c - the line by which a program ends a run, against the agreed bytes and their neighbours. */
#include "terminal.h"
#include "vectors/vectors.h"

static void decodes(const char *name, uint64_t run, rz_worker_status_t status, const char *result,
                    const char *error)
{
    rz_buf_t line = vector_load("program-output", name);
    terminal_t got;
    assert_int_equal(terminal_decode(rz_buf_str(&line), &got, NULL), RZ_OK);
    assert_int_equal(got.run, run);
    assert_int_equal(got.frame.status, status);
    assert_int_equal(got.frame.result.n, result != NULL ? strlen(result) : 0);
    if (result != NULL)
        assert_memory_equal(got.frame.result.p, result, strlen(result));
    assert_int_equal(got.frame.error != NULL, error != NULL);
    if (error != NULL)
        assert_string_equal(got.frame.error, error);
    terminal_fini(&got);
    rz_buf_fini(&line);
}

static void terminals_mean_what_was_agreed(void **state)
{
    (void)state;
    decodes("completed", 3, RZ_WORKER_COMPLETED, "\"There are 12 \\\"TODOs\\\".\"", NULL);
    decodes("smallest", 0, RZ_WORKER_COMPLETED, NULL, NULL);
    decodes("error", 3, RZ_WORKER_ERROR, NULL, "529 overloaded");
    decodes("cancelled", 3, RZ_WORKER_CANCELLED, NULL, NULL);
    decodes("spaced", 0, RZ_WORKER_COMPLETED, NULL, NULL);
}

static void is_refused(const char *line, rz_rc_t rc, const char *field)
{
    terminal_t got;
    rz_err_t err = { 0 };
    assert_int_equal(terminal_decode(rz_str(line), &got, &err), rc);
    assert_string_equal(err.field, field);
    assert_int_equal(strncmp(err.text, field, strlen(field)), 0);
}

#define TERMINAL(more) "{\"kind\":\"terminal\"" more "}"

static void a_bad_one_is_refused_by_the_name_of_its_member(void **state)
{
    (void)state;
    is_refused(TERMINAL(""), RZ_MISSING_FIELD, "status");
    is_refused(TERMINAL(",\"status\":null"), RZ_MISSING_FIELD, "status");
    is_refused(TERMINAL(",\"status\":\"done\""), RZ_BAD_FIELD, "status");
    is_refused(TERMINAL(",\"status\":\"suspended\""), RZ_BAD_FIELD, "status");
    is_refused(TERMINAL(",\"status\":\"completed\",\"run\":\"3\""), RZ_BAD_FIELD, "run");
    is_refused(TERMINAL(",\"status\":\"completed\",\"run\":0"), RZ_BAD_FIELD, "run");
    is_refused(TERMINAL(",\"status\":\"completed\",\"run\":1.5"), RZ_BAD_FIELD, "run");
    is_refused(TERMINAL(",\"status\":\"completed\",\"result\":12"), RZ_BAD_FIELD, "result");
    is_refused(TERMINAL(",\"status\":\"error\",\"error\":{}"), RZ_BAD_FIELD, "error");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(terminals_mean_what_was_agreed),
    cmocka_unit_test(a_bad_one_is_refused_by_the_name_of_its_member),
};

RZ_FACTS(tests)
