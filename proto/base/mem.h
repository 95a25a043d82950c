/* mem.h - the one door to the heap.
 *
 * Everything a peer can make us hold is bounded (limits.h), so running out of memory is an operator's mistake
 * or our leak, never an answerable condition: these end the process with one log line and exit code 70, and
 * the crash path, which is tested, takes over.  No caller checks for NULL. */
#pragma once

#include <stddef.h>

void *rz_alloc(size_t size);                  /* zeroed */
void *rz_realloc(void *memory, size_t size);  /* new bytes undefined */
char *rz_strdup(const char *text);            /* NULL gives NULL */
char *rz_strndup(const char *text, size_t n); /* NUL-terminated */
void rz_free(void *memory);                   /* NULL is harmless */
const char *rz_or_null(const char *text);     /* NULL for "" too: where "none" is not written */
/* Overwrites memory that held a secret; not optimised away. */
void rz_wipe(void *memory, size_t size);

/* A span of bytes that somebody else owns: valid as long as the owner says.  p may be NULL when n is 0. */
typedef struct {
    const char *p;
    size_t n;
} rz_str_t;

#define RZ_STR(literal) ((rz_str_t){ (literal), sizeof(literal) - 1 })
rz_str_t rz_str(const char *text);        /* NULL gives an empty span */
int rz_str_eq(rz_str_t a, const char *b); /* 1 or 0 */
