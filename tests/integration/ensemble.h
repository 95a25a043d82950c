/* ensemble.h - a primary, its replicas and sentinels that watch them, all real, on loopback. A primary that is silent for a
 * second is replaced. */
#pragma once

#include "redis.h"

#define ENSEMBLE_MAX 3

typedef struct {
    redis_t redis[ENSEMBLE_MAX]; /* the first begins as the primary */
    int port[ENSEMBLE_MAX];
    process_t sentinel[ENSEMBLE_MAX];
    int sentinel_port[ENSEMBLE_MAX];
    unsigned redises, sentinels;
    char dir[64], url[192]; /* url: redis+sentinel://..., all of the sentinels */
} ensemble_t;

#define ENSEMBLE_NAME "rz" /* by which the sentinels know the primary */

/* Strict redises; quorum: how many sentinels must find the primary silent. Returns when every replica is in step and the
 * sentinels know all of them and each other. */
void ensemble_up(ensemble_t *ensemble, unsigned redises, unsigned sentinels, unsigned quorum);
void ensemble_down(ensemble_t *ensemble);
/* The one that says so of itself and that a sentinel names; waits for it. */
unsigned ensemble_primary(const ensemble_t *ensemble);
/* One command to a sentinel, as redis_do(). */
const char *sentinel_do(const ensemble_t *ensemble, unsigned which, const char *command);
