/* test_access.c - how the store is reached: the password's file, and who is spoken to in the clear. */
#include "facts.h"
#include "state/access.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
    char path[64]; /* of the password's file */
    rz_config_t *config;
    rz_store_options_t options;
    rz_err_t err;
} desk_t;

static int desk_up(void **state)
{
    static desk_t desk;
    char *argv[] = { "prog", NULL };
    int argc = 1;
    desk = (desk_t){ .path = "/tmp/rz-access-XXXXXX" };
    int fd = mkstemp(desk.path);
    assert_true(fd >= 0);
    close(fd);
    desk.config = rz_config_load(NULL, &argc, argv, NULL);
    *state = &desk;
    return 0;
}

static int desk_down(void **state)
{
    desk_t *desk = *state;
    rz_config_destroy(&desk->config);
    unlink(desk->path);
    return 0;
}

static void set(desk_t *desk, const char *key, const char *value)
{
    assert_int_equal(rz_config_set(desk->config, key, value, &desk->err), RZ_OK);
}

static void write_password(desk_t *desk, const char *text, size_t len)
{
    FILE *file = fopen(desk->path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, len, file), len);
    fclose(file);
    set(desk, "redis.password_file", desk->path);
}

static rz_rc_t read_access(desk_t *desk)
{
    desk->err = (rz_err_t){ 0 };
    return rz_store_access_read(desk->config, &desk->options, &desk->err);
}

static void refused(desk_t *desk, rz_rc_t rc, const char *field, const char *text)
{
    assert_int_equal(read_access(desk), rc);
    assert_string_equal(desk->err.field, field);
    if (strstr(desk->err.text, text) == NULL)
        fail_msg("\"%s\" is not in: %s", text, desk->err.text);
    assert_null(strstr(desk->err.text, "hunter2"));
}

/* ---- the password ---- */

static void the_password_is_what_its_file_holds(void **state)
{
    desk_t *desk = *state;
    static const char *const texts[] = { "hunter2", "hunter2\n", "hunter2\r\n" };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        set(desk, "redis.password", "");
        write_password(desk, texts[i], strlen(texts[i]));
        assert_int_equal(read_access(desk), RZ_OK);
        assert_string_equal(desk->options.password, "hunter2");
    }
}

static void a_dump_shows_no_password_from_a_file(void **state)
{
    desk_t *desk = *state;
    rz_buf_t out = { 0 };
    write_password(desk, "hunter2", 7);
    assert_int_equal(read_access(desk), RZ_OK);
    rz_config_dump(desk->config, &out);
    assert_null(strstr(out.data, "hunter2"));
    rz_buf_fini(&out);
}

static void a_file_that_others_may_read_is_refused(void **state)
{
    desk_t *desk = *state;
    write_password(desk, "hunter2", 7);
    assert_int_equal(chmod(desk->path, 0640), 0);
    refused(desk, RZ_NOT_ALLOWED, "redis.password_file", "has mode 0640");
}

static void a_file_that_is_not_there_is_named(void **state)
{
    desk_t *desk = *state;
    set(desk, "redis.password_file", "/nonexistent/password");
    refused(desk, RZ_SYS, "redis.password_file", "/nonexistent/password cannot be opened");
}

static void a_file_holds_one_line_of_text(void **state)
{
    desk_t *desk = *state;
    write_password(desk, "", 0);
    refused(desk, RZ_BAD_FIELD, "redis.password_file", "one line");
    write_password(desk, "\n", 1);
    refused(desk, RZ_BAD_FIELD, "redis.password_file", "one line");
    write_password(desk, "hunter2\nhunter3\n", 16);
    refused(desk, RZ_BAD_FIELD, "redis.password_file", "one line");
    write_password(desk, "hunter2\0x", 9);
    refused(desk, RZ_BAD_FIELD, "redis.password_file", "one line");
}

static void two_passwords_are_one_too_many(void **state)
{
    desk_t *desk = *state;
    write_password(desk, "hunter2", 7);
    set(desk, "redis.password", "hunter2");
    refused(desk, RZ_BAD_FIELD, "redis.password_file", "redis.password is set too");
}

/* ---- in the clear ---- */

static void this_host_is_spoken_to_in_the_clear(void **state)
{
    desk_t *desk = *state;
    static const char *const urls[] = { "unix:/run/redis.sock", "redis://127.0.0.1:6379", "redis://127.8.9.1",
                                        "redis://localhost:6379/1", "redis://[::1]:6379" };
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        set(desk, "redis.url", urls[i]);
        assert_int_equal(read_access(desk), RZ_OK);
    }
}

static void another_host_is_not_unless_that_is_wanted(void **state)
{
    desk_t *desk = *state;
    static const char *const urls[] = { "redis://10.0.0.5:6379",      "redis://redis",
                                        "redis://[2001:db8::1]:6379", "redis://127.example.org:6379",
                                        "redis://me:hunter2@h:1",     "redis://0.0.0.0" };
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        set(desk, "redis.plaintext", "false");
        set(desk, "redis.url", urls[i]);
        refused(desk, RZ_NOT_ALLOWED, "redis.url", "redis.plaintext");
        refused(desk, RZ_NOT_ALLOWED, "redis.url", "ops/redis");
        set(desk, "redis.plaintext", "true");
        assert_int_equal(read_access(desk), RZ_OK);
    }
}

static const struct CMUnitTest tests[] = {
    /* clang-format off */
    cmocka_unit_test_setup_teardown(the_password_is_what_its_file_holds, desk_up, desk_down),
    cmocka_unit_test_setup_teardown(a_dump_shows_no_password_from_a_file, desk_up, desk_down),
    cmocka_unit_test_setup_teardown(a_file_that_others_may_read_is_refused, desk_up, desk_down),
    cmocka_unit_test_setup_teardown(a_file_that_is_not_there_is_named, desk_up, desk_down),
    cmocka_unit_test_setup_teardown(a_file_holds_one_line_of_text, desk_up, desk_down),
    cmocka_unit_test_setup_teardown(two_passwords_are_one_too_many, desk_up, desk_down),
    cmocka_unit_test_setup_teardown(this_host_is_spoken_to_in_the_clear, desk_up, desk_down),
    cmocka_unit_test_setup_teardown(another_host_is_not_unless_that_is_wanted, desk_up, desk_down),
    /* clang-format on */
};

RZ_FACTS(tests)
