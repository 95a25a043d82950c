/* lasts.c - the last lines a program wrote to stderr. */
#include "lasts.h"

#include "base/utf8.h"

#include <string.h>

/* Dropping only beyond twice the size keeps the moving of bytes rare. */
void lasts_add(lasts_t *lasts, const char *bytes, size_t n)
{
    if (n > LASTS_MAX) {
        bytes += n - LASTS_MAX;
        n = LASTS_MAX;
        rz_buf_clear(&lasts->bytes);
        lasts->cut = true;
    }
    rz_buf_put(&lasts->bytes, bytes, n);
    if (lasts->bytes.len > 2 * LASTS_MAX) {
        rz_buf_drop(&lasts->bytes, lasts->bytes.len - LASTS_MAX);
        lasts->cut = true;
    }
}

void lasts_clear(lasts_t *lasts)
{
    rz_buf_clear(&lasts->bytes);
    lasts->cut = false;
}

void lasts_text(const lasts_t *lasts, rz_buf_t *out)
{
    rz_str_t text = rz_buf_str(&lasts->bytes);
    while (text.n > 0 && (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == '\r'))
        text.n--;
    bool cut = lasts->cut;
    if (text.n > LASTS_MAX) {
        text = (rz_str_t){ text.p + (text.n - LASTS_MAX), LASTS_MAX };
        cut = true;
    }
    const char *newline = cut && text.n > 0 ? memchr(text.p, '\n', text.n) : NULL;
    if (newline != NULL)
        text = (rz_str_t){ newline + 1, (size_t)(text.p + text.n - newline) - 1 };

    size_t start = out->len;
    for (size_t i = 0; i < text.n; i++)
        rz_buf_putc(out, text.p[i] != '\0' ? text.p[i] : '?');
    if (out->len > start)
        rz_utf8_scrub(out->data + start);
}
