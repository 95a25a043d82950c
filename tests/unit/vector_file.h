/* vector_file.h - golden vectors: tests/vectors/<area>/<name>.json holds the exact bytes of one message, and
 * a newline that does not belong to it. */
#pragma once

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

/* The bytes in a block of exactly their size, so that a sanitizer sees a read behind them; rz_free() them. */
static inline char *vector_read(const char *area, const char *name, size_t *len)
{
    char path[512];
    snprintf(path, sizeof(path), RZ_SOURCE_DIR "/tests/vectors/%s/%s.json", area, name);
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        abort();
    }
    char buffer[16384];
    size_t n = fread(buffer, 1, sizeof(buffer), file);
    fclose(file);
    if (n > 0 && buffer[n - 1] == '\n')
        n--;
    char *bytes = rz_alloc(n + (n == 0));
    memcpy(bytes, buffer, n);
    *len = n;
    return bytes;
}

/* A copy of the first n bytes in a block of exactly that size. */
static inline char *vector_cut(const char *bytes, size_t n)
{
    char *cut = rz_alloc(n + (n == 0));
    memcpy(cut, bytes, n);
    return cut;
}
