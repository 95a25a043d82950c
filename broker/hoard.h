/* hoard.h - who holds back a message: which connections have sent bytes that make no whole message yet, and too many of them.
 *
 * libzmq keeps the parts of a message until its last has come, however many there are, and tells nobody. But the kernel
 * counts what a connection brings, and a message that is whole is handed to us: what was there at the look before this,
 * and was not handed over although nothing that is whole waits, belongs to one message without an end yet.
 *
 * Its answers to a look: whoever holds back more than one message of his socket may have, and, while all of one socket hold
 * back more than HOARD_MANY such messages, the worst of them: those first of whom no message was ever whole. So a connection
 * costs one such message at most, all of one socket HOARD_MANY of them, and both besides that what comes in two looks.
 * Pure: no socket, no clock. A connection is known by an id that is never given again, and its descriptor. */
#pragma once

#include "rights.h"

#include <stddef.h>

#define HOARD_NOTICED  ((uint64_t)64 << 10) /* bytes: who holds back less is no suspect */
#define HOARD_PINGS    100 /* bytes a second that need be no message, if answered: heartbeats of ZMTP */
#define HOARD_FRAMING  64  /* bytes that a part has on the wire besides its own, at most: ZMTP, CURVE */
#define HOARD_MANY     8   /* unfinished messages of the greatest size at one socket */
#define HOARD_TURNS(n) (256 + 2 * (n)) /* messages after which each of n connections has had its turn */

typedef struct hoard hoard_t;

typedef struct {
    uint64_t id;
    int fd;
    gate_t gate;
    uint64_t taken;    /* bytes that libzmq has read of it since its beginning */
    uint64_t answered; /* bytes that it has got */
} hoard_seen_t;

/* one[]: bytes on the wire that a message of each socket may have. fds: descriptors are below. */
hoard_t *hoard_create(const uint64_t one[GATES], size_t fds);
void hoard_destroy(hoard_t **hoard);

/* A look: begins, sees each connection, and ends; who was not seen is forgotten. quiet[]: nothing that is whole waits there. */
void hoard_begin(hoard_t *hoard, uint64_t now_ms);
void hoard_see(hoard_t *hoard, const hoard_seen_t *seen);
void hoard_end(hoard_t *hoard, const bool quiet[GATES]);
/* After it: who is to go, one by one, and how many bytes he holds back. False: nobody (more). */
bool hoard_cut(hoard_t *hoard, hoard_seen_t *out, uint64_t *held);

/* The gate of a connection that was seen before. */
bool hoard_knows(const hoard_t *hoard, uint64_t id, int fd, gate_t *out);
uint64_t hoard_one(const hoard_t *hoard, gate_t gate); /* as created */
/* Whether anybody at this gate may hold back something: then it matters if it is quiet. */
bool hoard_suspects(const hoard_t *hoard, gate_t gate);
/* A message, or a piece of one, was handed over that came in by this descriptor (-1: by none). From any thread. */
void hoard_heard(hoard_t *hoard, gate_t gate, int fd, size_t bytes, size_t parts);
