/* roster.h - who could run what: the linked runners, what each offers and how much it may still be given.
 *
 * Pure: no socket, no store, no clock. A class of work is a profile and a list of labels, sorted and comma
 * separated ("" for none). Costs grow with the number of runners, never with the work that waits. */
#pragma once

#include "base/buf.h"
#include "base/limits.h"
#include "state/ops.h"
#include "wire/drain.h"

#include <cjson/cJSON.h>

#define PEER_MAX   255  /* bytes of a ZeroMQ routing id */
#define HANDED_MAX 4096 /* assigns remembered per runner until they start */

typedef struct {
    char *key; /* affinity key */
    uint64_t n;
} idle_t;

/* An assign that was sent on this link and has not been answered by start, finish or release. */
typedef struct {
    char child[RZ_ID_MAX + 1];
    uint64_t epoch;
    uint64_t sent_ms; /* monotonic */
} handed_t;

/* One linked runner. Read freely; change through the functions below. */
typedef struct {
    uint64_t serial; /* names this link for ever: a runner that links again gets another one  */
    char peer[PEER_MAX];
    size_t peer_len;
    char *name, *incarnation;
    char *user;                /* its User-Id, the key it came with (guard.h); NULL: keys are not in use */
    char **labels, **profiles; /* NULL-terminated */
    char **full;               /* profiles that have no room of their own, until the next credit */
    uint64_t slots;
    uint32_t version;  /* of the protocol, spoken with it                                   */
    rz_phase_t phase;  /* whether it takes work: shown, and the reason why others wait; credit decides */
    bool joined;       /* the store knows the incarnation; before that it gets nothing      */
    uint64_t granted;  /* assignments allowed since welcome                                 */
    uint64_t sent;     /* assignments made since welcome                                    */
    uint64_t reserved; /* promised to a store call that is under way                        */
    bool homed;        /* all its credit is here: it said so, or gave some                  */
    bool pings;        /* it has said ping: silence of seconds means something              */
    uint64_t heard_ms; /* when it last said anything, monotonic                             */
    char *facts;       /* JSON object shown by `runners`; never NULL                        */
    idle_t *idle;
    size_t idle_count;
    rz_buf_t idle_text; /* "key=n key=n", as claim wants it */
    handed_t *handed;
    size_t handed_count, handed_cap;
} runner_t;

typedef struct roster roster_t;

roster_t *roster_create(void);
void roster_destroy(roster_t **roster);

/* What a runner says of itself in `hello`; everything is copied. labels, profiles: arrays of strings. */
typedef struct {
    rz_str_t peer;
    const char *name, *incarnation;
    uint64_t slots;
    const cJSON *labels, *profiles;
    const char *facts; /* JSON object, NULL: {} */
    const char *user;  /* NULL: not known */
} runner_hello_t;

/* A link of the same peer, name or incarnation must have been removed before. Not joined yet. Lends. */
runner_t *roster_add(roster_t *roster, const runner_hello_t *hello);
void roster_remove(roster_t *roster, runner_t *runner);

size_t roster_count(const roster_t *roster);  /* joined or not */
size_t roster_joined(const roster_t *roster); /* of them, those that joined */
runner_t *roster_at(const roster_t *roster, size_t i);
runner_t *roster_by_peer(const roster_t *roster, rz_str_t peer);
runner_t *roster_by_name(const roster_t *roster, const char *name);
runner_t *roster_by_incarnation(const roster_t *roster, const char *incarnation); /* NULL or "": none */
runner_t *roster_by_serial(const roster_t *roster, uint64_t serial);

/* ---- credit ---- */
uint64_t runner_free(const runner_t *runner); /* how many more it may be given; 0 before it joined */
/* idle: {"<affinity key>": n}; full: [profile...]. They replace what was known; NULL for none. */
void runner_credit(runner_t *runner, uint64_t granted, const cJSON *idle, const cJSON *full);
/* Adds the members "free": n and "idle": {"<affinity key>": n}. */
void runner_put_room(const runner_t *runner, rz_buf_t *out);
/* What a ping says: the same `granted`, and whether this broker is the runner's home. True: there is more to give. */
bool runner_pinged(runner_t *runner, uint64_t granted, bool home);
void runner_reserve(runner_t *runner, uint64_t n);
void runner_unreserve(runner_t *runner, uint64_t n);
/* Counts one assignment and takes one idle worker of its key, until the next credit tells the truth. */
void runner_assigned(runner_t *runner, const char *child, uint64_t epoch, const char *affinity,
                     uint64_t now_ms);
/* start, finish or release of (child, epoch) arrived: the assign was not lost. */
void runner_answered(runner_t *runner, const char *child, uint64_t epoch);
/* True if (child, epoch) was sent on this link less than `within_ms` ago and is not answered yet. */
bool runner_was_handed(const runner_t *runner, const char *child, uint64_t epoch, uint64_t now_ms,
                       uint64_t within_ms);

/* ---- choosing ---- */
/* It offers the class, has credit, and the profile has room there. */
bool runner_takes(const runner_t *runner, const char *profile, const char *labels);
/* Whether any runner offers the class, busy or full or not. If none does, why[] says what is missing ("no runner is
 * linked", "no runner offers profile x", "no runner offers label gpu"); it may be NULL with size 0. */
bool roster_offers(const roster_t *roster, const char *profile, const char *labels, char *why, size_t size);
/* Whether any of them takes new work at all: if not, why[] may also say that all are cordoned or drain. */
bool roster_serves(const roster_t *roster, const char *profile, const char *labels, char *why, size_t size);
/* The runner for one activation of the class: one with an idle worker of `affinity` (NULL: unknown), else the
 * one with most free credit. NULL: nobody takes it now. */
runner_t *roster_pick(const roster_t *roster, const char *profile, const char *labels, const char *affinity);
/* Everybody who takes the class now, most free first, at most `max`. */
size_t roster_candidates(const roster_t *roster, const char *profile, const char *labels, runner_t **out,
                         size_t max);
bool roster_has_credit(const roster_t *roster); /* anybody, for anything */
uint64_t roster_load(const roster_t *roster);   /* slots of the runners that are homed here */
