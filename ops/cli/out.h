/* out.h - what people and programs see: stdout is data, stderr is for people.
 *
 * Colour only on a terminal and without NO_COLOR. What agents and peers wrote goes to a terminal without its
 * control characters: a child must not be able to steer the screen of who watches it. */
#pragma once

#include "base/buf.h"
#include "base/rc.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdio.h>

void out_setup(void);

/* A message to a person, on stderr: "rhizome: <text>". */
void say(const char *fmt, ...) RZ_PRINTF(1, 2);
/* A line of lesser weight, on stderr, dim on a terminal. */
void note(const char *fmt, ...) RZ_PRINTF(1, 2);
/* Whether both keep silent for a while. */
void out_hush(bool hushed);

/* Writes text from strangers. */
void out_text(FILE *to, const char *text, size_t n);
/* One line of JSON on stdout. */
void out_json(const cJSON *tree);
void out_json_bytes(rz_str_t json);

/* Width to cut lines to: the terminal's; 0 = no limit, stdout is no terminal. */
size_t out_columns(void);
bool out_is_terminal(void);

typedef enum { LOOK_PLAIN, LOOK_DIM, LOOK_BOLD, LOOK_GOOD, LOOK_BAD, LOOK_BUSY } look_t;
/* The escape that begins a look on stdout, and the one that ends it; "" where there is no colour. */
const char *look(look_t kind);
const char *unlook(void);
look_t look_of_status(const char *status);

/* Bytes of the first `columns` characters of UTF-8 text (each taken as one column wide). */
size_t text_cut(const char *text, size_t n, size_t columns);
size_t text_columns(const char *text, size_t n);

/* A table on stdout: columns as wide as their widest cell, the last one as it is. */
typedef struct {
    size_t columns;
    char **cells; /* row by row, the heads first */
    size_t count;
} table_t;
void table_open(table_t *table, const char *const *heads, size_t columns);
void table_add(table_t *table, const char *const *cells); /* copies; NULL cell: "" */
void table_close(table_t *table);                         /* prints and frees */

/* "412 ms", "3.2 s", "4 min", "5 h", "9 d". */
void age_text(uint64_t ms, char out[16]);
