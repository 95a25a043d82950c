/* ops_fleet.c - incarnations: join, sync, condemn, reap, and the list of them. */
#include "state/ops_codec.h"

#include <string.h>

void rz_op_join(rz_store_t *store, const char *incarnation, const char *runner, const char *facts,
                rz_done_fn fn, void *arg)
{
    rz_args_t args;
    rz_args_init(&args, 3);
    rz_args_text(&args, incarnation);
    rz_args_text(&args, runner);
    rz_args_text(&args, facts);
    rz_waiter_t *waiter = rz_waiter(arg);
    waiter->fn.done = fn;
    rz_args_call(&args, store, "join", rz_on_done, waiter);
}

/* ---- sync ---- */

/* Fields of a reply, read from the front. */
typedef struct {
    const rz_reply_t *reply;
    size_t at;
} reading_t;

static uint64_t next_number(reading_t *reading)
{
    return rz_field_number(reading->reply, reading->at++);
}

static size_t fields_left(const reading_t *reading)
{
    return reading->at < reading->reply->n ? reading->reply->n - reading->at : 0;
}

static char **next_texts(reading_t *reading, size_t n)
{
    char **text = n > 0 ? rz_alloc(n * sizeof *text) : NULL;
    for (size_t i = 0; i < n; i++)
        text[i] = rz_field_text(reading->reply, reading->at++);
    return text;
}

static void free_texts(char **text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        rz_free(text[i]);
    rz_free(text);
}

static size_t at_most(uint64_t n, size_t max)
{
    return n < max ? (size_t)n : max;
}

static rz_unheard_t *next_unheard(reading_t *reading, size_t n)
{
    rz_unheard_t *list = n > 0 ? rz_alloc(n * sizeof *list) : NULL;
    for (size_t i = 0; i < n; i++, reading->at += 4)
        list[i] = (rz_unheard_t){ .child = rz_field_text(reading->reply, reading->at),
                                  .epoch = rz_field_number(reading->reply, reading->at + 1),
                                  .id = rz_field_text(reading->reply, reading->at + 2),
                                  .message = reading->reply->field[reading->at + 3] };
    return list;
}

static void free_unheard(rz_unheard_t *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        rz_free((void *)list[i].child);
        rz_free((void *)list[i].id);
    }
    rz_free(list);
}

/* "child" stays where it is; "child now" moves behind them and loses its word. Answers how many stay. */
static size_t part_cancels(char **cancel, size_t n)
{
    size_t gentle = 0;
    for (size_t i = 0; i < n; i++) {
        char *space = strchr(cancel[i], ' ');
        if (space != NULL) {
            *space = '\0';
            continue;
        }
        char *text = cancel[i];
        cancel[i] = cancel[gentle];
        cancel[gentle++] = text;
    }
    return gentle;
}

/* differs, number of cancels, cancels..., number of unheard, (child epoch id message)..., owned... */
static void on_sync(rz_rc_t rc, const rz_reply_t *reply, void *arg)
{
    rz_waiter_t waiter = *(rz_waiter_t *)arg;
    rz_free(arg);
    reading_t reading = { reply, 0 };
    bool differs = next_number(&reading) == 1;
    size_t cancel_count = at_most(next_number(&reading), fields_left(&reading));
    char **cancel = next_texts(&reading, cancel_count);
    size_t unheard_count = at_most(next_number(&reading), fields_left(&reading) / 4);
    rz_unheard_t *unheard = next_unheard(&reading, unheard_count);
    size_t owned_count = fields_left(&reading);
    char **owned = next_texts(&reading, owned_count);
    size_t gentle = part_cancels(cancel, cancel_count);
    const rz_sync_result_t result = { .cancels = (const char *const *)cancel,
                                      .cancel_count = gentle,
                                      .cancels_now =
                                          cancel == NULL ? NULL : (const char *const *)cancel + gentle,
                                      .cancel_now_count = cancel_count - gentle,
                                      .unheard = unheard,
                                      .unheard_count = unheard_count,
                                      .differs = differs,
                                      .owned = (const char *const *)owned,
                                      .owned_count = owned_count };
    if (waiter.fn.sync != NULL)
        waiter.fn.sync(rc, &result, waiter.arg);
    free_texts(cancel, cancel_count);
    free_unheard(unheard, unheard_count);
    free_texts(owned, owned_count);
}

void rz_op_sync(rz_store_t *store, const rz_sync_t *request, rz_sync_fn fn, void *arg)
{
    rz_args_t args;
    rz_args_init(&args, 4 + 3 * request->progress_count);
    rz_args_text(&args, request->incarnation);
    rz_args_u64(&args, request->counter);
    rz_args_text(&args, request->digest);
    rz_args_text(&args, request->facts);
    for (size_t i = 0; i < request->progress_count; i++) {
        rz_args_text(&args, request->progress[i].child);
        rz_args_u64(&args, request->progress[i].epoch);
        rz_args_str(&args, request->progress[i].progress);
    }
    rz_waiter_t *waiter = rz_waiter(arg);
    waiter->fn.sync = fn;
    rz_args_call(&args, store, "sync", on_sync, waiter);
}

void rz_op_condemn(rz_store_t *store, const char *incarnation, uint64_t counter_seen, bool leave,
                   rz_done_fn fn, void *arg)
{
    rz_args_t args;
    rz_args_init(&args, 3);
    rz_args_text(&args, incarnation);
    rz_args_u64(&args, counter_seen);
    rz_args_u64(&args, leave ? 1 : 0);
    rz_waiter_t *waiter = rz_waiter(arg);
    waiter->fn.done = fn;
    rz_args_call(&args, store, "condemn", rz_on_done, waiter);
}

static void on_reap(rz_rc_t rc, const rz_reply_t *reply, void *arg)
{
    rz_waiter_t waiter = *(rz_waiter_t *)arg;
    rz_free(arg);
    if (waiter.fn.reap != NULL)
        waiter.fn.reap(rc, rz_field_number(reply, 0), waiter.arg);
}

void rz_op_reap(rz_store_t *store, const char *incarnation, void (*fn)(rz_rc_t rc, uint64_t left, void *arg),
                void *arg)
{
    rz_args_t args;
    rz_args_init(&args, 1);
    rz_args_text(&args, incarnation);
    rz_waiter_t *waiter = rz_waiter(arg);
    waiter->fn.reap = fn;
    rz_args_call(&args, store, "reap", on_reap, waiter);
}

/* incarnation runner counter state owned facts, each */
static void on_incarnations(rz_rc_t rc, const rz_reply_t *reply, void *arg)
{
    enum { INCARNATION, RUNNER, COUNTER, STATE, OWNED, FACTS, FIELDS };
    rz_waiter_t waiter = *(rz_waiter_t *)arg;
    rz_free(arg);
    size_t n = reply->n / FIELDS;
    rz_incarnation_t *list = n > 0 ? rz_alloc(n * sizeof(*list)) : NULL;
    for (size_t i = 0; i < n; i++) {
        size_t at = i * FIELDS;
        list[i] = (rz_incarnation_t){
            .incarnation = rz_field_text(reply, at + INCARNATION),
            .runner = rz_field_text(reply, at + RUNNER),
            .facts = rz_field_text(reply, at + FACTS),
            .counter = rz_field_number(reply, at + COUNTER),
            .owned = rz_field_number(reply, at + OWNED),
            .dead = !rz_str_eq(reply->field[at + STATE], "alive"),
        };
    }
    if (waiter.fn.incarnations != NULL)
        waiter.fn.incarnations(rc, list, n, waiter.arg);
    for (size_t i = 0; i < n; i++) {
        rz_free((void *)list[i].incarnation);
        rz_free((void *)list[i].runner);
        rz_free((void *)list[i].facts);
    }
    rz_free(list);
}

void rz_op_incarnations(rz_store_t *store, rz_incarnations_fn fn, void *arg)
{
    rz_waiter_t *waiter = rz_waiter(arg);
    waiter->fn.incarnations = fn;
    rz_store_call(store, "incarnations", NULL, 0, on_incarnations, waiter);
}
