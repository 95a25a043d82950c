/* test_credentials.c - the file of keys: what is taken, what is refused, and that it is looked at again. */
#include "facts.h"

#include "base/log.h"
#include "credentials.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECRET "sk-hush-hush"
#define GOOD   "{\"openai\":{\"api_key\":\"" SECRET "\"}}"

typedef struct {
    char dir[64], path[96];
} place_t;

static int place_up(void **state)
{
    place_t *place = calloc(1, sizeof *place);
    assert_non_null(place);
    snprintf(place->dir, sizeof place->dir, "/tmp/rz-credentials-XXXXXX");
    assert_non_null(mkdtemp(place->dir));
    snprintf(place->path, sizeof place->path, "%s/keys.json", place->dir);
    rz_log_setup(NULL, RZ_LOG_OFF);
    *state = place;
    return 0;
}

static int place_down(void **state)
{
    place_t *place = *state;
    unlink(place->path);
    rmdir(place->path);
    rmdir(place->dir);
    free(place);
    return 0;
}

static void put(const place_t *place, const char *text)
{
    int fd = open(place->path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static credentials_t *open_good(const place_t *place)
{
    rz_err_t err = { 0 };
    credentials_t *credentials = credentials_open(place->path, &err);
    if (credentials == NULL)
        fail_msg("%s", err.text);
    return credentials;
}

/* The sentence of a refusal: it names the setting, the path and `word`, and never shows a key. */
static void refused(const place_t *place, rz_rc_t rc, const char *word)
{
    rz_err_t err = { 0 };
    assert_null(credentials_open(place->path, &err));
    if (err.rc != rc || strstr(err.text, word) == NULL)
        fail_msg("expected %s with \"%s\": %s %s", rz_rc_name(rc), word, rz_rc_name(err.rc), err.text);
    assert_string_equal(err.field, "runner.credentials");
    assert_non_null(strstr(err.text, place->path));
    assert_null(strstr(err.text, "hush"));
}

/* ---- what is taken ---- */

static void each_provider_has_its_credential(void **state)
{
    const place_t *place = *state;
    put(place,
        "{ // mine\n \"a\":{\"api_key\":\"1\"},\n \"b\":{\"api_key\":\"2\",\"base_url\":\"http://x//y\",\"provider_type\":\"t\"}}");
    credentials_t *credentials = open_good(place);
    const rz_credential_t *a = credentials_find(credentials, "a"), *b = credentials_find(credentials, "b");
    assert_string_equal(a->provider, "a");
    assert_string_equal(a->api_key, "1");
    assert_null(a->base_url);
    assert_null(a->provider_type);
    assert_string_equal(b->api_key, "2");
    assert_string_equal(b->base_url, "http://x//y");
    assert_string_equal(b->provider_type, "t");
    assert_null(credentials_find(credentials, "c"));
    assert_null(credentials_find(credentials, NULL));
    credentials_close(&credentials);
    assert_null(credentials);
    credentials_close(&credentials);
}

static void names_are_told_and_nothing_else(void **state)
{
    const place_t *place = *state;
    put(place, "{\"a\":{\"api_key\":\"" SECRET "\"},\"b\":{\"api_key\":\"" SECRET "\"}}");
    credentials_t *credentials = open_good(place);
    cJSON *names = credentials_names(credentials);
    char *text = cJSON_PrintUnformatted(names);
    assert_string_equal(text, "[\"a\",\"b\"]");
    cJSON_free(text);
    cJSON_Delete(names);
    credentials_close(&credentials);
}

static void an_unknown_member_is_fine(void **state)
{
    const place_t *place = *state;
    put(place, "{\"a\":{\"api_key\":\"1\",\"note\":\"mine\",\"base_url\":null,\"provider_type\":\" \"}}");
    credentials_t *credentials = open_good(place);
    assert_null(credentials_find(credentials, "a")->base_url);
    assert_null(credentials_find(credentials, "a")->provider_type);
    credentials_close(&credentials);
}

static void without_a_file_nothing_is_found_and_nothing_changes(void **state)
{
    (void)state;
    rz_err_t err = { 0 };
    credentials_t *credentials = credentials_open("", &err);
    assert_non_null(credentials);
    assert_false(credentials_kept(credentials));
    assert_null(credentials_find(credentials, "openai"));
    assert_string_equal(credentials_version(credentials, "openai"), "");
    assert_false(credentials_refresh(credentials));
    credentials_close(&credentials);
}

static void a_file_without_providers_is_kept_all_the_same(void **state)
{
    const place_t *place = *state;
    put(place, "{}");
    credentials_t *credentials = open_good(place);
    assert_true(credentials_kept(credentials));
    credentials_close(&credentials);
}

static void stricter_modes_than_0600_are_fine(void **state)
{
    const place_t *place = *state;
    put(place, GOOD);
    assert_int_equal(chmod(place->path, 0400), 0);
    credentials_t *credentials = open_good(place);
    credentials_close(&credentials);
}

/* ---- what is refused: the file ---- */

static void a_file_that_others_may_touch_is_refused(void **state)
{
    const place_t *place = *state;
    static const struct {
        mode_t mode;
        const char *word;
    } modes[] = { { 0644, "0644" }, { 0640, "0640" }, { 0620, "0620" }, { 0610, "0610" },
                  { 0604, "0604" }, { 0602, "0602" }, { 0601, "0601" } };
    put(place, GOOD);
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        assert_int_equal(chmod(place->path, modes[i].mode), 0);
        refused(place, RZ_NOT_ALLOWED, modes[i].word);
    }
}

static void a_symbolic_link_is_refused(void **state)
{
    const place_t *place = *state;
    char target[128];
    snprintf(target, sizeof target, "%s/target", place->dir);
    put(place, GOOD);
    assert_int_equal(rename(place->path, target), 0);
    assert_int_equal(symlink(target, place->path), 0);
    refused(place, RZ_NOT_ALLOWED, "symbolic link");
    unlink(target);
}

static void a_folder_or_a_pipe_is_no_file(void **state)
{
    const place_t *place = *state;
    assert_int_equal(mkdir(place->path, 0700), 0);
    refused(place, RZ_NOT_ALLOWED, "regular file");
    rmdir(place->path);
    assert_int_equal(mkfifo(place->path, 0600), 0);
    refused(place, RZ_NOT_ALLOWED, "regular file");
}

static void a_file_of_another_user_is_refused(void **state)
{
    const place_t *place = *state;
    put(place, GOOD);
    if (chown(place->path, 12345, (gid_t)-1) != 0)
        skip(); /* only root gives files away */
    refused(place, RZ_NOT_ALLOWED, "12345");
}

static void a_file_that_is_not_there_is_refused(void **state)
{
    refused(*state, RZ_SYS, "No such file");
}

static void a_file_that_is_too_large_is_refused(void **state)
{
    const place_t *place = *state;
    put(place, GOOD);
    assert_int_equal(truncate(place->path, (off_t)CREDENTIALS_BYTES_MAX), 0);
    refused(place, RZ_BAD_JSON,
            "line 1"); /* not too large: it is the zeros behind the object that are wrong */
    assert_int_equal(truncate(place->path, (off_t)CREDENTIALS_BYTES_MAX + 1), 0);
    refused(place, RZ_TOO_LARGE, "262144");
}

/* ---- what is refused: its content ---- */

static void bad_content_is_refused_by_name_and_never_shown(void **state)
{
    const place_t *place = *state;
    static const struct {
        const char *text;
        rz_rc_t rc;
        const char *word;
    } bad[] = {
        { "", RZ_BAD_JSON, "line 1" },
        { "[]", RZ_BAD_FIELD, "one object" },
        { "{\"a\":{\"api_key\":\"" SECRET "\"}", RZ_BAD_JSON, "line 1" },
        { "{\"a\":{\"api_key\":\"" SECRET "\"},\n\"a\":{\"api_key\":\"" SECRET "\"}}", RZ_BAD_JSON,
          "line 2" },
        { "{\"a\":\"" SECRET "\"}", RZ_BAD_FIELD, "a: must be an object" },
        { "{\"a\":{}}", RZ_MISSING_FIELD, "a.api_key: required" },
        { "{\"a\":{\"key\":\"" SECRET "\"}}", RZ_MISSING_FIELD, "a.api_key: required" },
        { "{\"a\":{\"api_key\":null}}", RZ_MISSING_FIELD, "a.api_key: required" },
        { "{\"a\":{\"api_key\":\"\"}}", RZ_MISSING_FIELD, "a.api_key: required" },
        { "{\"a\":{\"api_key\":\" \\t\\n\"}}", RZ_MISSING_FIELD, "not blank" },
        { "{\"a\":{\"api_key\":[\"" SECRET "\"]}}", RZ_BAD_FIELD, "a.api_key: must be a text" },
        { "{\"ok\":{\"api_key\":\"1\"},\"a\":{\"api_key\":\"1\",\"base_url\":7}}", RZ_BAD_FIELD,
          "a.base_url" },
        { "{\"a\":{\"api_key\":\"1\",\"provider_type\":{}}}", RZ_BAD_FIELD, "a.provider_type" },
        { "{\"\":{\"api_key\":\"1\"}}", RZ_BAD_FIELD, "provider's name" },
        { "{\" \":{\"api_key\":\"1\"}}", RZ_BAD_FIELD, "provider's name" },
        { "{\"a\\nb\":{\"api_key\":\"1\"}}", RZ_BAD_FIELD, "provider's name" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        put(place, bad[i].text);
        refused(place, bad[i].rc, bad[i].word);
    }
}

static void a_text_above_64_kib_is_refused(void **state)
{
    const place_t *place = *state;
    rz_buf_t text = { 0 };
    rz_buf_puts(&text, "{\"a\":{\"api_key\":\"");
    for (size_t i = 0; i <= RZ_CREDENTIAL_TEXT_MAX; i++)
        rz_buf_putc(&text, 'k');
    rz_buf_puts(&text, "\"}}");
    put(place, text.data);
    refused(place, RZ_TOO_LARGE, "a.api_key: allowed: at most 65536 bytes");
    rz_buf_fini(&text);
}

static void more_than_256_providers_are_refused(void **state)
{
    const place_t *place = *state;
    rz_buf_t text = { 0 };
    rz_buf_putc(&text, '{');
    for (int i = 0; i <= RZ_LIST_MAX; i++)
        rz_buf_printf(&text, "%s\"p%d\":{\"api_key\":\"1\"}", i > 0 ? "," : "", i);
    rz_buf_putc(&text, '}');
    put(place, text.data);
    refused(place, RZ_TOO_LARGE, "257 providers");
    rz_buf_fini(&text);
}

/* ---- versions ---- */

static void a_version_changes_with_any_part_of_a_credential_and_means_nothing_elsewhere(void **state)
{
    const place_t *place = *state;
    static const char *const texts[] = { "{\"a\":{\"api_key\":\"1\"}}", "{\"a\":{\"api_key\":\"2\"}}",
                                         "{\"a\":{\"api_key\":\"1\",\"base_url\":\"u\"}}",
                                         "{\"a\":{\"api_key\":\"1\",\"provider_type\":\"u\"}}" };
    enum { TEXTS = sizeof texts / sizeof texts[0] };
    char versions[TEXTS][RZ_DIGEST_LEN + 1];
    put(place, texts[0]);
    credentials_t *credentials = open_good(place), *other = open_good(place);
    assert_string_not_equal(credentials_version(credentials, "a"), credentials_version(other, "a"));
    credentials_close(&other);
    for (size_t i = 0; i < TEXTS; i++) {
        put(place, texts[i]);
        assert_int_equal(credentials_refresh(credentials), i > 0);
        snprintf(versions[i], sizeof versions[i], "%s", credentials_version(credentials, "a"));
        assert_true(credentials_current(credentials, versions[i]));
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(versions[k], versions[i]);
            assert_false(credentials_current(credentials, versions[k]));
        }
    }
    put(place, texts[0]);
    assert_true(credentials_refresh(credentials));
    assert_string_equal(credentials_version(credentials, "a"), versions[0]);
    credentials_close(&credentials);
}

static void no_credential_has_the_empty_version_which_is_always_current(void **state)
{
    const place_t *place = *state;
    put(place, GOOD);
    credentials_t *credentials = open_good(place);
    assert_string_equal(credentials_version(credentials, "nobody"), "");
    assert_string_equal(credentials_version(credentials, NULL), "");
    assert_true(credentials_current(credentials, ""));
    credentials_close(&credentials);
}

/* ---- reading again ---- */

static void a_changed_file_is_read_again(void **state)
{
    const place_t *place = *state;
    put(place, GOOD);
    credentials_t *credentials = open_good(place);
    assert_false(credentials_refresh(credentials));
    put(place, "{\"openai\":{\"api_key\":\"new\"},\"more\":{\"api_key\":\"1\"}}");
    assert_true(credentials_refresh(credentials));
    assert_false(credentials_refresh(credentials));
    assert_string_equal(credentials_find(credentials, "openai")->api_key, "new");
    assert_non_null(credentials_find(credentials, "more"));
    put(place, "{}");
    assert_true(credentials_refresh(credentials));
    assert_null(credentials_find(credentials, "openai"));
    credentials_close(&credentials);
}

/* The same size, the same inode and, where the file system stamps by the tick (before Linux 6.13), the same time. */
static void a_change_right_behind_the_last_is_seen(void **state)
{
    const place_t *place = *state;
    put(place, "{\"a\":{\"api_key\":\"0\"}}");
    credentials_t *credentials = open_good(place);
    for (char digit = '1'; digit <= '9'; digit++) {
        char text[] = "{\"a\":{\"api_key\":\"0\"}}";
        *strchr(text, '0') = digit;
        put(place, text);
        assert_true(credentials_refresh(credentials));
        assert_int_equal(credentials_find(credentials, "a")->api_key[0], digit);
    }
    credentials_close(&credentials);
}

static void a_change_that_changes_no_credential_is_none(void **state)
{
    const place_t *place = *state;
    put(place, "{\"a\":{\"api_key\":\"1\"},\"b\":{\"api_key\":\"2\"}}");
    credentials_t *credentials = open_good(place);
    const rz_credential_t *lent = credentials_find(credentials, "a");
    put(place,
        "{\"b\":{\"api_key\":\"2\"}, // the other way round\n\"a\":{\"api_key\":\"1\",\"note\":\"x\"}}");
    assert_false(credentials_refresh(credentials));
    assert_ptr_equal(credentials_find(credentials, "a"), lent);
    assert_string_equal(lent->api_key, "1");
    credentials_close(&credentials);
}

static void a_bad_new_file_keeps_the_old_credentials(void **state)
{
    const place_t *place = *state;
    put(place, GOOD);
    credentials_t *credentials = open_good(place);
    put(place, "{\"openai\":{\"api_key\":\"new\"}");
    assert_false(credentials_refresh(credentials));
    put(place, "{\"openai\":{\"api_key\":\"new\"}}");
    assert_int_equal(chmod(place->path, 0644), 0);
    assert_false(credentials_refresh(credentials));
    unlink(place->path);
    assert_false(credentials_refresh(credentials));
    assert_string_equal(credentials_find(credentials, "openai")->api_key, SECRET);
    put(place, "{\"openai\":{\"api_key\":\"new\"}}");
    assert_true(credentials_refresh(credentials));
    assert_string_equal(credentials_find(credentials, "openai")->api_key, "new");
    credentials_close(&credentials);
}

/* Counts the lines that refreshing writes to stderr. */
static int lines_of_refreshes(credentials_t *credentials, int times)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    int saved = dup(STDERR_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    for (int i = 0; i < times; i++)
        credentials_refresh(credentials);
    dup2(saved, STDERR_FILENO);
    close(saved);
    rewind(file);
    char line[4096];
    int lines = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        assert_non_null(strstr(line, "credentials.kept_old"));
        assert_null(strstr(line, "hush"));
        lines++;
    }
    fclose(file);
    return lines;
}

static void a_bad_new_file_is_logged_once(void **state)
{
    const place_t *place = *state;
    put(place, GOOD);
    credentials_t *credentials = open_good(place);
    rz_log_setup(NULL, RZ_LOG_ERROR);
    put(place, "{\"openai\":{\"api_key\":[\"" SECRET "\"]}}");
    assert_int_equal(lines_of_refreshes(credentials, 5), 1);
    put(place, "{\"openai\":\"" SECRET "\"}");
    assert_int_equal(lines_of_refreshes(credentials, 5), 1);
    unlink(place->path);
    assert_int_equal(lines_of_refreshes(credentials, 5), 1);
    credentials_close(&credentials);
}

/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(each_provider_has_its_credential, place_up, place_down),
    cmocka_unit_test_setup_teardown(names_are_told_and_nothing_else, place_up, place_down),
    cmocka_unit_test_setup_teardown(an_unknown_member_is_fine, place_up, place_down),
    cmocka_unit_test_setup_teardown(without_a_file_nothing_is_found_and_nothing_changes, place_up, place_down),
    cmocka_unit_test_setup_teardown(a_file_without_providers_is_kept_all_the_same, place_up, place_down),
    cmocka_unit_test_setup_teardown(stricter_modes_than_0600_are_fine, place_up, place_down),
    cmocka_unit_test_setup_teardown(a_file_that_others_may_touch_is_refused, place_up, place_down),
    cmocka_unit_test_setup_teardown(a_symbolic_link_is_refused, place_up, place_down),
    cmocka_unit_test_setup_teardown(a_folder_or_a_pipe_is_no_file, place_up, place_down),
    cmocka_unit_test_setup_teardown(a_file_of_another_user_is_refused, place_up, place_down),
    cmocka_unit_test_setup_teardown(a_file_that_is_not_there_is_refused, place_up, place_down),
    cmocka_unit_test_setup_teardown(a_file_that_is_too_large_is_refused, place_up, place_down),
    cmocka_unit_test_setup_teardown(bad_content_is_refused_by_name_and_never_shown, place_up, place_down),
    cmocka_unit_test_setup_teardown(a_text_above_64_kib_is_refused, place_up, place_down),
    cmocka_unit_test_setup_teardown(more_than_256_providers_are_refused, place_up, place_down),
    cmocka_unit_test_setup_teardown(a_version_changes_with_any_part_of_a_credential_and_means_nothing_elsewhere, place_up, place_down),
    cmocka_unit_test_setup_teardown(no_credential_has_the_empty_version_which_is_always_current, place_up, place_down),
    cmocka_unit_test_setup_teardown(a_changed_file_is_read_again, place_up, place_down),
    cmocka_unit_test_setup_teardown(a_change_right_behind_the_last_is_seen, place_up, place_down),
    cmocka_unit_test_setup_teardown(a_change_that_changes_no_credential_is_none, place_up, place_down),
    cmocka_unit_test_setup_teardown(a_bad_new_file_keeps_the_old_credentials, place_up, place_down),
    cmocka_unit_test_setup_teardown(a_bad_new_file_is_logged_once, place_up, place_down),
};
/* clang-format on */

RZ_FACTS(tests)
