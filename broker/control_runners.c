/* control_runners.c - the runners: who they are, and whether they are to take work. */
#include "control_ops.h"

#include "base/id.h"
#include "base/json.h"

#include <stdio.h>
#include <string.h>

#define ORDER_WAIT_MS 2000
#define ORDERS_SINCE  2 /* version of the protocol that knows `order` */

/* ---- the list ---- */

static void put_facts(const cJSON *facts, rz_buf_t *out)
{
    char *text = facts != NULL ? cJSON_PrintUnformatted(facts) : NULL;
    rz_json_put_raw(out, "facts", text != NULL ? rz_str(text) : RZ_STR("{}"));
    cJSON_free(text);
}

/* Its room: at its home as it is now, elsewhere as that said with the last sync. */
static void put_room(const control_t *control, const runner_t *runner, const cJSON *told, const cJSON *home,
                     rz_buf_t *out)
{
    const char *at = cJSON_GetStringValue(home);
    const cJSON *room = cJSON_GetObjectItemCaseSensitive(told, "free");
    char *idle = cJSON_PrintUnformatted(cJSON_GetObjectItemCaseSensitive(told, "idle"));
    rz_json_opt_str(out, "home", at);
    if (runner != NULL && (at == NULL || strcmp(at, control->part.broker) == 0)) {
        runner_put_room(runner, out);
    } else {
        rz_json_put_u64(out, "free", rz_json_count(room));
        rz_json_put_raw(out, "idle", idle != NULL ? rz_str(idle) : RZ_STR("{}"));
    }
    cJSON_free(idle);
}

static void put_incarnation(const control_t *control, const rz_incarnation_t *seen, rz_buf_t *out)
{
    const runner_t *runner = roster_by_incarnation(control->part.roster, seen->incarnation);
    cJSON *facts = rz_json_parse(seen->facts, strlen(seen->facts), RZ_JOB_MAX, NULL);
    cJSON *home = cJSON_DetachItemFromObjectCaseSensitive(facts, "home");
    cJSON *room = cJSON_DetachItemFromObjectCaseSensitive(facts, "room");
    rz_json_open(out, '{');
    rz_json_put_str(out, "runner", seen->runner);
    rz_json_put_str(out, "incarnation", seen->incarnation);
    rz_json_put_str(out, "state", seen->dead ? "dead" : "alive");
    rz_json_put_bool(out, "linked", runner != NULL && runner->joined);
    if (runner != NULL)
        rz_json_put_str(out, "phase", rz_phase_names[runner->phase]);
    put_room(control, runner, room, home, out);
    rz_json_put_u64(out, "owned", seen->owned);
    put_facts(facts, out);
    rz_json_close(out, '}');
    cJSON_Delete(facts);
    cJSON_Delete(home);
    cJSON_Delete(room);
}

static void on_runners(rz_rc_t rc, const rz_incarnation_t *list, size_t n, void *arg)
{
    const control_t *control = ((asking_t *)arg)->control;
    call_t *call = asking_end(arg);
    if (rc != RZ_OK) {
        call_refuse(&call, rc, NULL);
        return;
    }
    rz_buf_t *out = call_reply(call, RZ_OK, NULL);
    rz_json_open_key(out, "runners", '[');
    for (size_t i = 0; i < n; i++)
        put_incarnation(control, &list[i], out);
    rz_json_close(out, ']');
    call_send(&call);
}

void op_runners(control_t *control, call_t *call, const rz_control_request_t *request)
{
    (void)request;
    rz_op_incarnations(control->part.store, on_runners, asking_open(control, call));
}

/* ---- cordon and drain: only the runner knows what it has, so it is asked, and answers what it is from here ---- */

typedef struct {
    asking_t asking;
    char runner[RZ_ID_MAX + 1], id[40];
    rz_phase_t phase;
    const char *policy; /* one of rz_drain_policies, or NULL */
    uint64_t deadline_ms;
} ordering_t;

static void refuse_order(ordering_t *ordering, rz_rc_t rc, const char *text)
{
    call_refuse(&ordering->asking.call, rc, text);
    rz_free(ordering);
}

/* OK comes with the phase as its text, anything else with a sentence. */
static void on_ordered(const live_answer_t *answer, void *arg)
{
    ordering_t *ordering = arg;
    call_t *call = ordering->asking.call;
    char *text = rz_strndup(answer->text.n > 0 ? answer->text.p : "", answer->text.n);
    if (answer->rc == RZ_OK) {
        rz_buf_t *out = call_reply(call, RZ_OK, NULL);
        rz_json_put_str(out, "runner", ordering->runner);
        rz_json_put_str(out, "phase", text);
        call_send(&call);
        rz_free(ordering);
    } else if (answer->rc == RZ_EXPIRED) {
        refuse_order(ordering, RZ_UNKNOWN, "the runner did not answer in time: it may have heard it or not");
    } else {
        refuse_order(ordering, answer->rc, rz_or_null(text));
    }
    rz_free(text);
}

static void order(ordering_t *ordering)
{
    control_t *control = ordering->asking.control;
    runner_t *runner = roster_by_name(control->part.roster, ordering->runner);
    uint64_t from = runner != NULL ? runner->serial : LIVE_ANY;
    if (runner == NULL || !runner->joined)
        refuse_order(ordering, RZ_UNAVAILABLE, "the runner is known and not linked here now");
    else if (runner->version < ORDERS_SINCE)
        refuse_order(ordering, RZ_NOT_SERVED,
                     "the runner is of an older release: stop it with SIGTERM, it drains then");
    else if (!sender_order(control->part.sender, runner, ordering->id, ordering->phase, ordering->policy,
                           ordering->deadline_ms))
        refuse_order(ordering, RZ_UNAVAILABLE, "the runner has just gone");
    else
        live_wait(control->live, ordering->id, from, 1, ORDER_WAIT_MS, on_ordered, ordering);
}

/* One that is not linked here: is it known at all? */
static void on_known(rz_rc_t rc, const rz_incarnation_t *list, size_t n, void *arg)
{
    ordering_t *ordering = arg;
    bool known = false;
    char text[RZ_ID_MAX + 64];
    for (size_t i = 0; rc == RZ_OK && i < n; i++)
        known = known || (!list[i].dead && strcmp(list[i].runner, ordering->runner) == 0);
    if (rc == RZ_OK && known) {
        order(ordering); /* it may have come while we asked */
        return;
    }
    snprintf(text, sizeof text, "no runner %s is known", ordering->runner);
    refuse_order(ordering, rc == RZ_OK ? RZ_NOT_FOUND : rc, rc == RZ_OK ? text : NULL);
}

static void take_order(control_t *control, call_t *call, const rz_control_request_t *request,
                       rz_phase_t phase)
{
    ordering_t *ordering = rz_alloc(sizeof *ordering);
    *ordering = (ordering_t){ .asking = { control, call },
                              .phase = phase,
                              .policy = request->policy,
                              .deadline_ms = request->deadline_ms };
    rz_uuid_new(ordering->id);
    snprintf(ordering->runner, sizeof ordering->runner, "%s", request->runner);
    if (roster_by_name(control->part.roster, ordering->runner) != NULL)
        order(ordering);
    else
        rz_op_incarnations(control->part.store, on_known, ordering);
}

void op_runner_cordon(control_t *control, call_t *call, const rz_control_request_t *request)
{
    take_order(control, call, request, request->off ? RZ_PHASE_UP : RZ_PHASE_CORDONED);
}

void op_runner_drain(control_t *control, call_t *call, const rz_control_request_t *request)
{
    take_order(control, call, request, RZ_PHASE_DRAINING);
}

void control_on_phase(control_t *control, const runner_t *from, const rz_link_t *phase)
{
    const char *text = phase->code == RZ_OK ? phase->phase : phase->message;
    live_answer(
        control->live, phase->id, from->serial,
        &(live_answer_t){
            .rc = phase->code, .yes = true, .runner = from->name, .text = rz_str(text != NULL ? text : "") });
}
