/* Growing bytes, and the JSON writer whose commas follow from what stands before. */
#include "facts.h"

#include "base/json.h"

static void an_empty_buffer_needs_no_setup_and_is_usable_after_fini(void **state)
{
    (void)state;
    rz_buf_t buf = { 0 };
    rz_buf_clear(&buf);
    assert_int_equal(rz_buf_str(&buf).n, 0);
    rz_buf_fini(&buf);
    rz_buf_puts(&buf, "again");
    assert_string_equal(buf.data, "again");
    rz_buf_fini(&buf);
    rz_buf_fini(&buf);
}

static void bytes_are_kept_through_growth_and_terminated(void **state)
{
    (void)state;
    rz_buf_t buf = { 0 };
    for (int i = 0; i < 100000; i++) {
        rz_buf_putc(&buf, (char)('a' + i % 26));
        assert_int_equal(buf.data[buf.len], '\0');
    }
    assert_int_equal(buf.len, 100000);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(buf.data[i], 'a' + i % 26);
    rz_buf_fini(&buf);
}

static void reserve_makes_room_that_puts_do_not_move(void **state)
{
    (void)state;
    rz_buf_t buf = { 0 };
    rz_buf_reserve(&buf, 1000);
    const char *data = buf.data;
    for (int i = 0; i < 100; i++)
        rz_buf_put(&buf, "0123456789", 10);
    assert_ptr_equal(buf.data, data);
    rz_buf_fini(&buf);
}

static void printf_grows_to_what_it_needs(void **state)
{
    (void)state;
    for (int width = 0; width < 300; width++) {
        rz_buf_t buf = { 0 };
        rz_buf_puts(&buf, "x");
        rz_buf_printf(&buf, "%0*d|", width, 7);
        assert_int_equal(buf.len, (size_t)(width < 1 ? 1 : width) + 2);
        assert_int_equal(buf.data[buf.len - 2], '7');
        assert_int_equal(strlen(buf.data), buf.len);
        rz_buf_fini(&buf);
    }
}

static void drop_removes_the_front_and_take_gives_the_rest(void **state)
{
    (void)state;
    rz_buf_t buf = { 0 };
    size_t len;
    rz_buf_puts(&buf, "abcdef");
    rz_buf_drop(&buf, 2);
    assert_string_equal(buf.data, "cdef");
    char *taken = rz_buf_take(&buf, &len);
    assert_string_equal(taken, "cdef");
    assert_int_equal(len, 4);
    assert_null(buf.data);
    rz_free(taken);

    rz_buf_puts(&buf, "abc");
    rz_buf_drop(&buf, 99);
    assert_int_equal(buf.len, 0);
    rz_buf_fini(&buf);
    taken = rz_buf_take(&buf, NULL);
    assert_string_equal(taken, "");
    rz_free(taken);
}

static void the_writer_places_commas_by_what_stands_before(void **state)
{
    (void)state;
    rz_buf_t b = { 0 };
    rz_json_open(&b, '{');
    rz_json_put_str(&b, "kind", "run");
    rz_json_put_u64(&b, "max", UINT64_MAX);
    rz_json_put_i64(&b, "min", INT64_MIN);
    rz_json_put_bool(&b, "yes", true);
    rz_json_put_str(&b, "none", NULL);
    rz_json_opt_str(&b, "left out", NULL);
    rz_json_opt_str(&b, "comma", "ends with ,");
    rz_json_put_raw(&b, "raw", RZ_STR("[ 1 ]"));
    rz_json_open_key(&b, "list", '[');
    rz_json_put_u64(&b, NULL, 1);
    rz_json_open(&b, '{');
    rz_json_close(&b, '}');
    rz_json_open(&b, '[');
    rz_json_close(&b, ']');
    rz_json_put_str(&b, NULL, "[");
    rz_json_put_bool(&b, NULL, false);
    rz_json_close(&b, ']');
    rz_json_open_key(&b, "o", '{');
    rz_json_close(&b, '}');
    rz_json_put_strn(&b, "n", "abcdef", 3);
    rz_json_close(&b, '}');
    assert_string_equal(b.data, "{\"kind\":\"run\",\"max\":18446744073709551615,\"min\":-9223372036854775808,"
                                "\"yes\":true,\"none\":null,\"comma\":\"ends with ,\",\"raw\":[ 1 ],"
                                "\"list\":[1,{},[],\"[\",false],\"o\":{},\"n\":\"abc\"}");
    assert_int_equal(rz_json_check(b.data, b.len, 0, NULL), RZ_OK);
    rz_buf_fini(&b);
}

static void raw_text_with_space_around_it_is_copied_verbatim(void **state)
{
    (void)state;
    rz_buf_t b = { 0 };
    rz_json_open(&b, '[');
    rz_json_put_raw(&b, NULL, RZ_STR(" 1e2 \n"));
    rz_json_put_raw(&b, NULL, RZ_STR("\t{\"a\" : 1}"));
    rz_json_close(&b, ']');
    assert_string_equal(b.data, "[ 1e2 \n,\t{\"a\" : 1}]");
    rz_buf_fini(&b);
}

static void a_value_behind_a_key_written_by_hand_gets_no_comma(void **state)
{
    (void)state;
    rz_buf_t b = { 0 };
    rz_buf_puts(&b, "{\"a\": ");
    rz_json_open(&b, '[');
    rz_json_close(&b, ']');
    rz_json_put_bool(&b, "b", true);
    rz_json_close(&b, '}');
    assert_string_equal(b.data, "{\"a\": [],\"b\":true}");
    rz_buf_fini(&b);
}

static void strings_are_escaped_minimally(void **state)
{
    (void)state;
    rz_buf_t b = { 0 };
    rz_json_put_str(&b, NULL, "\"\\/\b\f\n\r\t\x01\x1f\x7f gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80");
    assert_string_equal(b.data,
                        "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80\"");
    rz_buf_fini(&b);
}

static void every_character_survives_writing_and_reading(void **state)
{
    (void)state;
    for (int c = 1; c < 128; c++) {
        char text[] = { 'a', (char)c, (char)c, 'z', '\0' };
        rz_buf_t b = { 0 };
        rz_json_put_str(&b, NULL, text);
        assert_int_equal(rz_json_check(b.data, b.len, 0, NULL), RZ_OK);
        assert_true(rz_json_is(rz_buf_str(&b), text));
        rz_buf_fini(&b);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(an_empty_buffer_needs_no_setup_and_is_usable_after_fini),
    cmocka_unit_test(bytes_are_kept_through_growth_and_terminated),
    cmocka_unit_test(reserve_makes_room_that_puts_do_not_move),
    cmocka_unit_test(printf_grows_to_what_it_needs),
    cmocka_unit_test(drop_removes_the_front_and_take_gives_the_rest),
    cmocka_unit_test(the_writer_places_commas_by_what_stands_before),
    cmocka_unit_test(raw_text_with_space_around_it_is_copied_verbatim),
    cmocka_unit_test(a_value_behind_a_key_written_by_hand_gets_no_comma),
    cmocka_unit_test(strings_are_escaped_minimally),
    cmocka_unit_test(every_character_survives_writing_and_reading),
};

RZ_FACTS(tests)
