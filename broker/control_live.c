/* control_live.c - what reaches into running work: send, approve, sync, logs. */
#include "control_ops.h"

#include "base/utf8.h"
#include "system_event.h"
#include "wire/session.h"

#include <stdio.h>
#include <string.h>

#define STEER_WAIT_MS  1000
#define DECIDE_WAIT_MS 2000
#define LOGS_WAIT_MS   2000
#define KEY_MAX        (2 * RZ_ID_MAX + 16)

/* ---- send: stored first, then forwarded ---- */

typedef struct {
    asking_t asking;
    char child[RZ_ID_MAX + 1], id[RZ_ID_MAX + 1];
    rz_buf_t text; /* one JSON string */
} sending_t;

static void steer_key(const char *child, const char *id, char out[KEY_MAX])
{
    snprintf(out, KEY_MAX, "steer %s %s", child, id);
}

static void sending_end(sending_t *sending, rz_rc_t rc, const char *delivery)
{
    call_t *call = sending->asking.call;
    rz_buf_t *out = call_reply(call, rc, NULL);
    if (delivery != NULL) {
        rz_json_put_str(out, "message_id", sending->id);
        rz_json_put_str(out, "delivery", delivery);
    }
    call_send(&call);
    rz_buf_fini(&sending->text);
    rz_free(sending);
}

static void on_delivered(const live_answer_t *answer, void *arg)
{
    sending_end(arg, RZ_OK, answer->rc == RZ_OK && answer->yes ? "live" : "queued");
}

/* The message is stored; if its runner is linked here, wait a moment whether the worker gets it at once. */
static void forward(sending_t *sending, const rz_act_t *act)
{
    control_t *control = sending->asking.control;
    char key[KEY_MAX];
    runner_t *runner = roster_by_incarnation(control->part.roster, act->owner);
    uint64_t from = runner != NULL ? runner->serial : LIVE_ANY;
    bool lives = act->state == RZ_ACT_RUNNING || act->state == RZ_ACT_ASSIGNED;
    steer_key(sending->child, sending->id, key);
    if (!lives || runner == NULL ||
        !sender_steer(control->part.sender, runner, sending->child, act->epoch, sending->id,
                      rz_buf_str(&sending->text)) ||
        !live_wait(control->live, key, from, 1, STEER_WAIT_MS, on_delivered, sending))
        sending_end(sending, RZ_OK, "queued");
}

static void on_stored(rz_rc_t rc, const rz_act_t *act, void *arg)
{
    sending_t *sending = arg;
    if (rc == RZ_OK)
        forward(sending, act);
    else
        sending_end(sending, rc, rc == RZ_DUPLICATE ? "queued" : NULL);
}

void op_send(control_t *control, call_t *call, const rz_control_request_t *request)
{
    sending_t *sending = rz_alloc(sizeof *sending);
    sending->asking = (asking_t){ control, call };
    snprintf(sending->child, sizeof sending->child, "%s", request->child);
    if (request->message_id != NULL)
        snprintf(sending->id, sizeof sending->id, "%s", request->message_id);
    else
        rz_uuid_new(sending->id);
    rz_json_put_str(&sending->text, NULL, request->text);

    rz_buf_t message = { 0 };
    rz_message_encode(RZ_ROLE_USER, sending->id, rz_buf_str(&sending->text), NULL, &message);
    rz_op_steer(control->part.store, sending->child, sending->id, rz_buf_str(&message), on_stored, sending);
    rz_buf_fini(&message);
}

/* Nobody may wait for it: the message may have been sent again after a sync. */
void control_on_steered(control_t *control, const runner_t *from, const char *child, const char *id,
                        bool live)
{
    char key[KEY_MAX];
    if (live) /* only who runs the child can have told its worker */
        rz_op_steered(control->part.store, child, id, from->incarnation, NULL, NULL);
    steer_key(child, id, key);
    live_answer(control->live, key, from->serial, &(live_answer_t){ .rc = RZ_OK, .yes = live });
}

/* ---- approve: only who runs the child knows its open questions ---- */

typedef struct {
    asking_t asking;
    char child[RZ_ID_MAX + 1], request[RZ_ID_MAX + 1];
    bool approved;
} deciding_t;

static void decide_key(const char *child, const char *request, char out[KEY_MAX])
{
    snprintf(out, KEY_MAX, "decide %s %s", child, request);
}

static void refuse_decision(deciding_t *deciding, rz_rc_t rc, const char *text)
{
    call_refuse(&deciding->asking.call, rc, text);
    rz_free(deciding);
}

static void on_decision(const live_answer_t *answer, void *arg)
{
    deciding_t *deciding = arg;
    if (answer->rc == RZ_OK && answer->yes) {
        rz_json_put_str(call_reply(deciding->asking.call, RZ_OK, NULL), "delivery", "live");
        call_send(&deciding->asking.call);
        rz_free(deciding);
    } else if (answer->rc == RZ_OK) {
        refuse_decision(deciding, RZ_NOT_FOUND, "the child has no such open question");
    } else if (answer->rc == RZ_EXPIRED) {
        refuse_decision(deciding, RZ_UNKNOWN, "the runner did not answer in time; it may have been done");
    } else {
        refuse_decision(deciding, answer->rc, "its runner cannot be reached");
    }
}

/* Waits first: the answer may not find nobody. */
static void forward_decision(deciding_t *deciding, runner_t *runner, uint64_t epoch)
{
    control_t *control = deciding->asking.control;
    char key[KEY_MAX];
    decide_key(deciding->child, deciding->request, key);
    if (!live_wait(control->live, key, runner->serial, 1, DECIDE_WAIT_MS, on_decision, deciding))
        refuse_decision(deciding, RZ_UNAVAILABLE, "another answer to this question is on its way");
    else if (!sender_decide(control->part.sender, runner, deciding->child, epoch, deciding->request,
                            deciding->approved))
        live_answer(control->live, key, LIVE_ANY, &(live_answer_t){ .rc = RZ_UNAVAILABLE });
}

static void on_asker(rz_rc_t rc, const rz_act_t *act, void *arg)
{
    deciding_t *deciding = arg;
    runner_t *runner =
        rc == RZ_OK ? roster_by_incarnation(deciding->asking.control->part.roster, act->owner) : NULL;
    if (rc != RZ_OK)
        refuse_decision(deciding, rc, NULL);
    else if (act->state != RZ_ACT_RUNNING && act->state != RZ_ACT_ASSIGNED)
        refuse_decision(deciding, RZ_NOT_FOUND, "the child does not run, so it asks nothing");
    else if (runner == NULL)
        refuse_decision(deciding, RZ_UNAVAILABLE, "its runner is not linked to this broker");
    else
        forward_decision(deciding, runner, act->epoch);
}

void op_approve(control_t *control, call_t *call, const rz_control_request_t *request)
{
    deciding_t *deciding = rz_alloc(sizeof *deciding);
    *deciding = (deciding_t){ .asking = { control, call }, .approved = request->approved };
    snprintf(deciding->child, sizeof deciding->child, "%s", request->child);
    snprintf(deciding->request, sizeof deciding->request, "%s", request->request);
    rz_op_get(control->part.store, deciding->child, NULL, on_asker, deciding);
}

void control_on_decided(control_t *control, const runner_t *from, const char *child, const char *id,
                        bool live)
{
    char key[KEY_MAX];
    decide_key(child, id, key);
    live_answer(control->live, key, from->serial, &(live_answer_t){ .rc = RZ_OK, .yes = live });
}

/* ---- sync: everybody who publishes says so now ---- */

static void publish_sync(control_t *control, const char *nonce)
{
    rz_buf_t topic = { 0 }, header = { 0 }, event = { 0 };
    system_sync_topic(nonce, control->part.broker, &topic);
    system_header(false, &header);
    system_sync_event(nonce, control->part.broker, &event);
    if (proxy_send(control->part.proxy, rz_buf_str(&topic), rz_buf_str(&header), rz_buf_str(&event)) != RZ_OK)
        control->part.counters->events_unsent++;
    rz_buf_fini(&topic);
    rz_buf_fini(&header);
    rz_buf_fini(&event);
}

void op_sync(control_t *control, call_t *call, const rz_control_request_t *request)
{
    rz_buf_t *out = call_reply(call, RZ_OK, NULL);
    rz_json_open_key(out, "emitters", '[');
    for (size_t i = roster_count(control->part.roster); i-- > 0;) {
        runner_t *runner = roster_at(control->part.roster, i);
        if (!runner->joined)
            continue;
        size_t mark = out->len;
        rz_json_put_str(out, NULL, runner->name);
        if (!sender_emit(control->part.sender, runner, request->nonce))
            out->len = mark; /* it has just been struck off: it will emit nothing */
    }
    rz_json_put_str(out, NULL, control->part.broker);
    rz_json_close(out, ']');
    publish_sync(control, request->nonce);
    call_send(&call);
}

/* ---- logs ---- */

typedef struct {
    asking_t asking;
    char key[40];
    char child[RZ_ID_MAX + 1];
} logging_t;

/* Whatever a worker wrote to its stderr: a reply must be clean text. */
static void send_text(call_t *call, const live_answer_t *answer)
{
    char *text = rz_strndup(answer->text.n > 0 ? answer->text.p : "", answer->text.n);
    for (size_t i = 0; i < answer->text.n; i++)
        if (text[i] == '\0')
            text[i] = '?';
    rz_utf8_scrub(text);
    rz_buf_t *out = call_reply(call, RZ_OK, NULL);
    rz_json_put_str(out, "runner", answer->runner);
    rz_json_put_str(out, "text", text);
    call_send(&call);
    rz_free(text);
}

static void on_text(const live_answer_t *answer, void *arg)
{
    logging_t *logging = arg;
    call_t *call = logging->asking.call;
    rz_rc_t rc = answer->rc;
    if (rc == RZ_OK) {
        send_text(call, answer);
    } else {
        call_refuse(&call, rc == RZ_EXPIRED ? RZ_UNAVAILABLE : rc,
                    rc == RZ_EXPIRED ? "the runner did not answer in time"
                    : rc == RZ_NOT_FOUND
                        ? "no linked runner keeps output of this child: it wrote none, or long ago"
                        : NULL);
    }
    rz_free(logging);
}

/* Its runner if it has one, whose serial goes to *from; an ended child has none, then everybody is asked. */
static size_t ask_runners(control_t *control, const logging_t *logging, const rz_act_t *act, uint64_t *from)
{
    runner_t *owner = roster_by_incarnation(control->part.roster, act->owner);
    *from = owner != NULL ? owner->serial : LIVE_ANY;
    if (owner != NULL)
        return sender_logs(control->part.sender, owner, logging->key, logging->child);
    size_t asked = 0;
    for (size_t i = roster_count(control->part.roster); i-- > 0;) {
        runner_t *runner = roster_at(control->part.roster, i);
        asked += runner->joined && sender_logs(control->part.sender, runner, logging->key, logging->child);
    }
    return asked;
}

static void on_child(rz_rc_t rc, const rz_act_t *act, void *arg)
{
    logging_t *logging = arg;
    control_t *control = logging->asking.control;
    if (rc != RZ_OK) {
        call_refuse(&logging->asking.call, rc, NULL);
        rz_free(logging);
        return;
    }
    uint64_t from;
    size_t asked = ask_runners(control, logging, act, &from);
    if (asked == 0 || !live_wait(control->live, logging->key, from, asked, LOGS_WAIT_MS, on_text, logging))
        on_text(&(live_answer_t){ .rc = RZ_NOT_FOUND }, logging);
}

void op_logs(control_t *control, call_t *call, const rz_control_request_t *request)
{
    logging_t *logging = rz_alloc(sizeof *logging);
    logging->asking = (asking_t){ control, call };
    rz_uuid_new(logging->key);
    snprintf(logging->child, sizeof logging->child, "%s", request->child);
    rz_op_get(control->part.store, logging->child, NULL, on_child, logging);
}

void control_on_output(control_t *control, const runner_t *from, const char *id, rz_rc_t code, rz_str_t text)
{
    if (code == RZ_OK)
        live_answer(control->live, id, from->serial,
                    &(live_answer_t){ .rc = RZ_OK, .yes = true, .runner = from->name, .text = text });
    else
        live_nothing(control->live, id, from->serial);
}
