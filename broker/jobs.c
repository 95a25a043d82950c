/* jobs.c - see jobs.h. */
#include "jobs.h"

#include "base/log.h"
#include "base/timer.h"
#include "system_event.h"

#include <stdio.h>
#include <string.h>

#define HELD_MAX       4096
#define HELD_BYTES_MAX ((size_t)64 << 20)
#define RETRY_MS       200

typedef struct pushed {
    jobs_t *jobs;
    struct pushed *next;       /* in the retry list */
    bool uncertain;            /* an answer was lost: the store may have taken it before */
    bool first;                /* of those that were waiting: whoever waits behind goes when it is taken */
    char user[GUARD_USER_MAX]; /* who pushed it; "": keys are not in use */
    size_t len;
    char bytes[];
} pushed_t;

struct jobs {
    jobs_parts_t part;
    rz_sock_t *sock;
    rz_timer_t *retry_timer;
    pushed_t *retry, **retry_end; /* to be submitted again, in the order in which they came */
    size_t held, held_bytes;
    bool paused, trying; /* trying: the first of retry is on its way */
};

static void on_retry(void *arg);

jobs_t *jobs_open(const jobs_parts_t *parts)
{
    jobs_t *jobs = rz_alloc(sizeof *jobs);
    jobs->part = *parts;
    jobs->retry_end = &jobs->retry;
    jobs->retry_timer = rz_timer_open(parts->loop, on_retry, jobs);
    return jobs;
}

void jobs_close(jobs_t **jobs_ref)
{
    jobs_t *jobs = *jobs_ref;
    if (jobs == NULL)
        return;
    *jobs_ref = NULL;
    for (pushed_t *pushed; (pushed = jobs->retry) != NULL;) {
        jobs->retry = pushed->next;
        rz_free(pushed);
    }
    rz_timer_close(&jobs->retry_timer);
    rz_free(jobs);
}

/* One rule decides whether the socket is read. */
static void update_pause(jobs_t *jobs)
{
    bool paused = !rz_store_up(jobs->part.store) || jobs->retry != NULL || jobs->held >= HELD_MAX ||
                  jobs->held_bytes >= HELD_BYTES_MAX;
    if (paused != jobs->paused)
        rz_sock_pause(jobs->sock, paused);
    jobs->paused = paused;
}

void jobs_listen(jobs_t *jobs, rz_sock_t *sock)
{
    jobs->sock = sock;
    update_pause(jobs);
}

/* ---- one job ---- */

static pushed_t *pushed_create(jobs_t *jobs, const char *user, rz_str_t bytes)
{
    pushed_t *pushed = rz_alloc(sizeof *pushed + bytes.n);
    pushed->jobs = jobs;
    snprintf(pushed->user, sizeof pushed->user, "%s", user != NULL ? user : "");
    pushed->len = bytes.n;
    memcpy(pushed->bytes, bytes.p, bytes.n);
    jobs->held++;
    jobs->held_bytes += bytes.n;
    return pushed;
}

static void pushed_end(pushed_t *pushed)
{
    jobs_t *jobs = pushed->jobs;
    jobs->held--;
    jobs->held_bytes -= pushed->len;
    rz_free(pushed);
    update_pause(jobs);
}

static void pushed_retry(pushed_t *pushed)
{
    jobs_t *jobs = pushed->jobs;
    jobs->part.counters->jobs_retried++;
    if (pushed->first) {
        pushed->next = jobs->retry;
        jobs->retry = pushed;
        if (pushed->next == NULL)
            jobs->retry_end = &pushed->next;
    } else {
        pushed->next = NULL;
        *jobs->retry_end = pushed;
        jobs->retry_end = &pushed->next;
    }
    update_pause(jobs);
    rz_timer_start(jobs->retry_timer, RETRY_MS, 0);
}

/* ---- refusals ---- */

/* One message for the subscribers of every broker. */
typedef struct {
    jobs_t *jobs;
    rz_buf_t topic, header, event;
} notice_t;

/* The store could not take it: then at least this broker's own subscribers hear of it. */
static void on_broadcast(rz_rc_t rc, void *arg)
{
    notice_t *notice = arg;
    if (rc != RZ_OK)
        proxy_send(notice->jobs->part.proxy, rz_buf_str(&notice->topic), rz_buf_str(&notice->header),
                   rz_buf_str(&notice->event));
    rz_buf_fini(&notice->topic);
    rz_buf_fini(&notice->header);
    rz_buf_fini(&notice->event);
    rz_free(notice);
}

/* rejected: it is also kept in the store's log of refused jobs. Takes. */
static void publish(notice_t *notice, bool rejected)
{
    rz_op_broadcast(notice->jobs->part.store, notice->topic.data, rz_buf_str(&notice->header),
                    rz_buf_str(&notice->event), rejected, on_broadcast, notice);
}

static void tell_rejection(jobs_t *jobs, rz_rc_t rc, const rz_err_t *err, const intake_who_t *who)
{
    notice_t *notice = rz_alloc(sizeof *notice);
    notice->jobs = jobs;
    rz_buf_puts(&notice->topic, "$sys/rejected");
    system_header(true, &notice->header);
    system_rejected_event(err, rc, who->parent, who->child, &notice->event);
    publish(notice, true);
}

static void tell_end(jobs_t *jobs, const intake_who_t *who, const char *error)
{
    notice_t *notice = rz_alloc(sizeof *notice);
    notice->jobs = jobs;
    system_never_taken(who, error, &notice->topic, &notice->header, &notice->event);
    publish(notice, false);
}

/* A parent that waits for the child as upstream has it (rule 8.2) also hears that it ended. Of ids for which a key may not
 * speak only the log knows: a subscriber would believe them. */
static void reject(jobs_t *jobs, rz_rc_t rc, const rz_err_t *err, const intake_who_t *who)
{
    static const intake_who_t nobody = { 0 };
    const char *verdict = intake_verdict(rc, err);
    jobs->part.counters->jobs_rejected++;
    rz_log_warn("job.rejected", "parent=%s child=%s code=%s %s", who->parent, who->child, rz_rc_name(rc),
                err->text[0] != '\0' ? err->text : rz_rc_text(rc));
    tell_rejection(jobs, rc, err, rc == RZ_NOT_ALLOWED ? &nobody : who);
    if (verdict != NULL) /* its ids were good: they are looked at before */
        tell_end(jobs, who, verdict);
}

/* The store refused: the bytes were good, so they tell whose job it was. */
static void reject_stored(pushed_t *pushed, rz_rc_t rc)
{
    intake_t intake;
    intake_who_t who;
    rz_err_t err = { 0 };
    rz_str_t bytes = { pushed->bytes, pushed->len };
    if (intake_decode(pushed->jobs->part.rules, bytes, false, &intake, &who, &err) != RZ_OK)
        return;
    intake_whose(&intake, &who);
    if (rc == RZ_NOT_FOUND)
        rz_fail(&err, rc, CHILD_NOT_FOUND);
    reject(pushed->jobs, rc, &err, &who);
    intake_fini(&intake);
}

/* ---- submitting ---- */

static void on_submitted(rz_rc_t rc, const rz_submit_result_t *result, void *arg)
{
    pushed_t *pushed = arg;
    counters_t *counters = pushed->jobs->part.counters;
    (void)result;
    if (pushed->first)
        pushed->jobs->trying = false;
    if (rc == RZ_UNAVAILABLE || rc == RZ_UNKNOWN || rc == RZ_FULL) {
        pushed->uncertain |= rc == RZ_UNKNOWN;
        pushed_retry(pushed);
        return;
    }
    /* after a lost answer, a live activation of the child is most likely this very job */
    if (rc == RZ_OK || (rc == RZ_ALREADY_RUNNING && pushed->uncertain))
        counters->jobs_accepted++;
    else if (rc == RZ_DUPLICATE)
        counters->jobs_duplicate++;
    else
        reject_stored(pushed, rc);
    jobs_t *jobs = pushed->jobs;
    bool first = pushed->first;
    pushed_end(pushed);
    if (first)
        on_retry(jobs);
}

/* By the list as it is now; NULL: it was taken off the list, or is another role's. */
static const rz_allowed_t *who_pushes(const jobs_t *jobs, const char *user)
{
    return jobs->part.guard != NULL ? guard_who(jobs->part.guard, user, GATE_JOBS) : &everybody;
}

/* Nobody looks into it. */
static void reject_unread(jobs_t *jobs, const rz_err_t *err)
{
    const intake_who_t nobody = { 0 };
    reject(jobs, err->rc, err, &nobody);
}

static void refuse_nobody(jobs_t *jobs, const char *user)
{
    rz_err_t err = { 0 };
    rz_fail(&err, RZ_NOT_ALLOWED, "key %s may not push jobs (any more)", guard_name(user));
    guard_refused(jobs->part.guard, GATE_JOBS, user, err.text);
    reject_unread(jobs, &err);
}

/* It was refused before the store saw it. Whoever waits behind it goes next, in a turn of the loop of its own: there may be
 * thousands. */
static void pushed_refused(pushed_t *pushed)
{
    jobs_t *jobs = pushed->jobs;
    if (pushed->first) {
        jobs->trying = false;
        rz_timer_start(jobs->retry_timer, 0, 0);
    }
    pushed_end(pushed);
}

/* Also what has waited here is asked whose it is: its key may have been revoked meanwhile. A job that cannot be read to its end
 * is judged by what it says whose it is; its tenant is not known then. */
static void submit(pushed_t *pushed)
{
    jobs_t *jobs = pushed->jobs;
    const rz_allowed_t *who = who_pushes(jobs, pushed->user);
    if (who == NULL) {
        refuse_nobody(jobs, pushed->user);
        pushed_refused(pushed);
        return;
    }
    intake_t intake;
    intake_who_t whose;
    rz_err_t err = { 0 }, denied = { 0 };
    rz_rc_t rc = intake_decode(jobs->part.rules, (rz_str_t){ pushed->bytes, pushed->len }, false, &intake,
                               &whose, &err);
    if (rc == RZ_OK)
        intake_whose(&intake, &whose);
    if (may_reach(who, whose.parent, whose.child, rc == RZ_OK ? intake.job.tenant : NULL, &denied) != RZ_OK) {
        guard_refused(jobs->part.guard, GATE_JOBS, pushed->user, denied.text);
        reject(jobs, denied.rc, &denied, &whose);
        pushed_refused(pushed);
    } else if (rc != RZ_OK) {
        reject(jobs, rc, &err, &whose);
        pushed_refused(pushed);
    } else {
        intake.submit.own = is_limited(who);
        placement_submit(jobs->part.placement, &intake, on_submitted, pushed);
    }
    if (rc == RZ_OK)
        intake_fini(&intake);
}

/* One after the other: submitted together, a later one could find the room that came a moment after an earlier one was
 * refused. */
static void on_retry(void *arg)
{
    jobs_t *jobs = arg;
    pushed_t *pushed = jobs->retry;
    if (pushed == NULL || jobs->trying || !rz_store_up(jobs->part.store))
        return; /* jobs_store_changed() comes back here */
    jobs->retry = pushed->next;
    if (jobs->retry == NULL)
        jobs->retry_end = &jobs->retry;
    pushed->first = true;
    jobs->trying = true;
    submit(pushed);
    update_pause(jobs);
}

void jobs_on_message(rz_sock_t *sock, const rz_msg_t *msg, void *arg)
{
    jobs_t *jobs = arg;
    (void)sock;
    jobs->part.counters->jobs_received++;
    if (who_pushes(jobs, msg->user) == NULL) {
        refuse_nobody(jobs, msg->user);
        return;
    }
    if (msg->refused != NULL) {
        reject_unread(jobs, msg->refused);
        return;
    }
    if (msg->n != 1) {
        rz_err_t err = { 0 };
        rz_fail(&err, RZ_BAD_KIND, "a spawn job is one frame, this one has %zu", msg->n);
        jobs->part.counters->jobs_malformed++;
        reject_unread(jobs, &err);
        return;
    }
    pushed_t *pushed = pushed_create(jobs, msg->user, msg->part[0]);
    update_pause(jobs);
    submit(pushed);
}

void jobs_store_changed(jobs_t *jobs)
{
    on_retry(jobs);
    update_pause(jobs);
}

void jobs_stop(jobs_t *jobs)
{
    rz_sock_unbind(jobs->sock);
}

size_t jobs_held(const jobs_t *jobs)
{
    return jobs->held;
}
