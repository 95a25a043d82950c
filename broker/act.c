/* act.c - see act.h. */
#include "act.h"

#include "base/clock.h"
#include "base/json.h"

#include <string.h>

#define WHY_MAX 256

static void put_owner(const roster_t *roster, const rz_act_t *act, rz_buf_t *out)
{
    const runner_t *runner = roster_by_incarnation(roster, act->owner);
    rz_json_opt_str(out, "owner", rz_or_null(act->owner));
    if (runner != NULL)
        rz_json_put_str(out, "runner", runner->name);
}

static void put_labels(const char *labels, rz_buf_t *out)
{
    rz_json_open_key(out, "labels", '[');
    while (labels != NULL && *labels != '\0') {
        size_t n = 0;
        while (labels[n] != '\0' && labels[n] != ',')
            n++;
        rz_json_put_strn(out, NULL, labels, n);
        labels += labels[n] == ',' ? n + 1 : n;
    }
    rz_json_close(out, ']');
}

static void put_submitted(uint64_t submitted_ms, rz_buf_t *out)
{
    char text[RZ_RFC3339_LEN + 1];
    if (submitted_ms == 0)
        return;
    rz_rfc3339((int64_t)submitted_ms * 1000, text);
    rz_json_put_str(out, "submitted_at", text);
}

/* Only what is known by name: the text came from a runner, and must not write over anything of ours. */
static void put_progress(const char *progress, rz_buf_t *out)
{
    static const struct {
        const char *key;
        char kind;
    } known[] = { { "last_event_at", '"' },
                  { "last_tool_name", '"' },
                  { "last_tool_phase", '"' },
                  { "round_count", '0' } };
    if (progress == NULL || rz_json_check(progress, strlen(progress), 0, NULL) != RZ_OK)
        return;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        rz_str_t value = rz_json_member(rz_str(progress), known[i].key);
        if (rz_json_kind(value) == known[i].kind)
            rz_json_put_raw(out, known[i].key, value);
    }
}

void act_put_waiting(const roster_t *roster, const rz_act_t *act, rz_buf_t *out)
{
    char why[WHY_MAX];
    if (act->state == RZ_ACT_QUEUED && !roster_serves(roster, act->profile, act->labels, why, sizeof why))
        rz_json_put_str(out, "waiting", why);
}

void act_encode(const roster_t *roster, const char *key, const rz_act_t *act, rz_buf_t *out)
{
    if (key == NULL)
        rz_json_open(out, '{');
    else
        rz_json_open_key(out, key, '{');
    rz_json_put_str(out, "child", act->child);
    rz_json_put_str(out, "parent", act->parent);
    rz_json_opt_str(out, "job", rz_or_null(act->job));
    rz_json_put_str(out, "state", rz_act_state_name(act->state));
    rz_json_opt_str(out, "status", rz_or_null(act->status));
    rz_json_opt_str(out, "error", rz_or_null(act->error));
    rz_json_put_u64(out, "epoch", act->epoch);
    rz_json_put_u64(out, "activation", act->activation);
    rz_json_put_u64(out, "attempt", act->attempt);
    rz_json_put_u64(out, "max_attempts", act->max_attempts);
    rz_json_put_str(out, "profile", act->profile);
    put_labels(act->labels, out);
    put_owner(roster, act, out);
    put_submitted(act->submitted_ms, out);
    rz_json_put_bool(out, "cancelled", act->cancelled);
    if (act->cancel_now)
        rz_json_put_bool(out, "cancel_now", true);
    if (act->state != RZ_ACT_QUEUED) /* one that was given back tells nothing of the attempt that is over */
        put_progress(act->progress, out);
    act_put_waiting(roster, act, out);
    rz_json_close(out, '}');
}
