/* mem.c - the one door to the heap. */
#include "base/mem.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXIT_OUR_BUG 70

/* _exit: destructors and atexit handlers may want memory too. */
static _Noreturn void out_of_memory(size_t size)
{
    rz_log_error("memory.out", "bytes=%zu", size);
    _exit(EXIT_OUR_BUG);
}

void *rz_alloc(size_t size)
{
    void *memory = calloc(1, size > 0 ? size : 1);
    if (memory == NULL)
        out_of_memory(size);
    return memory;
}

void *rz_realloc(void *memory, size_t size)
{
    void *moved = realloc(memory, size > 0 ? size : 1);
    if (moved == NULL)
        out_of_memory(size);
    return moved;
}

char *rz_strdup(const char *text)
{
    return text != NULL ? rz_strndup(text, strlen(text)) : NULL;
}

char *rz_strndup(const char *text, size_t n)
{
    char *copy = rz_alloc(n + 1);
    if (n > 0)
        memcpy(copy, text, n);
    return copy;
}

void rz_free(void *memory)
{
    free(memory);
}

const char *rz_or_null(const char *text)
{
    return text != NULL && *text != '\0' ? text : NULL;
}

void rz_wipe(void *memory, size_t size)
{
    if (size > 0)
        explicit_bzero(memory, size);
}

rz_str_t rz_str(const char *text)
{
    return (rz_str_t){ text, text != NULL ? strlen(text) : 0 };
}

int rz_str_eq(rz_str_t a, const char *b)
{
    size_t n = strlen(b);
    return a.n == n && (n == 0 || memcmp(a.p, b, n) == 0);
}
