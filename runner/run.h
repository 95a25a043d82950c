/* run.h - one activation as this runner holds it: from the broker's `assign` to the last ack.
 *
 * course.h decides what follows on what; this module does it: it finds a worker, pumps its events, judges
 * its frames, keeps its time limits, carries questions and answers between worker and broker, and has everything
 * written that must be. It never frees itself: whatever
 * changes puts the run on the house's list of touched ones, and at the end of the loop's turn the runner
 * writes what is due and lets go of those that are done. Loop thread only. */
#pragma once

#include "course.h"
#include "credentials.h"
#include "crew.h"
#include "link.h"
#include "output.h"
#include "publish.h"
#include "rooms.h"
#include "spent.h"
#include "watchdog.h"

#define RUN_HEARTBEAT_MS 5000

typedef struct run run_t;

/* What all runs of one runner share. */
typedef struct {
    const settings_t *settings;
    credentials_t *credentials;
    uv_loop_t *loop;
    rooms_t *rooms;
    crew_t *crew;
    links_t *links;
    publisher_t *publisher;
    output_t *output;
    run_t *touched;    /* by run_next_touched() */
    uint64_t still_ms; /* how long runs have stood still in all, and since when they do: 0 they go on */
    uint64_t still_since_ms;
    void (*on_slot_free)(void *arg); /* how a run ends is known */
    void *arg;
    struct {
        uint64_t bad_events;   /* no object, no type, or too large      */
        uint64_t bad_frames;   /* that could not be decoded              */
        uint64_t other_frames; /* of a kind that we do not know         */
        uint64_t refused;      /* requests of workers, without asking   */
        uint64_t ended;        /* activations whose finish is committed */
        uint64_t fenced;       /* and those that were taken from us     */
        uint64_t said_again;   /* assignments of what was let go of     */
    } counters;
} house_t;

/* The clock of runs: limits, grace, questions, heartbeats and repeats go by it, and while workers are frozen it stands still
 * with them. */
uint64_t house_now(const house_t *house);
void house_stand_still(house_t *house, bool still);

/* Takes the decoded assign (*assign is zeroed); header and messages are its payload frames, copied as far as
 * needed. Never fails: what is wrong with it becomes its outcome. */
run_t *run_open(house_t *house, rz_link_t *assign, rz_str_t header, rz_str_t messages);
/* Looks for room and for a worker; call when the run is listed where acks can find it. */
void run_begin(run_t *run);
void run_admit(house_t *house); /* those for which there is room now; once in every turn of the loop */
void run_close(run_t **run);

const char *run_child(const run_t *run);
uint64_t run_epoch(const run_t *run);
const char *run_token(const run_t *run);
course_state_t run_state(const run_t *run);
bool run_is_open(const run_t *run); /* counts against the slots */

/* Why the runner still has it, in a few words: "runs for 12 s". */
void run_why(const run_t *run, char *out, size_t size);
/* The runner ends: what has an attempt left begins anew elsewhere, all else is stopped. */
void run_yield(run_t *run);
void run_feed(run_t *run,
              course_event_t event); /* CANCEL, CANCEL_NOW, FENCED, DRAIN, STOP; YIELD through run_yield() */
/* text: one raw JSON string. True: written to the worker's socket, now or when this id came before. */
bool run_steer(run_t *run, const char *id, rz_str_t text);
bool run_decide(run_t *run, const char *id, bool approved); /* false: no such question is open */
void run_acked(run_t *run, write_t op, uint64_t seq, rz_rc_t code);
void run_relink(run_t *run);                   /* another link took over */
void run_fail(run_t *run, const char *reason); /* if it runs: its worker is killed, it ends in error */
void run_tick(run_t *run, uint64_t now_ms);
void run_write(run_t *run, uint64_t now_ms); /* sends what is due */
run_t *run_next_touched(house_t *house);     /* takes one off the list, NULL when there is none */
progress_t *run_progress(run_t *run);        /* lends */
outcome_t run_outcome(run_t *run);           /* of one that is let go of: takes what it said out of it */
/* Of one that was let go of and is assigned once more: the same to `peer` again. outcome NULL: nobody knows how it ended. */
void house_say_again(house_t *house, link_peer_t *peer, const rz_link_t *assign, const outcome_t *outcome);

extern const crew_events_t
    run_crew_events; /* user = run_t, arg = house_t; on_idle and on_empty are the runner's */

/* For the table that holds it. */
typedef struct {
    run_t *bucket_next;
    run_t *next, *prev;
    uint64_t since_sync; /* the last sync that was sent before it came */
} run_place_t;
run_place_t *run_place(run_t *run);
