/* test_address.c - where a Redis is, read from its url. */
#include "facts.h"
#include "state/sentinel.h"

static rz_address_t parsed(const char *url)
{
    rz_address_t address;
    rz_err_t err = { 0 };
    if (rz_address_parse(&(rz_store_options_t){ .url = url, .plaintext = true }, &address, &err) != RZ_OK)
        fail_msg("%s: %s", url, err.text);
    return address;
}

static void a_socket_and_a_host_are_read(void **state)
{
    (void)state;
    rz_address_t a = parsed("unix:///run/redis.sock"), b = parsed("redis://me:secret@[::1]:7000/3");
    assert_string_equal(a.path, "/run/redis.sock");
    assert_string_equal(b.at.host, "::1");
    assert_int_equal(b.at.port, 7000);
    assert_int_equal(b.db, 3);
    assert_string_equal(b.user, "me");
    assert_string_equal(b.password, "secret");
    assert_int_equal(b.sentinels, 0);
    rz_address_fini(&a);
    rz_address_fini(&b);
}

static void sentinels_and_the_name_they_know_are_read(void **state)
{
    (void)state;
    rz_address_t a = parsed("redis+sentinel://:secret@a:1,[::2]:3,c/main/2");
    assert_int_equal(a.sentinels, 3);
    assert_string_equal(a.sentinel[0].host, "a");
    assert_int_equal(a.sentinel[0].port, 1);
    assert_string_equal(a.sentinel[1].host, "::2");
    assert_int_equal(a.sentinel[1].port, 3);
    assert_string_equal(a.sentinel[2].host, "c");
    assert_int_equal(a.sentinel[2].port, 26379);
    assert_string_equal(a.primary, "main");
    assert_string_equal(a.password, "secret");
    assert_int_equal(a.db, 2);
    assert_null(a.at.host);
    rz_address_fini(&a);
}

static void a_sentinel_is_spoken_to_as_itself(void **state)
{
    (void)state;
    rz_address_t a;
    char url[RZ_SENTINEL_URL_MAX];
    const rz_store_options_t options = { .url = "redis+sentinel://:secret@[::1]:5/main",
                                         .sentinel_user = "s",
                                         .sentinel_password = "other" };
    assert_int_equal(rz_address_parse(&options, &a, NULL), RZ_OK);
    const rz_store_options_t to = rz_sentinel_options(&a, 0, url);
    assert_string_equal(to.url, "redis://[::1]:5");
    assert_string_equal(to.user, "s");
    assert_string_equal(to.password, "other");
    rz_address_fini(&a);
}

static void a_url_that_cannot_be_read_is_refused_by_name(void **state)
{
    (void)state;
    static const char *const bad[] = { "redis+sentinel://h",
                                       "redis+sentinel://h/",
                                       "redis+sentinel:///main",
                                       "redis+sentinel://a,/main",
                                       "redis+sentinel://a:x/main",
                                       "redis+sentinel://a/main/x",
                                       "redis+sentinel://1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17/main" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        rz_address_t address;
        rz_err_t err = { 0 };
        const rz_store_options_t options = { .url = bad[i], .plaintext = true };
        if (rz_address_parse(&options, &address, &err) != RZ_BAD_FIELD)
            fail_msg("%s was taken", bad[i]);
        assert_string_equal(err.field, "redis.url");
    }
}

static void no_sentinel_of_another_host_is_spoken_to_in_the_clear(void **state)
{
    (void)state;
    rz_address_t address;
    rz_err_t err = { 0 };
    const rz_store_options_t options = { .url = "redis+sentinel://127.0.0.1,10.0.0.1/main" };
    assert_int_equal(rz_address_parse(&options, &address, &err), RZ_NOT_ALLOWED);
    assert_non_null(strstr(err.text, "10.0.0.1"));
}

/* ---- what a sentinel answers ---- */

static redisReply text(char *bytes)
{
    return (redisReply){ .type = REDIS_REPLY_STRING, .str = bytes, .len = strlen(bytes) };
}

static bool take(rz_primary_t *primary, size_t which, redisReply *v, size_t n)
{
    redisReply *element[8];
    char why[128];
    for (size_t i = 0; i < n; i++)
        element[i] = &v[i];
    const redisReply reply = { .type = REDIS_REPLY_ARRAY, .elements = n, .element = element };
    return rz_primary_take(primary, which, &reply, why);
}

static void the_epoch_is_found_among_other_facts_and_the_place_as_it_is(void **state)
{
    (void)state;
    redisReply facts[] = { text((char[]){ "name" }),         text((char[]){ "main" }),
                           text((char[]){ "config-epoch" }), text((char[]){ "12" }),
                           text((char[]){ "num-slaves" }),   text((char[]){ "2" }) };
    redisReply place[] = { text((char[]){ "10.1.2.3" }), text((char[]){ "7001" }) };
    rz_primary_t primary = { 0 };
    assert_true(take(&primary, 0, facts, 6));
    assert_true(take(&primary, 1, place, 2));
    assert_string_equal(primary.host, "10.1.2.3");
    assert_int_equal(primary.port, 7001);
    assert_int_equal(primary.epoch, 12);
    assert_int_equal(primary.replicas, 2);
    for (size_t n = 0; n < 4; n++) /* cut anywhere */
        assert_false(take(&primary, 0, facts, n));
    for (size_t n = 0; n < 2; n++)
        assert_false(take(&primary, 1, place, n));
    place[1] = text((char[]){ "70000" });
    assert_false(take(&primary, 1, place, 2));
}

static void a_sentinel_that_does_not_know_says_why(void **state)
{
    (void)state;
    rz_primary_t primary = { 0 };
    char why[128], error[] = "ERR No such master with that name";
    const redisReply reply = { .type = REDIS_REPLY_ERROR, .str = error, .len = strlen(error) };
    for (size_t i = 0; i < RZ_SENTINEL_ASKS; i++) {
        assert_false(rz_primary_take(&primary, i, &reply, why));
        assert_string_equal(why, error);
    }
}

/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_socket_and_a_host_are_read),
    cmocka_unit_test(sentinels_and_the_name_they_know_are_read),
    cmocka_unit_test(a_sentinel_is_spoken_to_as_itself),
    cmocka_unit_test(a_url_that_cannot_be_read_is_refused_by_name),
    cmocka_unit_test(no_sentinel_of_another_host_is_spoken_to_in_the_clear),
    cmocka_unit_test(the_epoch_is_found_among_other_facts_and_the_place_as_it_is),
    cmocka_unit_test(a_sentinel_that_does_not_know_says_why),
};
/* clang-format on */

RZ_FACTS(tests)
