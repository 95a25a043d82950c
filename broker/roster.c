/* roster.c - see roster.h. */
#include "roster.h"

#include <stdio.h>
#include <string.h>

struct roster {
    runner_t **runner;
    size_t n, cap;
    uint64_t last_serial;
};

roster_t *roster_create(void)
{
    return rz_alloc(sizeof(roster_t));
}

/* ---- one runner: making and freeing ---- */

static char **words_copy(const cJSON *array)
{
    size_t n = array == NULL ? 0 : (size_t)cJSON_GetArraySize(array);
    char **words = rz_alloc((n + 1) * sizeof *words);
    size_t used = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, array) if (cJSON_IsString(item)) words[used++] = rz_strdup(item->valuestring);
    return words;
}

static void words_free(char **words)
{
    for (char **word = words; *word != NULL; word++)
        rz_free(*word);
    rz_free(words);
}

static void idle_clear(runner_t *runner)
{
    for (size_t i = 0; i < runner->idle_count; i++)
        rz_free(runner->idle[i].key);
    rz_free(runner->idle);
    runner->idle = NULL;
    runner->idle_count = 0;
}

static void runner_free_memory(runner_t *runner)
{
    idle_clear(runner);
    rz_buf_fini(&runner->idle_text);
    words_free(runner->labels);
    words_free(runner->profiles);
    words_free(runner->full);
    rz_free(runner->name);
    rz_free(runner->incarnation);
    rz_free(runner->user);
    rz_free(runner->facts);
    rz_free(runner->handed);
    rz_free(runner);
}

runner_t *roster_add(roster_t *roster, const runner_hello_t *hello)
{
    runner_t *runner = rz_alloc(sizeof *runner);
    runner->serial = ++roster->last_serial;
    runner->peer_len = hello->peer.n < PEER_MAX ? hello->peer.n : PEER_MAX;
    memcpy(runner->peer, hello->peer.p, runner->peer_len);
    runner->name = rz_strdup(hello->name);
    runner->incarnation = rz_strdup(hello->incarnation);
    runner->user = rz_strdup(hello->user);
    runner->facts = rz_strdup(hello->facts != NULL ? hello->facts : "{}");
    runner->slots = hello->slots;
    runner->labels = words_copy(hello->labels);
    runner->profiles = words_copy(hello->profiles);
    runner->full = words_copy(NULL);
    if (roster->n == roster->cap) {
        roster->cap = roster->cap == 0 ? 8 : 2 * roster->cap;
        roster->runner = rz_realloc(roster->runner, roster->cap * sizeof(runner_t *));
    }
    roster->runner[roster->n++] = runner;
    return runner;
}

void roster_remove(roster_t *roster, runner_t *runner)
{
    for (size_t i = 0; i < roster->n; i++)
        if (roster->runner[i] == runner) {
            roster->runner[i] = roster->runner[--roster->n];
            runner_free_memory(runner);
            return;
        }
}

void roster_destroy(roster_t **roster)
{
    if (*roster == NULL)
        return;
    while ((*roster)->n > 0)
        roster_remove(*roster, (*roster)->runner[0]);
    rz_free((*roster)->runner);
    rz_free(*roster);
    *roster = NULL;
}

/* ---- finding ---- */

size_t roster_count(const roster_t *roster)
{
    return roster->n;
}

size_t roster_joined(const roster_t *roster)
{
    size_t n = 0;
    for (size_t i = 0; i < roster_count(roster); i++)
        n += roster_at(roster, i)->joined;
    return n;
}

runner_t *roster_at(const roster_t *roster, size_t i)
{
    return roster->runner[i];
}

runner_t *roster_by_peer(const roster_t *roster, rz_str_t peer)
{
    for (size_t i = 0; i < roster->n; i++) {
        runner_t *runner = roster->runner[i];
        if (runner->peer_len == peer.n && memcmp(runner->peer, peer.p, peer.n) == 0)
            return runner;
    }
    return NULL;
}

runner_t *roster_by_name(const roster_t *roster, const char *name)
{
    for (size_t i = 0; i < roster->n; i++)
        if (strcmp(roster->runner[i]->name, name) == 0)
            return roster->runner[i];
    return NULL;
}

runner_t *roster_by_incarnation(const roster_t *roster, const char *incarnation)
{
    if (incarnation == NULL || *incarnation == '\0')
        return NULL;
    for (size_t i = 0; i < roster->n; i++)
        if (strcmp(roster->runner[i]->incarnation, incarnation) == 0)
            return roster->runner[i];
    return NULL;
}

runner_t *roster_by_serial(const roster_t *roster, uint64_t serial)
{
    for (size_t i = 0; i < roster->n; i++)
        if (roster->runner[i]->serial == serial)
            return roster->runner[i];
    return NULL;
}

/* ---- credit ---- */

uint64_t runner_free(const runner_t *runner)
{
    uint64_t used = runner->sent + runner->reserved;
    return runner->joined && runner->granted > used ? runner->granted - used : 0;
}

static void idle_write(runner_t *runner)
{
    rz_buf_clear(&runner->idle_text);
    for (size_t i = 0; i < runner->idle_count; i++)
        if (runner->idle[i].n > 0)
            rz_buf_printf(&runner->idle_text, "%s%s=%llu", runner->idle_text.len > 0 ? " " : "",
                          runner->idle[i].key, (unsigned long long)runner->idle[i].n);
}

static void idle_take(runner_t *runner, const cJSON *idle)
{
    idle_clear(runner);
    size_t n = idle == NULL ? 0 : (size_t)cJSON_GetArraySize(idle);
    runner->idle = rz_alloc((n + 1) * sizeof *runner->idle);
    const cJSON *item;
    cJSON_ArrayForEach(item, idle)
    {
        if (!cJSON_IsNumber(item) || item->valuedouble < 1)
            continue;
        runner->idle[runner->idle_count++] =
            (idle_t){ .key = rz_strdup(item->string), .n = (uint64_t)item->valuedouble };
    }
    idle_write(runner);
}

void runner_credit(runner_t *runner, uint64_t granted, const cJSON *idle, const cJSON *full)
{
    runner->granted = granted;
    runner->homed = true;
    idle_take(runner, idle);
    words_free(runner->full);
    runner->full = words_copy(full);
}

void runner_put_room(const runner_t *runner, rz_buf_t *out)
{
    rz_json_put_u64(out, "free", runner_free(runner));
    rz_json_open_key(out, "idle", '{');
    for (size_t i = 0; i < runner->idle_count; i++)
        rz_json_put_u64(out, runner->idle[i].key, runner->idle[i].n);
    rz_json_close(out, '}');
}

bool runner_pinged(runner_t *runner, uint64_t granted, bool home)
{
    bool more = granted > runner->granted;
    runner->pings = true;
    runner->homed = home;
    runner->granted = granted;
    return more;
}

void runner_reserve(runner_t *runner, uint64_t n)
{
    runner->reserved += n;
}

void runner_unreserve(runner_t *runner, uint64_t n)
{
    runner->reserved -= n < runner->reserved ? n : runner->reserved;
}

static idle_t *idle_find(const runner_t *runner, const char *affinity)
{
    for (size_t i = 0; affinity != NULL && i < runner->idle_count; i++)
        if (runner->idle[i].n > 0 && strcmp(runner->idle[i].key, affinity) == 0)
            return &runner->idle[i];
    return NULL;
}

void runner_assigned(runner_t *runner, const char *child, uint64_t epoch, const char *affinity,
                     uint64_t now_ms)
{
    runner->sent++;
    idle_t *idle = idle_find(runner, affinity);
    if (idle != NULL) {
        idle->n--;
        idle_write(runner);
    }
    if (runner->handed_count == HANDED_MAX)
        return; /* forgetting one only means that a sync may send it twice: the token makes that harmless */
    if (runner->handed_count == runner->handed_cap) {
        runner->handed_cap = runner->handed_cap == 0 ? 16 : 2 * runner->handed_cap;
        runner->handed = rz_realloc(runner->handed, runner->handed_cap * sizeof *runner->handed);
    }
    handed_t *handed = &runner->handed[runner->handed_count++];
    *handed = (handed_t){ .epoch = epoch, .sent_ms = now_ms };
    snprintf(handed->child, sizeof handed->child, "%s", child);
}

static handed_t *handed_find(const runner_t *runner, const char *child, uint64_t epoch)
{
    for (size_t i = 0; i < runner->handed_count; i++)
        if (runner->handed[i].epoch == epoch && strcmp(runner->handed[i].child, child) == 0)
            return &runner->handed[i];
    return NULL;
}

void runner_answered(runner_t *runner, const char *child, uint64_t epoch)
{
    handed_t *handed = handed_find(runner, child, epoch);
    if (handed != NULL)
        *handed = runner->handed[--runner->handed_count];
}

bool runner_was_handed(const runner_t *runner, const char *child, uint64_t epoch, uint64_t now_ms,
                       uint64_t within_ms)
{
    const handed_t *handed = handed_find(runner, child, epoch);
    return handed != NULL && now_ms - handed->sent_ms < within_ms;
}

/* ---- choosing ---- */

static bool words_have(char *const *words, rz_str_t word)
{
    for (; *words != NULL; words++)
        if (rz_str_eq(word, *words))
            return true;
    return false;
}

/* Takes the next label off "a,b,c". */
static bool label_next(const char **rest, rz_str_t *label)
{
    if (**rest == '\0')
        return false;
    const char *comma = strchr(*rest, ',');
    size_t n = comma == NULL ? strlen(*rest) : (size_t)(comma - *rest);
    *label = (rz_str_t){ *rest, n };
    *rest += comma == NULL ? n : n + 1;
    return true;
}

static bool runner_has_labels(const runner_t *runner, const char *labels)
{
    rz_str_t label;
    while (label_next(&labels, &label))
        if (!words_have(runner->labels, label))
            return false;
    return true;
}

static bool runner_offers(const runner_t *runner, const char *profile, const char *labels)
{
    return runner->joined && words_have(runner->profiles, rz_str(profile)) &&
           runner_has_labels(runner, labels);
}

bool runner_takes(const runner_t *runner, const char *profile, const char *labels)
{
    return runner_free(runner) > 0 && runner_offers(runner, profile, labels) &&
           !words_have(runner->full, rz_str(profile));
}

/* The first label that nobody with the profile has; false if each is had by somebody, though nobody has all.
 */
static bool label_missing(const roster_t *roster, const char *profile, const char *labels, rz_str_t *out)
{
    while (label_next(&labels, out)) {
        bool had = false;
        for (size_t i = 0; i < roster->n && !had; i++)
            had =
                runner_offers(roster->runner[i], profile, "") && words_have(roster->runner[i]->labels, *out);
        if (!had)
            return true;
    }
    return false;
}

static void say_why(const roster_t *roster, const char *profile, const char *labels, char *why, size_t size)
{
    bool linked = false, profile_offered = false;
    for (size_t i = 0; i < roster->n; i++) {
        linked |= roster->runner[i]->joined;
        profile_offered |= runner_offers(roster->runner[i], profile, "");
    }
    rz_str_t label;
    if (!linked)
        snprintf(why, size, "no runner is linked");
    else if (!profile_offered)
        snprintf(why, size, "no runner offers profile %s", profile);
    else if (label_missing(roster, profile, labels, &label))
        snprintf(why, size, "no runner offers label %.*s", (int)label.n, label.p);
    else
        snprintf(why, size, "no runner offers all labels of %s", labels);
}

bool roster_offers(const roster_t *roster, const char *profile, const char *labels, char *why, size_t size)
{
    for (size_t i = 0; i < roster->n; i++)
        if (runner_offers(roster->runner[i], profile, labels))
            return true;
    say_why(roster, profile, labels, why, size);
    return false;
}

bool roster_serves(const roster_t *roster, const char *profile, const char *labels, char *why, size_t size)
{
    if (!roster_offers(roster, profile, labels, why, size))
        return false;
    for (size_t i = 0; i < roster->n; i++)
        if (roster->runner[i]->phase == RZ_PHASE_UP && runner_offers(roster->runner[i], profile, labels))
            return true;
    snprintf(why, size, "every runner that offers it is cordoned or drains");
    return false;
}

runner_t *roster_pick(const roster_t *roster, const char *profile, const char *labels, const char *affinity)
{
    runner_t *best = NULL;
    bool best_warm = false;
    for (size_t i = 0; i < roster->n; i++) {
        runner_t *runner = roster->runner[i];
        if (!runner_takes(runner, profile, labels))
            continue;
        bool warm = idle_find(runner, affinity) != NULL;
        if (best == NULL || warm > best_warm ||
            (warm == best_warm && runner_free(runner) > runner_free(best))) {
            best = runner;
            best_warm = warm;
        }
    }
    return best;
}

size_t roster_candidates(const roster_t *roster, const char *profile, const char *labels, runner_t **out,
                         size_t max)
{
    size_t n = 0;
    for (size_t i = 0; i < roster->n; i++) {
        runner_t *runner = roster->runner[i];
        if (!runner_takes(runner, profile, labels))
            continue;
        size_t at =
            n < max ? n++ : max; /* insertion sort, most free first; the least free falls off the end */
        for (; at > 0 && runner_free(out[at - 1]) < runner_free(runner); at--)
            if (at < max)
                out[at] = out[at - 1];
        if (at < max)
            out[at] = runner;
    }
    return n;
}

bool roster_has_credit(const roster_t *roster)
{
    for (size_t i = 0; i < roster->n; i++)
        if (runner_free(roster->runner[i]) > 0)
            return true;
    return false;
}

uint64_t roster_load(const roster_t *roster)
{
    uint64_t load = 0;
    for (size_t i = 0; i < roster->n; i++)
        if (roster->runner[i]->joined && roster->runner[i]->homed)
            load += roster->runner[i]->slots;
    return load;
}
