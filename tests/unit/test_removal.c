/* test_removal.c - a folder in which a stranger writes goes, and nothing else does, whatever the stranger puts there and however
 * it moves it about meanwhile. */
#include "facts.h"
#include "removal.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES  4000
#define ROUNDS 100

typedef struct {
    char root[64], tree[80], victim[80];
} place_t;

static const char *within(const char *folder, const char *name)
{
    static _Thread_local char path[4][PATH_MAX];
    static _Thread_local unsigned next;
    char *out = path[next++ % 4];
    snprintf(out, PATH_MAX, "%s/%s", folder, name);
    return out;
}

static void make_file(const char *folder, const char *name)
{
    int fd = open(within(folder, name), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
}

static void make_folder(const char *path)
{
    assert_int_equal(mkdir(path, 0700), 0);
}

/* Makes a folder in it, and goes there. */
static void go_down(char path[PATH_MAX])
{
    size_t n = strlen(path);
    snprintf(path + n, PATH_MAX - n, "/d");
    make_folder(path);
}

static bool is_there(const char *path)
{
    struct stat info;
    return lstat(path, &info) == 0;
}

static int setup(void **state)
{
    place_t *place = calloc(1, sizeof *place);
    assert_non_null(place);
    snprintf(place->root, sizeof place->root, "/tmp/rz-removal.XXXXXX");
    assert_non_null(mkdtemp(place->root));
    snprintf(place->tree, sizeof place->tree, "%s/tree", place->root);
    snprintf(place->victim, sizeof place->victim, "%s/victim", place->root);
    make_folder(place->tree);
    make_folder(place->victim);
    *state = place;
    return 0;
}

static int teardown(void **state)
{
    place_t *place = *state;
    remove_tree(place->root);
    assert_false(is_there(place->root));
    free(place);
    return 0;
}

static void a_folder_goes_with_all_that_is_in_it(void **state)
{
    const place_t *place = *state;
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s", place->tree);
    for (int i = 0; i < REMOVAL_DEPTH_MAX - 2; i++) {
        make_file(path, "file");
        go_down(path);
    }
    assert_int_equal(mkfifo(within(place->tree, "fifo"), 0600), 0);
    remove_tree(place->tree);
    assert_false(is_there(place->tree));
    remove_tree(place->tree); /* there is none: nothing to do */
}

static void a_link_goes_and_what_it_points_to_stays(void **state)
{
    const place_t *place = *state;
    make_file(place->victim, "file");
    assert_int_equal(symlink(place->victim, within(place->tree, "folder")), 0);
    assert_int_equal(symlink(within(place->victim, "file"), within(place->tree, "file")), 0);
    remove_tree(place->tree);
    assert_false(is_there(place->tree));
    assert_true(is_there(within(place->victim, "file")));
    assert_int_equal(symlink(place->victim, place->tree), 0); /* nor through the folder itself */
    remove_tree(place->tree);
    assert_false(is_there(place->tree));
    assert_true(is_there(within(place->victim, "file")));
}

static void what_lies_too_deep_stays_and_harms_nobody(void **state)
{
    const place_t *place = *state;
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s", place->tree);
    for (int i = 0; i < REMOVAL_DEPTH_MAX; i++) {
        go_down(path);
    }
    remove_tree(place->tree);
    assert_true(is_there(path));
    remove_tree(within(place->tree, "d"));
    assert_false(is_there(within(place->tree, "d")));
}

/* ---- a folder that turns into a link while it is emptied ---- */

typedef struct {
    const place_t *place;
    int watch;
    bool swapped;
} swapper_t;

/* Once the first file is gone from the folder, a link stands in its place. */
static void *swap(void *arg)
{
    swapper_t *swapper = arg;
    char event[4096];
    const place_t *place = swapper->place;
    swapper->swapped = read(swapper->watch, event, sizeof event) > 0 &&
                       rename(within(place->tree, "many"), within(place->tree, "moved")) == 0 &&
                       symlink(place->victim, within(place->tree, "many")) == 0 &&
                       is_there(within(place->tree, "moved"));
    return NULL;
}

static void fill(const char *folder)
{
    char where[PATH_MAX], name[16];
    snprintf(where, sizeof where, "%s", folder);
    for (int i = 0; i < FILES; i++) {
        snprintf(name, sizeof name, "%d", i);
        make_file(where, name);
    }
}

static int victims(const place_t *place)
{
    char name[16];
    int n = 0;
    for (int i = 0; i < FILES; i++) {
        snprintf(name, sizeof name, "%d", i);
        n += is_there(within(place->victim, name));
    }
    return n;
}

static void a_folder_that_becomes_a_link_while_it_is_emptied_leads_nowhere(void **state)
{
    const place_t *place = *state;
    swapper_t swapper = { .place = place };
    fill(place->victim);
    for (int i = 0; i < ROUNDS && !swapper.swapped; i++) {
        pthread_t thread;
        remove_tree(place->tree); /* what an earlier round left */
        make_folder(place->tree);
        make_folder(within(place->tree, "many"));
        fill(within(place->tree, "many"));
        swapper.watch = inotify_init1(IN_CLOEXEC);
        assert_true(inotify_add_watch(swapper.watch, within(place->tree, "many"), IN_DELETE) >= 0);
        assert_int_equal(pthread_create(&thread, NULL, swap, &swapper), 0);
        remove_tree(place->tree);
        pthread_join(thread, NULL);
        close(swapper.watch);
        assert_int_equal(victims(place), FILES);
    }
    assert_true(swapper.swapped);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(a_folder_goes_with_all_that_is_in_it, setup, teardown),
    cmocka_unit_test_setup_teardown(a_link_goes_and_what_it_points_to_stays, setup, teardown),
    cmocka_unit_test_setup_teardown(what_lies_too_deep_stays_and_harms_nobody, setup, teardown),
    cmocka_unit_test_setup_teardown(a_folder_that_becomes_a_link_while_it_is_emptied_leads_nowhere, setup,
                                    teardown),
};
RZ_FACTS(tests)
