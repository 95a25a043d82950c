/* control_cancel.c - cancel: of one child, or of it and all its descendants. */
#include "control_ops.h"

#include "act.h"
#include "descent.h"

#define TREE_MAX    32768 /* children of one tree                                   */
#define TREES_MAX   16    /* walks at a time, so that their memory is bounded too   */
#define TREE_FLIGHT 16    /* children of a tree that are in hand at a time          */
#define TREE_PAGE   256

/* A child is cancelled first and its children are listed after: what it still begets in between is seen, and what it begets
 * later ends in the step that stores it (rz_op_cancel). */
typedef struct {
    asking_t asking;
    bool now, tree;
    descent_t *descent;
    size_t in_hand;
    uint64_t cancelled, ended;
    bool too_many;
    rz_rc_t failure;      /* the store's, that ended the walk early; RZ_OK: none */
    rz_rc_t rc;           /* of the first child, whom the call is about          */
    const char *delivery; /* its, NULL: none                                     */
    rz_buf_t shown;       /* its activation, empty: none                         */
} cancelling_t;

typedef struct {
    cancelling_t *cancelling;
    const char *child; /* lent by the descent */
    bool first;
} member_t;

static void go_on(cancelling_t *cancelling);

/* ---- the reply ---- */

/* One that nobody knows may still be the parent of many: a root that lives elsewhere. */
static rz_rc_t verdict(const cancelling_t *cancelling, rz_err_t *err)
{
    if (cancelling->failure != RZ_OK && !cancelling->tree)
        return cancelling->failure;
    if (cancelling->failure != RZ_OK)
        return rz_fail(err, cancelling->failure, "not the whole tree was reached: %s",
                       rz_rc_text(cancelling->failure));
    if (cancelling->too_many)
        return rz_fail(err, RZ_TOO_LARGE,
                       "of a tree at most %d are reached: cancel the trees of its children one by one",
                       TREE_MAX);
    if (cancelling->rc != RZ_NOT_FOUND)
        return cancelling->rc;
    return cancelling->cancelled + cancelling->ended > 0 ? RZ_OK
                                                         : fail_never_run(cancelling->asking.call, err);
}

static void put_tree(const cancelling_t *cancelling, rz_buf_t *out)
{
    rz_json_open_key(out, "tree", '{');
    rz_json_put_u64(out, "cancelled", cancelling->cancelled);
    rz_json_put_u64(out, "ended", cancelling->ended);
    rz_json_close(out, '}');
}

static void cancelling_end(cancelling_t *cancelling)
{
    rz_err_t err = { 0 };
    rz_rc_t rc = verdict(cancelling, &err);
    rz_buf_t *out = call_reply(cancelling->asking.call, rc, &err);
    if (cancelling->shown.len > 0)
        rz_json_put_raw(out, "activation", rz_buf_str(&cancelling->shown));
    if (cancelling->delivery != NULL)
        rz_json_put_str(out, "delivery", cancelling->delivery);
    if (cancelling->tree)
        put_tree(cancelling, out);
    call_send(&cancelling->asking.call);
    cancelling->asking.control->trees -= cancelling->tree;
    descent_destroy(&cancelling->descent);
    rz_buf_fini(&cancelling->shown);
    rz_free(cancelling);
}

/* ---- one child ---- */

static void member_end(member_t *member)
{
    cancelling_t *cancelling = member->cancelling;
    rz_free(member);
    cancelling->in_hand--;
    go_on(cancelling);
}

/* The store has the cancel; telling the runner only makes it faster. */
static const char *deliver(const cancelling_t *cancelling, const rz_cancel_result_t *result)
{
    const control_t *control = cancelling->asking.control;
    if (result->ended)
        return "ended";
    runner_t *runner = roster_by_incarnation(control->part.roster, result->act.owner);
    if (runner != NULL &&
        sender_cancel(control->part.sender, runner, result->act.child, result->act.epoch, cancelling->now))
        return "forwarded";
    return "stored";
}

static void count(member_t *member, rz_rc_t rc, const rz_cancel_result_t *result)
{
    cancelling_t *cancelling = member->cancelling;
    bool told = rc == RZ_OK || rc == RZ_ENDED;
    const char *delivery = rc == RZ_OK ? deliver(cancelling, result) : NULL;
    cancelling->cancelled += rc == RZ_OK;
    cancelling->ended += rc == RZ_ENDED;
    if (!told && rc != RZ_NOT_FOUND)
        cancelling->failure = rc;
    if (!member->first)
        return;
    cancelling->rc = rc;
    cancelling->delivery = delivery;
    if (told)
        act_encode(cancelling->asking.control->part.roster, NULL, &result->act, &cancelling->shown);
}

/* ---- its children: a key that is limited reaches those of parents and of the tenant within its scope, however deep it is ---- */

static bool goes_below(const cancelling_t *cancelling, const char *child)
{
    const asking_t *asking = &cancelling->asking;
    return cancelling->tree && may_name(control_who(asking->control, asking->call), child, NULL) == RZ_OK;
}

static void list_children(member_t *member, const char *before);

static void on_children(rz_rc_t rc, const rz_act_t *acts, size_t n, const char *next, void *arg)
{
    member_t *member = arg;
    cancelling_t *cancelling = member->cancelling;
    if (rc != RZ_OK)
        cancelling->failure = rc;
    for (size_t i = 0; rc == RZ_OK && i < n; i++)
        cancelling->too_many |= descent_meet(cancelling->descent, acts[i].child) == RZ_FULL;
    if (rc == RZ_OK && *next != '\0' && !cancelling->too_many)
        list_children(member, next);
    else
        member_end(member);
}

static void list_children(member_t *member, const char *before)
{
    const asking_t *asking = &member->cancelling->asking;
    const rz_list_t list = { .parent = member->child,
                             .tenant = control_tenant(asking->control, asking->call),
                             .before = before,
                             .limit = TREE_PAGE };
    rz_op_list(asking->control->part.store, &list, on_children, member);
}

static void on_cancelled(rz_rc_t rc, const rz_cancel_result_t *result, void *arg)
{
    member_t *member = arg;
    const cancelling_t *cancelling = member->cancelling;
    count(member, rc, result);
    if (cancelling->failure == RZ_OK && !cancelling->too_many && goes_below(cancelling, member->child))
        list_children(member, NULL);
    else
        member_end(member);
}

/* ---- all of them ---- */

static member_t *member_open(cancelling_t *cancelling, bool first)
{
    member_t *member = rz_alloc(sizeof *member);
    *member = (member_t){ cancelling, descent_next(cancelling->descent), first };
    cancelling->in_hand++;
    return member;
}

static void take(cancelling_t *cancelling, bool first)
{
    member_t *member = member_open(cancelling, first);
    const asking_t *asking = &cancelling->asking;
    const rz_cancel_how_t how = { .now = cancelling->now,
                                  .tree = goes_below(cancelling, member->child),
                                  .tenant = control_tenant(asking->control, asking->call) };
    rz_op_cancel(asking->control->part.store, member->child, NULL, how, on_cancelled, member);
}

static void go_on(cancelling_t *cancelling)
{
    while (cancelling->failure == RZ_OK && cancelling->in_hand < TREE_FLIGHT &&
           !descent_is_done(cancelling->descent))
        take(cancelling, false);
    if (cancelling->in_hand == 0)
        cancelling_end(cancelling);
}

/* NULL: it was refused. Takes the call. */
static cancelling_t *cancelling_open(control_t *control, call_t *call, const rz_control_request_t *request)
{
    if (request->tree && control->trees >= TREES_MAX) {
        call_refuse(&call, RZ_FULL, "as many trees are being cancelled as may; come back in a moment");
        return NULL;
    }
    cancelling_t *cancelling = rz_alloc(sizeof *cancelling);
    *cancelling = (cancelling_t){ .asking = { control, call }, .now = request->now, .tree = request->tree };
    control->trees += request->tree;
    cancelling->descent = descent_create(request->child, TREE_MAX);
    return cancelling;
}

void op_cancel(control_t *control, call_t *call, const rz_control_request_t *request)
{
    cancelling_t *cancelling = cancelling_open(control, call, request);
    if (cancelling != NULL)
        take(cancelling, true);
}

void op_cancel_below(control_t *control, call_t *call, const rz_control_request_t *request)
{
    cancelling_t *cancelling = cancelling_open(control, call, request);
    if (cancelling == NULL)
        return;
    cancelling->rc = RZ_NOT_FOUND;
    list_children(member_open(cancelling, true), NULL);
}
