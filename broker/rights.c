/* rights.c - see rights.h. */
#include "rights.h"

#include <stdio.h>
#include <string.h>

#define PRODUCER   (1u << RZ_KEY_PRODUCER)
#define CLIENT     (1u << RZ_KEY_CLIENT)
#define SUBSCRIBER (1u << RZ_KEY_SUBSCRIBER)
#define RUNNER     (1u << RZ_KEY_RUNNER)
#define ADMIN      (1u << RZ_KEY_ADMIN)
#define PEOPLE     (CLIENT | ADMIN)

static const char *const gate_names[GATES] = { "jobs", "control", "events", "runners", "publish" };

static const unsigned enters[GATES] = {
    [GATE_JOBS] = PRODUCER | PEOPLE,
    [GATE_CONTROL] = PRODUCER | SUBSCRIBER | RUNNER | PEOPLE,
    [GATE_EVENTS] = SUBSCRIBER | PEOPLE,
    [GATE_RUNNERS] = RUNNER,
    [GATE_PUBLISH] = RUNNER,
};

/* A runner says hello to learn where to link up. What is in no row nobody may do. */
static const unsigned calls[RZ_CONTROL_OP_COUNT] = {
    [RZ_OP_HELLO] = PRODUCER | SUBSCRIBER | RUNNER | PEOPLE,
    [RZ_OP_SUBMIT] = PRODUCER | PEOPLE,
    [RZ_OP_RETRY] = PRODUCER | PEOPLE,
    [RZ_OP_GET] = PRODUCER | PEOPLE,
    [RZ_OP_LIST] = PRODUCER | PEOPLE,
    [RZ_OP_EXPLAIN] = PRODUCER | PEOPLE,
    [RZ_OP_WAIT] = PRODUCER | PEOPLE,
    [RZ_OP_WAIT_REGISTER] = PRODUCER | PEOPLE,
    [RZ_OP_WAIT_GET] = PRODUCER | PEOPLE,
    [RZ_OP_CANCEL] = PRODUCER | PEOPLE,
    [RZ_OP_SEND] = PRODUCER | PEOPLE,
    [RZ_OP_LOGS] = PRODUCER | PEOPLE,
    [RZ_OP_SESSION_GET] = PRODUCER | PEOPLE,
    [RZ_OP_REPLAY] = PRODUCER | SUBSCRIBER | PEOPLE,
    [RZ_OP_SYNC] = SUBSCRIBER | PEOPLE,
    [RZ_OP_APPROVE] = PEOPLE,
    [RZ_OP_RUNNERS] = PEOPLE,
    [RZ_OP_STATUS] = PEOPLE,
    [RZ_OP_SESSION_LIST] = PEOPLE,
    [RZ_OP_SESSION_PUT] = PEOPLE,
    [RZ_OP_RUNNER_CORDON] = ADMIN,
    [RZ_OP_RUNNER_DRAIN] = ADMIN,
};

const rz_allowed_t everybody = { .name = "-", .public_key = "", .role = RZ_KEY_ADMIN };

const char *gate_name(gate_t gate)
{
    return gate_names[gate];
}

bool gate_parse(rz_str_t name, gate_t *out)
{
    for (int i = 0; i < GATES; i++)
        if (rz_str_eq(name, gate_names[i])) {
            *out = (gate_t)i;
            return true;
        }
    return false;
}

bool role_enters(rz_key_role_t role, gate_t gate)
{
    return (enters[gate] & 1u << role) != 0;
}

bool role_calls(rz_key_role_t role, rz_control_op_t op)
{
    return (calls[op] & 1u << role) != 0;
}

static rz_rc_t fail_nobody(rz_err_t *err)
{
    return rz_fail(err, RZ_NOT_ALLOWED, "this key is not on the list (any more)");
}

bool is_limited(const rz_allowed_t *who)
{
    return who != NULL && (who->parents != NULL || who->tenant != NULL || who->topics != NULL);
}

/* Sessions without a parent are nobody's in particular: no scope has them. */
static bool is_about_all(rz_control_op_t op)
{
    return op == RZ_OP_SESSION_LIST || op == RZ_OP_SESSION_PUT;
}

rz_rc_t may_call(const rz_allowed_t *who, rz_control_op_t op, rz_err_t *err)
{
    if (who == NULL)
        return fail_nobody(err);
    if (role_calls(who->role, op) && is_limited(who) && is_about_all(op))
        return rz_fail(err, RZ_NOT_ALLOWED, "key %s is limited: %s is about everybody's sessions", who->name,
                       rz_control_op_name(op));
    if (role_calls(who->role, op))
        return RZ_OK;
    return rz_fail(err, RZ_NOT_ALLOWED, "key %s has role %s, which may not call %s", who->name,
                   rz_key_role_names[who->role], rz_control_op_name(op));
}

static rz_rc_t fits_parents(const rz_allowed_t *who, const char *parent, rz_err_t *err)
{
    if (rz_scope_fits(who->parents, parent))
        return RZ_OK;
    return rz_fail(err, RZ_NOT_ALLOWED, "key %s is limited to other parents", who->name);
}

static rz_rc_t fits_topics(const rz_allowed_t *who, const char *parent, const char *child, rz_err_t *err)
{
    char topic[2 * RZ_ID_MAX + 3];
    snprintf(topic, sizeof topic, "%s/%s%s", parent, child != NULL ? child : "", child != NULL ? "/" : "");
    if (rz_scope_covers(who->topics, rz_str(topic)))
        return RZ_OK;
    return rz_fail(err, RZ_NOT_ALLOWED, "key %s is limited to other topics", who->name);
}

static rz_rc_t fits_tenant(const rz_allowed_t *who, const char *tenant, rz_err_t *err)
{
    if (who->tenant == NULL || (tenant != NULL && strcmp(who->tenant, tenant) == 0))
        return RZ_OK;
    return rz_fail(err, RZ_NOT_ALLOWED, "key %s is limited to jobs of tenant %s", who->name, who->tenant);
}

rz_rc_t may_name(const rz_allowed_t *who, const char *parent, rz_err_t *err)
{
    if (who == NULL)
        return fail_nobody(err);
    rz_rc_t rc = fits_parents(who, parent, err);
    return rc == RZ_OK ? fits_topics(who, parent, NULL, err) : rc;
}

rz_rc_t may_reach(const rz_allowed_t *who, const char *parent, const char *child, const char *tenant,
                  rz_err_t *err)
{
    if (who == NULL)
        return fail_nobody(err);
    rz_rc_t rc = fits_parents(who, parent, err);
    if (rc == RZ_OK)
        rc = fits_topics(who, parent, child, err);
    return rc == RZ_OK ? fits_tenant(who, tenant, err) : rc;
}

/* "host2" or "host2-...", for a key called host2 */
static bool is_own_name(const char *key, const char *runner)
{
    size_t n = strlen(key);
    return strncmp(runner, key, n) == 0 && (runner[n] == '\0' || runner[n] == '-');
}

static bool is_anothers(const rz_allow_t *list, const rz_allowed_t *who, const char *runner)
{
    for (size_t i = 0; i < rz_allow_count(list); i++) {
        const rz_allowed_t *other = rz_allow_at(list, i);
        if (other->role == RZ_KEY_RUNNER && other->runners == NULL &&
            strlen(other->name) > strlen(who->name) && is_own_name(other->name, runner))
            return true;
    }
    return false;
}

rz_rc_t may_run(const rz_allow_t *list, const rz_allowed_t *who, const char *runner, rz_err_t *err)
{
    if (who == NULL)
        return fail_nobody(err);
    if (who->runners != NULL ? rz_scope_fits(who->runners, runner)
                             : is_own_name(who->name, runner) && !is_anothers(list, who, runner))
        return RZ_OK;
    return rz_fail(err, RZ_NOT_ALLOWED, "key %s may not run under the name %s", who->name, runner);
}

static bool begins_with(rz_str_t topic, const char *prefix)
{
    size_t n = strlen(prefix);
    return topic.n >= n && memcmp(topic.p, prefix, n) == 0;
}

bool may_hear(const rz_allowed_t *who, rz_str_t topic)
{
    return who != NULL && (rz_scope_covers(who->topics, topic) || begins_with(topic, SYNC_TOPIC));
}

bool may_publish(const rz_allow_t *list, const rz_allowed_t *who, rz_str_t topic)
{
    char name[RZ_ID_MAX + 1];
    if (who == NULL || !begins_with(topic, "$"))
        return who != NULL;
    const char *slash = memrchr(topic.p, '/', topic.n);
    size_t n = slash != NULL ? topic.n - (size_t)(slash + 1 - topic.p) : 0;
    if (!begins_with(topic, SYNC_TOPIC) || n == 0 || n > RZ_ID_MAX)
        return false;
    memcpy(name, slash + 1, n);
    name[n] = '\0';
    return may_run(list, who, name, NULL) == RZ_OK;
}
