/* crowd.c - see crowd.h. */
#include "crowd.h"

#include "../facts.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#define CHILDREN_MAX 1000
#define LIMIT_SECS   "3" /* of who meets its watchdog: they are asked for when all others have begun */

typedef enum { CANCELLED, STEERED, PLAIN, EXPIRED, ROLES } role_t;

/* What each is run by, what its session says of limits, and how it ends. */
static const struct {
    const char *profile, *metadata, *status, *error, *reply;
} role_is[ROLES] = {
    [CANCELLED] = { "gate", "{}", "cancelled", "Cancelled", NULL },
    [STEERED] = { "listener", "{}", "completed", "", "heard\n" },
    [PLAIN] = { "gate", "{}", "completed", "", "passed\n" },
    [EXPIRED] = { "gate",
                  "{\"child_watchdog.max_total_secs\":\"" LIMIT_SECS
                  "\",\"child_watchdog.check_interval_secs\":\"1\"}",
                  "timeout",
                  "Child session timed out after " LIMIT_SECS " seconds (max_total_secs=" LIMIT_SECS ")",
                  NULL },
};

typedef struct {
    rig_t *rig;
    rig_sub_t *sub;
    unsigned round, children;
    unsigned begun, ended;
    unsigned char has_begun[CHILDREN_MAX], has_ended[CHILDREN_MAX];
} round_t;

void crowd_init(crowd_t *crowd)
{
    snprintf(crowd->gate, sizeof crowd->gate, "/tmp/rhizome-gate-%d", (int)getpid());
    assert_int_equal(mkfifo(crowd->gate, 0600), 0);
    snprintf(
        crowd->config, sizeof crowd->config,
        "\"externalAgents\":{"
        "\"gate\":{\"agent_id\":\"gate\",\"protocol\":\"actor\",\"permission_profile\":\"p\",\"executor\":\"command\","
        "\"command\":\"sh\",\"args\":[\"-c\",\"read run; : <%s; echo passed\"]},"
        "\"listener\":{\"agent_id\":\"listener\",\"protocol\":\"actor\",\"permission_profile\":\"p\",\"executor\":"
        "\"command\",\"command\":\"sh\",\"args\":[\"-c\",\"read run; read word; echo heard\"]}}",
        crowd->gate);
}

void crowd_fini(crowd_t *crowd)
{
    unlink(crowd->gate);
}

static role_t role_of(const round_t *r, unsigned i)
{
    if (i < r->children / 5)
        return CANCELLED;
    if (i < r->children / 5 + r->children / 10)
        return STEERED;
    return i < r->children - r->children / 20 ? PLAIN : EXPIRED;
}

/* ---- what is asked ---- */

static void push_children(const round_t *r, unsigned first, unsigned last)
{
    void *push = rig_socket(r->rig, ZMQ_PUSH, "jobs");
    for (unsigned i = first; i < last; i++) {
        char job[512];
        role_t role = role_of(r, i);
        int n = snprintf(
            job, sizeof job,
            "{\"parent_session_id\":\"crowd-%u\",\"child_session_id\":\"c%u-%u\",\"require\":{\"profile\":"
            "\"%s\"},\"session\":{\"id\":\"c%u-%u\",\"kind\":\"child\",\"metadata\":%s,\"messages\":["
            "{\"role\":\"user\",\"content\":\"go\"}]}}",
            r->round, r->round, i, role_is[role].profile, r->round, i, role_is[role].metadata);
        assert_int_equal(zmq_send(push, job, (size_t)n, 0), n);
    }
    zmq_close(push);
}

static void cancel_and_steer(const round_t *r)
{
    for (unsigned i = 0; i < r->children; i++) {
        cJSON *reply = NULL;
        if (role_of(r, i) == CANCELLED)
            reply = rig_ask(r->rig, "{\"op\":\"cancel\",\"child\":\"c%u-%u\"}", r->round, i);
        else if (role_of(r, i) == STEERED)
            reply =
                rig_ask(r->rig, "{\"op\":\"send\",\"child\":\"c%u-%u\",\"text\":\"a word\"}", r->round, i);
        if (reply != NULL)
            assert_string_equal(rig_text(reply, "code"), "OK");
        cJSON_Delete(reply);
    }
}

/* ---- what is heard ---- */

static void on_end(round_t *r, unsigned i, const rig_event_t *event)
{
    role_t role = role_of(r, i);
    assert_string_equal(rig_text(event->event, "status"), role_is[role].status);
    assert_string_equal(rig_text(event->event, "error"), role_is[role].error);
    if (r->has_ended[i]++ != 0)
        fail_msg("c%u-%u ended twice", r->round, i);
    r->ended++;
}

static void hear(round_t *r)
{
    rig_event_t event;
    if (!rig_event_next(r->sub, &event, RIG_PATIENCE_MS))
        fail_msg("round %u: of %u children %u began and %u ended", r->round, r->children, r->begun, r->ended);
    unsigned i = 0, round = 0;
    assert_int_equal(sscanf(rig_text(event.event, "child_session_id"), "c%u-%u", &round, &i), 2);
    assert_int_equal(round, r->round);
    assert_in_range(i, 0, r->children - 1);
    const char *type = rig_text(event.event, "type");
    assert_false(r->has_ended[i] &&
                 strcmp(type, "sub_agent_completed") != 0); /* nothing comes behind an end */
    if (strcmp(type, "sub_agent_started") == 0 && !r->has_begun[i]++)
        r->begun++;
    else if (strcmp(type, "sub_agent_completed") == 0)
        on_end(r, i, &event);
    rig_event_fini(&event);
}

/* ---- what the sessions say afterwards ---- */

static const cJSON *message_at(const cJSON *reply, int i)
{
    const cJSON *session = cJSON_GetObjectItemCaseSensitive(reply, "session");
    return cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(session, "messages"), i);
}

/* The assignment, then the reply if there is one, then the steering once. */
static void expect_session(const round_t *r, unsigned i)
{
    role_t role = role_of(r, i);
    cJSON *reply = rig_ask(r->rig, "{\"op\":\"session_get\",\"child\":\"c%u-%u\"}", r->round, i);
    int n = 1;
    if (role_is[role].reply != NULL)
        assert_string_equal(rig_text(message_at(reply, n++), "content"), role_is[role].reply);
    if (role == STEERED)
        assert_string_equal(rig_text(message_at(reply, n++), "content"), "a word");
    assert_null(message_at(reply, n));
    cJSON_Delete(reply);
}

/* ---- a round ---- */

void crowd_round(const crowd_t *crowd, rig_t *rig, unsigned round, unsigned children)
{
    char parent[32];
    assert_in_range(children, 20, CHILDREN_MAX);
    snprintf(parent, sizeof parent, "crowd-%u/", round);
    round_t r = { .rig = rig, .sub = rig_subscribe(rig, parent), .round = round, .children = children };
    push_children(&r, 0, children - children / 20);
    while (r.begun < children - children / 20)
        hear(&r);
    push_children(&r, children - children / 20, children);
    while (r.begun < children)
        hear(&r);
    assert_int_equal(r.ended, 0); /* so all of them ran at the same time */

    cancel_and_steer(&r);
    while (r.ended < children / 5 + children / 10 + children / 20)
        hear(&r);
    int gate = open(crowd->gate, O_RDWR | O_CLOEXEC); /* who comes later finds it open */
    assert_true(gate >= 0);
    while (r.ended < children)
        hear(&r);
    close(gate);
    for (unsigned i = 0; i < children; i++)
        expect_session(&r, i);
    rig_sub_close(&r.sub);
}

/* A pidfd tells its end, also of a process that is nobody's child here. */
static void await_exit(pid_t pid)
{
    struct pollfd item = { .fd = pidfd_open(pid, 0), .events = POLLIN };
    if (item.fd < 0)
        return; /* it is gone already */
    if (poll(&item, 1, RIG_PATIENCE_MS) <= 0)
        fail_msg("process %d is left below the runner", (int)pid);
    close(item.fd);
}

void crowd_goes_home(rig_t *rig)
{
    pid_t one;
    while (rig_descendants(rig, 0, &one, 1) > 0)
        await_exit(one);
}
