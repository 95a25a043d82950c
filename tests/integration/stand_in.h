/* stand_in.h - a broker that the test plays, in front of one real runner: raw ROUTER and SUB sockets that
 * speak the link (proto/README.md 5). It answers writes and syncs by itself, keeps what it saw, and can be
 * told to answer otherwise. Everything happens inside stand_in_pump(): there is no thread. */
#pragma once

#include "process.h"
#include "wire/link.h"

#include <stdbool.h>

#define STAND_IN_PATIENCE_MS 20000

/* What its welcome says; a runner gives it up after four of them without a word. 0: it knows no ping. */
extern unsigned stand_in_ping_ms;
/* Further, each said only if it is set: its mark, to which only the fact subscribes (at `sub`), and its lease. */
extern const char *stand_in_mark;
extern uint64_t stand_in_lease_ms;

/* What became of one child. */
typedef struct {
    char child[64];
    int assigns, starts, appends, finishes, releases;
    int reruns; /* of the releases, those of what had begun */
    int steered_live, steered_dead, decided_live, decided_dead;
    char status[32], error[1024], reply[4096]; /* of the finish; error: also the reason of a release */
    uint64_t done_ms;                          /* when finish or release came */
    char events[8192]; /* published types in order, space separated: "sub_agent_heartbeat sub_agent_started
                          token ..." */
    char told[16384];  /* of those, heartbeats and child_approval_*: the inner event's JSON, one a line */
    char state[1024];  /* what the last sync that named it said of it */
    bool completed;    /* sub_agent_completed was published, after it nothing */
    uint64_t last_seq, logged_seq;
    bool gap;        /* a published seq was missing         */
    bool disordered; /* a logged seq did not grow           */
} seen_t;

typedef struct {
    char dir[128], config[256], endpoint[128], publish[128];
    void *zctx, *router, *sub;
    bool has_ring;    /* its keys are its own: there were none */
    process_t runner; /* its keeper */
    char routing[64];
    size_t routing_len;
    char incarnation[64];
    uint64_t granted, syncs, idle, pings;
    uint64_t sent;         /* assigns since the welcome, as a pong tells it */
    uint64_t ping_granted; /* what the last ping said                        */
    bool ping_home;
    uint64_t load, promised;     /* what a pong says */
    char full[256], facts[2048]; /* as JSON; full "" when there are none */
    int hellos, byes;
    char phase[32];  /* what it last said it is, in hello or since; "" nothing */
    rz_rc_t ordered; /* its last answer to an order */
    int orders_answered;
    char nonce_seen[64], output[65536];
    bool has_output;
    uint64_t max_attempts; /* of what it assigns; 0: not told */
    rz_rc_t write_code;    /* what writes are answered; RZ_AGAIN: not at all */
    rz_rc_t sync_code;     /* what the next sync is answered; RZ_AGAIN: none is, as long as this stands */
    bool disown;           /* the next synced says that nothing is owned */
    const char *cancel, *cancel_now; /* children that the next synced flags; NULL: none */
    seen_t seen[256];
    size_t seen_count;
} stand_in_t;

/* What it speaks: the newest, unless a fact says otherwise before stand_in_up(). */
extern uint64_t stand_in_version;

/* Starts a runner with further flags (NULL-terminated, may be NULL) and members of its configuration file (""
 * none). Returns when it is welcomed and its events arrive. */
void stand_in_up(stand_in_t *s, const char *members, const char *const *flags);
/* The runners that are started from here on belong to this user, and so does what they are given; takes a root. 0: to ours. */
void stand_in_as(unsigned uid);
/* They are started in this control group; NULL: in ours. Lent until the last is started. */
void stand_in_within(const char *group);
/* Sends the signal (0: none), plays on until the runner's keeper has exited, and returns its exit code or
 * 128+signal. stand_in_down: with TERM; then nothing may be left of it. */
int stand_in_end(stand_in_t *s, int signum);
int stand_in_down(stand_in_t *s);

void stand_in_assign(stand_in_t *s, const char *child, const char *profile, uint64_t epoch,
                     const char *assignment, const char *metadata);
/* The same with a session and messages of the caller's making. */
void stand_in_assign_raw(stand_in_t *s, const char *child, const char *profile, uint64_t epoch,
                         const char *header, const char *messages);
/* Orders it to be `phase`, on these terms (policy NULL, 0: its own), and waits for its answer: its code. */
rz_rc_t stand_in_order(stand_in_t *s, const char *phase, const char *policy, uint64_t deadline_ms);
void stand_in_cancel(stand_in_t *s, const char *child, bool now);              /* its epoch 1 */
void stand_in_send(stand_in_t *s, const rz_link_t *link, const char *payload); /* payload NULL: none */
void stand_in_send_parts(stand_in_t *s, const rz_link_t *link, const char *const *payload, size_t n);
bool stand_in_pump(stand_in_t *s, int timeout_ms); /* one message of each kind; false: none came */
seen_t *stand_in_seen(stand_in_t *s, const char *child);
seen_t *stand_in_wait(stand_in_t *s, const char *child); /* for its finish and, if OK, its completion */
void stand_in_wait_event(stand_in_t *s, const char *child, const char *type);
void stand_in_pump_for(stand_in_t *s, int ms);
void stand_in_wait_file(stand_in_t *s, const char *path); /* until it is not empty */
size_t stand_in_wait_workers(stand_in_t *s, size_t n);    /* until there are so many; fails otherwise */
/* The members of a configuration that has one more profile: actor.py, living so (NULL: as usual), with further members
 * of its own (", ..." or ""). Static memory. */
const char *stand_in_actor(const char *how, const char *file, const char *more);
/* The members of a configuration whose profile "family" leaves a process behind that nobody owns (family.sh), and, once it
 * has run, the pid of that process. */
const char *stand_in_family(const char *file);
pid_t stand_in_left_behind(stand_in_t *s, const char *file);
/* What was published, but of the heartbeats that it begins with only the last: how many they are is a question of time. */
const char *stand_in_events(const seen_t *seen);
bool stand_in_replied(const seen_t *seen, const char *content); /* the assistant message says so */
char stand_in_state(pid_t pid); /* as /proc spells it, 'T' is stopped; 0: gone, or dead and not reaped yet */
size_t stand_in_workers(const stand_in_t *s, pid_t *out, size_t max); /* processes below the runner */
pid_t stand_in_runner(const stand_in_t *s);                           /* the process below the keeper */
