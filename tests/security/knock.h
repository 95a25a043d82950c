/* knock.h - sockets that try to get in, and what becomes of their handshakes. On the stage of bare.h. */
#pragma once

#include "bare.h"
#include "base/key.h"

typedef enum { KNOCK_IN, KNOCK_OUT } knock_t;

/* Connects with the key of that name (keyring.h), NULL: with none, and waits for the end of the first handshake. The
 * socket stays connected, or tries again; disconnected() ends it. */
knock_t knock(int type, const char *endpoint, const char *name, void **out);
/* The same with a pair of keys nobody knows, or for a broker that is another. */
knock_t knock_with(int type, const char *endpoint, const rz_key_t *key);

/* A number of the counter that `status` shows now. */
uint64_t counted(const char *counter);
void await_count(const char *counter, uint64_t least);
/* The broker's log has the text. */
bool logged(const char *text);

/* What is asked until as_ourselves() is asked with the key of that name. */
void as(const char *name);
void as_ourselves(void);
/* A job with a whole session; more: further members, each with a leading comma. Lent until the next call. */
const char *job_of(const char *parent, const char *child, const char *more);
cJSON *submit_of(const char *parent, const char *child, const char *more);
/* Expects NOT_ALLOWED with a sentence, and deletes the reply. */
void is_told_no(cJSON *reply);
