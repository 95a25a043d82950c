/* event.h - what is published: [topic][header JSON][event JSON].
 *
 * Topic   <parent>/<child>/<type>
 *         Subscribe to "<parent>/<child>/" (with the slash) for one child, "<parent>/" for all children of a
 *         parent. <type> of a wrapped worker event is "sub_agent_event.<inner type>", so that a prefix
 *         selects one kind ("p/c/sub_agent_event.token"); an inner type that is no safe name becomes "other".
 *         System messages stand under $sys/: $sys/rejected, $sys/sync/<nonce>/<runner>.
 * Header  {"v":1,"parent":...,"child":...,"job":...,"epoch":3,"seq":7,"prev_durable":5,"ts":"...",
 *          "class":"durable","traceparent":...,"id":...}     job, traceparent and id are omitted when none.
 * Event   sub_agent_started | sub_agent_event (the worker's event verbatim inside) | sub_agent_heartbeat |
 *         sub_agent_completed (rule 6.2). */
#pragma once

#include "base/json.h"
#include "base/limits.h"

typedef enum { RZ_CLASS_DURABLE, RZ_CLASS_SNAPSHOT, RZ_CLASS_EPHEMERAL } rz_event_class_t;
const char *rz_event_class_name(rz_event_class_t class_);

typedef struct {
    const char *parent, *child;
    const char *job; /* NULL when none */
    uint64_t epoch;
    uint64_t seq;          /* 1, 2, ... within (child, epoch) */
    uint64_t prev_durable; /* seq of the durable event before this one in the epoch; 0 = none */
    const char *ts;        /* RFC 3339 */
    rz_event_class_t class_;
    const char *traceparent; /* NULL when none */
    const char *id;          /* of an event that has no number in an epoch; NULL: it has one */
    rz_object_t object;      /* owns the strings after a decode */
} rz_event_header_t;

rz_rc_t rz_event_header_decode(const char *bytes, size_t len, rz_event_header_t *out, rz_err_t *err);
void rz_event_header_fini(rz_event_header_t *header);
void rz_event_header_encode(const rz_event_header_t *header, rz_buf_t *out);

/* The `type` of a worker event as a safe name ([a-z0-9_.]{1,64}), "other" if it has none or another form.
 * bytes: checked JSON; out holds at most 64 bytes and a NUL. RZ_BAD_FIELD if the value is no object or has no
 * string `type`. */
rz_rc_t rz_event_type(rz_str_t event, char out[65]);
/* Class by inner type (rule 4.6); sub_agent_event counts as its inner event. */
rz_event_class_t rz_event_classify(const char *type, rz_str_t event);

/* Whole events; each appends one JSON object. */
void rz_event_started(const char *parent, const char *child, const char *title,
                      rz_buf_t *out); /* title NULL: none */
void rz_event_wrap(const char *parent, const char *child, rz_str_t event, rz_buf_t *out);
/* Leaves its object open: add what is known of the run (rule 6.6), end with rz_json_close(out, '}'). */
void rz_event_heartbeat(const char *parent, const char *child, const char *ts, rz_buf_t *out);
void rz_event_completed(const char *parent, const char *child, const char *status, const char *error,
                        rz_buf_t *out);

/* "<parent>/<child>/<type>"; inner NULL, or the type of the wrapped event. Appends. */
void rz_topic(const char *parent, const char *child, const char *type, const char *inner, rz_buf_t *out);
/* Splits a topic of the first form; all spans lent. False for $sys/... and anything else. */
bool rz_topic_parse(rz_str_t topic, rz_str_t *parent, rz_str_t *child, rz_str_t *type);
