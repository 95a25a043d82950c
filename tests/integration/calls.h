/* calls.h - a store on a private redis, driven one operation at a time: each call_ queues the operation, runs
 * the loop until it is answered, and leaves the answer in calls->answer. */
#pragma once

#include "redis.h"
#include "state/ops.h"

#define ANSWERS_MAX 64

typedef struct {
    char child[40], parent[40], job[40], owner[40], token[40], previous_error[80], messages[512];
    uint64_t epoch, attempt;
    bool cancelled;
} assigned_t;

typedef struct {
    rz_rc_t rc;
    unsigned times; /* how often the callback came */
    /* the activation */
    rz_act_state_t state;
    char parent[40], job[40], owner[40], status[40], error[120], profile[40], labels[40];
    uint64_t epoch, activation, attempt, max_attempts, rev;
    bool cancelled, claimed, ended, differs;
    /* lists */
    size_t n;
    uint64_t left;
    assigned_t assigned[ANSWERS_MAX];
    char text[ANSWERS_MAX][80]; /* cancels, owned, incarnations, classes, children, events */
    size_t cancels;             /* of sync: how many of text are cancels, then owned       */
    char header[512], messages[4096], first[48], last[48];
    rz_tick_result_t tick;
    char wait_state[16]; /* "waiting" "satisfied" "expired" */
} answer_t;

typedef struct {
    redis_t redis;
    uv_loop_t loop;
    rz_store_t *store;
    rz_store_info_t info;
    bool up;
    unsigned ups, downs;
    char detail[200];
    answer_t answer;
} calls_t;

void calls_up(calls_t *calls, const char *const *settings,
              uint64_t call_timeout_ms); /* init, open, wait for up */
void calls_down(calls_t *calls);
/* The same with a store that is there already, or can be made, at options->url. */
void calls_meet(calls_t *calls, const rz_store_options_t *options);
void calls_part(calls_t *calls);
/* cmocka's setup and teardown of one calls_t with a plain redis */
int calls_setup(void **state);
int calls_teardown(void **state);
/* Runs the loop until *flag, or fails the test after half a minute. */
void calls_until(calls_t *calls, const bool *flag);
void calls_until_count(calls_t *calls, const unsigned *count, unsigned least);
void calls_until_up(calls_t *calls, bool up);

const char *token(unsigned i); /* 32 hex digits, another for each i < 100 */

/* A submit of a child with one message, class "echo/", parent "p1", job "j-<child>". */
rz_submit_t plain_submit(const char *child);
rz_rc_t call_submit(calls_t *calls, const rz_submit_t *request);
rz_rc_t call_claim(calls_t *calls, const char *owner, unsigned max); /* class echo, tokens token(0).. */
rz_rc_t call_claim_of(calls_t *calls, const rz_claim_t *request);
rz_rc_t call_reassign(calls_t *calls, const char *child, const char *owner);
rz_rc_t call_start(calls_t *calls, const char *child, uint64_t epoch, const char *with);
rz_rc_t call_append(calls_t *calls, const char *child, uint64_t epoch, const char *with, uint64_t from,
                    uint64_t to); /* one event per seq */
rz_rc_t call_finish(calls_t *calls, const char *child, uint64_t epoch, const char *with, const char *status,
                    const char *error, const char *reply);
/* Completed, with a sub_agent_completed as its one logged event. */
rz_rc_t call_finish_logged(calls_t *calls, const char *child, uint64_t epoch, const char *with, uint64_t seq);
rz_rc_t call_release(calls_t *calls, const char *child, uint64_t epoch, const char *with);
rz_rc_t call_release_for_rerun(calls_t *calls, const char *child, uint64_t epoch, const char *with);
rz_rc_t call_cancel(calls_t *calls, const char *child, const char *reason);
rz_rc_t call_steer(calls_t *calls, const char *child, const char *id, const char *message);
rz_rc_t call_join(calls_t *calls, const char *incarnation, const char *runner);
rz_rc_t call_sync(calls_t *calls, const char *incarnation, uint64_t counter, const char *digest);
rz_rc_t call_retry(calls_t *calls, const char *child);
rz_rc_t call_explain(calls_t *calls, const char *child); /* text: "what detail" */
rz_rc_t call_wait_register(calls_t *calls, const char *id, const char *child,
                           uint64_t timeout_ms); /* of p1, for all */
rz_rc_t call_wait_get(calls_t *calls, const char *id);
rz_rc_t call_tick_of(calls_t *calls, const rz_tick_t *request);
/* Time goes on by so much, and everything is kept for ever. */
rz_rc_t call_tick(calls_t *calls, uint64_t elapsed_ms);
rz_rc_t call_condemn(calls_t *calls, const char *incarnation, uint64_t seen, bool leave);
rz_rc_t call_reap(calls_t *calls, const char *incarnation);
rz_rc_t call_incarnations(calls_t *calls); /* text: "incarnation runner counter owned dead|alive" */
rz_rc_t call_get(calls_t *calls, const char *child, const char *job);
rz_rc_t call_whose(calls_t *calls, const char *child); /* text: parent, tenant */
rz_rc_t call_session_get(calls_t *calls, const char *child);
rz_rc_t call_session_put(calls_t *calls, const rz_session_put_t *request);
rz_rc_t call_list(calls_t *calls, const char *parent, unsigned limit);
rz_rc_t call_replay(calls_t *calls, const char *child, uint64_t epoch, uint64_t seq, unsigned limit);
rz_rc_t call_classes(calls_t *calls); /* text: "profile/labels n" */
rz_rc_t call_broadcast(calls_t *calls, const char *topic, bool rejected);
