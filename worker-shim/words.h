/* words.h - splits a text at Unicode white space. */
#pragma once

#include "base/mem.h"

#include <stdbool.h>
#include <stdint.h>

/* Takes the next word off the front of *rest. False when only white space was left. text: valid UTF-8. */
bool word_next(rz_str_t *rest, rz_str_t *word);

/* True if the word is "__sleep_ms:<n>" with <n> an unsigned 64-bit decimal; then *delay_ms is <n> (rule 5).
 */
bool word_is_delay(rz_str_t word, uint64_t *delay_ms);
