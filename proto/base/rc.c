/* rc.c - names of result codes, and failures that carry a sentence. */
#include "base/rc.h"
#include "base/utf8.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char *const names[RZ_RC_COUNT] = {
#define X(name, text) [RZ_##name] = #name,
    RZ_RC_MAP(X)
#undef X
};

static const char *const texts[RZ_RC_COUNT] = {
#define X(name, text) [RZ_##name] = text,
    RZ_RC_MAP(X)
#undef X
};

static rz_rc_t known(rz_rc_t rc)
{
    return (unsigned)rc < RZ_RC_COUNT ? rc : RZ_INTERNAL;
}

const char *rz_rc_name(rz_rc_t rc)
{
    return names[known(rc)];
}

const char *rz_rc_text(rz_rc_t rc)
{
    return texts[known(rc)];
}

rz_rc_t rz_rc_parse(const char *name)
{
    for (int rc = 0; name != NULL && rc < RZ_RC_COUNT; rc++)
        if (strcmp(names[rc], name) == 0)
            return (rz_rc_t)rc;
    return RZ_INTERNAL;
}

int rz_rc_exit_code(rz_rc_t rc)
{
    return rc == RZ_SYS ? 69 : rc == RZ_INTERNAL ? 70 : 78;
}

/* True if a failure may still be recorded here. */
static bool vacant(const rz_err_t *err)
{
    return err != NULL && err->rc == RZ_OK;
}

/* The text may be sent to a peer as JSON, or shown on a terminal: what strangers put into it, or a cut through a
 * character, must not make it invalid, more than one line, or a command. */
static void seal(rz_err_t *err, rz_rc_t rc)
{
    rz_utf8_scrub(err->field);
    rz_utf8_scrub(err->text);
    rz_utf8_flatten(err->field);
    rz_utf8_flatten(err->text);
    err->rc = rc;
}

static rz_rc_t recorded(const rz_err_t *err, rz_rc_t rc)
{
    return err != NULL ? err->rc : rc;
}

rz_rc_t rz_fail(rz_err_t *err, rz_rc_t rc, const char *fmt, ...)
{
    if (vacant(err)) {
        va_list args;
        va_start(args, fmt);
        vsnprintf(err->text, sizeof(err->text), fmt, args);
        va_end(args);
        seal(err, rc);
    }
    return recorded(err, rc);
}

/* Puts "prefix: " in front of the sentence that follows, and returns how many bytes that took. */
static size_t put_prefix(rz_err_t *err, const char *prefix)
{
    if (*prefix == '\0')
        return 0;
    int n = snprintf(err->text, sizeof(err->text), "%s: ", prefix);
    return n < 0 ? 0 : (size_t)n < sizeof(err->text) ? (size_t)n : sizeof(err->text) - 1;
}

rz_rc_t rz_fail_field(rz_err_t *err, rz_rc_t rc, const char *field, const char *fmt, ...)
{
    if (vacant(err)) {
        if (field == NULL)
            field = "";
        snprintf(err->field, sizeof(err->field), "%s", field);
        size_t at = put_prefix(err, err->field);
        va_list args;
        va_start(args, fmt);
        vsnprintf(err->text + at, sizeof(err->text) - at, fmt, args);
        va_end(args);
        seal(err, rc);
    }
    return recorded(err, rc);
}

rz_rc_t rz_fail_sys(rz_err_t *err, int sys, const char *fmt, ...)
{
    if (vacant(err)) {
        va_list args;
        va_start(args, fmt);
        vsnprintf(err->text, sizeof(err->text), fmt, args);
        va_end(args);
        size_t at = strlen(err->text);
        char reason[128];
        snprintf(err->text + at, sizeof(err->text) - at, ": %s", strerror_r(sys, reason, sizeof(reason)));
        seal(err, RZ_SYS);
        err->sys = sys;
    }
    return recorded(err, RZ_SYS);
}
