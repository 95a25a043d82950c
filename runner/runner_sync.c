/* runner_sync.c - the heartbeat: what the runner says of itself and of its runs, and what the store says that it owns. */
#include "runner_inner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STATES_BYTES_MAX RZ_BATCH_BYTES_MAX /* what is more waits for the next one */

/* ---- what it says ---- */

/* How the workers it starts do their work, each once. */
static cJSON *executor_names(const rz_agents_t *agents)
{
    bool offered[RZ_EXECUTORS] = { false };
    cJSON *names = cJSON_CreateArray();
    for (size_t i = 0; i < rz_agents_count(agents); i++) {
        const rz_agent_t *agent = rz_agents_at(agents, i);
        if (agent->protocol == RZ_AGENT_ACTOR)
            offered[agent->executor] = true;
    }
    for (rz_executor_t kind = 0; kind < RZ_EXECUTORS; kind++)
        if (offered[kind])
            cJSON_AddItemToArray(names, cJSON_CreateString(rz_executor_name(kind)));
    return names;
}

static cJSON *facts_of(const runner_t *runner)
{
    const settings_t *settings = runner->settings;
    cJSON *facts = cJSON_CreateObject();
    cJSON_AddStringToObject(facts, "host", settings->host);
    cJSON_AddNumberToObject(facts, "pid", getpid());
    cJSON_AddNumberToObject(facts, "slots", (double)settings->slots);
    cJSON_AddItemToObject(facts, "labels", cJSON_Duplicate(settings->labels, true));
    cJSON_AddItemToObject(facts, "profiles", cJSON_Duplicate(settings->profiles, true));
    cJSON_AddItemToObject(facts, "executors", executor_names(settings->agents));
    cJSON_AddItemToObject(facts, "credentials", credentials_names(runner->house.credentials));
    cJSON_AddStringToObject(facts, "version", RZ_VERSION);
    runner_put_phase(runner, facts);
    if (runner_health_url(runner->health) != NULL)
        cJSON_AddStringToObject(facts, "http", runner_health_url(runner->health));
    return facts;
}

static void put_state(run_t *run, rz_buf_t *out)
{
    rz_buf_clear(out);
    rz_json_open(out, '{');
    rz_json_put_u64(out, "epoch", run_epoch(run));
    progress_put(run_progress(run), out);
    rz_json_close(out, '}');
}

/* What is new of its runs; NULL when nothing is. */
static cJSON *take_states(runner_t *runner)
{
    cJSON *states = NULL;
    rz_buf_t state = { 0 };
    size_t bytes = 0;
    for (run_t *run = held_first(runner->held); run != NULL; run = held_next(runner->held, run)) {
        progress_t *progress = run_progress(run);
        if (!progress->is_news || bytes > STATES_BYTES_MAX)
            continue;
        put_state(run, &state);
        bytes += state.len + strlen(run_child(run));
        states = states != NULL ? states : cJSON_CreateObject();
        cJSON_AddRawToObject(states, run_child(run), state.data);
        progress->is_news = false;
    }
    rz_buf_fini(&state);
    return states;
}

static void give_back_states(runner_t *runner, const cJSON *states)
{
    for (const cJSON *state = states != NULL ? states->child : NULL; state != NULL; state = state->next)
        run_progress(held_find(runner->held, state->string))->is_news = true;
}

void runner_send_sync(void *arg)
{
    runner_t *runner = arg;
    char digest[41];
    cJSON *held = held_list(runner->held, digest), *facts = facts_of(runner), *states = take_states(runner);
    rz_link_t sync = { .kind = RZ_LINK_SYNC,
                       .incarnation = links_incarnation(runner->house.links),
                       .counter = ++runner->counter,
                       .count = held_count(runner->held),
                       .digest = digest,
                       .held = held,
                       .facts = facts,
                       .states = states };
    runner->freeze.said_ms[sync.counter % SAID_MAX] = runner_now(runner);
    if (links_send(runner->house.links, &sync, NULL, 0) != RZ_OK)
        give_back_states(runner, states);
    cJSON_Delete(held);
    cJSON_Delete(facts);
    cJSON_Delete(states);
}

/* ---- what it hears ---- */

/* A holding is "child", "child epoch" or [child, epoch]; the epoch is 0 when it is not said. */
static const char *holding(const cJSON *item, char child[RZ_ID_MAX + 1], uint64_t *epoch)
{
    const cJSON *first = cJSON_IsArray(item) ? cJSON_GetArrayItem(item, 0) : item;
    const char *text = cJSON_GetStringValue(first);
    size_t n = text != NULL ? strcspn(text, " ") : 0;
    snprintf(child, RZ_ID_MAX + 1, "%.*s", (int)n, text != NULL ? text : "");
    if (cJSON_IsArray(item))
        *epoch = (uint64_t)cJSON_GetNumberValue(cJSON_GetArrayItem(item, 1));
    else
        *epoch = text != NULL && text[n] == ' ' ? strtoull(text + n + 1, NULL, 10) : 0;
    return child;
}

static bool owns(const cJSON *owned, const run_t *run)
{
    char child[RZ_ID_MAX + 1];
    uint64_t epoch;
    const cJSON *item;
    cJSON_ArrayForEach(item, owned)
    {
        holding(item, child, &epoch);
        if (strcmp(child, run_child(run)) == 0)
            return epoch == 0 || epoch == run_epoch(run);
    }
    return false;
}

/* Judged is only what was held when that sync was sent. What has ended waits for its ack: the store may have
 * committed its finish already and therefore not name it any more. */
static void drop_unowned(runner_t *runner, const rz_link_t *synced)
{
    for (run_t *run = held_first(runner->held); run != NULL; run = held_next(runner->held, run))
        if (run_is_open(run) && run_place(run)->since_sync < synced->counter && !owns(synced->owned, run))
            run_feed(run, EV_FENCED);
}

static void cancel_flagged(runner_t *runner, const cJSON *cancels, course_event_t how)
{
    char child[RZ_ID_MAX + 1];
    uint64_t epoch;
    const cJSON *item;
    cJSON_ArrayForEach(item, cancels)
    {
        run_t *run = held_find(runner->held, holding(item, child, &epoch));
        if (run != NULL && (epoch == 0 || epoch == run_epoch(run)))
            run_feed(run, how);
    }
}

/* The store took that sync no earlier than it was sent; how long the answer lay on its way, or here, nobody knows. */
static void renew(runner_t *runner, uint64_t counter)
{
    bool is_known = counter <= runner->counter && runner->counter - counter < SAID_MAX;
    uint64_t said_ms = is_known ? runner->freeze.said_ms[counter % SAID_MAX] : 0;
    if (said_ms > runner->freeze.renewed_ms)
        runner->freeze.renewed_ms = said_ms;
}

void runner_on_synced(runner_t *runner, const rz_link_t *synced)
{
    runner_health_synced(runner->health, synced->code);
    runner->freeze.answered_ms = runner_now(runner);
    if (synced->code == RZ_DEAD) {
        runner_on_dead(runner);
        return;
    }
    if (synced->code != RZ_OK)
        return; /* a store that is down changes nothing here: workers are held */
    renew(runner, synced->counter);
    runner_freeze_feed(runner, FREEZE_EV_CONFIRM);
    cancel_flagged(runner, synced->cancels_now, EV_CANCEL_NOW);
    cancel_flagged(runner, synced->cancels, EV_CANCEL);
    if (synced->owned != NULL)
        drop_unowned(runner, synced);
}
