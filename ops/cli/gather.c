/* gather.c - see gather.h. */
#include "gather.h"

#include "out.h"
#include "pick.h"
#include "verb.h"
#include "waiter.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>

#define TURN_MS 100 /* the longest sleep between two looks at the clock */

static uint64_t deadline_of(uint64_t timeout_secs)
{
    return timeout_secs > 0 ? rz_now_ms() + timeout_secs * 1000 : UINT64_MAX;
}

static void feed(waiter_t *waiters, int count, reply_t *reply)
{
    uint64_t now = rz_now_ms();
    for (int i = 0; i < count; i++)
        if (waiter_feed(&waiters[i], reply, now))
            return;
    reply_fini(reply);
}

static void turn(client_t *client, waiter_t *waiters, int count)
{
    reply_t reply = { 0 };
    event_t event = { 0 };
    for (int i = 0; i < count; i++)
        waiter_tick(&waiters[i], client, rz_now_ms());
    if (client_next(client, -1, TURN_MS, &reply, &event) == CAME_REPLY)
        feed(waiters, count, &reply);
}

static void print_end(const cJSON *activation)
{
    const char *child = pick_text(activation, "child"), *error = pick_text(activation, "error");
    printf("%s %s\n", child, pick_text(activation, "status"));
    fflush(stdout);
    if (*error != '\0')
        note("%s: %s", child, error);
}

/* ---- all ---- */

static outcome_t report(const waiter_t *waiter)
{
    if (waiter->state == WAITER_ENDED && common.json)
        out_json_bytes(rz_buf_str(&waiter->reply.bytes));
    else if (waiter->state == WAITER_ENDED)
        print_end(waiter_activation(waiter));
    return waiter_outcome(waiter);
}

outcome_t gather_all(client_t *client, char *const *children, int count, uint64_t timeout_secs)
{
    uint64_t deadline = deadline_of(timeout_secs);
    outcome_t outcome = EXIT_DONE;
    int left = count;
    waiter_t *waiters = rz_alloc((size_t)count * sizeof *waiters);
    bool *reported = rz_alloc((size_t)count);
    for (int i = 0; i < count; i++)
        waiter_init(&waiters[i], children[i], NULL);
    while (left > 0 && rz_now_ms() < deadline) {
        turn(client, waiters, count);
        for (int i = 0; i < count; i++) {
            if (waiters[i].state == WAITER_WAITING || reported[i])
                continue;
            outcome = outcome_worse(outcome, report(&waiters[i]));
            reported[i] = true;
            left--;
        }
    }
    if (left > 0)
        say("%d of %d did not end within %" PRIu64 " s", left, count, timeout_secs);
    for (int i = 0; i < count; i++)
        waiter_fini(&waiters[i]);
    rz_free(reported);
    rz_free(waiters);
    return left > 0 ? outcome_worse(outcome, EXIT_TIMED_OUT) : outcome;
}

/* ---- until ---- */

static outcome_t report_all(const cJSON *activations)
{
    outcome_t outcome = EXIT_DONE;
    const cJSON *activation;
    cJSON_ArrayForEach(activation, activations)
    {
        outcome = outcome_worse(outcome, outcome_of_status(pick_text(activation, "status")));
        if (!common.json)
            print_end(activation);
    }
    return outcome;
}

static outcome_t report_settled(const waiter_t *waiter)
{
    outcome_t outcome = waiter_outcome(waiter);
    bool mild = outcome == EXIT_DONE || outcome == EXIT_SKIPPED;
    if (common.json)
        out_json_bytes(rz_buf_str(&waiter->reply.bytes));
    if (waiter->wait_for == RZ_WAIT_FIRST_ERROR && mild)
        return report_all(pick(waiter->reply.tree, "activations"));
    if (!common.json)
        print_end(waiter_activation(waiter));
    return outcome;
}

outcome_t gather_until(client_t *client, char *const *children, int count, rz_wait_for_t wait_for,
                       uint64_t timeout_secs)
{
    uint64_t deadline = deadline_of(timeout_secs);
    outcome_t outcome = EXIT_TIMED_OUT;
    waiter_t waiter;
    cJSON *list = cJSON_CreateArray();
    for (int i = 0; i < count; i++)
        cJSON_AddItemToArray(list, cJSON_CreateString(children[i]));
    waiter_init_several(&waiter, list, wait_for);
    while (waiter.state == WAITER_WAITING && rz_now_ms() < deadline)
        turn(client, &waiter, 1);
    if (waiter.state == WAITER_WAITING)
        say("nothing settled it within %" PRIu64 " s", timeout_secs);
    else
        outcome = waiter.state == WAITER_ENDED ? report_settled(&waiter) : waiter_outcome(&waiter);
    waiter_fini(&waiter);
    cJSON_Delete(list);
    return outcome;
}
