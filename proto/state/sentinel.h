/* sentinel.h - asks Redis' sentinels where the primary is.
 *
 * All are asked at once. As soon as a majority has answered, or all have or cannot, or a second has passed, the answer with
 * the highest configuration epoch counts: so neither one that is dead holds us up, nor does one that slept through a
 * failover lead us back. During a failover those who know of it are few at first: an answer older than one that counted
 * before counts only if all sentinels answer and none has a newer (they were made anew). Where the answer leads is still
 * to be looked at (ROLE). Loop thread only. */
#pragma once

#include "state/address.h"

#include <hiredis/hiredis.h>

typedef struct rz_seeker rz_seeker_t;

/* host NULL: nobody knows, and why. Lent until it returns. */
typedef void (*rz_found_fn)(const char *host, int port, const char *why, void *arg);

/* address is lent and must outlive the seeker. */
rz_seeker_t *rz_seeker_create(uv_loop_t *loop, const rz_address_t *address, rz_found_fn fn, void *arg);
void rz_seeker_destroy(rz_seeker_t **seeker); /* fn is not called again */
/* Exactly one call of fn follows, from the loop, unless a question is under way: then that one's. */
void rz_seeker_ask(rz_seeker_t *seeker);
unsigned rz_seeker_replicas(const rz_seeker_t *seeker); /* as the last answer that counted has it */

/* ---- what is asked and answered, for whoever asks in another way ---- */
typedef struct {
    char host[256];
    int port;
    uint64_t epoch;    /* of the configuration: grows with each failover */
    unsigned replicas; /* that the sentinel knows of, in step or not */
} rz_primary_t;
/* What a sentinel is asked, in this order: while it replaces the primary itself it tells the old place in its list of
 * facts, where alone the epoch stands. The last word is the primary's name. */
#define RZ_SENTINEL_ASKS 2
extern const char
    *const rz_sentinel_ask[RZ_SENTINEL_ASKS][2]; /* SENTINEL MASTER, SENTINEL GET-MASTER-ADDR-BY-NAME */
/* Takes the answer to rz_sentinel_ask[which]; false, with why, if it tells nothing. */
bool rz_primary_take(rz_primary_t *primary, size_t which, const redisReply *reply, char why[128]);
/* The options of a connection to the sentinel `i`; url must hold RZ_SENTINEL_URL_MAX bytes and outlive them. */
#define RZ_SENTINEL_URL_MAX 320
#define RZ_SENTINEL_MS      1000
rz_store_options_t rz_sentinel_options(const rz_address_t *address, size_t i, char url[RZ_SENTINEL_URL_MAX]);
