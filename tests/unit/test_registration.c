/* test_registration.c - the record in the fabric appears whole, and goes only if it is still ours. */
#include "facts.h"

#include "base/clock.h"
#include "base/mem.h"
#include "registration.h"
#include "wire/record.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
    uv_loop_t loop;
    char dir[64], fabric[96], path[128];
} place_t;

static int make_place(void **state)
{
    place_t *place = rz_alloc(sizeof(*place));
    strcpy(place->dir, "/tmp/rz-registration-XXXXXX");
    if (mkdtemp(place->dir) == NULL)
        return -1;
    snprintf(place->fabric, sizeof(place->fabric), "%s/not/yet", place->dir);
    snprintf(place->path, sizeof(place->path), "%s/ch-1.json", place->fabric);
    *state = place;
    return uv_loop_init(&place->loop);
}

static int clear_place(void **state)
{
    place_t *place = *state;
    uv_run(&place->loop, UV_RUN_DEFAULT);
    int rc = uv_loop_close(&place->loop);
    char middle[96];
    snprintf(middle, sizeof(middle), "%s/not", place->dir);
    unlink(place->path);
    rmdir(place->fabric);
    rmdir(middle);
    if (rmdir(place->dir) != 0)
        rc = -1; /* something was left in the fabric */
    rz_free(place);
    return rc;
}

static registration_t *register_here(place_t *place)
{
    rz_err_t err = { 0 };
    registration_t *reg =
        registration_open(&place->loop, place->fabric, "ch-1", "explorer", "ws://127.0.0.1:7", &err);
    assert_non_null(reg);
    return reg;
}

static size_t read_file(const char *path, char bytes[1024])
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t n = fread(bytes, 1, 1024, file);
    fclose(file);
    return n;
}

static void the_record_names_us_and_lives_for_a_minute(void **state)
{
    place_t *place = *state;
    registration_t *reg = register_here(place);
    char bytes[1024];
    size_t n = read_file(place->path, bytes);
    rz_record_t record;
    assert_int_equal(rz_record_decode(bytes, n, &record, NULL), RZ_OK);
    assert_string_equal(record.agent_id, "ch-1");
    assert_string_equal(record.role, "explorer");
    assert_string_equal(record.endpoint, "ws://127.0.0.1:7");
    assert_int_equal(record.pid, getpid());
    assert_true(rz_record_live(&record, rz_wall_us() + 50000000));
    assert_false(rz_record_live(&record, rz_wall_us() + 61000000));
    rz_record_fini(&record);
    registration_close(&reg);
}

static void nothing_hidden_is_left_beside_the_record(void **state)
{
    place_t *place = *state;
    registration_t *reg = register_here(place);
    DIR *dir = opendir(place->fabric);
    int files = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        files += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(dir);
    assert_int_equal(files, 1);
    registration_close(&reg);
}

static void leaving_takes_the_record_away(void **state)
{
    place_t *place = *state;
    registration_t *reg = register_here(place);
    registration_close(&reg);
    assert_null(reg);
    assert_int_equal(access(place->path, F_OK), -1);
}

static void a_record_of_another_process_is_left_alone(void **state)
{
    place_t *place = *state;
    registration_t *reg = register_here(place);
    FILE *file = fopen(place->path, "wb");
    fprintf(file,
            "{\"agent_id\":\"ch-1\",\"role\":\"\",\"endpoint\":\"ws://127.0.0.1:8\",\"pid\":%d,"
            "\"started_at\":\"2026-06-16T09:30:00Z\",\"lease_expires_at\":\"2026-06-16T09:31:00Z\"}",
            (int)getpid() + 1);
    fclose(file);
    registration_close(&reg);
    assert_int_equal(access(place->path, F_OK), 0);
}

static void a_fabric_that_cannot_be_written_is_named(void **state)
{
    place_t *place = *state;
    rz_err_t err = { 0 };
    assert_null(registration_open(&place->loop, "/proc/fabric", "ch-1", "", "ws://127.0.0.1:7", &err));
    assert_int_equal(err.rc, RZ_SYS);
    assert_non_null(strstr(err.text, "/proc/fabric"));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(the_record_names_us_and_lives_for_a_minute, make_place, clear_place),
    cmocka_unit_test_setup_teardown(nothing_hidden_is_left_beside_the_record, make_place, clear_place),
    cmocka_unit_test_setup_teardown(leaving_takes_the_record_away, make_place, clear_place),
    cmocka_unit_test_setup_teardown(a_record_of_another_process_is_left_alone, make_place, clear_place),
    cmocka_unit_test_setup_teardown(a_fabric_that_cannot_be_written_is_named, make_place, clear_place),
};

RZ_FACTS(tests)
