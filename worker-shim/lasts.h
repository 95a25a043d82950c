/* lasts.h - the last lines a program wrote to stderr, for the error that ends its run. */
#pragma once

#include "base/buf.h"

#define LASTS_MAX ((size_t)4 << 10)

/* Zero-initialise; end with rz_buf_fini(&lasts.bytes). */
typedef struct {
    rz_buf_t bytes; /* private: at most 2 x LASTS_MAX */
    bool cut;       /* private: bytes before these were dropped */
} lasts_t;

void lasts_add(lasts_t *lasts, const char *bytes, size_t n);
void lasts_clear(lasts_t *lasts); /* nothing was written yet */
/* Appends them as UTF-8 text: whole lines if there was a cut, without the newline at the end. */
void lasts_text(const lasts_t *lasts, rz_buf_t *out);
