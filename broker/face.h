/* face.h - a socket at which events are heard: the one for all, or one key's own, limited to its topics.
 *
 * Why a scope has a socket of its own: ZMQ_XPUB_MANUAL, which would let one socket judge each subscription by its
 * sender, is not safe in libzmq 4.3.4. A peer that leaves while its subscription waits to be read leaves a dangling pipe
 * behind, and a peer that sends a message which is no subscription shifts the queue of pipes, so that the next
 * subscription of another, by the other's rights, is entered for it. Here the scope is not a question of who asked: what
 * is outside never reaches the socket.
 *
 * Made on the loop, then given to the thread of the proxy, which alone touches it (name and endpoint may be read). */
#pragma once

#include "hoard.h"
#include "rights.h"
#include "topics.h"

#define FACE_ENDPOINT_MAX 256
#define FACE_MARK         '~'  /* begins no topic: proxy_mark() */
#define FACE_TOPIC_MAX    4096 /* bytes of a subscription; who sends more is disconnected */
#define FACE_TOPICS_MAX                                                                                      \
    65536 /* distinct ones that are kept; beyond, everything within the scope is asked for */

typedef struct face face_t;

/* What all of them share; outlives them. */
typedef struct {
    void *zctx;
    int kept;            /* events for a subscriber that does not read */
    const rz_key_t *key; /* of the broker; zero: in the clear */
    hoard_t *hoard;      /* is told what came in */
} face_base_t;

/* endpoint: where to bind; who: whose own it is, NULL: for all. */
face_t *face_open(const face_base_t *base, const char *endpoint, const rz_allowed_t *who, rz_err_t *err);
/* Sends everybody away; what waits for them is dropped after linger_ms. What they had asked for is taken back at xsub. */
void face_shut(face_t *face, void *xsub, int linger_ms);
/* Binds once more where it was bound before; RZ_SYS: the address is not free yet. */
rz_rc_t face_reopen(face_t *face, rz_err_t *err);
void face_destroy(face_t **face); /* takes; shut before, or never given to the thread */

bool face_fits(const face_t *face, const rz_allowed_t *who); /* it is this very key's, with this very scope */
const char *face_name(const face_t *face);                   /* "": for all */
const char *face_endpoint(const face_t *face);
void *face_socket(const face_t *face); /* NULL: shut */

/* Whether an event of this topic may go there. Whether anybody there wants it libzmq knows. */
bool face_shows(const face_t *face, rz_str_t topic);
/* Subscriptions of which nothing was within the scope, those that were too many to be kept, and what was none. */
typedef struct {
    size_t outside, beyond, malformed;
    bool more; /* may wait: a turn takes some, and then it is the others' */
} face_heard_t;

/* Reads what its subscribers ask for, and asks xsub for as much of it as is within the scope. What is not, is logged once a
 * minute; the first that is too many, once. */
face_heard_t face_read(face_t *face, void *xsub);
