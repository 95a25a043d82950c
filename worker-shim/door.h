/* door.h - who may connect to a worker.
 *
 * A runner puts a token of 256 random bits into the ProvisionSpec, and shows it when it connects: once, for it connects once
 * and keeps the connection for the worker's life. So the first one that shows it gets in, and from then on the door is shut:
 * a token that was stolen or heard opens nothing. It stays shut when that connection ends, because then the worker has
 * nobody left to serve. Without a token the door is open to all, as upstream's is. */
#pragma once

#include "base/id.h"

typedef struct {
    char token[RZ_SECRET_LEN + 1]; /* wiped once it was used */
    bool guarded, spent;
} door_t;

void door_init(door_t *door, const char *token); /* "": none */
bool door_is_guarded(const door_t *door);
/* 0: come in. 401: not the token, or none. 503: somebody is in. `occupied`: a connection is open. */
unsigned door_knock(door_t *door, rz_str_t shown, bool occupied);
