/* ledger.h - what this broker was told is done, kept until it can be seen whether a failover took it back.
 *
 * Pure. The latest RZ_LEDGER_MAX acknowledged submits and ends; when the store begins another term, each is compared with
 * what the store says now. Nothing that is missing can be had back here, but it is named. */
#pragma once

#include "base/limits.h"
#include "base/mem.h"

#include <stdbool.h>
#include <stdint.h>

#define RZ_LEDGER_MAX 4096

typedef struct {
    char child[RZ_ID_MAX + 1];
    uint64_t activation; /* of a submit; 0: it is an end    */
    uint64_t epoch;      /* of an end                       */
} rz_acked_t;

typedef struct rz_ledger rz_ledger_t;
rz_ledger_t *rz_ledger_create(void);
void rz_ledger_destroy(rz_ledger_t **ledger);
/* An operation was answered OK: op, its arguments, the fields of its answer. What is neither submit nor finish is not kept. */
void rz_ledger_note(rz_ledger_t *ledger, rz_str_t op, const rz_str_t *args, size_t n, const rz_str_t *fields,
                    size_t field_count);
size_t rz_ledger_count(const rz_ledger_t *ledger);
/* The i-th oldest; RZ_LEDGER_MAX newer ones push it out. */
const rz_acked_t *rz_ledger_at(const rz_ledger_t *ledger, size_t i);
/* Whether it is missing in a store that says this of the child: the packed activation, empty if it knows none. */
bool rz_acked_is_lost(const rz_acked_t *acked, rz_str_t packed);
