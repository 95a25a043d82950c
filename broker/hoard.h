/* hoard.h - who holds back a message: which connections have sent bytes that make no whole message yet, and too many of them.
 *
 * libzmq keeps the parts of a message until its last has come, however many there are, and tells nobody. But the kernel
 * counts what a connection brings, and a message that is whole is handed to us. A connection that has brought more than
 * HOARD_NOTICED bytes is listened to: what it brings from then on, while nothing of it is handed over although nothing that
 * is whole waits, belongs to one message without an end yet.
 *
 * Its answers to a look: whoever holds back more than one message of his socket may have, and the greatest of all while they
 * hold back more than all together may. A connection costs at most HOARD_NOTICED, that limit, and what comes in two looks.
 * Pure: no socket, no clock. A connection is known by an id that is never given again, and its descriptor. */
#pragma once

#include "rights.h"

#define HOARD_NOTICED  ((uint64_t)64 << 10) /* bytes */
#define HOARD_PINGS    100                  /* bytes a second that need be no message: heartbeats of ZMTP */
#define HOARD_MANY     8                    /* unfinished messages of the greatest size at one socket */
#define HOARD_TURNS(n) (256 + 2 * (n))      /* messages after which each of n connections has had its turn */

typedef struct hoard hoard_t;

typedef struct {
    uint64_t id;
    int fd;
    gate_t gate;
    uint64_t taken; /* bytes that libzmq has read of it since its beginning */
} hoard_seen_t;

/* one[]: bytes on the wire that a message of each socket may have. */
hoard_t *hoard_create(const uint64_t one[GATES]);
void hoard_destroy(hoard_t **hoard);

/* A look: begins, sees each connection, and ends; who was not seen is forgotten. quiet[]: nothing that is whole waits there. */
void hoard_begin(hoard_t *hoard, uint64_t now_ms);
void hoard_see(hoard_t *hoard, const hoard_seen_t *seen);
void hoard_end(hoard_t *hoard, const bool quiet[GATES]);
/* After it: who is to go, one by one, and how many bytes he holds back. False: nobody (more). */
bool hoard_cut(hoard_t *hoard, hoard_seen_t *out, uint64_t *held);

/* The gate of a connection that was seen before. */
bool hoard_knows(const hoard_t *hoard, uint64_t id, int fd, gate_t *out);
/* Whether messages of this socket should be told to hoard_heard(). */
bool hoard_listens(const hoard_t *hoard, gate_t gate);
/* A message of this connection is whole. */
void hoard_heard(hoard_t *hoard, gate_t gate, int fd);
