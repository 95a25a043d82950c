/* link.c - broker <-> runner headers. Two tables say everything: how each member is spelled and judged, and
 * which members each kind must and may have. Decoder and encoder only walk them. */
#include "wire/link.h"
#include "wire/drain.h"
#include "wire/version.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#define HEADER_MAX    RZ_JOB_MAX
#define INTEGER_MAX   (((uint64_t)1 << 53) - 1)
#define SEQS_MAX      RZ_BATCH_ITEMS_MAX /* of one write; with two frames each they fit RZ_PARTS_MAX */
#define ENDPOINT_MAX  512
#define SENTENCE_MAX  1024
#define SHA1_HEX_LEN  40
#define KIND_NAME_MAX 32

typedef enum {
    ID,       /* id rule                                             */
    NAME,     /* text of at most RZ_NAME_MAX bytes                   */
    ENDPOINT, /* text, at most ENDPOINT_MAX                          */
    SENTENCE, /* text, at most SENTENCE_MAX                          */
    TEXT,     /* text, at most RZ_TEXT_MAX                           */
    TOKEN,    /* RZ_TOKEN_LEN hex digits                             */
    SHA1,     /* SHA1_HEX_LEN hex digits                             */
    STATUS,   /* one of statuses                                     */
    WRITE_OP, /* one of write_ops                                    */
    PHASE,    /* one of rz_phase_names                               */
    POLICY,   /* one of rz_drain_policies                            */
    CODE,     /* name of an rz_rc_t                                  */
    NUMBER,   /* uint64_t, 0..2^53-1                                 */
    FLAG,     /* bool                                                */
    SEQS,     /* ascending integers; spelled by seqs and seq_count   */
    IDS,      /* array of ids, at most RZ_LIST_MAX                   */
    NAMES,    /* array of names, at most RZ_LIST_MAX                 */
    HOLDINGS, /* array of "child", "child epoch" or [child,epoch]    */
    COUNTS,   /* object: id -> integer                               */
    PLACES,   /* object: id -> endpoint                              */
    OBJECT,   /* any object                                          */
} form_t;

/* In the order in which they are written. X(member of the struct, name on the wire, form) */
#define MEMBERS(X)                                                                                           \
    X(version, "v", NUMBER)                                                                                  \
    X(version_max, "v_max", NUMBER)                                                                          \
    X(runner, "runner", ID)                                                                                  \
    X(broker, "broker", ID)                                                                                  \
    X(incarnation, "incarnation", ID)                                                                        \
    X(host, "host", NAME)                                                                                    \
    X(pid, "pid", NUMBER)                                                                                    \
    X(slots, "slots", NUMBER)                                                                                \
    X(program_version, "version", NAME)                                                                      \
    X(labels, "labels", IDS)                                                                                 \
    X(profiles, "profiles", IDS)                                                                             \
    X(publish, "publish", ENDPOINT)                                                                          \
    X(mark, "mark", NAME)                                                                                    \
    X(sync_ms, "sync_ms", NUMBER)                                                                            \
    X(lease_ms, "lease_ms", NUMBER)                                                                          \
    X(ping_ms, "ping_ms", NUMBER)                                                                            \
    X(load, "load", NUMBER)                                                                                  \
    X(sent, "sent", NUMBER)                                                                                  \
    X(promised, "promised", NUMBER)                                                                          \
    X(granted, "granted", NUMBER)                                                                            \
    X(home, "home", FLAG)                                                                                    \
    X(down, "down", FLAG)                                                                                    \
    X(idle, "idle", COUNTS)                                                                                  \
    X(full, "full", IDS)                                                                                     \
    X(op, "op", WRITE_OP)                                                                                    \
    X(child, "child", ID)                                                                                    \
    X(parent, "parent", ID)                                                                                  \
    X(job, "job", ID)                                                                                        \
    X(epoch, "epoch", NUMBER)                                                                                \
    X(token, "token", TOKEN)                                                                                 \
    X(seqs, "seqs", SEQS)                                                                                    \
    X(status, "status", STATUS)                                                                              \
    X(error, "error", TEXT)                                                                                  \
    X(attempt, "attempt", NUMBER)                                                                            \
    X(max_attempts, "max_attempts", NUMBER)                                                                  \
    X(previous_error, "previous_error", TEXT)                                                                \
    X(profile, "profile", ID)                                                                                \
    X(affinity, "affinity", ID)                                                                              \
    X(model, "model", NAME)                                                                                  \
    X(disabled_tools, "disabled_tools", NAMES)                                                               \
    X(tenant, "tenant", ID)                                                                                  \
    X(traceparent, "traceparent", NAME)                                                                      \
    X(cancelled, "cancelled", FLAG)                                                                          \
    X(rerun, "rerun", FLAG)                                                                                  \
    X(reason, "reason", SENTENCE)                                                                            \
    X(id, "id", ID)                                                                                          \
    X(nonce, "nonce", ID)                                                                                    \
    X(live, "live", FLAG)                                                                                    \
    X(approved, "approved", FLAG)                                                                            \
    X(now, "now", FLAG)                                                                                      \
    X(phase, "phase", PHASE)                                                                                 \
    X(policy, "policy", POLICY)                                                                              \
    X(deadline_ms, "deadline_ms", NUMBER)                                                                    \
    X(code, "code", CODE)                                                                                    \
    X(message, "message", SENTENCE)                                                                          \
    X(seq, "seq", NUMBER)                                                                                    \
    X(counter, "counter", NUMBER)                                                                            \
    X(count, "count", NUMBER)                                                                                \
    X(digest, "digest", SHA1)                                                                                \
    X(held, "held", HOLDINGS)                                                                                \
    X(owned, "owned", HOLDINGS)                                                                              \
    X(cancels, "cancels", HOLDINGS)                                                                          \
    X(cancels_now, "cancels_now", HOLDINGS)                                                                  \
    X(facts, "facts", OBJECT)                                                                                \
    X(states, "states", OBJECT)                                                                              \
    X(brokers, "brokers", PLACES)

typedef struct {
    const char *name;
    form_t form;
    size_t at; /* offset in rz_link_t */
} member_t;
#define X(member, name, form) { name, form, offsetof(rz_link_t, member) },
static const member_t members[] = { MEMBERS(X) };
#undef X
#define X(member, name, form) INDEX_##member,
enum { MEMBERS(X) MEMBER_COUNT };
#undef X

/* Which members each kind has: a has_t in each cell, and what a row does not name is not its. */
typedef enum { HAS_NOT, MAY_HAVE, MUST_HAVE } has_t;
#define MUST(member) [INDEX_##member] = MUST_HAVE
#define MAY(member)  [INDEX_##member] = MAY_HAVE
#define WRITE        MUST(child), MUST(epoch), MUST(token), MUST(seqs)
static const uint8_t shapes[RZ_LINK_KIND_COUNT][MEMBER_COUNT] = {
    [RZ_LINK_HELLO] = { MUST(version), MUST(runner), MUST(incarnation), MUST(host), MUST(pid), MUST(slots),
                        MUST(program_version), MUST(labels), MUST(profiles), MAY(version_max), MAY(phase) },
    [RZ_LINK_CREDIT] = { MUST(granted), MAY(idle), MAY(full) },
    [RZ_LINK_START] = { WRITE },
    [RZ_LINK_APPEND] = { WRITE },
    [RZ_LINK_FINISH] = { WRITE, MUST(status), MAY(error), MAY(code) },
    [RZ_LINK_RELEASE] = { MUST(child), MUST(epoch), MUST(token), MUST(reason), MAY(rerun) },
    [RZ_LINK_STEERED] = { MUST(child), MUST(id), MUST(live) },
    [RZ_LINK_DECIDED] = { MUST(child), MUST(id), MUST(live) },
    [RZ_LINK_OUTPUT] = { MUST(id), MUST(code) },
    [RZ_LINK_SYNC] = { MUST(incarnation), MUST(counter), MUST(count), MUST(digest), MAY(held), MAY(facts),
                       MAY(states) },
    [RZ_LINK_PING] = { MUST(granted), MAY(home) },
    [RZ_LINK_BYE] = { MUST(incarnation) },
    [RZ_LINK_WELCOME] = { MUST(version), MUST(broker), MUST(publish), MUST(sync_ms), MAY(mark), MAY(lease_ms),
                          MAY(ping_ms), MAY(load), MAY(brokers) },
    [RZ_LINK_REFUSED] = { MUST(code), MUST(message) },
    [RZ_LINK_ASSIGN] = { MUST(child), MUST(parent), MUST(epoch), MUST(token), MUST(attempt), MUST(profile),
                         MUST(affinity), MUST(model), MAY(job), MAY(max_attempts), MAY(previous_error),
                         MAY(disabled_tools), MAY(tenant), MAY(traceparent), MAY(cancelled), MAY(live) },
    [RZ_LINK_CANCEL] = { MUST(child), MUST(epoch), MAY(now) },
    [RZ_LINK_STEER] = { MUST(child), MUST(epoch), MUST(id) },
    [RZ_LINK_DECIDE] = { MUST(child), MUST(epoch), MUST(id), MUST(approved) },
    [RZ_LINK_ACK] = { MUST(op), MUST(child), MUST(epoch), MUST(code), MAY(seq) },
    [RZ_LINK_SYNCED] = { MUST(code), MUST(counter), MAY(cancels), MAY(cancels_now), MAY(owned),
                         MAY(brokers) },
    [RZ_LINK_PONG] = { MUST(load), MUST(sent), MUST(promised), MAY(down) },
    [RZ_LINK_EMIT] = { MUST(nonce) },
    [RZ_LINK_LOGS] = { MUST(id), MUST(child) },
    [RZ_LINK_PHASE] = { MUST(phase), MAY(id), MAY(code), MAY(message) },
    [RZ_LINK_ORDER] = { MUST(id), MUST(phase), MAY(policy), MAY(deadline_ms) },
    [RZ_LINK_CLOSING] = { MUST(broker) },
};
#undef WRITE
#undef MAY
#undef MUST

static const char *const statuses[] = { "completed", "error", "cancelled", "timeout", "skipped", NULL };
static const char *const write_ops[] = { "start", "append", "finish", "release", NULL };

#define X(name, text) [RZ_LINK_##name] = text,
static const char *const kind_names[RZ_LINK_KIND_COUNT] = { RZ_LINK_KINDS(X) };
#undef X

#define X(name, text) " " text
static const char kind_list[] = RZ_LINK_KINDS(X);
#undef X

const char *rz_link_kind_name(rz_link_kind_t kind)
{
    return kind_names[kind];
}

/* ---- forms that base/json.h has no reader for ---- */

static const char *read_hex(rz_fields_t *f, const char *key, rz_need_t need, size_t digits)
{
    const char *text = rz_field_str(f, key, need, 0);
    if (text == NULL || (strlen(text) == digits && strspn(text, "0123456789abcdef") == digits))
        return text;
    rz_fail_field(f->err, RZ_BAD_FIELD, key, "must be %zu lower case hex digits", digits);
    return NULL;
}

static const char *read_choice(rz_fields_t *f, const char *key, rz_need_t need, const char *const *choices)
{
    int choice = rz_field_enum(f, key, need, choices, -1);
    return choice >= 0 ? choices[choice] : NULL;
}

static const cJSON *read_array(rz_fields_t *f, const char *key, rz_need_t need)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(f->obj, key);
    if (list == NULL || cJSON_IsNull(list)) {
        if (need == RZ_REQUIRED)
            rz_fail_field(f->err, RZ_MISSING_FIELD, key, "is required");
        return NULL;
    }
    if (cJSON_IsArray(list))
        return list;
    rz_fail_field(f->err, RZ_BAD_FIELD, key, "must be an array");
    return NULL;
}

static void fail_element(rz_fields_t *f, const char *key, size_t i, rz_rc_t rc, const char *text)
{
    char field[64];
    snprintf(field, sizeof field, "%s[%zu]", key, i);
    rz_fail_field(f->err, rc, field, "%s", text);
}

static bool is_integer(const cJSON *item)
{
    double number = cJSON_IsNumber(item) ? item->valuedouble : -1;
    return number >= 0 && number <= (double)INTEGER_MAX && number == (double)(uint64_t)number;
}

static bool text_is_holding(const char *text)
{
    size_t id = strcspn(text, " ");
    if (!rz_id_valid((rz_str_t){ text, id }))
        return false;
    const char *epoch = text + id;
    return *epoch == '\0' || (epoch[1] != '\0' && strspn(epoch + 1, "0123456789") == strlen(epoch + 1));
}

static bool is_holding(const cJSON *item)
{
    if (cJSON_IsString(item))
        return text_is_holding(item->valuestring);
    const cJSON *child = cJSON_GetArrayItem(item, 0);
    return cJSON_IsArray(item) && cJSON_GetArraySize(item) == 2 && cJSON_IsString(child) &&
           rz_id_valid(rz_str(child->valuestring)) && is_integer(child->next);
}

static const cJSON *read_holdings(rz_fields_t *f, const char *key, rz_need_t need)
{
    const cJSON *list = read_array(f, key, need), *item;
    size_t i = 0;
    cJSON_ArrayForEach(item, list)
    {
        if (!is_holding(item))
            fail_element(f, key, i, RZ_BAD_FIELD, "must be \"child\", \"child epoch\" or [child, epoch]");
        i++;
    }
    return list;
}

static const cJSON *read_counts(rz_fields_t *f, const char *key, rz_need_t need)
{
    const cJSON *map = rz_field_object(f, key, need), *item;
    cJSON_ArrayForEach(item, map)
    {
        char field[96];
        snprintf(field, sizeof field, "%s.%.80s", key, item->string);
        if (!rz_id_valid(rz_str(item->string)))
            rz_fail_field(f->err, RZ_BAD_ID, key, "each key must be " RZ_ID_RULE);
        if (!is_integer(item))
            rz_fail_field(f->err, RZ_BAD_FIELD, field, "must be an integer from 0 to %" PRIu64, INTEGER_MAX);
    }
    return map;
}

static const cJSON *read_places(rz_fields_t *f, const char *key, rz_need_t need)
{
    const cJSON *map = rz_field_object(f, key, need), *item;
    cJSON_ArrayForEach(item, map)
    {
        char field[96];
        snprintf(field, sizeof field, "%s.%.80s", key, item->string);
        if (!rz_id_valid(rz_str(item->string)))
            rz_fail_field(f->err, RZ_BAD_ID, key, "each key must be " RZ_ID_RULE);
        if (!cJSON_IsString(item))
            rz_fail_field(f->err, RZ_BAD_FIELD, field, "must be a text");
        else if (strlen(item->valuestring) > ENDPOINT_MAX)
            rz_fail_field(f->err, RZ_TOO_LARGE, field, "at most %d bytes", ENDPOINT_MAX);
    }
    return map;
}

static void read_seqs(rz_fields_t *f, const char *key, rz_need_t need, rz_link_t *out)
{
    const cJSON *list = read_array(f, key, need), *item;
    size_t n = list != NULL ? (size_t)cJSON_GetArraySize(list) : 0;
    if (n > SEQS_MAX) {
        rz_fail_field(f->err, RZ_TOO_LARGE, key, "at most %d, these are %zu", SEQS_MAX, n);
        return;
    }
    uint64_t *seqs = rz_alloc((n + 1) * sizeof *seqs);
    out->seqs = seqs;
    cJSON_ArrayForEach(item, list)
    {
        size_t i = out->seq_count++;
        seqs[i] = is_integer(item) ? (uint64_t)item->valuedouble : 0;
        if (seqs[i] == 0 || (i > 0 && seqs[i] <= seqs[i - 1]))
            fail_element(f, key, i, RZ_BAD_FIELD,
                         "must be an integer from 1 to 9007199254740991, above the one before it");
    }
}

/* A name that a later version added means that something went wrong: RZ_INTERNAL. */
static rz_rc_t read_code(rz_fields_t *f, const char *key, rz_need_t need)
{
    const char *name = rz_field_str(f, key, need, RZ_NAME_MAX);
    if (name == NULL)
        return RZ_OK;
    if (*name == '\0' || *name == '_' || strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") != strlen(name))
        rz_fail_field(f->err, RZ_BAD_FIELD, key, "must be the name of a code: capital letters and _");
    return rz_rc_parse(name);
}

/* ---- decoding ---- */

static const char *read_text(rz_fields_t *f, const member_t *m, rz_need_t need)
{
    switch (m->form) {
    case ID:
        return rz_field_id(f, m->name, need);
    case NAME:
        return rz_field_str(f, m->name, need, RZ_NAME_MAX);
    case ENDPOINT:
        return rz_field_str(f, m->name, need, ENDPOINT_MAX);
    case SENTENCE:
        return rz_field_str(f, m->name, need, SENTENCE_MAX);
    case TEXT:
        return rz_field_str(f, m->name, need, RZ_TEXT_MAX);
    case TOKEN:
        return read_hex(f, m->name, need, RZ_TOKEN_LEN);
    case SHA1:
        return read_hex(f, m->name, need, SHA1_HEX_LEN);
    case STATUS:
        return read_choice(f, m->name, need, statuses);
    case PHASE:
        return read_choice(f, m->name, need, rz_phase_names);
    case POLICY:
        return read_choice(f, m->name, need, rz_drain_policies);
    default:
        return read_choice(f, m->name, need, write_ops);
    }
}

static const cJSON *read_tree(rz_fields_t *f, const member_t *m, rz_need_t need)
{
    switch (m->form) {
    case IDS:
        return rz_field_ids(f, m->name, need);
    case NAMES:
        return rz_field_strings(f, m->name, need, RZ_NAME_MAX);
    case HOLDINGS:
        return read_holdings(f, m->name, need);
    case COUNTS:
        return read_counts(f, m->name, need);
    case PLACES:
        return read_places(f, m->name, need);
    default:
        return rz_field_object(f, m->name, need);
    }
}

static void read_member(rz_fields_t *f, const member_t *m, rz_need_t need, rz_link_t *out)
{
    void *at = (char *)out + m->at;
    switch (m->form) {
    case CODE:
        *(rz_rc_t *)at = read_code(f, m->name, need);
        return;
    case NUMBER:
        *(uint64_t *)at = rz_field_u64(f, m->name, need, 0, 0, INTEGER_MAX);
        return;
    case FLAG:
        *(bool *)at = rz_field_bool(f, m->name, need, false);
        return;
    case SEQS:
        read_seqs(f, m->name, need, out);
        return;
    case IDS:
    case NAMES:
    case HOLDINGS:
    case COUNTS:
    case PLACES:
    case OBJECT:
        *(const cJSON **)at = read_tree(f, m, need);
        return;
    default:
        *(const char **)at = read_text(f, m, need);
    }
}

/* A broker reads hello, a runner welcome. */
static void check_version(const rz_link_t *link, rz_err_t *err)
{
    if (link->kind == RZ_LINK_HELLO)
        rz_version_check(link->version, link->version_max, "runner", "broker", err);
    else if (link->kind == RZ_LINK_WELCOME)
        rz_version_check(link->version, 0, "broker", "runner", err);
}

static rz_rc_t read_kind(rz_fields_t *f, rz_link_kind_t *kind)
{
    const char *name = rz_field_str(f, "kind", RZ_REQUIRED, 0);
    for (unsigned i = 0; name != NULL && i < RZ_LINK_KIND_COUNT; i++) {
        if (strcmp(name, kind_names[i]) == 0) {
            *kind = (rz_link_kind_t)i;
            return RZ_OK;
        }
    }
    return rz_fail_field(f->err, RZ_BAD_KIND, "kind", "unknown kind \"%.*s\"; known:%s", KIND_NAME_MAX,
                         name != NULL ? name : "", kind_list);
}

rz_rc_t rz_link_decode(const char *bytes, size_t len, rz_link_t *out, rz_err_t *err)
{
    rz_err_t own = { 0 };
    err = err != NULL ? err : &own;
    *out = (rz_link_t){ 0 };
    if (rz_object_decode(bytes, len, HEADER_MAX, NULL, &out->object, err) != RZ_OK)
        return err->rc;

    rz_fields_t f = { out->object.tree, "", err };
    if (read_kind(&f, &out->kind) == RZ_OK) {
        const uint8_t *has = shapes[out->kind];
        for (unsigned i = 0; i < MEMBER_COUNT; i++) {
            if (has[i] != HAS_NOT)
                read_member(&f, &members[i], has[i] == MUST_HAVE ? RZ_REQUIRED : RZ_OPTIONAL, out);
            if (i == INDEX_version_max && err->rc == RZ_OK)
                check_version(out, err); /* first: what another version lacks is not missing */
        }
    }
    if (err->rc != RZ_OK)
        rz_link_fini(out);
    return err->rc;
}

void rz_link_fini(rz_link_t *link)
{
    if (link->object.tree != NULL)
        rz_free((void *)(uintptr_t)link->seqs);
    rz_object_fini(&link->object);
    *link = (rz_link_t){ 0 };
}

/* ---- encoding ---- */

static void put_seqs(const rz_link_t *link, const char *name, rz_buf_t *out)
{
    rz_json_open_key(out, name, '[');
    for (size_t i = 0; i < link->seq_count; i++)
        rz_json_put_u64(out, NULL, link->seqs[i]);
    rz_json_close(out, ']');
}

static void put_tree(const cJSON *tree, const char *name, bool array, rz_buf_t *out)
{
    char *text = tree != NULL ? cJSON_PrintUnformatted(tree) : NULL;
    rz_json_put_raw(out, name, text != NULL ? rz_str(text) : array ? RZ_STR("[]") : RZ_STR("{}"));
    cJSON_free(text);
}

/* Nothing to say: what an optional member looks like when it is left out. */
static bool is_unset(const rz_link_t *link, const member_t *m)
{
    const void *at = (const char *)link + m->at;
    switch (m->form) {
    case CODE:
        return *(const rz_rc_t *)at == RZ_OK;
    case NUMBER:
        return *(const uint64_t *)at == 0;
    case FLAG:
        return !*(const bool *)at;
    default:
        return *(const void *const *)at == NULL;
    }
}

static void put_member(const rz_link_t *link, const member_t *m, rz_buf_t *out)
{
    const void *at = (const char *)link + m->at;
    switch (m->form) {
    case CODE:
        rz_json_put_str(out, m->name, rz_rc_name(*(const rz_rc_t *)at));
        return;
    case NUMBER:
        rz_json_put_u64(out, m->name, *(const uint64_t *)at);
        return;
    case FLAG:
        rz_json_put_bool(out, m->name, *(const bool *)at);
        return;
    case SEQS:
        put_seqs(link, m->name, out);
        return;
    case IDS:
    case NAMES:
    case HOLDINGS:
        put_tree(*(const cJSON *const *)at, m->name, true, out);
        return;
    case COUNTS:
    case PLACES:
    case OBJECT:
        put_tree(*(const cJSON *const *)at, m->name, false, out);
        return;
    default: {
        const char *text = *(const char *const *)at;
        rz_json_put_str(out, m->name, text != NULL ? text : "");
    }
    }
}

void rz_link_encode(const rz_link_t *link, rz_buf_t *out)
{
    const uint8_t *has = shapes[link->kind];
    rz_json_open(out, '{');
    rz_json_put_str(out, "kind", rz_link_kind_name(link->kind));
    for (unsigned i = 0; i < MEMBER_COUNT; i++) {
        if (has[i] == MUST_HAVE || (has[i] == MAY_HAVE && !is_unset(link, &members[i])))
            put_member(link, &members[i], out);
    }
    rz_json_close(out, '}');
}

/* ---- the digest of what is held ---- */

void rz_held_digest(const char *const *lines, size_t n, char out[41])
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    EVP_MD_CTX *sha1 = EVP_MD_CTX_new();
    EVP_DigestInit_ex(sha1, EVP_sha1(), NULL);
    for (size_t i = 0; i < n; i++) {
        EVP_DigestUpdate(sha1, lines[i], strlen(lines[i]));
        EVP_DigestUpdate(sha1, "\n", 1);
    }
    EVP_DigestFinal_ex(sha1, sum, &length);
    EVP_MD_CTX_free(sha1);
    for (unsigned i = 0; i < length && i < 20; i++)
        snprintf(out + (size_t)i * 2, 3, "%02x", sum[i]);
}
