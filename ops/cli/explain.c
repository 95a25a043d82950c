/* explain.c - see explain.h. */
#include "explain.h"

#include "activation.h"
#include "pick.h"

#include "base/clock.h"

#include <inttypes.h>
#include <string.h>

static const cJSON *activation_of(const cJSON *reply)
{
    return pick(reply, "activation");
}

static const cJSON *last_transition(const cJSON *reply)
{
    const cJSON *list = pick(reply, "transitions");
    return cJSON_GetArrayItem(list, cJSON_GetArraySize(list) - 1);
}

/* The moment of the latest transition of that kind, "" when there is none: they may have been cut. */
static const char *moment_of(const cJSON *reply, const char *what)
{
    const char *at = "";
    const cJSON *transition;
    cJSON_ArrayForEach(transition, pick(reply, "transitions"))
    {
        if (strcmp(pick_text(transition, "what"), what) == 0)
            at = pick_text(transition, "at");
    }
    return at;
}

/* By name while it is linked, else as the transitions have it. */
static const char *runner_of(const cJSON *reply)
{
    const char *linked = pick_text(activation_of(reply), "runner");
    const char *noted = pick_text(last_transition(reply), "runner");
    return *linked != '\0' ? linked : *noted != '\0' ? noted : "a runner";
}

/* ---- the headline: one sentence for each state ---- */

static void put_since(const char *at, int64_t now_us, const char *before, const char *after, rz_buf_t *out)
{
    char age[16];
    ago_text(at, now_us, age);
    if (age[0] != '\0')
        rz_buf_printf(out, "%s%s%s", before, age, after);
}

static void say_none(const cJSON *reply, int64_t now_us, rz_buf_t *out)
{
    (void)reply;
    (void)now_us;
    rz_buf_puts(out, "has a session and was never run");
}

static void say_queued(const cJSON *reply, int64_t now_us, rz_buf_t *out)
{
    const char *why = pick_text(reply, "waiting");
    const char *what = pick_text(last_transition(reply), "what");
    bool paused = strcmp(what, "backoff") == 0;
    bool again = paused || strcmp(what, "requeued") == 0 || strcmp(what, "released") == 0;
    if (paused)
        why = pick_text(last_transition(reply), "detail");
    rz_buf_puts(out, paused  ? "waits for its next attempt"
                     : again ? "waits again in the queue"
                             : "waits in the queue");
    put_since(moment_of(reply, again ? what : "queued"), now_us, ", for ", " now", out);
    rz_buf_printf(out, ": %s", *why != '\0' ? why : "its turn has not come, every slot that fits is taken");
}

static void say_assigned(const cJSON *reply, int64_t now_us, rz_buf_t *out)
{
    rz_buf_printf(out, "is given to %s", runner_of(reply));
    put_since(moment_of(reply, "assigned"), now_us, ", ", " ago", out);
    rz_buf_puts(out, ", and has not begun");
}

static void say_running(const cJSON *reply, int64_t now_us, rz_buf_t *out)
{
    const cJSON *activation = activation_of(reply);
    rz_buf_t doing = { 0 };
    activation_doing(activation, &doing);
    rz_buf_printf(out, "runs on %s", runner_of(reply));
    put_since(moment_of(reply, "running"), now_us, ", for ", " now", out);
    put_since(pick_text(activation, "last_event_at"), now_us, "; last event ", " ago", out);
    if (doing.len > 0)
        rz_buf_printf(out, ", %s", doing.data);
    rz_buf_fini(&doing);
}

static void say_terminal(const cJSON *reply, int64_t now_us, rz_buf_t *out)
{
    const cJSON *activation = activation_of(reply);
    const char *status = pick_text(activation, "status");
    const char *error = pick_text(activation, "error");
    rz_buf_printf(out, "ended %s", status);
    put_since(moment_of(reply, status), now_us, " ", " ago", out);
    if (*error != '\0')
        rz_buf_printf(out, ": %s", error);
}

static const struct {
    const char *state;
    void (*say)(const cJSON *reply, int64_t now_us, rz_buf_t *out);
} states[] = {
    { "none", say_none },       { "queued", say_queued },     { "assigned", say_assigned },
    { "running", say_running }, { "terminal", say_terminal },
};

void explain_headline(const cJSON *reply, int64_t now_us, rz_buf_t *out)
{
    const cJSON *activation = activation_of(reply);
    const char *state = pick_text(activation, "state");
    rz_buf_printf(out, "%s ", pick_text(activation, "child"));
    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        if (strcmp(states[i].state, state) == 0)
            states[i].say(reply, now_us, out);
    if (strcmp(state, "terminal") != 0 && pick_true(activation, "cancelled"))
        rz_buf_puts(out, "; a cancel was asked for");
}

/* ---- the facts ---- */

static void put_fact(const char *name, const char *value, rz_buf_t *out)
{
    if (*value != '\0')
        rz_buf_printf(out, "%s%s %s", out->len > 0 ? ", " : "", name, value);
}

void explain_facts(const cJSON *reply, rz_buf_t *out)
{
    const cJSON *activation = activation_of(reply);
    const cJSON *label;
    rz_buf_t facts = { 0 };
    char attempt[24];
    activation_attempt(activation, attempt);
    put_fact("parent", pick_text(activation, "parent"), &facts);
    put_fact("job", pick_text(activation, "job"), &facts);
    put_fact("profile", pick_text(activation, "profile"), &facts);
    cJSON_ArrayForEach(label, pick(activation, "labels"))
        put_fact("label", label->valuestring != NULL ? label->valuestring : "", &facts);
    put_fact("attempt", attempt, &facts);
    rz_buf_printf(&facts, ", epoch %" PRIu64, pick_count(activation, "epoch"));
    rz_buf_put_str(out, rz_buf_str(&facts));
    rz_buf_fini(&facts);
}

/* ---- the table ---- */

/* "2026-06-16 09:30:01.500" of "2026-06-16T09:30:01.500000Z". */
static void show_moment(const char *at, char out[24])
{
    int64_t us = 0;
    char whole[RZ_RFC3339_LEN + 1];
    out[0] = '\0';
    if (rz_rfc3339_parse(at, &us) != 0)
        return;
    rz_rfc3339(us, whole);
    snprintf(out, 24, "%.10s %.12s", whole, whole + 11);
}

/* "+1.5 s"; wall time may also have been set back. */
static void show_gap(const char *before, const char *at, char out[24])
{
    int64_t from = 0, to = 0;
    char age[16];
    out[0] = '\0';
    if (rz_rfc3339_parse(before, &from) != 0 || rz_rfc3339_parse(at, &to) != 0)
        return;
    age_text((uint64_t)(to >= from ? to - from : from - to) / 1000, age);
    snprintf(out, 24, "%c%s", to >= from ? '+' : '-', age);
}

void explain_table(const cJSON *reply, table_t *table)
{
    static const char *const heads[] = { "TIME (UTC)", "GAP",    "RUN",    "EPOCH",
                                         "WHAT",       "RUNNER", "BROKER", "DETAIL" };
    const cJSON *transition;
    const char *before = "";
    table_open(table, heads, sizeof heads / sizeof *heads);
    cJSON_ArrayForEach(transition, pick(reply, "transitions"))
    {
        char moment[24], gap[24], run[24], epoch[24];
        const char *at = pick_text(transition, "at");
        show_moment(at, moment);
        show_gap(before, at, gap);
        snprintf(run, sizeof run, "%" PRIu64, pick_count(transition, "activation"));
        snprintf(epoch, sizeof epoch, "%" PRIu64, pick_count(transition, "epoch"));
        const char *cells[] = { moment,
                                gap,
                                run,
                                epoch,
                                pick_text(transition, "what"),
                                pick_text(transition, "runner"),
                                pick_text(transition, "broker"),
                                pick_text(transition, "detail") };
        table_add(table, cells);
        before = at;
    }
}

/* ---- what to do ---- */

/* Its parent was cancelled with its tree: the store ends its error so. */
static bool waits_for_parent(const cJSON *activation)
{
    const char *error = pick_text(activation, "error");
    rz_buf_t end = { 0 };
    rz_buf_printf(&end, "; run %s anew first", pick_text(activation, "parent"));
    size_t n = strlen(error);
    bool does = n >= end.len && strcmp(error + n - end.len, end.data) == 0;
    rz_buf_fini(&end);
    return does;
}

void explain_remedy(const cJSON *reply, rz_buf_t *out)
{
    const cJSON *activation = activation_of(reply);
    const char *child = pick_text(activation, "child"), *word = activation_word(activation);
    if (strcmp(word, "queued") == 0)
        rz_buf_printf(out, "rhizome runner list; rhizome cancel %s", child);
    else if (strcmp(word, "assigned") == 0 || strcmp(word, "running") == 0)
        rz_buf_printf(out, "rhizome watch %s/%s; rhizome logs %s; rhizome cancel %s",
                      pick_text(activation, "parent"), child, child, child);
    else if (strcmp(word, "cancelled") == 0 && waits_for_parent(activation))
        rz_buf_printf(out, "rhizome retry %s; rhizome retry %s", pick_text(activation, "parent"), child);
    else if (strcmp(word, "error") == 0 || strcmp(word, "timeout") == 0 || strcmp(word, "cancelled") == 0)
        rz_buf_printf(out, "rhizome logs %s; rhizome retry %s", child, child);
}
