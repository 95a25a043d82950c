/* out.c - terminals, tables and lines. */
#include "out.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static struct {
    bool out_tty, err_tty;
    bool out_color, err_color;
    bool hushed;
} screen;

void out_setup(void)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    bool color = (no_color == NULL || *no_color == '\0') && (term == NULL || strcmp(term, "dumb") != 0);
    screen.out_tty = isatty(STDOUT_FILENO);
    screen.err_tty = isatty(STDERR_FILENO);
    screen.out_color = screen.out_tty && color;
    screen.err_color = screen.err_tty && color;
}

bool out_is_terminal(void)
{
    return screen.out_tty;
}

size_t out_columns(void)
{
    struct winsize size;
    if (!screen.out_tty)
        return 0;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 100;
}

static void print_to_people(const char *before, const char *after, const char *fmt, va_list args)
{
    rz_buf_t line = { 0 };
    char text[4096];
    if (screen.hushed)
        return;
    vsnprintf(text, sizeof text, fmt, args);
    rz_buf_puts(&line, text);
    fflush(stdout); /* what was said first stands first, also when both go to one file */
    fputs(before, stderr);
    out_text(stderr, line.data, line.len);
    fputs(after, stderr);
    fputc('\n', stderr);
    rz_buf_fini(&line);
}

void out_hush(bool hushed)
{
    screen.hushed = hushed;
}

void say(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    print_to_people("rhizome: ", "", fmt, args);
    va_end(args);
}

void note(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    print_to_people(screen.err_color ? "\033[2m" : "", screen.err_color ? "\033[0m" : "", fmt, args);
    va_end(args);
}

/* C0 but newline and tab, DEL, and C1 in its UTF-8 form (C2 80..9F): how many bytes at text[i] are one of
 * them. */
static size_t control_bytes(const unsigned char *text, size_t i, size_t n)
{
    unsigned char c = text[i];
    if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7F)
        return 1;
    return c == 0xC2 && i + 1 < n && text[i + 1] >= 0x80 && text[i + 1] <= 0x9F ? 2 : 0;
}

void out_text(FILE *to, const char *text, size_t n)
{
    bool terminal = to == stderr ? screen.err_tty : screen.out_tty;
    if (!terminal && n > 0)
        fwrite(text, 1, n, to);
    if (!terminal)
        return;
    const unsigned char *bytes = (const unsigned char *)text;
    for (size_t i = 0; i < n;) {
        size_t control = control_bytes(bytes, i, n);
        fputc(control > 0 ? '?' : bytes[i], to);
        i += control > 0 ? control : 1;
    }
}

void out_json_bytes(rz_str_t json)
{
    if (json.n > 0)
        fwrite(json.p, 1, json.n, stdout);
    fputc('\n', stdout);
    fflush(stdout);
}

void out_json(const cJSON *tree)
{
    char *text = cJSON_PrintUnformatted(tree);
    out_json_bytes(rz_str(text));
    cJSON_free(text);
}

const char *look(look_t kind)
{
    static const char *const escapes[] = {
        [LOOK_PLAIN] = "",        [LOOK_DIM] = "\033[2m",  [LOOK_BOLD] = "\033[1m",
        [LOOK_GOOD] = "\033[32m", [LOOK_BAD] = "\033[31m", [LOOK_BUSY] = "\033[36m",
    };
    return screen.out_color ? escapes[kind] : "";
}

const char *unlook(void)
{
    return screen.out_color ? "\033[0m" : "";
}

look_t look_of_status(const char *status)
{
    if (strcmp(status, "completed") == 0)
        return LOOK_GOOD;
    if (strcmp(status, "error") == 0 || strcmp(status, "timeout") == 0)
        return LOOK_BAD;
    return strcmp(status, "running") == 0 ? LOOK_BUSY : LOOK_PLAIN;
}

static bool starts_character(char c)
{
    return ((unsigned char)c & 0xC0) != 0x80;
}

size_t text_cut(const char *text, size_t n, size_t columns)
{
    size_t seen = 0;
    for (size_t i = 0; i < n; i++)
        if (starts_character(text[i]) && seen++ == columns)
            return i;
    return n;
}

size_t text_columns(const char *text, size_t n)
{
    size_t columns = 0;
    for (size_t i = 0; i < n; i++)
        columns += starts_character(text[i]);
    return columns;
}

void table_open(table_t *table, const char *const *heads, size_t columns)
{
    *table = (table_t){ .columns = columns };
    table_add(table, heads);
}

/* On one line, whatever it holds: an error may quote several. */
static char *cell_text(const char *text)
{
    char *cell = rz_strdup(text != NULL ? text : "");
    for (char *c = cell; (c = strpbrk(c, "\n\t")) != NULL;)
        *c = ' ';
    return cell;
}

void table_add(table_t *table, const char *const *cells)
{
    table->cells = rz_realloc(table->cells, (table->count + table->columns) * sizeof *table->cells);
    for (size_t i = 0; i < table->columns; i++)
        table->cells[table->count++] = cell_text(cells[i]);
}

static size_t column_width(const table_t *table, size_t column)
{
    size_t width = 0;
    for (size_t i = column; i < table->count; i += table->columns) {
        size_t columns = text_columns(table->cells[i], strlen(table->cells[i]));
        width = columns > width ? columns : width;
    }
    return width;
}

static void cell_print(const char *cell, look_t kind, size_t pad)
{
    fputs(look(kind), stdout);
    out_text(stdout, cell, strlen(cell));
    fputs(kind != LOOK_PLAIN ? unlook() : "", stdout);
    printf("%*s", (int)pad, "");
}

/* The last cell of a row that holds anything: nothing is filled up behind it. */
static size_t row_end(const table_t *table, size_t row)
{
    size_t last = row + table->columns - 1;
    while (last > row && table->cells[last][0] == '\0')
        last--;
    return last;
}

void table_close(table_t *table)
{
    assert(table->columns > 0);
    size_t *widths = rz_alloc(table->columns * sizeof *widths);
    for (size_t column = 0; column < table->columns; column++)
        widths[column] = column_width(table, column);
    for (size_t i = 0; i < table->count; i++) {
        const char *cell = table->cells[i];
        size_t column = i % table->columns;
        bool filled = i < row_end(table, i - column);
        size_t pad = !filled ? 0 : widths[column] - text_columns(cell, strlen(cell)) + 2;
        cell_print(cell, i < table->columns ? LOOK_DIM : look_of_status(cell), pad);
        if (column + 1 == table->columns)
            fputc('\n', stdout);
    }
    for (size_t i = 0; i < table->count; i++)
        rz_free(table->cells[i]);
    rz_free(table->cells);
    rz_free(widths);
    *table = (table_t){ 0 };
}

void age_text(uint64_t ms, char out[16])
{
    if (ms < 1000)
        snprintf(out, 16, "%" PRIu64 " ms", ms);
    else if (ms < 100000)
        snprintf(out, 16, "%" PRIu64 ".%" PRIu64 " s", ms / 1000, ms % 1000 / 100);
    else if (ms < UINT64_C(2) * 3600000)
        snprintf(out, 16, "%" PRIu64 " min", ms / 60000);
    else if (ms < UINT64_C(2) * 86400000)
        snprintf(out, 16, "%" PRIu64 " h", ms / 3600000);
    else
        snprintf(out, 16, "%" PRIu64 " d", ms / 86400000 % 100000);
}
