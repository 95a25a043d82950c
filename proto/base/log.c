/* log.c - one line per fact on stderr, each by one write(2).
 *
 * Nothing here allocates or locks: it must work when the heap is used up and from any thread. */
#include "base/log.h"
#include "base/clock.h"
#include "base/utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES 4096 /* with the newline */

static const char *const level_names[] = { "debug", "info", "warn", "error", "off" };

static _Atomic int threshold = RZ_LOG_INFO;
static char program_name[65]; /* "" or "name " */

void rz_log_setup(const char *program, rz_log_level_t level)
{
    bool named = program != NULL && *program != '\0';
    snprintf(program_name, sizeof(program_name), "%.63s%s", named ? program : "", named ? " " : "");
    atomic_store(&threshold, (int)level);
}

rz_log_level_t rz_log_level(void)
{
    return (rz_log_level_t)atomic_load_explicit(&threshold, memory_order_relaxed);
}

rz_rc_t rz_log_level_parse(const char *name, rz_log_level_t *out)
{
    for (int level = RZ_LOG_DEBUG; level <= RZ_LOG_OFF; level++)
        if (name != NULL && strcmp(name, level_names[level]) == 0) {
            *out = (rz_log_level_t)level;
            return RZ_OK;
        }
    return RZ_BAD_FIELD;
}

/* A line under construction: what does not fit is cut and marked by "...". */
typedef struct {
    char bytes[LINE_MAX_BYTES];
    size_t n;
} line_t;

#define CUT_MARK "...\n"
#define ROOM     (LINE_MAX_BYTES - (sizeof(CUT_MARK) - 1))

static bool put(line_t *line, const char *bytes, size_t n)
{
    if (n > ROOM - line->n)
        return false;
    memcpy(line->bytes + line->n, bytes, n);
    line->n += n;
    return true;
}

static bool put_control(line_t *line, const char *text, size_t n)
{
    const unsigned char *at = (const unsigned char *)text;
    char escaped[9];
    int len = *at == '\n'   ? snprintf(escaped, sizeof(escaped), "\\n")
              : *at == '\t' ? snprintf(escaped, sizeof(escaped), "\\t")
              : n == 1      ? snprintf(escaped, sizeof(escaped), "\\x%02x", at[0])
                            : snprintf(escaped, sizeof(escaped), "\\x%02x\\x%02x", at[0], at[1]);
    return put(line, escaped, (size_t)len);
}

static bool put_escaped(line_t *line, const char *text)
{
    while (*text != '\0') {
        size_t control = rz_utf8_control(text);
        if (control > 0 ? !put_control(line, text, control) : !put(line, text, 1))
            return false;
        text += control > 0 ? control : 1;
    }
    return true;
}

/* Backs off to the start of a character that the cut would split. */
static void cut(line_t *line)
{
    while (line->n > 0 && ((unsigned char)line->bytes[line->n - 1] & 0xc0) == 0x80)
        line->n--;
    if (line->n > 0 && (unsigned char)line->bytes[line->n - 1] >= 0xc0)
        line->n--;
    memcpy(line->bytes + line->n, CUT_MARK, sizeof(CUT_MARK) - 1);
    line->n += sizeof(CUT_MARK) - 1;
}

static void write_all(const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t wrote = write(STDERR_FILENO, bytes, n);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return; /* nobody reads: a log line is not worth more */
        bytes += wrote;
        n -= (size_t)wrote;
    }
}

/* The highest bit has moved. */
bool rz_log_worth(uint64_t before, uint64_t now)
{
    return (before ^ now) > before;
}

void rz_log(rz_log_level_t level, const char *event, const char *fmt, ...)
{
    if (level < rz_log_level() || level >= RZ_LOG_OFF)
        return;
    int saved = errno;
    char keys[LINE_MAX_BYTES + 1];
    va_list args;
    va_start(args, fmt);
    if (vsnprintf(keys, sizeof(keys), fmt, args) < 0)
        keys[0] = '\0';
    va_end(args);

    char head[RZ_RFC3339_LEN + 1];
    rz_rfc3339_now(head);
    const char *const parts[] = { head, " ",   program_name,       level_names[level],
                                  " ",  event, keys[0] ? " " : "", keys };
    line_t line;
    line.n = 0;
    bool whole = true;
    for (size_t i = 0; whole && i < sizeof(parts) / sizeof(parts[0]); i++)
        whole = put_escaped(&line, parts[i]);
    if (whole)
        line.bytes[line.n++] = '\n';
    else
        cut(&line);
    write_all(line.bytes, line.n);
    errno = saved;
}
