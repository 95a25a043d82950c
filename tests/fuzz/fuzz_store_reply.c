/* fuzz_store_reply.c - what Redis answers. The first byte says to what: packed activations, assignments (fields end with
 * \x1f), or the probe of a connection. */
#include "fuzz.h"
#include "state/ops_codec.h"
#include "state/probe.h"

#include <string.h>

#define FIELDS_MAX 8

static size_t split(rz_str_t text, rz_str_t fields[FIELDS_MAX])
{
    size_t n = 0;
    while (n < FIELDS_MAX && text.n > 0) {
        const char *end = memchr(text.p, '\x1f', text.n);
        size_t len = end != NULL ? (size_t)(end - text.p) : text.n;
        fields[n++] = (rz_str_t){ text.p, len };
        len += end != NULL;
        text = (rz_str_t){ text.p + len, text.n - len };
    }
    return n;
}

/* Every text of an activation is there, whatever was read. */
static void look_at(const rz_act_t *act)
{
    const char *const texts[] = { act->child,   act->parent, act->job,   act->owner,   act->labels,
                                  act->profile, act->status, act->error, act->progress };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        MUST(texts[i] != NULL && strlen(texts[i]) < SIZE_MAX);
}

static void read_fields(rz_str_t text)
{
    rz_str_t fields[FIELDS_MAX];
    const size_t n = split(text, fields);
    const rz_reply_t reply = { fields, n };
    rz_packed_t packed;
    rz_assigned_t assigned;
    (void)rz_packed_read(&packed, fields, n);
    look_at(&packed.act);
    rz_packed_fini(&packed);
    if (rz_assigned_read(&assigned, fields, n))
        MUST(strlen(assigned.assignment.token) + strlen(assigned.assignment.traceparent) < SIZE_MAX);
    rz_assigned_fini(&assigned);
    for (size_t i = 0; i <= n; i++) {
        char *copy = rz_field_text(&reply, i);
        MUST(copy != NULL && rz_field_number(&reply, i) <= UINT64_MAX);
        rz_free(copy);
    }
}

static void read_probe(rz_str_t text)
{
    static const rz_store_mark_t unknown, known = { .id = "s-1", .lineage = "aa", .term = 7, .tick = 100000 };
    rz_probe_t probe;
    char *bytes = rz_strndup(text.p, text.n); /* hiredis ends strings with a NUL */
    redisReply line = { .type = REDIS_REPLY_STRING, .str = bytes, .len = text.n },
               *many[] = { &line, &line, &line, &line, &line, &line, &line, &line, &line, &line };
    redisReply list = { .type = REDIS_REPLY_ARRAY, .elements = 5, .element = many };
    for (size_t i = 0; i < RZ_PROBES; i++) {
        rz_probe_init(&probe, 1);
        rz_probe_take(&probe, i, &line);
        rz_probe_take(&probe, i, &list);
        list.elements = list.elements == 5 ? 10 : 5; /* of a record, of settings */
        rz_probe_take(&probe, i, &list);
        (void)rz_probe_verdict(&probe, &unknown);
        (void)rz_probe_verdict(&probe, &known);
    }
    rz_free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const rz_str_t rest = { (const char *)data + 1, size - 1 };
    if (data[0] == 'p')
        read_probe(rest);
    else
        read_fields(rest);
    return 0;
}
