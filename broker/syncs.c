/* syncs.c - see syncs.h. */
#include "syncs.h"

#include "base/clock.h"
#include "base/log.h"
#include "states.h"

#include <stdlib.h>
#include <string.h>

struct syncs {
    syncs_parts_t part;
};

syncs_t *syncs_create(const syncs_parts_t *parts)
{
    syncs_t *syncs = rz_alloc(sizeof *syncs);
    syncs->part = *parts;
    return syncs;
}

void syncs_destroy(syncs_t **syncs)
{
    rz_free(*syncs);
    *syncs = NULL;
}

/* One sync under way. */
typedef struct {
    syncs_t *syncs;
    uint64_t serial, counter;
    cJSON *held; /* NULL: the runner did not list what it holds */
} syncing_t;

/* ---- lost assigns ---- */

/* An entry of `held`: "child", "child epoch" or [child,epoch]. */
static bool entry_is(const cJSON *entry, const char *child, size_t child_len)
{
    const cJSON *name = cJSON_IsArray(entry) ? cJSON_GetArrayItem(entry, 0) : entry;
    const char *text = cJSON_GetStringValue(name);
    return text != NULL && strncmp(text, child, child_len) == 0 &&
           (text[child_len] == '\0' || text[child_len] == ' ');
}

static bool holds(const cJSON *held, const char *child, size_t child_len)
{
    const cJSON *entry;
    cJSON_ArrayForEach(entry, held)
    {
        if (entry_is(entry, child, child_len))
            return true;
    }
    return false;
}

static void on_reassigned(rz_rc_t rc, const rz_assignment_t *assignments, size_t n, uint64_t left, void *arg)
{
    syncs_t *syncs = arg;
    (void)left;
    for (size_t i = 0; rc == RZ_OK && i < n; i++) {
        syncs->part.counters->reassigned++;
        placement_give(syncs->part.placement, &assignments[i]);
    }
}

/* What it owns, does not hold, and was not just sent: that assign was lost, it gets another. */
static void reassign_lost(syncs_t *syncs, const runner_t *runner, const cJSON *held,
                          const rz_sync_result_t *result)
{
    uint64_t now_ms = rz_now_ms();
    for (size_t i = 0; i < result->owned_count; i++) {
        char child[RZ_ID_MAX + 1];
        const char *line = result->owned[i];
        size_t len = strcspn(line, " ");
        uint64_t epoch = line[len] == ' ' ? strtoull(line + len + 1, NULL, 10) : 0;
        if (len > RZ_ID_MAX || holds(held, line, len))
            continue;
        memcpy(child, line, len);
        child[len] = '\0';
        if (!runner_was_handed(runner, child, epoch, now_ms, 2 * syncs->part.sync_ms))
            rz_op_reassign(syncs->part.store, child, runner->incarnation, on_reassigned, syncs);
    }
}

/* ---- the answer ---- */

/* NULL for an empty list. */
static cJSON *strings(const char *const *texts, size_t n)
{
    cJSON *array = n > 0 ? cJSON_CreateArray() : NULL;
    for (size_t i = 0; i < n; i++)
        cJSON_AddItemToArray(array, cJSON_CreateString(texts[i]));
    return array;
}

static bool send_synced(syncs_t *syncs, runner_t *runner, uint64_t counter, const rz_sync_result_t *result)
{
    rz_link_t link = { .kind = RZ_LINK_SYNCED,
                       .code = RZ_OK,
                       .counter = counter,
                       .brokers = brokers_links(syncs->part.brokers) };
    cJSON *cancels = strings(result->cancels, result->cancel_count);
    cJSON *now = strings(result->cancels_now, result->cancel_now_count);
    cJSON *owned = strings(result->owned, result->owned_count);
    if (result->differs && owned == NULL)
        owned = cJSON_CreateArray(); /* it owns nothing: that is an answer too */
    link.cancels = cancels;
    link.cancels_now = now;
    link.owned = owned;
    bool sent = sender_tell(syncs->part.sender, runner, &link);
    cJSON_Delete(cancels);
    cJSON_Delete(now);
    cJSON_Delete(owned);
    return sent;
}

/* Steering that no worker was told of goes out again; a runner that has written it already says so and does not
 * write it twice. */
static void steer_again(syncs_t *syncs, runner_t *runner, const rz_sync_result_t *result)
{
    for (size_t i = 0; i < result->unheard_count; i++) {
        const rz_unheard_t *unheard = &result->unheard[i];
        rz_str_t text = rz_json_member(unheard->message, "content");
        if (rz_json_kind(text) != '"') {
            rz_log_error("steer.damaged", "child=%s id=%s the stored message has no content", unheard->child,
                         unheard->id);
            continue;
        }
        syncs->part.counters->resteered++;
        if (!sender_steer(syncs->part.sender, runner, unheard->child, unheard->epoch, unheard->id, text))
            return; /* it is gone */
    }
}

static void answer(syncs_t *syncs, runner_t *runner, const syncing_t *syncing, const rz_sync_result_t *result)
{
    if (result->differs && syncing->held != NULL)
        reassign_lost(syncs, runner, syncing->held, result);
    if (send_synced(syncs, runner, syncing->counter, result))
        steer_again(syncs, runner, result);
}

static void refuse(syncs_t *syncs, runner_t *runner, uint64_t counter, rz_rc_t rc)
{
    rz_link_t link = { .kind = RZ_LINK_SYNCED, .code = rc, .counter = counter };
    if (sender_tell(syncs->part.sender, runner, &link) && rc == RZ_DEAD)
        roster_remove(syncs->part.roster, runner);
}

static void on_synced(rz_rc_t rc, const rz_sync_result_t *result, void *arg)
{
    syncing_t *syncing = arg;
    syncs_t *syncs = syncing->syncs;
    runner_t *runner = roster_by_serial(syncs->part.roster, syncing->serial);
    if (runner != NULL && rc == RZ_OK)
        answer(syncs, runner, syncing, result);
    else if (runner != NULL)
        refuse(syncs, runner, syncing->counter, rc);
    cJSON_Delete(syncing->held);
    rz_free(syncing);
}

/* ---- what it says ---- */

static void keep_facts(runner_t *runner, const cJSON *facts)
{
    char *text = facts != NULL ? cJSON_PrintUnformatted(facts) : NULL;
    if (text == NULL)
        return;
    rz_free(runner->facts);
    runner->facts = rz_strdup(text);
    cJSON_free(text);
}

static void take_states(syncs_t *syncs, const runner_t *runner, const cJSON *tree, states_t *out)
{
    states_read(tree, out);
    if (out->left_out == 0)
        return;
    syncs->part.counters->states_left_out += out->left_out;
    rz_log_warn("sync.states_left_out", "runner=%s entries=%zu first: %s", runner->name, out->left_out,
                out->why.text);
}

/* We are its home: only here is its room known. It goes to the store beside the facts, so that every broker tells the
 * same of it; what the runner itself says under these names is left out. */
static void put_facts_and_room(const syncs_t *syncs, const runner_t *runner, rz_buf_t *out)
{
    rz_json_iter_t it = rz_json_iter(rz_str(runner->facts));
    rz_str_t key, value;
    rz_json_open(out, '{');
    while (rz_json_next_member(&it, &key, &value))
        if (!rz_str_eq(key, "home") && !rz_str_eq(key, "room"))
            rz_json_put_member(out, key, value);
    rz_json_put_str(out, "home", syncs->part.broker);
    rz_json_open_key(out, "room", '{');
    runner_put_room(runner, out);
    rz_json_close(out, '}');
    rz_json_close(out, '}');
}

void syncs_take(syncs_t *syncs, runner_t *runner, const rz_link_t *sync)
{
    states_t states;
    rz_buf_t facts = { 0 };
    keep_facts(runner, sync->facts);
    put_facts_and_room(syncs, runner, &facts);
    take_states(syncs, runner, sync->states, &states);
    syncing_t *syncing = rz_alloc(sizeof *syncing);
    *syncing = (syncing_t){ .syncs = syncs,
                            .serial = runner->serial,
                            .counter = sync->counter,
                            .held = sync->held != NULL ? cJSON_Duplicate(sync->held, 1) : NULL };
    const rz_sync_t request = { .incarnation = runner->incarnation,
                                .counter = sync->counter,
                                .digest = sync->digest,
                                .facts = facts.data,
                                .progress = states.list,
                                .progress_count = states.n };
    rz_op_sync(syncs->part.store, &request, on_synced, syncing);
    rz_buf_fini(&facts);
    states_fini(&states);
}
