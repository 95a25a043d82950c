/* test_words.c - splitting at Unicode white space, and the word that is a delay (rule 5). */
#include "facts.h"

#include "words.h"

/* The words of text, each followed by '|'. */
static void splits_into(const char *text, const char *want)
{
    rz_str_t rest = rz_str(text), word;
    char got[256] = "";
    while (word_next(&rest, &word)) {
        strncat(got, word.p, word.n);
        strcat(got, "|");
    }
    assert_string_equal(got, want);
}

static void words_are_split_at_any_run_of_ascii_space(void **state)
{
    (void)state;
    splits_into("", "");
    splits_into(" \t\n\v\f\r ", "");
    splits_into("hello world", "hello|world|");
    splits_into("\t a \r\n\n b\vc\fd ", "a|b|c|d|");
}

static void words_are_split_at_every_unicode_space(void **state)
{
    (void)state;
    static const char *const spaces[] = {
        "\xc2\x85",     "\xc2\xa0",     "\xe1\x9a\x80", "\xe2\x80\x80", "\xe2\x80\x85", "\xe2\x80\x8a",
        "\xe2\x80\xa8", "\xe2\x80\xa9", "\xe2\x80\xaf", "\xe2\x81\x9f", "\xe3\x80\x80",
    };
    for (size_t i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++) {
        char text[32];
        snprintf(text, sizeof(text), "%sa%s%sb%s", spaces[i], spaces[i], spaces[i], spaces[i]);
        splits_into(text, "a|b|");
    }
}

static void what_only_looks_like_space_stays_in_the_word(void **state)
{
    (void)state;
    splits_into("a\xe2\x80\x8b"
                "b", /* zero width space */
                "a\xe2\x80\x8b"
                "b|");
    splits_into("a\xef\xbb\xbf"
                "b", /* byte order mark */
                "a\xef\xbb\xbf"
                "b|");
    splits_into("\x1c\x1f", "\x1c\x1f|"); /* separators that are no White_Space */
}

static void a_word_cut_inside_a_character_is_not_read_beyond(void **state)
{
    (void)state;
    char *bytes = rz_strndup("\xe3\x80\x80", 2);
    char *exact = rz_alloc(2);
    memcpy(exact, bytes, 2);
    rz_str_t rest = { exact, 2 }, word;
    assert_true(word_next(&rest, &word));
    assert_int_equal(word.n, 2);
    rz_free(exact);
    rz_free(bytes);
}

static void a_delay_is_an_unsigned_64_bit_decimal(void **state)
{
    (void)state;
    uint64_t ms = 7;
    assert_true(word_is_delay(rz_str("__sleep_ms:300"), &ms));
    assert_int_equal(ms, 300);
    assert_true(word_is_delay(rz_str("__sleep_ms:18446744073709551615"), &ms));
    assert_true(ms == UINT64_MAX);
    assert_true(word_is_delay(rz_str("__sleep_ms:+007"), &ms));
    assert_int_equal(ms, 7);
}

static void a_malformed_delay_is_an_ordinary_word(void **state)
{
    (void)state;
    static const char *const words[] = { "__sleep_ms:",     "__sleep_ms:+",
                                         "__sleep_ms:-1",   "__sleep_ms:1.5",
                                         "__sleep_ms:0x10", "__sleep_ms:18446744073709551616",
                                         "__sleep_ms:++1",  "_sleep_ms:1",
                                         "__SLEEP_MS:1",    "x__sleep_ms:300",
                                         "__sleep_ms:3,",   "__sleep_ms:99999999999999999999999" };
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        uint64_t ms = 5;
        assert_false(word_is_delay(rz_str(words[i]), &ms));
        assert_int_equal(ms, 5);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(words_are_split_at_any_run_of_ascii_space),
    cmocka_unit_test(words_are_split_at_every_unicode_space),
    cmocka_unit_test(what_only_looks_like_space_stays_in_the_word),
    cmocka_unit_test(a_word_cut_inside_a_character_is_not_read_beyond),
    cmocka_unit_test(a_delay_is_an_unsigned_64_bit_decimal),
    cmocka_unit_test(a_malformed_delay_is_an_ordinary_word),
};

RZ_FACTS(tests)
