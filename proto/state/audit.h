/* audit.h - after a new term: is what was acknowledged still there? Loop thread only.
 *
 * Asks the store for every child of the ledger, a window at a time behind whatever else is asked, and names each that is
 * missing in the log (store.lost). What it asks is answered before rz_store_close() returns. */
#pragma once

#include "state/ledger.h"
#include "state/store.h"

typedef struct rz_audit rz_audit_t;

/* lost is counted up. Both are lent and must outlive the audit, which must outlive the store. */
rz_audit_t *rz_audit_create(rz_store_t *store, const rz_ledger_t *ledger, uint64_t *lost);
void rz_audit_destroy(rz_audit_t **audit);
/* Looks at what the ledger holds now; once more from the start if it is at it already. */
void rz_audit_begin(rz_audit_t *audit, uint64_t term);
