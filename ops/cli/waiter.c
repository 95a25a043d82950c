/* waiter.c - asking for an outcome until there is one. */
#include "waiter.h"

#include "out.h"
#include "pick.h"

#include <string.h>

#define SLICE_MS      3000
#define ANSWER_LATE   1000 /* beyond a slice: the request was lost */
#define PAUSE_MS      500  /* before asking a broker again that said UNAVAILABLE */
#define WAITER_CUT_MS 60000

void waiter_init(waiter_t *waiter, const char *child, const char *job)
{
    *waiter = (waiter_t){ .child = child, .job = job };
}

void waiter_init_several(waiter_t *waiter, const cJSON *children, rz_wait_for_t wait_for)
{
    *waiter = (waiter_t){ .child = children->child->valuestring, .children = children, .wait_for = wait_for };
}

void waiter_fini(waiter_t *waiter)
{
    reply_fini(&waiter->reply);
}

void waiter_tick(waiter_t *waiter, client_t *client, uint64_t now)
{
    if (waiter->state != WAITER_WAITING || now < waiter->ask_at)
        return;
    if (waiter->heard_at == 0)
        waiter->heard_at = now;
    if (now - waiter->heard_at > WAITER_CUT_MS) {
        waiter->state = WAITER_CUT;
        return;
    }
    if (waiter->request != 0 && waiter->moves == client_moves(client))
        client_move(client); /* if there is no other broker, this one may come back */
    waiter->moves = client_moves(client);
    rz_control_request_t request = { .op = RZ_OP_WAIT,
                                     .child = waiter->children == NULL ? waiter->child : NULL,
                                     .job_id = waiter->job,
                                     .children = waiter->children,
                                     .wait_for = waiter->wait_for,
                                     .timeout_ms = SLICE_MS };
    waiter->request = client_send(client, &request);
    waiter->ask_at = now + (waiter->request != 0 ? SLICE_MS + ANSWER_LATE : PAUSE_MS);
}

bool waiter_feed(waiter_t *waiter, reply_t *reply, uint64_t now)
{
    if (waiter->state != WAITER_WAITING || waiter->request == 0 || reply->id != waiter->request)
        return false;
    waiter->request = 0;
    if (reply->code == RZ_UNAVAILABLE || reply->code == RZ_UNKNOWN) {
        waiter->ask_at =
            now + PAUSE_MS; /* not heard: the store may be away for longer than we care to wait */
        reply_fini(reply);
        return true;
    }
    waiter->heard_at = now;
    waiter->ask_at = now;
    if (reply->code == RZ_EXPIRED) {
        reply_fini(reply);
        return true;
    }
    waiter->state = reply->code == RZ_OK ? WAITER_ENDED : WAITER_REFUSED;
    waiter->reply = *reply;
    *reply = (reply_t){ 0 };
    return true;
}

const cJSON *waiter_activation(const waiter_t *waiter)
{
    const char *by = pick_text(waiter->reply.tree, "by");
    const cJSON *activation;
    if (waiter->children == NULL)
        return pick(waiter->reply.tree, "activation");
    cJSON_ArrayForEach(activation, pick(waiter->reply.tree, "activations"))
    {
        if (strcmp(pick_text(activation, "child"), by) == 0)
            return activation;
    }
    return NULL;
}

const char *waiter_status(const waiter_t *waiter)
{
    return pick_text(waiter_activation(waiter), "status");
}

outcome_t waiter_outcome(const waiter_t *waiter)
{
    if (waiter->state == WAITER_REFUSED)
        return reply_refused(&waiter->reply);
    if (waiter->state == WAITER_ENDED)
        return outcome_of_status(waiter_status(waiter));
    if (waiter->children != NULL)
        say("the broker has been silent for a minute; the children may still be running");
    else
        say("the broker has been silent for a minute; %s may still be running: rhizome wait %s",
            waiter->child, waiter->child);
    return EXIT_CUT;
}
