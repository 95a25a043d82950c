/* test_tell.c - what a program is told on its stdin, against the agreed bytes. */
#include "facts.h"

#include "tell.h"
#include "vectors/vectors.h"
#include "wire/frame.h"

/* Takes the line; it must be one. */
static void is_line(rz_buf_t *line, const char *want)
{
    assert_true(line->len > 0);
    assert_ptr_equal(memchr(line->data, '\n', line->len), line->data + line->len - 1);
    line->data[line->len - 1] = '\0';
    assert_string_equal(line->data, want);
    rz_buf_fini(line);
}

static void is_vector(rz_buf_t *line, const char *name)
{
    rz_buf_t want = vector_load("program-input", name);
    is_line(line, want.data);
    rz_buf_fini(&want);
}

static void run_becomes(const char *frame, uint64_t run, const char *want)
{
    rz_buf_t line = { 0 };
    rz_parent_frame_t decoded;
    assert_int_equal(rz_parent_frame_decode(frame, strlen(frame), &decoded, NULL), RZ_OK);
    rz_parent_frame_fini(&decoded);
    tell_run(&line, rz_str(frame), run);
    is_line(&line, want);
}

static void a_run_is_told_with_its_number(void **state)
{
    (void)state;
    rz_buf_t frame = vector_load("parent-frame", "run"), line = { 0 };
    tell_run(&line, rz_buf_str(&frame), 3);
    is_vector(&line, "run");
    rz_buf_fini(&frame);
}

static void a_message_and_a_cancel_name_their_run(void **state)
{
    (void)state;
    rz_buf_t line = { 0 };
    tell_message(&line, "skip the \"vendored\"\nfolder", 3);
    is_vector(&line, "message");
    tell_cancel(&line, 3);
    is_vector(&line, "cancel");
}

static void to_a_program_of_one_run_frames_are_told_as_they_came(void **state)
{
    (void)state;
    run_becomes("{\"kind\":\"run\",\"assignment\":\"a\",\"run\":\"x\"}", 0,
                "{\"kind\":\"run\",\"assignment\":\"a\",\"run\":\"x\"}");
    rz_buf_t line = { 0 };
    tell_message(&line, "t", 0);
    is_line(&line, "{\"kind\":\"message\",\"text\":\"t\"}");
}

static void a_member_run_of_the_frame_gives_way(void **state)
{
    (void)state;
    run_becomes("{\"run\":9,\"kind\":\"run\",\"assignment\":\"a\"}", 1,
                "{\"kind\":\"run\",\"assignment\":\"a\",\"run\":1}");
    run_becomes("{\"kind\":\"run\",\"r\\u0075n\":{\"run\":2},\"assignment\":\"a\"}", 1,
                "{\"kind\":\"run\",\"assignment\":\"a\",\"run\":1}");
    run_becomes("{\"kind\":\"run\",\"assignment\":\"a\",\"deep\":{\"run\":2}}", 1,
                "{\"kind\":\"run\",\"assignment\":\"a\",\"deep\":{\"run\":2},\"run\":1}");
}

static void a_frame_laid_out_over_lines_becomes_one(void **state)
{
    (void)state;
    const char *frame = "{\n\"kind\":\"run\",\r\n\"assignment\":\"a\\nb\",\"messages\":[\n{}\r\n]\n}";
    run_becomes(frame, 0, "{ \"kind\":\"run\",  \"assignment\":\"a\\nb\",\"messages\":[ {}  ] }");
    run_becomes(frame, 7, "{\"kind\":\"run\",\"assignment\":\"a\\nb\",\"messages\":[ {}  ],\"run\":7}");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_run_is_told_with_its_number),
    cmocka_unit_test(a_message_and_a_cancel_name_their_run),
    cmocka_unit_test(to_a_program_of_one_run_frames_are_told_as_they_came),
    cmocka_unit_test(a_member_run_of_the_frame_gives_way),
    cmocka_unit_test(a_frame_laid_out_over_lines_becomes_one),
};

RZ_FACTS(tests)
