/* audit.c - see audit.h. */
#include "state/audit.h"

#include "base/log.h"

#include <inttypes.h>
#include <string.h>

#define WINDOW 64

struct rz_audit {
    rz_store_t *store;
    const rz_ledger_t *ledger;
    uint64_t *lost;
    uint64_t term, lost_before;
    rz_acked_t *entry; /* what the ledger held when it began; NULL: nothing is under way */
    size_t n, next, open, unanswered;
    bool again;
};

typedef struct {
    rz_audit_t *audit;
    const rz_acked_t *acked;
} look_t;

static void look_on(rz_audit_t *audit);

static void compare(rz_audit_t *audit, const rz_acked_t *acked, rz_rc_t rc, const rz_reply_t *reply)
{
    if (rc != RZ_OK && rc != RZ_NOT_FOUND) {
        audit->unanswered++;
        return;
    }
    if (!rz_acked_is_lost(acked, rc == RZ_OK && reply->n > 1 ? reply->field[1] : (rz_str_t){ "", 0 }))
        return;
    ++*audit->lost;
    if (acked->activation > 0)
        rz_log_error("store.lost",
                     "child=%s activation=%" PRIu64 " term=%" PRIu64 " a submit that had a receipt",
                     acked->child, acked->activation, audit->term);
    else
        rz_log_error("store.lost", "child=%s epoch=%" PRIu64 " term=%" PRIu64 " an end that was acknowledged",
                     acked->child, acked->epoch, audit->term);
}

static void end(rz_audit_t *audit)
{
    rz_log_info("store.audited", "term=%" PRIu64 " acknowledged=%zu lost=%" PRIu64 " unanswered=%zu",
                audit->term, audit->n, *audit->lost - audit->lost_before, audit->unanswered);
    rz_free(audit->entry);
    audit->entry = NULL;
    if (audit->again)
        rz_audit_begin(audit, audit->term);
}

static void on_look(rz_rc_t rc, const rz_reply_t *reply, void *arg)
{
    look_t look = *(look_t *)arg;
    rz_free(arg);
    compare(look.audit, look.acked, rc, reply);
    look.audit->open--;
    look_on(look.audit);
}

static void look_on(rz_audit_t *audit)
{
    if (audit->again || !rz_store_up(audit->store))
        audit->next = audit->n; /* what is not asked yet is asked anew, or by the next term */
    while (audit->open < WINDOW && audit->next < audit->n) {
        look_t *look = rz_alloc(sizeof *look);
        *look = (look_t){ audit, &audit->entry[audit->next++] };
        const rz_str_t args[] = { rz_str(look->acked->child), { "", 0 } };
        audit->open++;
        rz_store_call(audit->store, "get", args, 2, on_look, look);
    }
    if (audit->open == 0)
        end(audit);
}

void rz_audit_begin(rz_audit_t *audit, uint64_t term)
{
    audit->term = term;
    audit->again = audit->entry != NULL;
    if (audit->again || rz_ledger_count(audit->ledger) == 0)
        return;
    audit->n = rz_ledger_count(audit->ledger);
    audit->next = audit->open = audit->unanswered = 0;
    audit->lost_before = *audit->lost;
    audit->entry = rz_alloc(audit->n * sizeof *audit->entry);
    for (size_t i = 0; i < audit->n; i++)
        audit->entry[i] = *rz_ledger_at(audit->ledger, i);
    look_on(audit);
}

rz_audit_t *rz_audit_create(rz_store_t *store, const rz_ledger_t *ledger, uint64_t *lost)
{
    rz_audit_t *audit = rz_alloc(sizeof *audit);
    audit->store = store;
    audit->ledger = ledger;
    audit->lost = lost;
    return audit;
}

void rz_audit_destroy(rz_audit_t **audit)
{
    rz_free((*audit)->entry);
    rz_free(*audit);
    *audit = NULL;
}
