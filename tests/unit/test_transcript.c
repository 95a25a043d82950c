/* test_transcript.c - what a program's stdout means, whole and byte by byte, and its last words on stderr. */
#include "facts.h"

#include "base/json.h"
#include "lasts.h"
#include "transcript.h"

/* Hears the events, one a line. */
static void on_event(void *arg, rz_str_t event)
{
    rz_buf_put_str(arg, event);
    rz_buf_putc(arg, '\n');
    assert_int_equal(rz_json_check(event.p, event.n, RZ_EVENT_MAX, NULL), RZ_OK);
}

static void says(const char *bytes, size_t n, size_t step, const char *events, const char *result)
{
    rz_buf_t heard = { 0 }, got = { 0 };
    transcript_t t = { .event = on_event, .arg = &heard };
    for (size_t at = 0; at < n; at += step)
        assert_int_equal(transcript_feed(&t, bytes + at, n - at < step ? n - at : step), RZ_OK);
    transcript_end(&t);
    transcript_result(&t, &got);
    assert_string_equal(heard.len > 0 ? heard.data : "", events);
    assert_string_equal(got.data, result);
    transcript_fini(&t);
    rz_buf_fini(&heard);
    rz_buf_fini(&got);
}

/* Whole, and one byte at a time. */
static void text_says(const char *text, const char *events, const char *result)
{
    size_t n = strlen(text);
    says(text, n, n + 1, events, result);
    says(text, n, 1, events, result);
}

static void an_object_with_a_type_is_an_event_as_it_stands(void **state)
{
    (void)state;
    text_says("{\"type\":\"tool_start\",\"n\":1.50}\n \t{ \"type\" : \"x\" } \r\n",
              "{\"type\":\"tool_start\",\"n\":1.50}\n{ \"type\" : \"x\" }\n", "\"\"");
}

static void any_other_line_is_a_token(void **state)
{
    (void)state;
    text_says("plain \"text\"\n\n{\"no\":\"type\"}\n{\"type\":7}\n[1]\n",
              "{\"type\":\"token\",\"content\":\"plain \\\"text\\\"\\n\"}\n"
              "{\"type\":\"token\",\"content\":\"\\n\"}\n"
              "{\"type\":\"token\",\"content\":\"{\\\"no\\\":\\\"type\\\"}\\n\"}\n"
              "{\"type\":\"token\",\"content\":\"{\\\"type\\\":7}\\n\"}\n"
              "{\"type\":\"token\",\"content\":\"[1]\\n\"}\n",
              "\"plain \\\"text\\\"\\n\\n{\\\"no\\\":\\\"type\\\"}\\n{\\\"type\\\":7}\\n[1]\\n\"");
}

static void json_that_is_not_strict_is_a_token(void **state)
{
    (void)state;
    text_says("{\"type\":\"a\",\"type\":\"b\"}\n",
              "{\"type\":\"token\",\"content\":\"{\\\"type\\\":\\\"a\\\",\\\"type\\\":\\\"b\\\"}\\n\"}\n",
              "\"{\\\"type\\\":\\\"a\\\",\\\"type\\\":\\\"b\\\"}\\n\"");
}

static void the_last_given_result_is_the_result_and_no_event(void **state)
{
    (void)state;
    text_says("a\n{\"type\":\"result\",\"text\":\"first\"}\n{\"type\":\"result\",\"text\":\"h\\u00e9\"}\n",
              "{\"type\":\"token\",\"content\":\"a\\n\"}\n", "\"h\\u00e9\"");
}

static void tokens_of_both_kinds_make_the_result_when_none_is_given(void **state)
{
    (void)state;
    text_says("one\n{\"type\":\"token\",\"content\":\"two \\\"2\\\"\"}\n",
              "{\"type\":\"token\",\"content\":\"one\\n\"}\n"
              "{\"type\":\"token\",\"content\":\"two \\\"2\\\"\"}\n",
              "\"one\\ntwo \\\"2\\\"\"");
}

static void a_last_line_without_newline_counts_too(void **state)
{
    (void)state;
    text_says("{\"type\":\"x\"}", "{\"type\":\"x\"}\n", "\"\"");
    text_says("end", "{\"type\":\"token\",\"content\":\"end\"}\n", "\"end\"");
}

static void bytes_that_are_no_text_become_question_marks(void **state)
{
    (void)state;
    says("a\0b\xff\n", 5, 5, "{\"type\":\"token\",\"content\":\"a?b?\\n\"}\n", "\"a?b?\\n\"");
}

static void a_long_plain_line_becomes_tokens_that_fit(void **state)
{
    (void)state;
    rz_buf_t line = { 0 }, heard = { 0 };
    while (line.len + 3 <= LINE_MAX_BYTES)
        rz_buf_puts(&line, "\x01\xc3\xa9");
    rz_buf_putc(&line, '\n');
    transcript_t t = { .event = on_event, .arg = &heard }; /* on_event checks the size of each */
    assert_int_equal(transcript_feed(&t, line.data, line.len), RZ_OK);
    assert_non_null(strchr(strchr(heard.data, '\n') + 1, '\n'));
    transcript_fini(&t);
    rz_buf_fini(&line);
    rz_buf_fini(&heard);
}

static void a_line_above_the_limit_is_refused(void **state)
{
    (void)state;
    rz_buf_t heard = { 0 };
    transcript_t t = { .event = on_event, .arg = &heard };
    char *bytes = rz_alloc(LINE_MAX_BYTES + 1);
    memset(bytes, 'x', LINE_MAX_BYTES + 1);
    assert_int_equal(transcript_feed(&t, bytes, LINE_MAX_BYTES), RZ_OK);
    assert_int_equal(transcript_feed(&t, bytes, 1), RZ_TOO_LARGE);
    assert_int_equal(heard.len, 0);
    transcript_fini(&t);
    rz_free(bytes);
    rz_buf_fini(&heard);
}

static void a_result_made_of_tokens_is_bounded_and_says_so(void **state)
{
    (void)state;
    rz_buf_t heard = { 0 }, got = { 0 };
    transcript_t t = { .event = on_event, .arg = &heard };
    char line[1024];
    memset(line, 'x', sizeof(line));
    line[sizeof(line) - 1] = '\n';
    for (size_t i = 0; i < TEXT_KEPT_MAX / sizeof(line) + 3; i++)
        transcript_feed(&t, line, sizeof(line));
    transcript_result(&t, &got);
    assert_in_range(got.len, TEXT_KEPT_MAX, TEXT_KEPT_MAX + 4096);
    assert_non_null(strstr(got.data, "[cut here: 3072 more bytes were streamed]\""));
    transcript_fini(&t);
    rz_buf_fini(&heard);
    rz_buf_fini(&got);
}

/* Hears terminals among the events, marked. */
static void on_terminal(void *arg, rz_str_t line)
{
    rz_buf_puts(arg, "END ");
    on_event(arg, line);
}

static void a_terminal_is_heard_by_whoever_listens_to_it(void **state)
{
    (void)state;
    static const char said[] = "{\"type\":\"x\",\"kind\":\"terminal\"}\n"
                               " {\"kind\":\"terminal\",\"status\":\"completed\"} \n"
                               "{\"kind\":\"terminals\"}\n";
    rz_buf_t heard = { 0 };
    transcript_t t = { .event = on_event, .terminal = on_terminal, .arg = &heard };
    assert_int_equal(transcript_feed(&t, said, strlen(said)), RZ_OK);
    assert_string_equal(heard.data,
                        "{\"type\":\"x\",\"kind\":\"terminal\"}\n"
                        "END {\"kind\":\"terminal\",\"status\":\"completed\"}\n"
                        "{\"type\":\"token\",\"content\":\"{\\\"kind\\\":\\\"terminals\\\"}\\n\"}\n");
    transcript_fini(&t);
    rz_buf_fini(&heard);
    text_says("{\"kind\":\"terminal\"}\n",
              "{\"type\":\"token\",\"content\":\"{\\\"kind\\\":\\\"terminal\\\"}\\n\"}\n",
              "\"{\\\"kind\\\":\\\"terminal\\\"}\\n\"");
}

static void on_malformed(void *arg, const rz_err_t *why)
{
    rz_buf_printf(arg, "BAD %s %s\n", rz_rc_name(why->rc), why->text);
}

static void doubts(const char *line, const char *why)
{
    rz_buf_t heard = { 0 };
    transcript_t t = { .event = on_event, .malformed = on_malformed, .arg = &heard };
    transcript_feed(&t, line, strlen(line));
    transcript_end(&t);
    if (strncmp(heard.data, why, strlen(why)) != 0)
        fail_msg("%s was answered %s, not %s", line, heard.data, why);
    assert_int_equal(strstr(heard.data, "BAD") != NULL, *why == 'B');
    transcript_fini(&t);
    rz_buf_fini(&heard);
}

static void what_was_meant_as_json_and_is_none_is_told_before_its_token(void **state)
{
    (void)state;
    doubts("{\"type\":\"x\",}", "BAD BAD_JSON ");
    doubts("{\"type\":\"\\ud800\"}", "BAD BAD_JSON ");
    doubts("{\"type\":\"x\"} {}", "BAD BAD_JSON ");
    doubts("[1,", "{\"type\":\"token\"");
    doubts("{\"no\":\"type\"}", "{\"type\":\"token\"");
}

static void a_result_without_a_text_is_told_before_its_event(void **state)
{
    (void)state;
    doubts("{\"type\":\"result\"}", "BAD MISSING_FIELD text: ");
    doubts("{\"type\":\"result\",\"text\":null}", "BAD MISSING_FIELD text: ");
    doubts("{\"type\":\"result\",\"text\":7}", "BAD BAD_FIELD text: ");
    doubts("{\"type\":\"results\",\"text\":7}", "{\"type\":\"results\"");
}

static void another_run_begins_without_the_text_and_result_of_the_last(void **state)
{
    (void)state;
    rz_buf_t heard = { 0 }, got = { 0 };
    transcript_t t = { .event = on_event, .arg = &heard };
    static const char first[] = "one\n{\"type\":\"result\",\"text\":\"given\"}\nbegun ";
    transcript_feed(&t, first, strlen(first));
    transcript_begin(&t);
    transcript_feed(&t, "two\n", 4);
    transcript_result(&t, &got);
    assert_string_equal(got.data, "\"begun two\\n\"");
    transcript_fini(&t);
    rz_buf_fini(&heard);
    rz_buf_fini(&got);
}

static void lasts_are(const char *const *parts, size_t n, const char *want)
{
    lasts_t lasts = { 0 };
    rz_buf_t out = { 0 };
    for (size_t i = 0; i < n; i++)
        lasts_add(&lasts, parts[i], strlen(parts[i]));
    lasts_text(&lasts, &out);
    assert_string_equal(out.len > 0 ? out.data : "", want);
    rz_buf_fini(&out);
    rz_buf_fini(&lasts.bytes);
}

static void short_diagnostics_are_kept_whole(void **state)
{
    (void)state;
    lasts_are((const char *[]){ "" }, 1, "");
    lasts_are((const char *[]){ "\n\n" }, 1, "");
    lasts_are((const char *[]){ "one\ntw", "o\xff\n" }, 2, "one\ntwo?");
}

static void of_long_diagnostics_the_last_whole_lines_are_kept(void **state)
{
    (void)state;
    lasts_t lasts = { 0 };
    rz_buf_t out = { 0 };
    for (int i = 0; i < 20000; i++) {
        char line[32];
        int n = snprintf(line, sizeof(line), "line %d\n", i);
        lasts_add(&lasts, line, (size_t)n);
    }
    lasts_text(&lasts, &out);
    assert_in_range(out.len, LASTS_MAX - 32, LASTS_MAX);
    assert_memory_equal(out.data, "line 1", 6);
    assert_string_equal(out.data + out.len - 10, "line 19999");
    rz_buf_fini(&out);
    rz_buf_fini(&lasts.bytes);
}

static void diagnostics_that_begin_anew_have_no_cut(void **state)
{
    (void)state;
    lasts_t lasts = { 0 };
    rz_buf_t out = { 0 };
    char *piece = rz_alloc(3 * LASTS_MAX);
    memset(piece, 'e', 3 * LASTS_MAX);
    lasts_add(&lasts, piece, 3 * LASTS_MAX);
    lasts_clear(&lasts);
    lasts_add(&lasts, "first\nsecond\n", 13);
    lasts_text(&lasts, &out);
    assert_string_equal(out.data, "first\nsecond");
    rz_free(piece);
    rz_buf_fini(&out);
    rz_buf_fini(&lasts.bytes);
}

static void one_huge_piece_of_diagnostics_keeps_its_end(void **state)
{
    (void)state;
    lasts_t lasts = { 0 };
    rz_buf_t out = { 0 };
    char *piece = rz_alloc(300000);
    memset(piece, 'e', 300000);
    memcpy(piece + 300000 - 5, "\nend\n", 5);
    lasts_add(&lasts, piece, 300000);
    lasts_text(&lasts, &out);
    assert_string_equal(out.data, "end");
    rz_free(piece);
    rz_buf_fini(&out);
    rz_buf_fini(&lasts.bytes);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(an_object_with_a_type_is_an_event_as_it_stands),
    cmocka_unit_test(any_other_line_is_a_token),
    cmocka_unit_test(json_that_is_not_strict_is_a_token),
    cmocka_unit_test(the_last_given_result_is_the_result_and_no_event),
    cmocka_unit_test(tokens_of_both_kinds_make_the_result_when_none_is_given),
    cmocka_unit_test(a_last_line_without_newline_counts_too),
    cmocka_unit_test(bytes_that_are_no_text_become_question_marks),
    cmocka_unit_test(a_long_plain_line_becomes_tokens_that_fit),
    cmocka_unit_test(a_line_above_the_limit_is_refused),
    cmocka_unit_test(a_result_made_of_tokens_is_bounded_and_says_so),
    cmocka_unit_test(a_terminal_is_heard_by_whoever_listens_to_it),
    cmocka_unit_test(what_was_meant_as_json_and_is_none_is_told_before_its_token),
    cmocka_unit_test(a_result_without_a_text_is_told_before_its_event),
    cmocka_unit_test(another_run_begins_without_the_text_and_result_of_the_last),
    cmocka_unit_test(short_diagnostics_are_kept_whole),
    cmocka_unit_test(of_long_diagnostics_the_last_whole_lines_are_kept),
    cmocka_unit_test(diagnostics_that_begin_anew_have_no_cut),
    cmocka_unit_test(one_huge_piece_of_diagnostics_keeps_its_end),
};

RZ_FACTS(tests)
