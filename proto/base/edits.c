/* edits.c - how far one word is from another. */
#include "base/edits.h"

#include <string.h>

#define WORD_MAX_BYTES 64

static size_t least(size_t a, size_t b, size_t c)
{
    size_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

/* Levenshtein's distance, one row at a time; only the first WORD_MAX_BYTES bytes count. */
size_t rz_edits(const char *a, const char *b)
{
    size_t row[WORD_MAX_BYTES + 1];
    size_t n = strnlen(b, WORD_MAX_BYTES);
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 0; i < WORD_MAX_BYTES && a[i] != '\0'; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 1; j <= n; j++) {
            size_t above = row[j];
            row[j] = least(above + 1, row[j - 1] + 1, diagonal + (a[i] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[n];
}
