/* control_info.c - what the broker tells about itself: hello, status. */
#include "control_ops.h"

#include "base/clock.h"
#include "base/limits.h"

#include <string.h>

static const char *store_state(const control_t *control)
{
    return rz_store_up(control->part.store) ? "up" : "down";
}

void op_hello(control_t *control, call_t *call, const rz_control_request_t *request)
{
    (void)request;
    rz_buf_t *out = call_reply(call, RZ_OK, NULL);
    rz_json_put_str(out, "broker", control->part.broker);
    rz_json_put_str(out, "version", RZ_VERSION);
    rz_json_put_u64(out, "protocol", RZ_PROTOCOL_VERSION);
    rz_json_put_u64(out, "protocol_min", RZ_PROTOCOL_MIN);
    rz_json_put_str(out, "store", store_state(control));
    if (!rz_store_up(control->part.store))
        rz_json_put_str(out, "store_reason", control->part.store_detail);
    rz_json_put_str(out, "durability", rz_store_durability(control->part.store));
    endpoints_t endpoints = *control->part.endpoints;
    endpoints.events = proxy_events_of(control->part.proxy, control_who(control, call));
    rz_json_open_key(out, "endpoints", '{');
    endpoints_encode(&endpoints, out);
    rz_json_close(out, '}');
    brokers_encode(control->part.brokers, out);
    rz_json_put_u64(out, "runners", roster_joined(control->part.roster));
    call_send(&call);
}

/* ---- status ---- */

static void put_store(const control_t *control, rz_buf_t *out)
{
    rz_store_stats_t stats;
    rz_store_stats(control->part.store, &stats);
    rz_json_open_key(out, "store", '{');
    rz_json_put_str(out, "state", store_state(control));
    if (!rz_store_up(control->part.store))
        rz_json_put_str(out, "reason", control->part.store_detail);
    rz_json_put_str(out, "id", rz_store_id(control->part.store));
    rz_json_put_u64(out, "term", rz_store_mark(control->part.store)->term);
    rz_json_put_u64(out, "tick_ms", rz_store_mark(control->part.store)->tick);
    rz_json_put_str(out, "durability", rz_store_durability(control->part.store));
    rz_json_put_u64(out, "batches", stats.batches);
    rz_json_put_u64(out, "operations", stats.operations);
    rz_json_put_u64(out, "bytes_sent", stats.bytes_sent);
    rz_json_put_u64(out, "lost", stats.lost);
    rz_json_put_u64(out, "unconfirmed", stats.unconfirmed);
    rz_json_put_u64(out, "vanished", stats.vanished);
    rz_json_put_u64(out, "reconnects", stats.reconnects);
    rz_json_put_u64(out, "last_latency_us", stats.last_latency_us);
    rz_json_put_u64(out, "queued", stats.queued);
    rz_json_put_u64(out, "in_flight", stats.in_flight);
    rz_json_close(out, '}');
}

static void put_class(const rz_class_t *class, rz_buf_t *out)
{
    rz_json_open(out, '{');
    rz_json_put_str(out, "profile", class->profile);
    rz_json_put_str(out, "labels", class->labels);
    rz_json_put_u64(out, "waiting", class->waiting);
    rz_json_close(out, '}');
}

static void put_classes(const rz_class_t *classes, size_t n, rz_buf_t *out)
{
    uint64_t waiting = 0;
    for (size_t i = 0; i < n; i++)
        waiting += classes[i].waiting;
    rz_json_put_u64(out, "waiting", waiting);
    rz_json_open_key(out, "classes", '[');
    for (size_t i = 0; i < n; i++)
        put_class(&classes[i], out);
    rz_json_close(out, ']');
}

static void put_group(const rz_group_t *group, rz_buf_t *out)
{
    rz_json_open(out, '{');
    rz_json_put_str(out, "name", group->name);
    rz_json_put_u64(out, "consumers", group->consumers);
    rz_json_put_u64(out, "pending", group->pending);
    rz_json_put_u64(out, "lag", group->lag);
    rz_json_close(out, '}');
}

static void put_completions(uint64_t entries, const rz_group_t *groups, size_t n, rz_buf_t *out)
{
    rz_json_open_key(out, "completions", '{');
    rz_json_put_u64(out, "entries", entries);
    rz_json_open_key(out, "groups", '[');
    for (size_t i = 0; i < n; i++)
        put_group(&groups[i], out);
    rz_json_close(out, ']');
    rz_json_close(out, '}');
}

/* What the broker knows by itself. What only the store knows is missing while it is away; the rest is still
 * worth telling. */
static rz_buf_t *open_status(const control_t *control, call_t *call)
{
    rz_buf_t *out = call_reply(call, RZ_OK, NULL);
    rz_json_put_str(out, "broker", control->part.broker);
    rz_json_put_u64(out, "uptime_ms", rz_now_ms() - control->started_ms);
    put_store(control, out);
    rz_json_put_u64(out, "links", roster_joined(control->part.roster));
    rz_json_put_u64(out, "waiters", waiters_count(control->part.waiters));
    counters_encode(control->part.counters, out);
    return out;
}

typedef struct {
    asking_t asking;
    rz_buf_t *reply; /* of the call, open */
} telling_t;

static void telling_end(telling_t *telling)
{
    call_send(&telling->asking.call);
    rz_free(telling);
}

static void on_groups(rz_rc_t rc, uint64_t entries, const rz_group_t *groups, size_t n, void *arg)
{
    telling_t *telling = arg;
    if (rc == RZ_OK)
        put_completions(entries, groups, n, telling->reply);
    telling_end(telling);
}

static void on_classes(rz_rc_t rc, const rz_class_t *classes, size_t n, void *arg)
{
    telling_t *telling = arg;
    if (rc != RZ_OK) {
        telling_end(telling);
        return;
    }
    put_classes(classes, n, telling->reply);
    rz_op_groups(telling->asking.control->part.store, on_groups, telling);
}

void op_status(control_t *control, call_t *call, const rz_control_request_t *request)
{
    (void)request;
    rz_buf_t *reply = open_status(control, call);
    if (!rz_store_up(control->part.store)) {
        call_send(&call);
        return;
    }
    telling_t *telling = rz_alloc(sizeof *telling);
    *telling = (telling_t){ .asking = { control, call }, .reply = reply };
    rz_op_classes(control->part.store, on_classes, telling);
}
