/* brokers.h - which brokers live, and how others reach each of them: what hello of control, `welcome` and `synced`
 * pass on, so that who knows one broker finds them all.
 *
 * Each broker says with every tick where it is; the answer names all that did so lately (state/ops.h). Before
 * the first answer only this one is known; while the store is away, those of the last answer. Loop thread only. */
#pragma once

#include "base/json.h"
#include "state/ops.h"

/* The endpoints as bound: what `hello` tells. */
typedef struct {
    const char *jobs, *control, *events, *runners, *publish;
    const char *http; /* a URL; NULL: not served */
} endpoints_t;

/* Adds a member for each of them. */
void endpoints_encode(const endpoints_t *endpoints, rz_buf_t *out);

typedef struct brokers brokers_t;

/* name, endpoints and host are lent. host: what others are to say instead of a wildcard that an endpoint is bound to
 * ("0.0.0.0", "*", "[::]"); "": the address by which this machine reaches the store, else its host name. */
brokers_t *brokers_create(const char *name, const endpoints_t *endpoints, const char *host,
                          const rz_store_t *store);
void brokers_destroy(brokers_t **brokers);

/* Where this broker is, for others: a JSON object as `endpoints` of hello. Lent until the next call here. */
const char *brokers_places(brokers_t *brokers);
/* What the store answered. */
void brokers_seen(brokers_t *brokers, const rz_broker_t *list, size_t n);
size_t brokers_count(const brokers_t *brokers);
/* {"<broker>": "<its runners endpoint>"}; lent until the next brokers_seen(). */
const cJSON *brokers_links(const brokers_t *brokers);
/* Adds "brokers": [{"broker","endpoints"}]. */
void brokers_encode(const brokers_t *brokers, rz_buf_t *out);
