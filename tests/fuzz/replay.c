/* replay.c - a fuzz target without libFuzzer: runs it over files, and over near neighbours of each, so that every build
 * with sanitizers stands what a search has found before.
 *
 *   replay FOLDER...     folders that are not there are passed over; at least one file must be found */
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#define FILE_MAX  ((size_t)1 << 20)
#define PLACES    256 /* of one file that are cut or overwritten */
#define PATH_SIZE 4096

/* In memory of its exact size, so that a read beyond it is seen. */
static void run(const char *bytes, size_t n)
{
    uint8_t *copy = malloc(n > 0 ? n : 1);
    memcpy(copy, bytes, n);
    LLVMFuzzerTestOneInput(copy, n);
    free(copy);
}

static void run_neighbours(char *bytes, size_t n)
{
    static const char hostile[] = { '\0', '"', '\\', '{', '-', '\xff' };
    for (size_t at = 0; at < n; at += n / PLACES + 1) {
        char kept = bytes[at];
        run(bytes, at);
        for (size_t i = 0; i < sizeof hostile; i++) {
            bytes[at] = hostile[i];
            run(bytes, n);
        }
        bytes[at] = kept;
    }
}

static void run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    char *bytes = malloc(FILE_MAX);
    MUST(file != NULL && bytes != NULL);
    size_t n = fread(bytes, 1, FILE_MAX, file);
    fclose(file);
    printf("%s, %zu bytes\n", path, n);
    fflush(stdout); /* what stands last is what failed */
    run(bytes, n);
    run_neighbours(bytes, n);
    free(bytes);
}

static size_t run_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    if (dir == NULL)
        return 0;
    size_t count = 0;
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        char path[PATH_SIZE];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        run_file(path);
        count++;
    }
    closedir(dir);
    return count;
}

int main(int argc, char **argv)
{
    size_t count = 0;
    run("", 0);
    for (int i = 1; i < argc; i++)
        count += run_folder(argv[i]);
    printf("%zu files\n", count);
    return count > 0 ? 0 : 1;
}
