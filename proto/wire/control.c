/* control.c - requests and replies of the control socket. What an operation takes stands in one table;
 * decoder and encoder both follow it. */
#include "wire/control.h"
#include "wire/drain.h"
#include "wire/version.h"

#include <stdio.h>
#include <string.h>

#define REQUEST_MAX    (RZ_SESSION_MAX + RZ_JOB_MAX + (size_t)4096)
#define ID_BYTES_MAX   ((size_t)1024) /* the reply repeats `id`: what is repeated is small */
#define INTEGER_MAX    (((uint64_t)1 << 53) - 1)
#define LIMIT_DEFAULT  100
#define LIMIT_MAX      1000
#define TIMEOUT_MAX_MS 86400000
#define OP_NAME_MAX    64
#define CURSOR_MAX     64
#define UNVERSIONED    1 /* a request that does not say its version */

enum {
    M_CHILD = 1 << 0,
    M_PARENT = 1 << 1,
    M_NONCE = 1 << 2,
    M_TEXT = 1 << 3,
    M_MESSAGE_ID = 1 << 4,
    M_JOB_ID = 1 << 5,
    M_NOW = 1 << 6,
    M_REV = 1 << 7,
    M_LIMIT = 1 << 8,
    M_FROM = 1 << 9,
    M_TIMEOUT = 1 << 10,
    M_JOB = 1 << 11,
    M_SESSION = 1 << 12,
    M_CHILDREN = 1 << 13,
    M_WAIT_ID = 1 << 14,
    M_APPROVAL = 1 << 15,
    M_TREE = 1 << 16,
    M_FILTER = 1 << 17,
    M_RUNNER = 1 << 18,
    M_ON = 1 << 19,
    M_DRAIN = 1 << 20,
};

typedef struct {
    unsigned required, optional; /* M_...; all other members are ignored */
} shape_t;

static const shape_t shapes[RZ_CONTROL_OP_COUNT] = {
    [RZ_OP_HELLO] = { 0, 0 },
    [RZ_OP_SUBMIT] = { M_JOB, 0 },
    [RZ_OP_GET] = { M_CHILD, M_JOB_ID },
    [RZ_OP_LIST] = { 0, M_PARENT | M_LIMIT | M_FILTER },
    [RZ_OP_WAIT] = { 0, M_CHILD | M_CHILDREN | M_JOB_ID | M_TIMEOUT },
    [RZ_OP_CANCEL] = { M_CHILD, M_NOW | M_TREE },
    [RZ_OP_SEND] = { M_CHILD | M_TEXT, M_MESSAGE_ID },
    [RZ_OP_SYNC] = { M_NONCE, 0 },
    [RZ_OP_LOGS] = { M_CHILD, 0 },
    [RZ_OP_RUNNERS] = { 0, 0 },
    [RZ_OP_SESSION_GET] = { M_CHILD, 0 },
    [RZ_OP_SESSION_PUT] = { M_SESSION, M_REV },
    [RZ_OP_SESSION_LIST] = { 0, M_LIMIT },
    [RZ_OP_REPLAY] = { M_CHILD, M_FROM | M_LIMIT },
    [RZ_OP_STATUS] = { 0, 0 },
    [RZ_OP_WAIT_REGISTER] = { M_PARENT | M_CHILDREN, M_WAIT_ID | M_TIMEOUT },
    [RZ_OP_WAIT_GET] = { M_PARENT | M_WAIT_ID, 0 },
    [RZ_OP_APPROVE] = { M_CHILD | M_APPROVAL, 0 },
    [RZ_OP_RETRY] = { M_CHILD, 0 },
    [RZ_OP_EXPLAIN] = { M_CHILD, 0 },
    [RZ_OP_RUNNER_CORDON] = { M_RUNNER, M_ON },
    [RZ_OP_RUNNER_DRAIN] = { M_RUNNER, M_DRAIN },
};

#define X(name, text) [RZ_OP_##name] = text,
static const char *const op_names[RZ_CONTROL_OP_COUNT] = { RZ_CONTROL_OPS(X) };
#undef X
#define X(name, text) " " text
static const char op_list[] = RZ_CONTROL_OPS(X);
#undef X

const char *rz_control_op_name(rz_control_op_t op)
{
    return op_names[op];
}

static const char *const wait_for_names[] = { "all", "any", "first_error", NULL };

const char *rz_wait_for_name(rz_wait_for_t wait_for)
{
    return wait_for_names[wait_for];
}

static bool takes(const rz_control_request_t *request, unsigned member)
{
    return ((shapes[request->op].required | shapes[request->op].optional) & member) != 0;
}

/* ---- decoding ---- */

static void read_version(rz_fields_t *f, rz_control_request_t *out)
{
    out->version = rz_field_u64(f, "v", RZ_OPTIONAL, UNVERSIONED, 0, INTEGER_MAX);
    out->version_max = rz_field_u64(f, "v_max", RZ_OPTIONAL, 0, 0, INTEGER_MAX);
    if (f->err->rc == RZ_OK)
        rz_version_check(out->version, out->version_max, "client", "broker", f->err);
}

static rz_rc_t read_op(rz_fields_t *f, rz_control_op_t *op)
{
    const char *name = rz_field_str(f, "op", RZ_REQUIRED, OP_NAME_MAX);
    for (unsigned i = 0; name != NULL && i < RZ_CONTROL_OP_COUNT; i++) {
        if (strcmp(name, op_names[i]) == 0) {
            *op = (rz_control_op_t)i;
            return f->err->rc;
        }
    }
    return rz_fail_field(f->err, RZ_BAD_KIND, "op", "unknown operation \"%.64s\"; known:%s", name, op_list);
}

static const char *read_id(rz_fields_t *f, const shape_t *shape, unsigned member, const char *key)
{
    if ((shape->required & member) != 0)
        return rz_field_id(f, key, RZ_REQUIRED);
    return (shape->optional & member) != 0 ? rz_field_id(f, key, RZ_OPTIONAL) : NULL;
}

static void read_numbers(rz_fields_t *f, rz_control_request_t *out)
{
    if (takes(out, M_LIMIT))
        out->limit = rz_field_u64(f, "limit", RZ_OPTIONAL, LIMIT_DEFAULT, 1, LIMIT_MAX);
    if (takes(out, M_FROM)) {
        out->from_epoch = rz_field_u64(f, "from_epoch", RZ_OPTIONAL, 0, 0, INTEGER_MAX);
        out->from_seq = rz_field_u64(f, "from_seq", RZ_OPTIONAL, 0, 0, INTEGER_MAX);
    }
    if (takes(out, M_TIMEOUT))
        out->timeout_ms = rz_field_u64(f, "timeout_ms", RZ_OPTIONAL, 0, 1, TIMEOUT_MAX_MS);
    if (takes(out, M_REV)) {
        const cJSON *rev = cJSON_GetObjectItemCaseSensitive(f->obj, "rev");
        out->has_rev = rev != NULL && !cJSON_IsNull(rev);
        out->rev = rz_field_u64(f, "rev", RZ_OPTIONAL, 0, 0, INTEGER_MAX);
    }
}

/* One child, or several; `wait` takes either. */
static void read_children(rz_fields_t *f, rz_control_request_t *out)
{
    bool either = (shapes[out->op].optional & M_CHILDREN) != 0;
    out->children = rz_field_ids(f, "children", either ? RZ_OPTIONAL : RZ_REQUIRED);
    out->wait_for = (rz_wait_for_t)rz_field_enum(f, "wait_for", RZ_OPTIONAL, wait_for_names, RZ_WAIT_ALL);
    if (either && (out->child == NULL) == (out->children == NULL))
        rz_fail_field(f->err, RZ_MISSING_FIELD, "child", "give either child or children");
    if (out->children != NULL && cJSON_GetArraySize(out->children) == 0)
        rz_fail_field(f->err, RZ_BAD_FIELD, "children", "must name at least one child");
    const cJSON *child, *other;
    size_t i = 0;
    cJSON_ArrayForEach(child, out->children)
    {
        char field[32];
        snprintf(field, sizeof field, "children[%zu]", i++);
        for (other = out->children->child; other != child; other = other->next)
            if (strcmp(other->valuestring, child->valuestring) == 0)
                rz_fail_field(f->err, RZ_BAD_FIELD, field, "\"%.128s\" is named twice", child->valuestring);
    }
}

static bool is_cursor(const char *text)
{
    static const char digits[] = "0123456789";
    size_t score = strspn(text, digits), skip = text[score] == ':' ? strspn(text + score + 1, digits) : 0;
    return score > 0 && skip > 0 && text[score + 1 + skip] == '\0';
}

static void read_filter(rz_fields_t *f, rz_control_request_t *out)
{
    static const char *const known[] = { "queued",    "assigned", "running", "completed", "error",
                                         "cancelled", "timeout",  "skipped", "terminal",  NULL };
    int status = rz_field_enum(f, "status", RZ_OPTIONAL, known, -1);
    out->status = status >= 0 ? known[status] : NULL;
    out->since_ms = rz_field_u64(f, "since_ms", RZ_OPTIONAL, 0, 0, INTEGER_MAX);
    out->before = rz_field_str(f, "before", RZ_OPTIONAL, CURSOR_MAX);
    if (out->before != NULL && !is_cursor(out->before))
        rz_fail_field(f->err, RZ_BAD_FIELD, "before", "must be the `next` of another page");
}

static void read_approval(rz_fields_t *f, rz_control_request_t *out)
{
    out->request = rz_field_id(f, "request", RZ_REQUIRED);
    if (cJSON_GetObjectItemCaseSensitive(f->obj, "approved") == NULL)
        rz_fail_field(f->err, RZ_MISSING_FIELD, "approved", "is required");
    out->approved = rz_field_bool(f, "approved", RZ_REQUIRED, false);
}

static void read_drain(rz_fields_t *f, rz_control_request_t *out)
{
    int policy = rz_field_enum(f, "policy", RZ_OPTIONAL, rz_drain_policies, -1);
    out->policy = policy >= 0 ? rz_drain_policies[policy] : NULL;
    out->deadline_ms = rz_field_u64(f, "deadline_ms", RZ_OPTIONAL, 0, 1, RZ_DRAIN_MAX_MS);
}

static void read_members(rz_fields_t *f, rz_control_request_t *out)
{
    const shape_t *shape = &shapes[out->op];
    out->child = read_id(f, shape, M_CHILD, "child");
    out->parent = read_id(f, shape, M_PARENT, "parent");
    out->nonce = read_id(f, shape, M_NONCE, "nonce");
    out->message_id = read_id(f, shape, M_MESSAGE_ID, "message_id");
    out->job_id = read_id(f, shape, M_JOB_ID, "job_id");
    out->wait_id = read_id(f, shape, M_WAIT_ID, "wait_id");
    out->runner = read_id(f, shape, M_RUNNER, "runner");
    if (takes(out, M_ON))
        out->off = !rz_field_bool(f, "on", RZ_OPTIONAL, true);
    if (takes(out, M_DRAIN))
        read_drain(f, out);
    if (takes(out, M_CHILDREN))
        read_children(f, out);
    if (takes(out, M_APPROVAL))
        read_approval(f, out);
    if (takes(out, M_FILTER))
        read_filter(f, out);
    if (takes(out, M_TREE))
        out->tree = rz_field_bool(f, "tree", RZ_OPTIONAL, false);
    if (takes(out, M_TEXT))
        out->text = rz_field_str(f, "text", RZ_REQUIRED, RZ_TEXT_MAX);
    if (takes(out, M_NOW))
        out->now = rz_field_bool(f, "now", RZ_OPTIONAL, false);
    read_numbers(f, out);
}

/* What rz_job_decode_checked() and rz_session_decode() will look into; here only its being there is judged.
 */
static rz_str_t read_raw(rz_str_t raw, const char *key, rz_err_t *err)
{
    if (raw.n == 0 || rz_json_kind(raw) == 'n')
        rz_fail_field(err, RZ_MISSING_FIELD, key, "is required");
    else if (rz_json_kind(raw) != '{')
        rz_fail_field(err, RZ_BAD_FIELD, key, "must be an object");
    return raw;
}

static void read_request(rz_control_request_t *out, rz_err_t *err)
{
    rz_fields_t f = { out->object.tree, "", err };
    if (out->object.raw[0].n > ID_BYTES_MAX)
        rz_fail_field(err, RZ_TOO_LARGE, "id", "at most %zu bytes", ID_BYTES_MAX);
    else
        out->id = out->object.raw[0];
    read_version(&f, out);
    if (read_op(&f, &out->op) != RZ_OK)
        return;
    read_members(&f, out);
    if (takes(out, M_JOB))
        out->job = read_raw(out->object.raw[1], "job", err);
    if (takes(out, M_SESSION))
        out->session = read_raw(out->object.raw[2], "session", err);
}

rz_rc_t rz_control_decode(const char *bytes, size_t len, rz_control_request_t *out, rz_err_t *err)
{
    static const char *const raw_keys[] = { "id", "job", "session", NULL };
    rz_err_t own = { 0 };
    err = err != NULL ? err : &own;
    *out = (rz_control_request_t){ 0 };
    if (rz_object_decode(bytes, len, REQUEST_MAX, raw_keys, &out->object, err) != RZ_OK)
        return err->rc;
    read_request(out, err);
    if (err->rc != RZ_OK) {
        rz_str_t id = out->id; /* a span of the input: it outlives what was decoded */
        rz_control_fini(out);
        out->id = id;
    }
    return err->rc;
}

void rz_control_fini(rz_control_request_t *request)
{
    rz_object_fini(&request->object);
    *request = (rz_control_request_t){ 0 };
}

/* ---- encoding ---- */

static void put_number(const rz_control_request_t *request, unsigned member, const char *key, uint64_t number,
                       uint64_t dflt, rz_buf_t *out)
{
    if (takes(request, member) && number != dflt)
        rz_json_put_u64(out, key, number);
}

static void put_children(const rz_control_request_t *request, rz_buf_t *out)
{
    const cJSON *child;
    rz_json_open_key(out, "children", '[');
    cJSON_ArrayForEach(child, request->children) rz_json_put_str(out, NULL, child->valuestring);
    rz_json_close(out, ']');
    if (request->wait_for != RZ_WAIT_ALL)
        rz_json_put_str(out, "wait_for", rz_wait_for_name(request->wait_for));
}

static void put_choices(const rz_control_request_t *request, rz_buf_t *out)
{
    if (takes(request, M_CHILDREN) && request->children != NULL)
        put_children(request, out);
    if (takes(request, M_APPROVAL)) {
        rz_json_opt_str(out, "request", request->request);
        rz_json_put_bool(out, "approved", request->approved);
    }
    if (takes(request, M_NOW) && request->now)
        rz_json_put_bool(out, "now", true);
    if (takes(request, M_TREE) && request->tree)
        rz_json_put_bool(out, "tree", true);
    if (takes(request, M_ON) && request->off)
        rz_json_put_bool(out, "on", false);
    if (takes(request, M_DRAIN))
        rz_json_opt_str(out, "policy", request->policy);
    put_number(request, M_DRAIN, "deadline_ms", request->deadline_ms, 0, out);
    if (takes(request, M_FILTER)) {
        rz_json_opt_str(out, "status", request->status);
        put_number(request, M_FILTER, "since_ms", request->since_ms, 0, out);
        rz_json_opt_str(out, "before", request->before);
    }
}

void rz_control_encode(const rz_control_request_t *request, rz_buf_t *out)
{
    uint64_t version = request->version != 0 ? request->version : RZ_PROTOCOL_MIN;
    rz_json_open(out, '{');
    rz_json_put_u64(out, "v", version);
    if (request->version_max > version)
        rz_json_put_u64(out, "v_max", request->version_max);
    rz_json_put_str(out, "op", rz_control_op_name(request->op));
    if (request->id.n > 0)
        rz_json_put_raw(out, "id", request->id);
    rz_json_opt_str(out, "child", takes(request, M_CHILD) ? request->child : NULL);
    rz_json_opt_str(out, "parent", takes(request, M_PARENT) ? request->parent : NULL);
    rz_json_opt_str(out, "nonce", takes(request, M_NONCE) ? request->nonce : NULL);
    rz_json_opt_str(out, "text", takes(request, M_TEXT) ? request->text : NULL);
    rz_json_opt_str(out, "message_id", takes(request, M_MESSAGE_ID) ? request->message_id : NULL);
    rz_json_opt_str(out, "job_id", takes(request, M_JOB_ID) ? request->job_id : NULL);
    rz_json_opt_str(out, "wait_id", takes(request, M_WAIT_ID) ? request->wait_id : NULL);
    rz_json_opt_str(out, "runner", takes(request, M_RUNNER) ? request->runner : NULL);
    put_choices(request, out);
    if (takes(request, M_REV) && request->has_rev)
        rz_json_put_u64(out, "rev", request->rev);
    if (request->limit != 0)
        put_number(request, M_LIMIT, "limit", request->limit, LIMIT_DEFAULT, out);
    put_number(request, M_FROM, "from_epoch", request->from_epoch, 0, out);
    put_number(request, M_FROM, "from_seq", request->from_seq, 0, out);
    put_number(request, M_TIMEOUT, "timeout_ms", request->timeout_ms, 0, out);
    if (takes(request, M_JOB) && request->job.n > 0)
        rz_json_put_raw(out, "job", request->job);
    if (takes(request, M_SESSION) && request->session.n > 0)
        rz_json_put_raw(out, "session", request->session);
    rz_json_close(out, '}');
}

/* ---- replies ---- */

void rz_control_reply(rz_buf_t *out, uint32_t version, const char *op, rz_str_t id, rz_rc_t code,
                      const rz_err_t *err)
{
    rz_json_open(out, '{');
    rz_json_put_u64(out, "v", version);
    rz_json_opt_str(out, "op", op);
    if (id.n > 0)
        rz_json_put_raw(out, "id", id);
    rz_json_put_str(out, "code", rz_rc_name(code));
    if (code == RZ_OK || code == RZ_DUPLICATE)
        return;
    if (err != NULL && err->field[0] != '\0')
        rz_json_put_str(out, "field", err->field);
    rz_json_put_str(out, "message", err != NULL && err->text[0] != '\0' ? err->text : rz_rc_text(code));
}
