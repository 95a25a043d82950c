/* store.h - one asynchronous connection to Redis, and batches of store operations over it.
 *
 * Every change of truth is an operation of the function library (rhizome.lua): `submit`, `claim`, `start`,
 * ... Operations queue up in call order; a batch leaves at once if fewer than two are in flight, else when a
 * reply comes back (no timer), at most RZ_BATCH_ITEMS_MAX operations or RZ_BATCH_BYTES_MAX bytes each. Redis
 * runs them in that order, so two operations called one after the other take effect one after the other.
 *
 * A reply is lost when the connection breaks or the call times out: the outcome is RZ_UNKNOWN, never "failed":
 * Redis may have done it. RZ_UNAVAILABLE means that nothing was sent. Every operation may be repeated: it is
 * idempotent by (id, token). The connection is re-made with a growing pause (50 ms .. 1 s); after each
 * connect the store's id, library version and role are verified before anything is sent. While the link is
 * down, operations wait for it at most the call time-out, then end RZ_UNAVAILABLE.
 *
 * With `replicas` each batch is followed by WAIT for all replicas that are in step, and answered only when they have it;
 * fewer, and the outcome is RZ_UNKNOWN and the connection is given up: this Redis may be one that a failover left behind.
 * What others wrote counts as well: nothing is answered, or told by a tail, that a failover could take back. Loop thread
 * only. */
#pragma once

#include "base/mem.h"
#include "base/rc.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

typedef struct rz_store rz_store_t;

/* What is remembered of a store: a later meeting is judged by it (mark.h). */
typedef struct {
    char id[40];      /* "": nothing is known */
    char lineage[48]; /* of the Redis that held it */
    uint64_t term, tick;
} rz_store_mark_t;

typedef struct {
    const char *url; /* "unix:/path/redis.sock", "redis://host:port", "redis://:password@host:port/db"     */
    /* "redis+sentinel://host:port,host:port/name": sentinels are asked where the primary is */
    const char *user, *password;                   /* NULL: from the url, or none */
    const char *sentinel_user, *sentinel_password; /* NULL: none */
    bool plaintext; /* TCP to another host in the clear is allowed; see address.h */
    unsigned
        replicas; /* how many must confirm before anything is answered, at least: all in step are asked; 0: none */
    uint64_t call_timeout_ms;    /* a batch unanswered this long breaks the connection; 0 = 5000    */
    size_t queue_max;            /* operations waiting here before RZ_UNAVAILABLE is answered; 0 = 100,000 */
    size_t queue_bytes_max;      /* and their bytes, unless it is one alone; 0 = 256 MiB                  */
    const char *who;             /* name written beside what is done, for `explain`; NULL: "-" */
    uint64_t log_max;            /* durable events of a child that are kept, about; 0 = 10,000 */
    const rz_store_mark_t *mark; /* what is known of the store from before, copied; NULL: nothing */
    /* up: verified and usable. down: not. Called on each change, also of detail: why it is down. From the loop. */
    void (*on_state)(bool up, const char *detail, void *arg);
    /* What is known of the store now: at each verification, every second while up. */
    void (*on_mark)(const rz_store_mark_t *mark, void *arg);
    void *arg;
} rz_store_options_t;

/* The fields of one element's reply: code and flat strings, lent until the callback returns. */
typedef struct {
    const rz_str_t *field;
    size_t n;
} rz_reply_t;

/* Exactly one call per operation, never from inside the call that queued it. rc is the element's own code. */
typedef void (*rz_store_fn)(rz_rc_t rc, const rz_reply_t *reply, void *arg);

/* Starts connecting. NULL and err only for a url that cannot be read. */
rz_store_t *rz_store_open(uv_loop_t *loop, const rz_store_options_t *options, rz_err_t *err);
void rz_store_close(
    rz_store_t **store); /* every operation not answered gets RZ_UNKNOWN or RZ_UNAVAILABLE first */
bool rz_store_up(const rz_store_t *store);
#define RZ_HOST_TEXT_MAX 64
/* The address of this machine that the store sees us by: others on that network can reach us there. False: not
 * connected now, or through a Unix socket or loopback. */
bool rz_store_local_host(const rz_store_t *store, char out[RZ_HOST_TEXT_MAX]);
/* RZ_OK while up; RZ_BAD_STORE: it was met and is not used until an operator did something; else RZ_UNAVAILABLE. */
rz_rc_t rz_store_state(const rz_store_t *store);
/* Of the last verification; all zero before. */
const rz_store_mark_t *rz_store_mark(const rz_store_t *store);
const char *rz_store_id(const rz_store_t *store); /* "" before the first verification */
/* Why it is less durable than options->replicas asks for; "" if it is not. */
const char *rz_store_weakness(const rz_store_t *store);
/* "replicated" | "strict" | "relaxed", read from Redis at each connect and every second while up. */
const char *rz_store_durability(const rz_store_t *store);

/* By how many replicas a batch that leaves now has to be confirmed: all that were in step at the last look; 0: by none. */
unsigned rz_store_confirms(const rz_store_t *store);

/* Queues one operation; args are copied. fn may be NULL. */
void rz_store_call(rz_store_t *store, const char *op, const rz_str_t *args, size_t n, rz_store_fn fn,
                   void *arg);

typedef struct {
    uint64_t batches, operations, bytes_sent, lost, reconnects;
    uint64_t vanished; /* of the latest acknowledged submits and ends, those that a later term did not know */
    uint64_t
        unconfirmed; /* operations that were done, and not confirmed by the replicas: their outcome was UNKNOWN */
    uint64_t last_latency_us;  /* of the last batch, sent to reply */
    uint64_t total_latency_us; /* of all of them                   */
    size_t queued, in_flight;
} rz_store_stats_t;
void rz_store_stats(const rz_store_t *store, rz_store_stats_t *out);

/* ---- tail: a second connection that follows streams with XREAD BLOCK ---- */
typedef struct rz_tail rz_tail_t;
/* One entry of a stream: its id and flat field/value pairs, lent. */
typedef void (*rz_tail_fn)(const char *stream, const char *id, const rz_reply_t *pairs, void *arg);
/* Follows `streams` (names below the shard prefix: "broadcast", "completions") from now on; after a reconnect
 * from the last id seen. */
rz_tail_t *rz_tail_open(uv_loop_t *loop, const rz_store_options_t *options, const char *const *streams,
                        size_t n, rz_tail_fn fn, void *arg, rz_err_t *err);
void rz_tail_close(rz_tail_t **tail);
/* Connects anew and goes on from where it was: the store's link broke, and may come back to another Redis. */
void rz_tail_again(rz_tail_t *tail);
/* Of one with options->replicas: so many must have what is told from now on. At first it is those; who has a store as well
 * passes on what that waits for, at each on_mark. */
void rz_tail_needs(rz_tail_t *tail, unsigned replicas);

/* ---- synchronous, for the CLI's `store init|upgrade|check|accept` and for tests; never in a daemon ---- */
typedef struct {
    char id[40];
    unsigned shards;
    char library[24]; /* version of the library in Redis, "" if none */
    char durability[12];
    char libraries[96]; /* all that are loaded: "rz1 1.2, rz2 2.0" */
    char redis_version[24];
    bool accepted; /* by an operator, in this life of Redis */
    uint64_t term, tick_ms;
    uint64_t queued, live, sessions;
} rz_store_info_t;
/* Writes the store record (a fresh id) if there is none and loads the library; RZ_CONFLICT if the store was
 * made by a newer library. Running it again changes nothing. */
rz_rc_t rz_store_init(const rz_store_options_t *options, unsigned shards, rz_store_info_t *out,
                      rz_err_t *err);
rz_rc_t rz_store_upgrade(const rz_store_options_t *options, rz_store_info_t *out, rz_err_t *err);
/* Verifies record, library and writability. RZ_NOT_FOUND: not initialised. RZ_BAD_STORE: other library
 * version. */
rz_rc_t rz_store_check(const rz_store_options_t *options, rz_store_info_t *out, rz_err_t *err);
/* Records that brokers shall go on with what is there, whatever they remember: a new term begins. RZ_NOT_FOUND: there is no
 * store; rz_store_init() makes one. */
rz_rc_t rz_store_accept(const rz_store_options_t *options, rz_store_info_t *out, rz_err_t *err);
extern const char rz_store_library[];         /* the text of rhizome*.lua, built in */
extern const char rz_store_library_version[]; /* "1.2": major.minor */
