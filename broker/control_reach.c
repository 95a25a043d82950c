/* control_reach.c - keys that are limited to some parents, a tenant or some topics ask about children: whose are they?
 *
 * Only the store knows, and there it does not change any more. A request of such a key waits until that is known of every child
 * it names; the others, which are most, are served at once. What is not the key's is answered like what is not known. */
#include "control_ops.h"

#include <stdio.h>

typedef struct {
    asking_t asking;
    rz_buf_t body; /* the request, to be decoded again: its texts were lent */
    int next;      /* of the children */
    bool tree;     /* the child may be a root that lives elsewhere: it is its children that are meant */
    bool below;    /* and so it is */
    char child[RZ_ID_MAX + 1]; /* that is being looked at */
} reaching_t;

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
    return request->parent != NULL ? may_name(who, request->parent, err) : RZ_OK;
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

/* A child that is not known is nobody's yet, and may be another's in a moment: the operation sees neither. */
static rz_rc_t judge(reaching_t *reaching, rz_rc_t rc, const rz_whose_t *whose, rz_err_t *err)
{
    const control_t *control = reaching->asking.control;
    const call_t *call = reaching->asking.call;
    const rz_allowed_t *who = control_who(control, call);
    if (who == NULL)
        return rz_fail(err, RZ_NOT_ALLOWED, "this key may not ask here any more");
    if (rc == RZ_OK && may_reach(who, whose->parent, reaching->child, whose->tenant, err) == RZ_OK)
        return RZ_OK;
    if (rc != RZ_OK && rc != RZ_NOT_FOUND)
        return rc;
    reaching->below = reaching->tree && may_name(who, reaching->child, NULL) == RZ_OK;
    if (reaching->below)
        return RZ_OK;
    if (rc == RZ_OK) /* the log alone tells them apart */
        guard_refused(control->part.guard, GATE_CONTROL, call_user(call), err->text);
    return RZ_NOT_FOUND;
}

static void on_whose(rz_rc_t rc, const rz_whose_t *whose, void *arg)
{
    reaching_t *reaching = arg;
    rz_err_t err = { 0 };
    rc = judge(reaching, rc, whose, &err);
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
        rz_op_whose(control->part.store, child, on_whose, reaching);
    } else {
        control_serve(control, reaching->asking.call, &request, reaching->below ? op_cancel_below : NULL);
        reaching_end(reaching);
    }
    rz_control_fini(&request);
}

void reach_check(control_t *control, call_t *call, const rz_control_request_t *request, rz_str_t body)
{
    const rz_allowed_t *who = control_who(control, call);
    rz_err_t err = { 0 };
    if (!is_limited(who)) {
        control_serve(control, call, request, NULL);
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
