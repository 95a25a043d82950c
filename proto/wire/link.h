/* link.h - broker <-> runner: [JSON header][payload frame]... over ROUTER/DEALER.
 *
 * The header's `kind` names the message; payload frames are raw JSON that nobody on the way parses. Members a
 * kind does not name are ignored. Sequence pictures: proto/README.md, "Link".
 *
 * runner -> broker
 *   hello    {v,v_max?,runner,incarnation,host,pid,slots,version,labels[],profiles[],phase?}
 *                                                 the versions of the protocol it speaks, from v to v_max
 *   credit   {granted,idle?:{"<affinity>":n},full?:[profile...]}
 *                                                 granted: cumulative assignments allowed on this link; full:
 *                                                 profiles that have no room of their own now
 *   start    {child,epoch,token,seqs[]}           + (event header, event) per seq: durable events to log
 *   append   {child,epoch,token,seqs[]}           + the same
 *   finish   {child,epoch,token,seqs[],status,error?}
 *                                                 + [assistant message or empty] + events as above, the last
 *                                                 of which is sub_agent_completed
 *   release  {child,epoch,token,reason,rerun?}    owned and cannot be run here: back to the queue; rerun: it has
 *                                                 begun, and an attempt is left
 *   phase    {phase,id?,code?,message?}           whether it takes work, when that changes; with id: answer to `order`
 *   steered  {child,id,live}                      a steering message was (not) written to the worker
 *   decided  {child,id,live}                      an approval was (not) written to the worker
 *   output   {id,code}                            + [text]: answer to `logs`
 *   sync     {incarnation,counter,count,digest,held?:[holding...],facts?:{...},states?:{"<child>":{...}}}
 *                                                 states: what changed since the last sync, see proto/README.md
 *   ping     {granted,home?}                      each ping_ms on every link; granted as in credit, home: this
 *                                                 broker is the runner's
 *   bye      {incarnation}                        draining is done: the incarnation ends
 * broker -> runner
 *   welcome  {v,broker,publish,mark?,sync_ms,lease_ms?,ping_ms?,load?,brokers?:{"<broker>":runners endpoint}}
 *                                                 v: the version that both use from here; mark: the last of its
 *                                                 subscriptions at publish; no ping_ms: this broker knows no ping
 *   refused  {code,message}
 *   assign   {child,parent,job?,epoch,token,attempt,max_attempts?,previous_error?,profile,affinity,model,
 *             disabled_tools?,tenant?,traceparent?,cancelled?,live?}
 *                                                 + [session header][messages array]
 *                                                 live: it was running, and comes again to be settled
 *   cancel   {child,epoch,now?}
 *   steer    {child,epoch,id}                     + [JSON string]
 *   ack      {op,child,epoch,code,seq?}           answers start, append, finish, release; seq: last one asked
 *   decide   {child,epoch,id,approved}            answer to the worker's approval_request `id`
 *   synced   {code,counter,cancels?:[holding...],cancels_now?:[holding...],owned?:[holding...],
 *             brokers?:{"<broker>":runners endpoint}}
 *                                                 owned only when the digests differ
 *   pong     {load,sent,promised,down?}           one for each ping. load: slots of the runners homed here; sent:
 *                                                 assigns since welcome; promised: those that a call to the store
 *                                                 may still bring; down: its store is away
 *   emit     {nonce}                              publish $sys/sync/<nonce>/<runner>
 *   logs     {id,child}
 *   order    {id,phase,policy?,deadline_ms?}      take work, take none, or drain
 *   closing  {broker}                             it ends: go elsewhere at once
 *
 * A holding is "child", "child epoch" or [child,epoch]. What a runner owns and did not hear of
 * comes again as `assign`, after a sync that showed it. */
#pragma once

#include "base/id.h"
#include "base/json.h"
#include "base/limits.h"

#define RZ_LINK_KINDS(X)                                                                                     \
    X(HELLO, "hello")                                                                                        \
    X(CREDIT, "credit")                                                                                      \
    X(START, "start")                                                                                        \
    X(APPEND, "append")                                                                                      \
    X(FINISH, "finish")                                                                                      \
    X(RELEASE, "release")                                                                                    \
    X(STEERED, "steered")                                                                                    \
    X(DECIDED, "decided")                                                                                    \
    X(OUTPUT, "output")                                                                                      \
    X(SYNC, "sync")                                                                                          \
    X(PING, "ping")                                                                                          \
    X(BYE, "bye")                                                                                            \
    X(PHASE, "phase")                                                                                        \
    X(WELCOME, "welcome")                                                                                    \
    X(REFUSED, "refused")                                                                                    \
    X(ASSIGN, "assign")                                                                                      \
    X(CANCEL, "cancel")                                                                                      \
    X(STEER, "steer")                                                                                        \
    X(DECIDE, "decide")                                                                                      \
    X(ACK, "ack")                                                                                            \
    X(SYNCED, "synced")                                                                                      \
    X(PONG, "pong")                                                                                          \
    X(EMIT, "emit")                                                                                          \
    X(LOGS, "logs")                                                                                          \
    X(ORDER, "order")                                                                                        \
    X(CLOSING, "closing")

#define X(name, text) RZ_LINK_##name,
typedef enum { RZ_LINK_KINDS(X) RZ_LINK_KIND_COUNT } rz_link_kind_t;
#undef X
const char *rz_link_kind_name(rz_link_kind_t kind);

/* One struct for all kinds: a kind uses the members its line above names, the others are zero. */
typedef struct {
    rz_link_kind_t kind;
    const char *runner, *incarnation, *host, *program_version, *broker, *publish, *mark;
    const char *child, *parent, *job, *token, *id, *nonce;
    const char *profile, *affinity, *model, *tenant, *traceparent;
    const char *phase, *policy; /* of wire/drain.h */
    const char *status, *error, *reason, *previous_error, *digest, *op, *message;
    rz_rc_t code;
    uint64_t version, version_max; /* hello: from, to (0: the same); welcome: the one of both */
    uint64_t pid, slots, granted, epoch, seq, counter, count, attempt, max_attempts, sync_ms, lease_ms,
        ping_ms, load, sent, promised;
    uint64_t deadline_ms; /* from now; 0: the runner's own */
    bool now, live, cancelled, approved, home, down, rerun;
    const uint64_t *seqs; /* start append finish: ascending; on decode owned by the struct */
    size_t seq_count;
    const cJSON *labels, *profiles, *disabled_tools, *idle, *full, *held, *owned, *cancels, *cancels_now,
        *facts, *states, *brokers; /* NULL when absent */
    rz_object_t object;
} rz_link_t;

/* Checks ids, tokens (32 hex digits) and digests. */
rz_rc_t rz_link_decode(const char *bytes, size_t len, rz_link_t *out, rz_err_t *err);
void rz_link_fini(rz_link_t *link);
void rz_link_encode(const rz_link_t *link, rz_buf_t *out);

/* The digest both sides compute over what an incarnation holds: SHA-1 hex of the sorted "child epoch\n" lines
 * (SHA-1 because Redis functions have no other; it guards against divergence, not against attackers). `lines`
 * sorted. */
void rz_held_digest(const char *const *lines, size_t n, char out[41]);
