/* output.c - a ring of bytes per child, in a list ordered by last use. */
#include "output.h"

#include "base/utf8.h"

#include <string.h>

typedef struct ring ring_t;
struct ring {
    ring_t *next; /* written to longer ago */
    char child[RZ_ID_MAX + 1];
    uint64_t epoch;
    rz_buf_t bytes; /* up to twice what is kept, then the older half goes at once */
};

struct output {
    ring_t *newest;
    size_t count;
};

output_t *output_create(void)
{
    return rz_alloc(sizeof(output_t));
}

static void ring_free(ring_t *ring)
{
    rz_buf_fini(&ring->bytes);
    rz_free(ring);
}

void output_destroy(output_t **output)
{
    if (*output == NULL)
        return;
    while ((*output)->newest != NULL) {
        ring_t *ring = (*output)->newest;
        (*output)->newest = ring->next;
        ring_free(ring);
    }
    rz_free(*output);
    *output = NULL;
}

static ring_t *take_out(output_t *output, const char *child)
{
    for (ring_t **at = &output->newest; *at != NULL; at = &(*at)->next) {
        ring_t *ring = *at;
        if (strcmp(ring->child, child) != 0)
            continue;
        *at = ring->next;
        output->count--;
        return ring;
    }
    return NULL;
}

static void drop_oldest(output_t *output)
{
    ring_t **at = &output->newest;
    while ((*at)->next != NULL)
        at = &(*at)->next;
    ring_free(*at);
    *at = NULL;
    output->count--;
}

static void put_first(output_t *output, ring_t *ring)
{
    ring->next = output->newest;
    output->newest = ring;
    output->count++;
    if (output->count > OUTPUT_CHILDREN_MAX)
        drop_oldest(output);
}

static ring_t *ring_for(output_t *output, const char *child, uint64_t epoch)
{
    ring_t *ring = take_out(output, child);
    if (ring == NULL) {
        ring = rz_alloc(sizeof *ring);
        memcpy(ring->child, child, strnlen(child, RZ_ID_MAX));
    }
    if (ring->epoch != epoch)
        rz_buf_clear(&ring->bytes);
    ring->epoch = epoch;
    put_first(output, ring);
    return ring;
}

void output_append(output_t *output, const char *child, uint64_t epoch, const char *bytes, size_t n)
{
    ring_t *ring = ring_for(output, child, epoch);
    if (n > RZ_STDERR_KEPT) {
        bytes += n - RZ_STDERR_KEPT;
        n = RZ_STDERR_KEPT;
    }
    rz_buf_put(&ring->bytes, bytes, n);
    if (ring->bytes.len > 2 * RZ_STDERR_KEPT)
        rz_buf_drop(&ring->bytes, ring->bytes.len - RZ_STDERR_KEPT);
}

static void put_clean(rz_buf_t *out, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n;) {
        size_t len = rz_utf8_char(bytes + i, n - i);
        if (len == 0 || bytes[i] == '\0')
            rz_buf_putc(out, '?');
        else
            rz_buf_put(out, bytes + i, len);
        i += len == 0 ? 1 : len;
    }
}

bool output_text(const output_t *output, const char *child, rz_buf_t *out)
{
    const ring_t *ring = output->newest;
    while (ring != NULL && strcmp(ring->child, child) != 0)
        ring = ring->next;
    if (ring == NULL)
        return false;
    size_t skip = ring->bytes.len > RZ_STDERR_KEPT ? ring->bytes.len - RZ_STDERR_KEPT : 0;
    put_clean(out, ring->bytes.data + skip, ring->bytes.len - skip);
    return true;
}
