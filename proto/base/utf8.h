/* utf8.h - what well-formed UTF-8 is, in one place (Unicode 15, table 3-7). */
#pragma once

#include <stddef.h>

/* Length of the well-formed character at the start of bytes (1 to 4), or 0: an overlong form, a surrogate,
 * beyond U+10FFFF, a stray continuation, or cut short by n. */
size_t rz_utf8_char(const char *bytes, size_t n);
/* How many bytes of text stand before the first that is not well-formed. */
size_t rz_utf8_span(const char *text);
/* Replaces every byte of text that belongs to no well-formed character by '?'. */
void rz_utf8_scrub(char *text);
/* Bytes of the control character at the start of a text that ends with NUL: what a terminal may obey (C0, DEL, and C1 as
 * UTF-8). 0: it is none. */
size_t rz_utf8_control(const char *text);
/* Replaces every control character of text by '?': what is left is one line, and stays on it. */
void rz_utf8_flatten(char *text);
