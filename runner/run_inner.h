/* run_inner.h - one activation from the inside; private to run*.c.
 *
 * run.c holds its life and what is written of it, run_act.c does what course.h decides, run_worker.c hears its
 * worker, run_ask.c has the worker's questions answered, run_left.c is what a drain asks. */
#pragma once

#include "run.h"

#include "heard.h"
#include "profile.h"
#include "questions.h"
#include "wire/frame.h"

#define REASON_MAX 1024

struct run {
    run_place_t place;
    run_t *touched_next;
    bool touched;

    house_t *house;
    rz_link_t assign; /* owns the texts of everything below */
    rz_buf_t header;  /* session header: until `run` is sent */
    rz_buf_t frame;   /* the run frame: until it is sent     */
    const rz_agent_t *agent;
    char pool_key[RZ_DIGEST_LEN + 1];

    course_t course;
    course_event_t verdict; /* of run_open(): READY when nothing stands against running it */
    bool unprepared;        /* no job that could begin came of its session (rule 8.2)      */
    journal_t journal;
    stream_t stream;
    watchdog_t watchdog;
    progress_t progress;
    questions_t questions;
    heard_t heard;
    guest_t guest;
    seeker_t seeker;
    worker_t *worker;                /* NULL unless RUNNING, CANCELLING, EXPIRING */
    uint64_t heartbeat_ms, grace_ms; /* when the next is due; heartbeat 0: none was yet */
    bool begun;                      /* sub_agent_started is out */
    bool gives_up;                   /* it is given back though it has begun */
    uint64_t since_ms;               /* when `run` was sent */

    course_event_t fed;           /* while its action runs               */
    const rz_child_frame_t *told; /* the terminal frame, while it is fed */
    char reason[REASON_MAX];      /* of the event that is fed, or the watchdog's */
    char first_failure[REASON_MAX / 4];
    const char *status; /* the outcome, once ENDED */
    rz_buf_t error;     /* empty: none             */
    rz_buf_t reply;     /* assistant message       */
    rz_buf_t last_header, last_event;
};

profile_case_t run_profile_case(const run_t *run);
void run_touch(run_t *run); /* it changed: the runner looks at it at the end of the turn */
uint64_t run_now(const run_t *run);
void run_set_reason(run_t *run, const char *fmt, ...) RZ_PRINTF(2, 3);
void run_seek(run_t *run);                           /* a worker: run_begin(), and once again */
void run_beat(run_t *run);                           /* sends a heartbeat; the next is due from now */
void run_let_go(run_t *run, worker_ending_t ending); /* of its worker, or of the one it waits for */
void run_dispatch(run_t *run, worker_t *worker);     /* tells it to begin */
void run_forget_payload(run_t *run);     /* not needed behind the beginning, and a conversation is large */
const char *run_error(const run_t *run); /* of the outcome; NULL when none */

bool run_is_worth_a_line(uint64_t count); /* a worker can cause as many of these as it likes */
/* ---- run_ask.c ---- */
void run_ask(run_t *run, const rz_child_frame_t *asked); /* its approval_request */
void run_look_at_questions(run_t *run, uint64_t now_ms);
void run_close_questions(run_t *run); /* nobody will answer any more */
