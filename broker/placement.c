/* placement.c - see placement.h. */
#include "placement.h"

#include "base/clock.h"
#include "base/log.h"

#include <inttypes.h>

struct placement {
    placement_parts_t part;
    bool asking;    /* rz_op_classes is under way                     */
    bool ask_again; /* and was wanted once more since it left         */
    bool stopped;
    size_t claiming; /* claims under way */
};

placement_t *placement_create(const placement_parts_t *parts)
{
    placement_t *placement = rz_alloc(sizeof *placement);
    placement->part = *parts;
    return placement;
}

void placement_destroy(placement_t **placement)
{
    rz_free(*placement);
    *placement = NULL;
}

/* ---- giving ---- */

static void on_released(rz_rc_t rc, void *arg)
{
    if (rc == RZ_OK)
        placement_recheck(arg);
}

/* Its runner went away between claim and assign: nothing ran, so it simply queues again. If the release is
 * lost too, the runner's sync or its lease heals it. */
static void take_back(placement_t *placement, const rz_assignment_t *a)
{
    placement->part.counters->unassignable++;
    rz_log_info("assign.taken_back", "child=%s epoch=%" PRIu64 " incarnation=%s", a->child, a->epoch,
                a->owner);
    rz_op_release(placement->part.store, a->child, a->epoch, a->token, "its runner went away", false,
                  on_released, placement);
}

void placement_give(placement_t *placement, const rz_assignment_t *a)
{
    runner_t *runner = roster_by_incarnation(placement->part.roster, a->owner);
    if (runner == NULL || !runner->joined || !sender_assign(placement->part.sender, runner, a)) {
        take_back(placement, a);
        return;
    }
    runner_assigned(runner, a->child, a->epoch, a->affinity, rz_now_ms());
    placement->part.counters->assigned++;
}

/* ---- submit ---- */

typedef struct {
    placement_t *placement;
    uint64_t serial; /* of the runner whose credit is reserved; 0: none */
    bool by_session; /* its profile is the stored session's                  */
    uint64_t activation;
    rz_submit_fn fn;
    void *arg;
} submitting_t;

static void answer(submitting_t *submitting, rz_rc_t rc, const rz_submit_result_t *result)
{
    placement_t *placement = submitting->placement;
    if (rc == RZ_OK && result->act.state == RZ_ACT_QUEUED)
        dispatch_waiting(placement->part.dispatch, result->act.profile, result->act.labels);
    submitting->fn(rc, result, submitting->arg);
    rz_free(submitting);
    placement_pump(placement);
}

/* ---- a stored session that nobody runs: only the answer to its job shows which profile it has ---- */

/* RZ_STATE: somebody took it meanwhile, so it can run. */
static void on_doomed(rz_rc_t rc, const rz_act_t *act, void *arg)
{
    const rz_submit_result_t result = { .act = *act };
    answer(arg, rc == RZ_OK || rc == RZ_STATE ? RZ_OK : RZ_UNKNOWN, &result);
}

static void on_why(rz_rc_t rc, const rz_session_result_t *session, void *arg)
{
    submitting_t *submitting = arg;
    placement_t *placement = submitting->placement;
    if (rc != RZ_OK) { /* it waits until its deadline; whoever repeats the job is told so */
        answer(submitting, RZ_UNKNOWN, &(rz_submit_result_t){ .act = session->act });
        return;
    }
    rz_buf_t text = { 0 };
    intake_unrunnable(session->header, session->act.profile, &text);
    placement->part.counters->doomed++;
    rz_op_doom(placement->part.store, session->act.child, submitting->activation, text.data, on_doomed,
               submitting);
    rz_buf_fini(&text);
}

static bool nobody_has(const placement_t *placement, const char *profile)
{
    return rz_agents_find(placement->part.agents, profile) == NULL &&
           !roster_offers(placement->part.roster, profile, "", NULL, 0);
}

/* ---- the answer ---- */

static void on_submitted(rz_rc_t rc, const rz_submit_result_t *result, void *arg)
{
    submitting_t *submitting = arg;
    placement_t *placement = submitting->placement;
    runner_t *reserved = roster_by_serial(placement->part.roster, submitting->serial);
    if (reserved != NULL)
        runner_unreserve(reserved, 1);
    if (rc == RZ_OK && result->claimed) {
        placement->part.counters->claimed_with_submit++;
        placement_give(placement, &result->assignment);
    }
    if (rc == RZ_OK && submitting->by_session && result->act.state == RZ_ACT_QUEUED &&
        nobody_has(placement, result->act.profile)) {
        submitting->activation = result->act.activation;
        rz_op_session_get(placement->part.store, result->act.child, on_why, submitting);
        return;
    }
    answer(submitting, rc, result);
}

/* Routed to a profile that neither the configuration nor a linked runner has (rule 9.3): it would wait in vain. */
static bool is_doomed(const placement_t *placement, const intake_t *intake)
{
    return intake->doom != NULL && nobody_has(placement, intake->profile);
}

static runner_t *runner_for(const placement_t *placement, const intake_t *intake)
{
    if (placement->stopped || intake->profile == NULL ||
        dispatch_waits(placement->part.dispatch, intake->profile, intake->submit.labels))
        return NULL;
    const char *affinity = intake->affinity[0] != '\0' ? intake->affinity : NULL;
    return roster_pick(placement->part.roster, intake->profile, intake->submit.labels, affinity);
}

void placement_submit(placement_t *placement, const intake_t *intake, rz_submit_fn fn, void *arg)
{
    submitting_t *submitting = rz_alloc(sizeof *submitting);
    *submitting =
        (submitting_t){ .placement = placement, .by_session = intake->profile == NULL, .fn = fn, .arg = arg };
    rz_submit_t request = intake->submit;
    request.queue_max = placement->part.queue_max;
    char token[RZ_TOKEN_LEN + 1];
    bool doomed = is_doomed(placement, intake);
    runner_t *runner = doomed ? NULL : runner_for(placement, intake);
    if (doomed) {
        placement->part.counters->doomed++;
        request.doom = intake->doom;
    }
    if (runner != NULL) {
        rz_token_new(token);
        request.owner = runner->incarnation;
        request.token = token;
        submitting->serial = runner->serial;
        runner_reserve(runner, 1);
    }
    placement->part.counters->submitted++;
    rz_op_submit(placement->part.store, &request, on_submitted, submitting);
}

/* ---- claim ---- */

typedef struct {
    placement_t *placement;
    plan_t plan;
} claiming_t;

static void on_claimed(rz_rc_t rc, const rz_assignment_t *assignments, size_t n, uint64_t left, void *arg)
{
    claiming_t *claiming = arg;
    placement_t *placement = claiming->placement;
    placement->claiming--;
    size_t got = rc == RZ_OK ? n : 0;
    dispatch_claimed(placement->part.dispatch, placement->part.roster, &claiming->plan, rc, got, left);
    for (size_t i = 0; i < got; i++)
        placement_give(placement, &assignments[i]);
    placement->part.counters->claimed += got;
    plan_fini(&claiming->plan);
    rz_free(claiming);
    if (rc == RZ_OK)
        placement_pump(placement);
}

static void claim(placement_t *placement, claiming_t *claiming)
{
    const plan_t *plan = &claiming->plan;
    char token[RZ_BATCH_ITEMS_MAX][RZ_TOKEN_LEN + 1];
    for (unsigned i = 0; i < plan->max; i++)
        rz_token_new(token[i]);
    rz_claim_t request = { .profile = plan->profile,
                           .labels = plan->labels,
                           .max = plan->max,
                           .candidates = plan->candidate,
                           .candidate_count = plan->n,
                           .tokens = (const char(*)[33])token };
    placement->claiming++;
    rz_op_claim(placement->part.store, &request, on_claimed, claiming);
}

void placement_pump(placement_t *placement)
{
    plan_t plan;
    while (!placement->stopped && rz_store_up(placement->part.store) &&
           dispatch_next(placement->part.dispatch, placement->part.roster, &plan)) {
        claiming_t *claiming = rz_alloc(sizeof *claiming);
        *claiming = (claiming_t){ .placement = placement, .plan = plan };
        claim(placement, claiming);
    }
}

void placement_stop(placement_t *placement)
{
    placement->stopped = true;
}

size_t placement_claiming(const placement_t *placement)
{
    return placement->claiming;
}

/* ---- the safety net ---- */

static void on_classes(rz_rc_t rc, const rz_class_t *classes, size_t n, void *arg)
{
    placement_t *placement = arg;
    placement->asking = false;
    if (rc == RZ_OK) {
        dispatch_seen(placement->part.dispatch, classes, n);
        placement_pump(placement);
    }
    if (placement->ask_again) {
        placement->ask_again = false;
        placement_recheck(placement);
    }
}

void placement_recheck(placement_t *placement)
{
    if (placement->asking) {
        placement->ask_again = true;
        return;
    }
    if (placement->stopped || !rz_store_up(placement->part.store))
        return;
    placement->asking = true;
    rz_op_classes(placement->part.store, on_classes, placement);
}
