/* control_reach.c - keys that are limited to some parents, or to some topics, ask about children: whose are they?
 *
 * Only the store knows. A request of such a key waits until the parent of every child it names is known; the others, which
 * are most, are served at once. */
#include "control_ops.h"

#include <stdio.h>

typedef struct {
    asking_t asking;
    rz_buf_t body; /* the request, to be decoded again: its texts were lent */
    int next;      /* of the children */
    bool tree;     /* the child may be a root that lives elsewhere: it is its children that are meant */
    char child[RZ_ID_MAX + 1]; /* that is being looked at */
} reaching_t;

bool reach_covers(const control_t *control, const call_t *call, const char *parent, const char *child)
{
    return may_reach(control_who(control, call), parent, child, NULL) == RZ_OK;
}

/* The i-th child that the request names; NULL: there are no more. */
static const char *child_at(const rz_control_request_t *request, int i)
{
    if (request->children != NULL)
        return cJSON_GetStringValue(cJSON_GetArrayItem(request->children, i));
    return i == 0 ? request->child : NULL;
}

/* What the request says of parents itself. A list of everybody's children is not for who may see only some. */
static rz_rc_t check_named_parent(const rz_allowed_t *who, const rz_control_request_t *request, rz_err_t *err)
{
    if (request->op == RZ_OP_LIST && request->parent == NULL)
        return rz_fail_field(err, RZ_NOT_ALLOWED, "parent", "key %s is limited: name a parent", who->name);
    return request->parent != NULL ? may_reach(who, request->parent, NULL, err) : RZ_OK;
}

static void reaching_end(reaching_t *reaching)
{
    rz_buf_fini(&reaching->body);
    rz_free(reaching);
}

static void look_at_next(reaching_t *reaching);

static void forbid(reaching_t *reaching, const rz_err_t *err)
{
    control_forbid(reaching->asking.control, &reaching->asking.call, err);
    reaching_end(reaching);
}

/* A child that is not known is nobody's yet, and may be another's in a moment: the operation does not see it. */
static rz_rc_t judge(const reaching_t *reaching, rz_rc_t rc, const rz_act_t *act, rz_err_t *err)
{
    const rz_allowed_t *who = control_who(reaching->asking.control, reaching->asking.call);
    if (who == NULL)
        return rz_fail(err, RZ_NOT_ALLOWED, "this key may not ask here any more");
    if (rc == RZ_OK)
        return may_reach(who, act->parent, reaching->child, err);
    if (rc == RZ_NOT_FOUND && reaching->tree && may_reach(who, reaching->child, NULL, NULL) == RZ_OK)
        return RZ_OK;
    return rc;
}

static void on_parent(rz_rc_t rc, const rz_act_t *act, void *arg)
{
    reaching_t *reaching = arg;
    rz_err_t err = { 0 };
    rc = judge(reaching, rc, act, &err);
    if (rc == RZ_OK) {
        look_at_next(reaching);
    } else if (rc == RZ_NOT_ALLOWED) {
        forbid(reaching, &err);
    } else {
        call_about(reaching->asking.call, reaching->child);
        call_refuse(&reaching->asking.call, rc, NULL);
        reaching_end(reaching);
    }
}

static void look_at_next(reaching_t *reaching)
{
    control_t *control = reaching->asking.control;
    rz_control_request_t request;
    rz_err_t err = { 0 };
    rz_control_decode(reaching->body.data, reaching->body.len, &request, &err); /* it was good before */
    const char *child = child_at(&request, reaching->next++);
    if (child != NULL && rz_store_up(control->part.store)) {
        snprintf(reaching->child, sizeof reaching->child, "%s", child);
        rz_op_get(control->part.store, child, NULL, on_parent, reaching);
    } else {
        control_serve(control, reaching->asking.call, &request);
        reaching_end(reaching);
    }
    rz_control_fini(&request);
}

void reach_check(control_t *control, call_t *call, const rz_control_request_t *request, rz_str_t body)
{
    const rz_allowed_t *who = control_who(control, call);
    rz_err_t err = { 0 };
    if (!is_limited(who)) {
        control_serve(control, call, request);
        return;
    }
    if (check_named_parent(who, request, &err) != RZ_OK) {
        control_forbid(control, &call, &err);
        return;
    }
    reaching_t *reaching = rz_alloc(sizeof *reaching);
    reaching->asking = (asking_t){ control, call };
    reaching->tree = request->op == RZ_OP_CANCEL && request->tree;
    rz_buf_put_str(&reaching->body, body);
    look_at_next(reaching);
}
