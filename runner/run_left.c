/* run_left.c - a run as the drain of its runner sees it: why it is still here, and what becomes of it at the end. */
#include "run_inner.h"

#include <inttypes.h>
#include <stdio.h>

static void why_it_runs(const run_t *run, char *out, size_t size)
{
    question_t question;
    uint64_t secs = (run_now(run) - run->since_ms) / 1000;
    if (questions_first(&run->questions, &question))
        snprintf(out, size, "runs for %" PRIu64 " s, waits for an answer to %s", secs, question.id);
    else
        snprintf(out, size, "runs for %" PRIu64 " s", secs);
}

void run_why(const run_t *run, char *out, size_t size)
{
    static const char *const reasons[ACT_STATES] = {
        [ACT_WAITING] = "waits for a worker",
        [ACT_RETRYING] = "waits for a worker",
        [ACT_CANCELLING] = "is cancelled, in its grace",
        [ACT_EXPIRING] = "is over its limit, in its grace",
        [ACT_ENDED] = "has ended, its end is not stored yet",
        [ACT_RELEASING] = "is given back, which is not stored yet",
        [ACT_DONE] = "is done",
    };
    if (run->course.state == ACT_RUNNING)
        why_it_runs(run, out, size);
    else
        snprintf(out, size, "%s", reasons[run->course.state]);
}

void run_yield(run_t *run)
{
    bool has_attempt = run->assign.attempt < run->assign.max_attempts;
    run_feed(run, has_attempt ? EV_YIELD : EV_STOP);
}
