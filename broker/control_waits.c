/* control_waits.c - waiting for ends: of one child, of several, and the waits that a parent registers. */
#include "control_ops.h"

#include "act.h"
#include "base/timer.h"

#include <stdio.h>
#include <string.h>

#define WAITERS_MAX 65536

/* ---- wait for one ---- */

static void on_end(rz_rc_t rc, const rz_act_t *act, void *arg)
{
    control_t *control = ((asking_t *)arg)->control;
    call_t *call = asking_end(arg);
    if (!control_still(control, &call))
        return;
    reply_with(control, call, rc, act);
    call_send(&call);
}

/* ---- wait for several: a waiter for each until enough of them have ended, then a look at the others ---- */

typedef struct gathering gathering_t;

typedef struct {
    gathering_t *gathering;
    waiter_t *waiter; /* NULL: it waits no more */
    bool ended;
    rz_buf_t shown; /* its activation as the reply shows it; empty: not known yet */
    char child[RZ_ID_MAX + 1];
} waited_t;

struct gathering {
    asking_t asking;
    rz_wait_for_t wait_for;
    rz_timer_t *timer;       /* NULL: no limit */
    rz_rc_t rc;              /* what the reply will say; RZ_AGAIN: it waits */
    const waited_t *by;      /* whose end satisfied it; NULL: nobody's */
    const waited_t *unknown; /* the store knows no such child; NULL: it knows all */
    size_t n, left;          /* left: of n, how many have not ended */
    size_t looking;          /* questions under way */
    waited_t waited[];
};

static void gathering_free(gathering_t *gathering)
{
    for (size_t i = 0; i < gathering->n; i++)
        rz_buf_fini(&gathering->waited[i].shown);
    rz_free(gathering);
}

static void wait_no_more(gathering_t *gathering)
{
    if (gathering->timer != NULL)
        rz_timer_close(&gathering->timer);
    for (size_t i = 0; i < gathering->n; i++)
        if (gathering->waited[i].waiter != NULL)
            waiters_leave(gathering->waited[i].waiter);
}

/* One of them cannot be waited for. */
static void refuse_for(const waited_t *waited, rz_rc_t rc)
{
    gathering_t *gathering = waited->gathering;
    call_t *call = gathering->asking.call;
    call_about(call, waited->child);
    call_refuse(&call, rc, NULL);
    gathering_free(gathering);
}

/* An activation that could not be looked up, the store being away, is left out. */
static void tell(gathering_t *gathering)
{
    call_t *call = gathering->asking.call;
    if (!control_still(gathering->asking.control, &call)) {
        gathering_free(gathering);
        return;
    }
    rz_buf_t *out = call_reply(call, gathering->rc, NULL);
    rz_json_open_key(out, "activations", '[');
    for (size_t i = 0; i < gathering->n; i++)
        if (gathering->waited[i].shown.len > 0)
            rz_json_put_raw(out, NULL, rz_buf_str(&gathering->waited[i].shown));
    rz_json_close(out, ']');
    if (gathering->by != NULL)
        rz_json_put_str(out, "by", gathering->by->child);
    call_send(&call);
    gathering_free(gathering);
}

static bool is_error_like(const char *status)
{
    return strcmp(status, "error") == 0 || strcmp(status, "timeout") == 0 || strcmp(status, "cancelled") == 0;
}

static void note(waited_t *waited, const rz_act_t *act)
{
    gathering_t *gathering = waited->gathering;
    act_encode(gathering->asking.control->part.roster, NULL, act, &waited->shown);
    if (act->state != RZ_ACT_TERMINAL)
        return;
    waited->ended = true;
    gathering->left--;
    bool enough = gathering->left == 0 || gathering->wait_for == RZ_WAIT_ANY ||
                  (gathering->wait_for == RZ_WAIT_FIRST_ERROR && is_error_like(act->status));
    if (!enough || gathering->by != NULL)
        return;
    gathering->by = waited;
    gathering->rc = RZ_OK;
}

static void on_looked_up(rz_rc_t rc, const rz_act_t *act, void *arg)
{
    waited_t *waited = arg;
    gathering_t *gathering = waited->gathering;
    gathering->looking--;
    if (rc == RZ_OK)
        note(waited, act);
    if (rc == RZ_NOT_FOUND)
        gathering->unknown = waited;
    if (gathering->looking > 0)
        return;
    if (gathering->unknown != NULL)
        refuse_for(gathering->unknown, RZ_NOT_FOUND);
    else
        tell(gathering);
}

/* Enough has ended, or the time is over: what of the others? */
static void look(gathering_t *gathering)
{
    wait_no_more(gathering);
    gathering->looking = gathering->left;
    for (size_t i = 0; i < gathering->n; i++)
        if (!gathering->waited[i].ended)
            rz_op_get(gathering->asking.control->part.store, gathering->waited[i].child, NULL, on_looked_up,
                      &gathering->waited[i]);
    if (gathering->looking == 0)
        tell(gathering);
}

static void on_one_ended(rz_rc_t rc, const rz_act_t *act, void *arg)
{
    waited_t *waited = arg;
    gathering_t *gathering = waited->gathering;
    waited->waiter = NULL;
    if (rc != RZ_OK) {
        wait_no_more(gathering);
        refuse_for(waited, rc);
        return;
    }
    note(waited, act);
    if (gathering->by != NULL)
        look(gathering);
}

static void on_time_over(void *arg)
{
    gathering_t *gathering = arg;
    gathering->rc = RZ_EXPIRED;
    look(gathering);
}

static void gather(control_t *control, call_t *call, const rz_control_request_t *request)
{
    size_t n = (size_t)cJSON_GetArraySize(request->children);
    gathering_t *gathering = rz_alloc(sizeof *gathering + n * sizeof *gathering->waited);
    gathering->asking = (asking_t){ control, call };
    gathering->wait_for = request->wait_for;
    gathering->n = gathering->left = n;
    gathering->rc = RZ_AGAIN;
    if (request->timeout_ms > 0) {
        gathering->timer = rz_timer_open(control->part.loop, on_time_over, gathering);
        rz_timer_start(gathering->timer, request->timeout_ms, 0);
    }
    waited_t *waited = gathering->waited;
    const cJSON *child;
    cJSON_ArrayForEach(child, request->children)
    {
        snprintf(waited->child, sizeof waited->child, "%s", child->valuestring);
        waited->gathering = gathering;
        waited->waiter = waiters_add(control->part.waiters, waited->child, NULL, 0, on_one_ended, waited);
        waited++;
    }
}

void op_wait(control_t *control, call_t *call, const rz_control_request_t *request)
{
    size_t n = request->children != NULL ? (size_t)cJSON_GetArraySize(request->children) : 1;
    if (waiters_count(control->part.waiters) + n > WAITERS_MAX)
        call_refuse(&call, RZ_FULL, "as many wait here as may");
    else if (request->children != NULL)
        gather(control, call, request);
    else
        waiters_add(control->part.waiters, request->child, request->job_id, request->timeout_ms, on_end,
                    asking_open(control, call));
}

/* ---- waits of a parent: in the store, for every broker ---- */

typedef struct {
    asking_t asking;
    char parent[RZ_ID_MAX + 1], id[RZ_ID_MAX + 1];
} registering_t;

static registering_t *registering_open(control_t *control, call_t *call, const rz_control_request_t *request)
{
    registering_t *registering = rz_alloc(sizeof *registering);
    registering->asking = (asking_t){ control, call };
    snprintf(registering->parent, sizeof registering->parent, "%s", request->parent);
    if (request->wait_id != NULL)
        snprintf(registering->id, sizeof registering->id, "%s", request->wait_id);
    else
        rz_uuid_new(registering->id);
    return registering;
}

static void put_waited(const rz_waited_t *waited, rz_buf_t *out)
{
    rz_json_open(out, '{');
    rz_json_put_str(out, "child", waited->child);
    if (*waited->status != '\0')
        rz_json_put_str(out, "status", waited->status);
    rz_json_close(out, '}');
}

static void put_wait(const registering_t *registering, const rz_wait_result_t *wait, rz_buf_t *out)
{
    rz_json_open_key(out, "wait", '{');
    rz_json_put_str(out, "wait_id", registering->id);
    rz_json_put_str(out, "parent", registering->parent);
    rz_json_put_str(out, "wait_for", wait->wait_for);
    rz_json_put_str(out, "state", wait->state);
    if (*wait->by != '\0')
        rz_json_put_str(out, "by", wait->by);
    rz_json_open_key(out, "children", '[');
    for (size_t i = 0; i < wait->child_count; i++)
        put_waited(&wait->children[i], out);
    rz_json_close(out, ']');
    rz_json_close(out, '}');
}

static void refuse_wait(call_t *call, rz_rc_t rc, const char *id)
{
    rz_err_t err = { 0 };
    if (rc == RZ_NOT_FOUND)
        rz_fail(&err, rc, "no wait %s of this parent is known", id);
    else
        rz_fail(&err, rc, "%s", rz_rc_text(rc));
    call_refuse_err(&call, &err);
}

static void on_wait(rz_rc_t rc, const rz_wait_result_t *wait, void *arg)
{
    registering_t *registering = arg;
    call_t *call = registering->asking.call;
    bool anothers = rc == RZ_CONFLICT && control_tenant(registering->asking.control, call) != NULL;
    if (rc == RZ_OK || rc == RZ_DUPLICATE || (rc == RZ_CONFLICT && !anothers)) {
        put_wait(registering, wait, call_reply(call, rc, NULL));
        call_send(&call);
    } else {
        refuse_wait(call, rc, registering->id);
    }
    rz_free(registering);
}

void op_wait_register(control_t *control, call_t *call, const rz_control_request_t *request)
{
    size_t n = 0;
    const char *children[RZ_LIST_MAX];
    const cJSON *child;
    cJSON_ArrayForEach(child, request->children) children[n++] = child->valuestring;
    registering_t *registering = registering_open(control, call, request);
    const rz_wait_t wait = { .parent = registering->parent,
                             .id = registering->id,
                             .wait_for = rz_wait_for_name(request->wait_for),
                             .children = children,
                             .child_count = n,
                             .timeout_ms = request->timeout_ms };
    rz_op_wait_register(control->part.store, &wait, on_wait, registering);
}

void op_wait_get(control_t *control, call_t *call, const rz_control_request_t *request)
{
    registering_t *registering = registering_open(control, call, request);
    rz_op_wait_get(control->part.store, registering->parent, registering->id, control_tenant(control, call),
                   on_wait, registering);
}
