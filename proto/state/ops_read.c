/* ops_read.c - looking: get, session, list, explain, replay, classes; and the two writes that have no activation,
 * session_put and broadcast. */
#include "state/ops_codec.h"

#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

void rz_op_get(rz_store_t *store, const char *child, const char *job, rz_act_fn fn, void *arg)
{
    rz_args_t args;
    rz_args_init(&args, 2);
    rz_args_text(&args, child);
    rz_args_text(&args, job);
    rz_waiter_t *waiter = rz_waiter(arg);
    waiter->fn.act = fn;
    rz_args_call(&args, store, "get", rz_on_act, waiter);
}

static void on_whose(rz_rc_t rc, const rz_reply_t *reply, void *arg)
{
    rz_waiter_t waiter = *(rz_waiter_t *)arg;
    rz_free(arg);
    char *parent = rz_field_text(reply, 0), *tenant = rz_field_text(reply, 1);
    waiter.fn.whose(rc, &(rz_whose_t){ parent, tenant }, waiter.arg);
    rz_free(parent);
    rz_free(tenant);
}

void rz_op_whose(rz_store_t *store, const char *child, rz_whose_fn fn, void *arg)
{
    rz_args_t args;
    rz_args_init(&args, 1);
    rz_args_text(&args, child);
    rz_waiter_t *waiter = rz_waiter(arg);
    waiter->fn.whose = fn;
    rz_args_call(&args, store, "whose", on_whose, waiter);
}

/* ---- sessions ---- */
/* the activation; a get adds header, messages and the job's model */
static void on_session(rz_rc_t rc, const rz_reply_t *reply, void *arg)
{
    rz_waiter_t waiter = *(rz_waiter_t *)arg;
    rz_free(arg);
    rz_packed_t packed;
    (void)rz_packed_read(&packed, reply->field, reply->n);
    rz_session_result_t result = { .act = packed.act, .rev = packed.rev };
    if (reply->n == RZ_ACT_FIELDS + 3) {
        result.header = reply->field[RZ_ACT_FIELDS];
        result.messages = reply->field[RZ_ACT_FIELDS + 1];
    }
    char *model = rz_field_text(reply, RZ_ACT_FIELDS + 2);
    result.model = model;
    if (waiter.fn.session != NULL)
        waiter.fn.session(rc, &result, waiter.arg);
    rz_free(model);
    rz_packed_fini(&packed);
}

void rz_op_session_get(rz_store_t *store, const char *child, rz_session_fn fn, void *arg)
{
    rz_args_t args;
    rz_args_init(&args, 1);
    rz_args_text(&args, child);
    rz_waiter_t *waiter = rz_waiter(arg);
    waiter->fn.session = fn;
    rz_args_call(&args, store, "session_get", on_session, waiter);
}

void rz_op_session_put(rz_store_t *store, const rz_session_put_t *request, rz_session_fn fn, void *arg)
{
    rz_args_t args;
    rz_args_init(&args, 6 + request->message_count);
    rz_args_text(&args, request->child);
    rz_args_text(&args, request->parent);
    rz_args_text(&args, request->session_affinity);
    rz_args_text(&args, request->session_profile);
    rz_args_u64(&args, request->rev);
    rz_args_str(&args, request->header);
    for (size_t i = 0; i < request->message_count; i++)
        rz_args_str(&args, request->messages[i]);
    rz_waiter_t *waiter = rz_waiter(arg);
    waiter->fn.session = fn;
    rz_args_call(&args, store, "session_put", on_session, waiter);
}

/* ---- lists ---- */
/* next, then activations */
static void on_list(rz_rc_t rc, const rz_reply_t *reply, void *arg)
{
    rz_waiter_t waiter = *(rz_waiter_t *)arg;
    rz_free(arg);
    size_t n = reply->n > 0 ? (reply->n - 1) / RZ_ACT_FIELDS : 0;
    rz_packed_t *packed = n > 0 ? rz_alloc(n * sizeof(*packed)) : NULL;
    rz_act_t *acts = n > 0 ? rz_alloc(n * sizeof(*acts)) : NULL;
    for (size_t i = 0; i < n; i++) {
        (void)rz_packed_read(&packed[i], &reply->field[1 + i * RZ_ACT_FIELDS], RZ_ACT_FIELDS);
        acts[i] = packed[i].act;
    }
    char *next = rz_field_text(reply, 0);
    if (waiter.fn.list != NULL)
        waiter.fn.list(rc, acts, n, next, waiter.arg);
    for (size_t i = 0; i < n; i++)
        rz_packed_fini(&packed[i]);
    rz_free(next);
    rz_free(packed);
    rz_free(acts);
}

void rz_op_list(rz_store_t *store, const rz_list_t *request, rz_list_fn fn, void *arg)
{
    rz_args_t args;
    rz_args_init(&args, 6);
    rz_args_text(&args, request->parent);
    rz_args_text(&args, request->status);
    rz_args_u64(&args, request->since_ms);
    rz_args_text(&args, request->before);
    rz_args_u64(&args, request->limit);
    rz_args_text(&args, request->tenant);
    rz_waiter_t *waiter = rz_waiter(arg);
    waiter->fn.list = fn;
    rz_args_call(&args, store, "list", on_list, waiter);
}

/* "ms activation epoch what broker runner detail"; the texts are cut in place, the detail may hold spaces. */
static rz_transition_t transition_cut(char *line)
{
    enum { AT, ACTIVATION, EPOCH, WHAT, BROKER, RUNNER, DETAIL, WORDS };
    const char *word[WORDS] = { "", "", "", "", "", "", "" };
    rz_utf8_scrub(line); /* the store cuts long details between bytes */
    for (size_t i = 0; i < WORDS && line != NULL; i++) {
        char *space = i < DETAIL ? strchr(line, ' ') : NULL;
        if (space != NULL)
            *space++ = '\0';
        word[i] = i != DETAIL && strcmp(line, "-") == 0 ? "" : line;
        line = space;
    }
    return (rz_transition_t){ .at_ms = strtoull(word[AT], NULL, 10),
                              .activation = strtoull(word[ACTIVATION], NULL, 10),
                              .epoch = strtoull(word[EPOCH], NULL, 10),
                              .what = word[WHAT],
                              .broker = word[BROKER],
                              .runner = word[RUNNER],
                              .detail = word[DETAIL] };
}

static void on_explain(rz_rc_t rc, const rz_reply_t *reply, void *arg)
{
    rz_waiter_t waiter = *(rz_waiter_t *)arg;
    rz_free(arg);
    rz_packed_t packed;
    (void)rz_packed_read(&packed, reply->field, reply->n);
    size_t n = reply->n > RZ_ACT_FIELDS ? reply->n - RZ_ACT_FIELDS : 0;
    rz_transition_t *list = n > 0 ? rz_alloc(n * sizeof *list) : NULL;
    char **line = n > 0 ? rz_alloc(n * sizeof *line) : NULL;
    for (size_t i = 0; i < n; i++) {
        line[i] = rz_field_text(reply, RZ_ACT_FIELDS + i);
        list[i] = transition_cut(line[i]);
    }
    if (waiter.fn.explain != NULL)
        waiter.fn.explain(rc, &packed.act, list, n, waiter.arg);
    for (size_t i = 0; i < n; i++)
        rz_free(line[i]);
    rz_free(line);
    rz_free(list);
    rz_packed_fini(&packed);
}

void rz_op_explain(rz_store_t *store, const char *child, rz_explain_fn fn, void *arg)
{
    rz_args_t args;
    rz_args_init(&args, 1);
    rz_args_text(&args, child);
    rz_waiter_t *waiter = rz_waiter(arg);
    waiter->fn.explain = fn;
    rz_args_call(&args, store, "explain", on_explain, waiter);
}

/* the activation, first_available, logged_to, then seq header event each */
static void on_replay(rz_rc_t rc, const rz_reply_t *reply, void *arg)
{
    enum { FIRST = RZ_ACT_FIELDS, TO, TRIMMED, ITEMS };
    rz_waiter_t waiter = *(rz_waiter_t *)arg;
    rz_free(arg);
    rz_packed_t packed;
    (void)rz_packed_read(&packed, reply->field, reply->n);
    size_t n = reply->n > ITEMS ? (reply->n - ITEMS) / 3 : 0;
    rz_log_item_t *items = n > 0 ? rz_alloc(n * sizeof(*items)) : NULL;
    for (size_t i = 0; i < n; i++) {
        size_t at = ITEMS + 3 * i;
        items[i] = (rz_log_item_t){ rz_field_number(reply, at), reply->field[at + 1], reply->field[at + 2] };
    }
    char *first = rz_field_text(reply, FIRST), *to = rz_field_text(reply, TO);
    const rz_replay_t replay = { .act = packed.act,
                                 .items = items,
                                 .count = n,
                                 .first_available = first,
                                 .logged_to = to,
                                 .trimmed = rz_field_number(reply, TRIMMED) };
    if (waiter.fn.replay != NULL)
        waiter.fn.replay(rc, &replay, waiter.arg);
    rz_free(first);
    rz_free(to);
    rz_free(items);
    rz_packed_fini(&packed);
}

void rz_op_replay(rz_store_t *store, const char *child, uint64_t epoch, uint64_t seq, unsigned limit,
                  rz_replay_fn fn, void *arg)
{
    rz_args_t args;
    rz_args_init(&args, 5);
    rz_args_text(&args, child);
    rz_args_u64(&args, epoch);
    rz_args_u64(&args, seq);
    rz_args_u64(&args, limit);
    rz_args_u64(&args, 1); /* and how many were trimmed */
    rz_waiter_t *waiter = rz_waiter(arg);
    waiter->fn.replay = fn;
    rz_args_call(&args, store, "replay", on_replay, waiter);
}

/* "profile/labels", waiting, each; "-" for none */
static void on_classes(rz_rc_t rc, const rz_reply_t *reply, void *arg)
{
    rz_waiter_t waiter = *(rz_waiter_t *)arg;
    rz_free(arg);
    size_t n = reply->n / 2;
    rz_class_t *list = n > 0 ? rz_alloc(n * sizeof(*list)) : NULL;
    char **name = n > 0 ? rz_alloc(n * sizeof(*name)) : NULL;
    for (size_t i = 0; i < n; i++) {
        name[i] = rz_field_text(reply, 2 * i);
        char *labels = strchr(name[i], '/');
        if (labels != NULL)
            *labels++ = '\0';
        list[i].profile = strcmp(name[i], "-") == 0 ? "" : name[i];
        list[i].labels = labels == NULL || strcmp(labels, "-") == 0 ? "" : labels;
        list[i].waiting = rz_field_number(reply, 2 * i + 1);
    }
    if (waiter.fn.classes != NULL)
        waiter.fn.classes(rc, list, n, waiter.arg);
    for (size_t i = 0; i < n; i++)
        rz_free(name[i]);
    rz_free(name);
    rz_free(list);
}

void rz_op_classes(rz_store_t *store, rz_classes_fn fn, void *arg)
{
    rz_waiter_t *waiter = rz_waiter(arg);
    waiter->fn.classes = fn;
    rz_store_call(store, "classes", NULL, 0, on_classes, waiter);
}

void rz_op_broadcast(rz_store_t *store, const char *topic, rz_str_t header, rz_str_t event, bool rejected,
                     rz_done_fn fn, void *arg)
{
    rz_args_t args;
    rz_args_init(&args, 4);
    rz_args_text(&args, topic);
    rz_args_str(&args, header);
    rz_args_str(&args, event);
    rz_args_u64(&args, rejected ? 1 : 0);
    rz_waiter_t *waiter = rz_waiter(arg);
    waiter->fn.done = fn;
    rz_args_call(&args, store, "broadcast", rz_on_done, waiter);
}
