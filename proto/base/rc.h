/* rc.h - one result type for the whole house: every value has a stable name and a sentence.
 *
 * The names travel: a receipt, a refusal and a log line carry them as text ("TOO_LARGE"), so they are part of
 * the contract (proto/README.md, "Codes") and are never renamed; the numbers are not. */
#pragma once

#include <stddef.h>

#define RZ_RC_MAP(X)                                                                                         \
    X(OK, "ok")                                                                                              \
    /* what a loop or a library tells us */                                                                  \
    X(AGAIN, "nothing now; the loop will say")                                                               \
    X(SYS, "a system call failed")                                                                           \
    X(CLOSED, "the other side is gone")                                                                      \
    X(EXPIRED, "the deadline has passed")                                                                    \
    X(STATE, "not possible in this state")                                                                   \
    /* what is wrong with an input */                                                                        \
    X(BAD_JSON, "not one strict JSON text")                                                                  \
    X(BAD_FIELD, "a field has a wrong type or value")                                                        \
    X(MISSING_FIELD, "a required field is missing")                                                          \
    X(BAD_ID, "not a valid id")                                                                              \
    X(BAD_KIND, "unknown kind of message")                                                                   \
    X(TOO_LARGE, "larger than the limit")                                                                    \
    X(TOO_DEEP, "nested deeper than the limit")                                                              \
    X(BAD_VERSION, "protocol version not spoken here")                                                       \
    /* what the store answers */                                                                             \
    X(DUPLICATE, "the same job was accepted before")                                                         \
    X(CONFLICT, "the id is another's, or was used with other content")                                       \
    X(ALREADY_RUNNING, "the child has a live activation")                                                    \
    X(FULL, "the queue is full")                                                                             \
    X(NOT_FOUND, "no such thing")                                                                            \
    X(BUSY, "not while an activation lives")                                                                 \
    X(ENDED, "the activation has ended")                                                                     \
    X(FENCED, "somebody else owns this activation now")                                                      \
    X(DEAD, "this incarnation was declared dead")                                                            \
    X(BAD_STORE, "the store is not the one expected")                                                        \
    /* what a service says of itself */                                                                      \
    X(UNAVAILABLE, "the store or a peer cannot be reached; nothing was done")                                \
    X(UNKNOWN, "the answer was lost; it may or may not have been done")                                      \
    X(NOT_SERVED, "understood, but not served here")                                                         \
    X(NOT_ALLOWED, "not allowed")                                                                            \
    X(INTERNAL, "our own bug")

#define X(name, text) RZ_##name,
typedef enum { RZ_RC_MAP(X) RZ_RC_COUNT } rz_rc_t;
#undef X

/* "TOO_LARGE"; "INTERNAL" for a number that is none of ours.  Static. */
const char *rz_rc_name(rz_rc_t rc);
/* "larger than the limit".  Static. */
const char *rz_rc_text(rz_rc_t rc);
/* The reverse of rz_rc_name(); RZ_INTERNAL for a name we do not know. */
rz_rc_t rz_rc_parse(const char *name);

/* The exit code of a daemon that cannot start for this reason: 69 the host does not give what it needs (a port that is
 * taken, a full disk), 70 our own bug, 78 what it was told to do is wrong. */
int rz_rc_exit_code(rz_rc_t rc);

/* A failure a person must read.  Zero-initialise; the first failure stays and later ones do not bury it. */
typedef struct {
    rz_rc_t rc;
    int sys;        /* errno, or 0 */
    char field[96]; /* the offending field, dotted ("session.messages[3].role"), or "" */
    char text[256]; /* one sentence that names the limit or what is allowed */
} rz_err_t;

#if defined(__GNUC__)
#define RZ_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define RZ_PRINTF(fmt, args)
#endif

/* Each records a failure unless one is already there, and returns err->rc (what is recorded). err may be
 * NULL: then only the code is returned.  rz_fail_field() puts "<field>: " in front of the text, so that the
 * text alone can be shown to a person. */
rz_rc_t rz_fail(rz_err_t *err, rz_rc_t rc, const char *fmt, ...) RZ_PRINTF(3, 4);
rz_rc_t rz_fail_field(rz_err_t *err, rz_rc_t rc, const char *field, const char *fmt, ...) RZ_PRINTF(4, 5);
/* RZ_SYS with errno; the text gains ": <strerror>". */
rz_rc_t rz_fail_sys(rz_err_t *err, int sys, const char *fmt, ...) RZ_PRINTF(3, 4);
