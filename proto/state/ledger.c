/* ledger.c - see ledger.h. */
#include "state/ledger.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct rz_ledger {
    rz_acked_t entry[RZ_LEDGER_MAX];
    size_t next, count;
};

rz_ledger_t *rz_ledger_create(void)
{
    return rz_alloc(sizeof(rz_ledger_t));
}

void rz_ledger_destroy(rz_ledger_t **ledger)
{
    rz_free(*ledger);
    *ledger = NULL;
}

static uint64_t number(rz_str_t text)
{
    char digits[24] = "";
    if (text.n < sizeof digits && text.n > 0)
        memcpy(digits, text.p, text.n);
    return strtoull(digits, NULL, 10);
}

/* The i-th word of a packed activation: state, activation, epoch, ... */
static rz_str_t word(rz_str_t packed, size_t i)
{
    while (packed.n > 0) {
        const char *space = memchr(packed.p, ' ', packed.n);
        size_t n = space != NULL ? (size_t)(space - packed.p) : packed.n;
        if (i-- == 0)
            return (rz_str_t){ packed.p, n };
        n += space != NULL;
        packed = (rz_str_t){ packed.p + n, packed.n - n };
    }
    return (rz_str_t){ "", 0 };
}

enum { STATE, ACTIVATION, EPOCH };

static void add(rz_ledger_t *ledger, rz_str_t child, uint64_t activation, uint64_t epoch)
{
    rz_acked_t *acked = &ledger->entry[ledger->next];
    if (child.n > RZ_ID_MAX || (activation == 0 && epoch == 0))
        return;
    (void)snprintf(acked->child, sizeof acked->child, "%.*s", (int)child.n, child.p);
    acked->activation = activation;
    acked->epoch = epoch;
    ledger->next = (ledger->next + 1) % RZ_LEDGER_MAX;
    ledger->count += ledger->count < RZ_LEDGER_MAX;
}

void rz_ledger_note(rz_ledger_t *ledger, rz_str_t op, const rz_str_t *args, size_t n, const rz_str_t *fields,
                    size_t field_count)
{
    bool submits = rz_str_eq(op, "submit") || rz_str_eq(op, "submit_own");
    if (submits && field_count > 1) /* answers child and activation, as the first two */
        add(ledger, fields[0], number(word(fields[1], ACTIVATION)), 0);
    else if (rz_str_eq(op, "finish") && n > 1) /* child epoch ... */
        add(ledger, args[0], 0, number(args[1]));
}

size_t rz_ledger_count(const rz_ledger_t *ledger)
{
    return ledger->count;
}

const rz_acked_t *rz_ledger_at(const rz_ledger_t *ledger, size_t i)
{
    return &ledger->entry[(ledger->next + RZ_LEDGER_MAX - ledger->count + i) % RZ_LEDGER_MAX];
}

bool rz_acked_is_lost(const rz_acked_t *acked, rz_str_t packed)
{
    if (acked->activation > 0)
        return number(word(packed, ACTIVATION)) < acked->activation;
    uint64_t epoch = number(word(packed, EPOCH));
    rz_str_t state =
        word(packed, STATE); /* queued: the child's next job, which has no epoch of its own yet */
    bool lives = rz_str_eq(state, "assigned") || rz_str_eq(state, "running");
    return epoch < acked->epoch || (epoch == acked->epoch && lives);
}
