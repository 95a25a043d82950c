/* rig.h - a whole Rhizome for one test: private Redis, a broker and runners as real processes in a folder of
 * their own, and the two things a client does: ask control, hear events.
 *
 * Everything here fails the running test (cmocka fail) when it cannot do its work, so facts read without
 * error handling. All waiting is for an event with a deadline of RIG_PATIENCE_MS. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define RIG_PATIENCE_MS 20000

typedef struct rig rig_t;

typedef struct {
    unsigned
        brokers; /* 0 is 1; every runner links to all of them, everything else is about one: rig_turn_to() */
    unsigned runners;   /* 0: none yet, see rig_runner_up()                                             */
    const char *config; /* members of the configuration, JSON without the outer braces; NULL: none      */
    const char *const *broker; /* further broker flags, NULL-terminated, or NULL */
    const char *const *runner; /* further runner flags */
    const rig_t
        *beside; /* a rig whose store this one's broker shares; NULL: it has one of its own. Ends before it */
} rig_options_t;

rig_t *rig_up(const rig_options_t *options);
/* Stops everything in order and fails the test if a process was left over. */
void rig_down(rig_t **rig);
const char *rig_dir(const rig_t *rig); /* a folder for the test's own files, removed by rig_down      */
const char *rig_endpoint(const rig_t *rig, const char *name); /* jobs control events runners publish http */

/* From here on rig_broker_...(), rig_endpoint(), rig_subscribe() and all that asks are about broker i; at first it is 0. */
void rig_turn_to(rig_t *rig, unsigned i);
bool rig_is_home(rig_t *rig);       /* whether that broker is home of a runner                   */
unsigned rig_turn_home(rig_t *rig); /* to the first that is, which it waits for; which it is     */
void rig_runner_up(rig_t *rig);     /* one more; returns when a broker welcomed it                 */
void rig_runner_again(rig_t *rig, unsigned i);      /* one that has ended, under the same name */
pid_t rig_runner_pid(const rig_t *rig, unsigned i); /* of the keeper                                       */
pid_t rig_broker_pid(const rig_t *rig);
void rig_runner_end(rig_t *rig, unsigned i, int signal); /* sends it and waits for the exit                */
void rig_broker_end(rig_t *rig, int signal);
void rig_broker_up(rig_t *rig); /* again, on the same ports                                    */
const struct redis *rig_redis(const rig_t *rig); /* which may be another rig's */
const char *rig_redis_socket(const rig_t *rig);
pid_t rig_redis_pid(const rig_t *rig);
void rig_redis_end(rig_t *rig, int signal);
void rig_redis_up(rig_t *rig); /* again, with the same data                                   */
/* Processes below the runner's keeper, the runner itself not counted: its workers and theirs. */
size_t rig_descendants(const rig_t *rig, unsigned i, pid_t *out, size_t max);

/* ---- control ---- */
/* Sends one request and returns the reply; the caller runs cJSON_Delete(). */
cJSON *rig_ask(rig_t *rig, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same, but NULL when no answer comes within timeout_ms: for facts in which a broker dies. */
cJSON *rig_try(rig_t *rig, int timeout_ms, const char *request);
/* The string at a dotted path of a reply ("activation.status"), "" if absent. Lent by the reply. */
const char *rig_text(const cJSON *reply, const char *path);
/* A client's socket at an endpoint by name, with the key of an admin where there are keys. Whoever asked for it closes it,
 * before rig_down(). */
void *rig_socket(rig_t *rig, int type, const char *endpoint);
/* Sends bytes to `jobs`, as a producer that nobody answers. */
void rig_push(rig_t *rig, const char *bytes);
/* Submits a session with one user message for `profile`; fails unless the receipt is OK. */
void rig_submit(rig_t *rig, const char *parent, const char *child, const char *profile, const char *text);
/* Waits for the child's terminal and writes its status. */
void rig_wait(rig_t *rig, const char *child, char status[32]);
/* Content of the last message of a session, and its role. */
void rig_last_message(rig_t *rig, const char *child, char role[16], char *content, size_t max);
/* Asks until `path` of the reply to `request` is `text`. */
void rig_await(rig_t *rig, const char *request, const char *path, const char *text);

/* ---- events ---- */
typedef struct {
    char topic[600];
    cJSON *header, *event;
} rig_event_t;
typedef struct rig_sub rig_sub_t;
/* Subscribes and runs the sync handshake: whatever is published after this returns is heard. */
rig_sub_t *rig_subscribe(rig_t *rig, const char *prefix);
void rig_sub_also(rig_sub_t *sub,
                  const char *prefix); /* asks for that as well; it is heard from some moment on */
bool rig_event_next(rig_sub_t *sub, rig_event_t *out, int timeout_ms); /* false: nothing came */
void rig_event_fini(rig_event_t *event);
/* Reads on to the sub_agent_completed of `child` and returns its status in `status`; counts what came before.
 */
size_t rig_event_until_completed(rig_sub_t *sub, const char *child, char status[32]);
void rig_sub_close(rig_sub_t **sub);
