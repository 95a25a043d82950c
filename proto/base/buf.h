/* buf.h - a growing run of bytes, and the small JSON writer on top of it.
 *
 * Embed and zero-initialise; end with rz_buf_fini().  Growth cannot fail (mem.h).  data is NUL-terminated
 * past len whenever it is not NULL, so that it can be read as text. */
#pragma once

#include "base/mem.h"
#include "base/rc.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    char *data;
    size_t len;
    size_t cap;
} rz_buf_t;

void rz_buf_fini(rz_buf_t *buf);                 /* frees; buf is empty and usable again */
void rz_buf_clear(rz_buf_t *buf);                /* keeps the memory */
void rz_buf_reserve(rz_buf_t *buf, size_t more); /* room for `more` bytes behind len */
void rz_buf_put(rz_buf_t *buf, const void *bytes, size_t n);
void rz_buf_puts(rz_buf_t *buf, const char *text);
void rz_buf_putc(rz_buf_t *buf, char c);
void rz_buf_put_str(rz_buf_t *buf, rz_str_t span);
void rz_buf_printf(rz_buf_t *buf, const char *fmt, ...) RZ_PRINTF(2, 3);
void rz_buf_drop(rz_buf_t *buf, size_t n);     /* removes the first n bytes */
rz_str_t rz_buf_str(const rz_buf_t *buf);      /* lends; until the next change */
char *rz_buf_take(rz_buf_t *buf, size_t *len); /* gives: caller rz_free()s; len may be NULL */

/* ---- JSON writer.  Commas are placed from what stands before, so calls read like the text they make:
 *
 *     rz_json_open(b, '{');
 *     rz_json_put_str(b, "kind", "run");         key NULL inside an array
 *     rz_json_put_raw(b, "messages", raw);
 *     rz_json_close(b, '}');
 *
 * Text must be UTF-8 without NUL; it is escaped minimally (RFC 8259, 7): quote, backslash, controls. */
void rz_json_open(rz_buf_t *buf, char bracket);                      /* '{' or '[' as a value or element   */
void rz_json_open_key(rz_buf_t *buf, const char *key, char bracket); /* as a member                        */
void rz_json_close(rz_buf_t *buf, char bracket);                     /* '}' or ']'                         */
void rz_json_put_str(rz_buf_t *buf, const char *key, const char *text); /* NULL text writes null */
void rz_json_put_strn(rz_buf_t *buf, const char *key, const char *text, size_t n);
void rz_json_put_u64(rz_buf_t *buf, const char *key, uint64_t number);
void rz_json_put_i64(rz_buf_t *buf, const char *key, int64_t number);
void rz_json_put_bool(rz_buf_t *buf, const char *key, bool value);
void rz_json_put_raw(rz_buf_t *buf, const char *key, rz_str_t json); /* json must be one valid JSON value  */
/* key: as it stands between its quotes (json.h's iterators lend it so), escapes and all. */
void rz_json_put_member(rz_buf_t *buf, rz_str_t key, rz_str_t json);
/* Writes the member only if text is not NULL: the wire's "omitted when none". */
void rz_json_opt_str(rz_buf_t *buf, const char *key, const char *text);
