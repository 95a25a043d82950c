/* waiter.c - asking for an outcome until there is one. */
#include "waiter.h"

#include "out.h"
#include "pick.h"

#include <stdio.h>
#include <string.h>

#define SLICE_MS      3000
#define ANSWER_LATE   1000 /* beyond a slice: the request was lost */
#define PAUSE_MS      500  /* before asking a broker again that said UNAVAILABLE */
#define WAITER_CUT_MS 60000
#define TROUBLE_MS    3000 /* of hearing nothing, before it is told */

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
    if (waiter->request != 0) {                           /* unanswered */
        waiter->told = waiter->told && waiter->is_silent; /* another trouble is told again */
        waiter->is_silent = true;
        waiter->away[0] = '\0';
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
    waiter->told = waiter->told && !waiter->is_silent;
    waiter->is_silent = false;
    if (reply->code == RZ_UNAVAILABLE || reply->code == RZ_UNKNOWN) {
        const char *message = pick_text(reply->tree, "message");
        snprintf(waiter->away, sizeof waiter->away, "%s",
                 *message != '\0' ? message : rz_rc_text(reply->code));
        waiter->ask_at =
            now + PAUSE_MS; /* not heard: the store may be away for longer than we care to wait */
        reply_fini(reply);
        return true;
    }
    waiter->heard_at = now;
    waiter->ask_at = now;
    waiter->told = false;
    waiter->away[0] = '\0';
    if (reply->code == RZ_EXPIRED) {
        reply_fini(reply);
        return true;
    }
    waiter->state = reply->code == RZ_OK ? WAITER_ENDED : WAITER_REFUSED;
    waiter->reply = *reply;
    *reply = (reply_t){ 0 };
    return true;
}

bool waiter_trouble(waiter_t *waiter, const char *endpoint, uint64_t now, char out[512])
{
    bool is_away = waiter->away[0] != '\0';
    bool is_trouble = waiter->state == WAITER_WAITING && (waiter->is_silent || is_away);
    if (!is_trouble || waiter->told || now - waiter->heard_at < TROUBLE_MS)
        return false;
    waiter->told = true;
    if (is_away)
        snprintf(out, 512, "the store is away: %s; waiting", waiter->away);
    else
        snprintf(out, 512, "no broker answers at %s: waiting", endpoint);
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
    const char *what = waiter->away[0] != '\0' ? "the store has been away for a minute: "
                                               : "no broker has answered for a minute";
    if (waiter->children != NULL)
        say("%s%s; the children may still be running", what, waiter->away);
    else
        say("%s%s; %s may still be running: rhizome wait %s", what, waiter->away, waiter->child,
            waiter->child);
    return EXIT_CUT;
}
