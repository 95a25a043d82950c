/* explain.h - the reply to control `explain` as a page: what state the child is in and why, how it got
 * there, and what can be done. */
#pragma once

#include "out.h"

#include <cjson/cJSON.h>
#include <stdint.h>

/* "ch-41 ended error 3 min ago: runner lost: r-1". now_us: wall clock of this host. Appends, no newline. */
void explain_headline(const cJSON *reply, int64_t now_us, rz_buf_t *out);
/* "parent root-7, job j-1, profile survey, label gpu, attempt 1/1, epoch 2". Appends, no newline. */
void explain_facts(const cJSON *reply, rz_buf_t *out);
/* The transitions, oldest first, each with its gap to the one before. The caller runs table_close(). */
void explain_table(const cJSON *reply, table_t *table);
/* What an operator would type next, "" when nothing is left to do. Appends, no newline. */
void explain_remedy(const cJSON *reply, rz_buf_t *out);
