/* context.h - where things are: the state folder of `rhizome up`, the file it leaves for the other verbs, and
 * the control endpoint they all use. */
#pragma once

#include "base/buf.h"

#include <cjson/cJSON.h>
#include <limits.h>
#include <stdbool.h>

/* --up-state-dir, else $XDG_STATE_HOME/rhizome, else ~/.local/state/rhizome. False, with a message, if none
 * of them can be told. */
bool context_dir(char out[PATH_MAX]);
/* "<state folder>/<name>". False if it does not fit. */
bool context_path(const char *name, char out[PATH_MAX]);

/* context.json: {"pid","dir","control","controls":[...],"redis",...}. NULL when there is none; the caller runs cJSON_Delete().
 */
cJSON *context_read(void);
bool context_write(const cJSON *context); /* whole or not at all; mode 0600 */
void context_remove(void);

/* As mkdir -p; what it makes is for this user alone. False: errno says why. */
bool folder_make(const char *path);

typedef enum { CONTROL_FLAG, CONTROL_ENV, CONTROL_UP, CONTROL_DEFAULT } control_source_t;
/* The control endpoints, at least one, in the order in which they are to be tried, and who named them: flag and variable
 * may list several, separated by commas. A bare HOST:PORT is taken as tcp. An array of texts; the caller runs
 * cJSON_Delete(). */
control_source_t context_controls(cJSON **out);
/* Adds the endpoint unless it is there. */
void controls_add(cJSON *controls, const char *endpoint);

/* The file of the key to connect with: --key, $RHIZOME_SECURITY_KEY, or that of the `rhizome up` whose control endpoint is
 * used. False: none, in the clear. */
bool context_key(control_source_t control, char out[PATH_MAX]);

/* The host of "tcp://host:port", or http, as a span of it; empty if it is no such endpoint. */
rz_str_t endpoint_host(const char *endpoint);
/* "tcp://HOST:PORT" has both; other transports say themselves what they lack. */
bool endpoint_is_whole(const char *endpoint);
/* Why no name service knows its host, which goes to `host`; NULL: it is known, or the endpoint has none. */
const char *endpoint_unknown(const char *endpoint, char host[256]);

/* An endpoint as a peer on `control`'s side names it ("tcp://0.0.0.0:7412", "tcp://[::]:7412", "http://0.0.0.0:7414") as
 * we must connect to it: wildcard hosts become the host we reach the control socket at. */
void endpoint_reachable(const char *endpoint, const char *control, char out[256]);
/* Whether who listens there greets who connects, as every socket of libzmq does: then it is alive, whatever it thinks of us. */
bool endpoint_speaks(void *zctx, const char *endpoint);
