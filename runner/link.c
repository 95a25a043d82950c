/* link.c - see link.h. */
#include "link.h"

#include "base/clock.h"
#include "base/log.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define HELLO_RETRY_MS   100  /* while not connected              */
#define WELCOME_WAIT_MS  1000 /* after a hello was sent           */
#define REFUSED_PAUSE_MS 5000 /* after a refusal that will not mend itself at once */
#define SILENT_SYNCS     3    /* home is lost after so many unanswered intervals   */
#define SYNC_MS          3000
#define QUEUE            16384 /* messages; the journal bounds what we keep, this only what is on its way */

typedef enum { PEER_DOWN, PEER_ASKING, PEER_UP } peer_state_t;

struct link_peer {
    links_t *links;
    rz_sock_t *sock;
    const char *endpoint; /* lent by the settings */
    peer_state_t state;
    uint64_t due_ms;   /* next hello */
    uint64_t heard_ms; /* last message */
    uint64_t assigned; /* assignments since the welcome */
    uint64_t sync_ms;
    bool outdated; /* what it says next may still be about our incarnation before this one */
    char broker[RZ_ID_MAX + 1];
};

struct links {
    const settings_t *settings;
    const links_events_t *events;
    void *arg;
    link_peer_t *peers;
    size_t count;
    link_peer_t *home;
    char incarnation[RZ_UUID_LEN + 1];
    rz_buf_t scratch;
};

/* ---- sending ---- */

rz_rc_t link_answer(link_peer_t *peer, const rz_link_t *link, const rz_str_t *payload, size_t n)
{
    rz_str_t parts[RZ_PARTS_MAX];
    rz_buf_t *scratch = &peer->links->scratch;
    assert(n + 1 <= RZ_PARTS_MAX);
    rz_buf_clear(scratch);
    rz_link_encode(link, scratch);
    parts[0] = rz_buf_str(scratch);
    for (size_t i = 0; i < n; i++)
        parts[i + 1] = payload[i];
    return rz_sock_send(peer->sock, parts, n + 1);
}

rz_rc_t links_send(links_t *links, const rz_link_t *link, const rz_str_t *payload, size_t n)
{
    return links->home == NULL ? RZ_AGAIN : link_answer(links->home, link, payload, n);
}

rz_rc_t links_credit(links_t *links, uint64_t room, const cJSON *idle, const cJSON *full)
{
    if (links->home == NULL)
        return RZ_AGAIN;
    rz_link_t credit = {
        .kind = RZ_LINK_CREDIT, .granted = links->home->assigned + room, .idle = idle, .full = full
    };
    return links_send(links, &credit, NULL, 0);
}

/* ---- hello ---- */

static void say_hello(link_peer_t *peer, uint64_t now_ms)
{
    const settings_t *s = peer->links->settings;
    rz_link_t hello = { .kind = RZ_LINK_HELLO,
                        .version = RZ_PROTOCOL_VERSION,
                        .runner = s->name,
                        .incarnation = peer->links->incarnation,
                        .host = s->host,
                        .pid = (uint64_t)getpid(),
                        .slots = s->slots,
                        .program_version = RZ_VERSION,
                        .labels = s->labels,
                        .profiles = s->profiles };
    bool sent = link_answer(peer, &hello, NULL, 0) == RZ_OK;
    peer->state = sent ? PEER_ASKING : PEER_DOWN;
    peer->due_ms = now_ms + (sent ? WELCOME_WAIT_MS : HELLO_RETRY_MS);
}

static void lose(link_peer_t *peer, uint64_t due_ms)
{
    peer->state = PEER_DOWN;
    peer->due_ms = due_ms;
}

/* Another welcomed broker may have forgotten us meanwhile, so it is asked again: its welcome makes it home.
 */
static void lose_home(links_t *links, uint64_t now_ms)
{
    rz_log_warn("link.home_lost", "broker=%s endpoint=%s", links->home->broker, links->home->endpoint);
    links->home = NULL;
    for (size_t i = 0; i < links->count; i++)
        lose(&links->peers[i], now_ms);
}

void links_tick(links_t *links, uint64_t now_ms)
{
    const link_peer_t *home = links->home;
    if (home != NULL && now_ms > home->heard_ms + SILENT_SYNCS * home->sync_ms)
        lose_home(links, now_ms);
    for (size_t i = 0; i < links->count; i++) {
        link_peer_t *peer = &links->peers[i];
        if (peer->state != PEER_UP && now_ms >= peer->due_ms)
            say_hello(peer, now_ms);
    }
}

void links_rejoin(links_t *links)
{
    rz_uuid_new(links->incarnation);
    links->home = NULL;
    uint64_t now_ms = rz_now_ms();
    for (size_t i = 0; i < links->count; i++) {
        lose(&links->peers[i], now_ms);
        links->peers[i].outdated = true;
    }
    links_tick(links, now_ms);
}

/* ---- what brokers say ---- */

/* A broker that listens on every address names none: then its host is the one we reached it by. */
static void publish_endpoint(const link_peer_t *peer, const char *told, char *out, size_t size)
{
    const char *host = strstr(told, "://"), *port = strrchr(told, ':');
    bool any = host != NULL && (strncmp(host, "://0.0.0.0:", 11) == 0 || strncmp(host, "://*:", 5) == 0 ||
                                strncmp(host, "://[::]:", 8) == 0);
    const char *reached = strrchr(peer->endpoint, ':');
    if (any && reached != NULL)
        snprintf(out, size, "%.*s%s", (int)(reached - peer->endpoint), peer->endpoint, port);
    else
        snprintf(out, size, "%s", told);
}

static void on_welcome(link_peer_t *peer, const rz_link_t *welcome)
{
    links_t *links = peer->links;
    char endpoint[1024];
    if (peer->state == PEER_UP)
        return; /* the answer to a hello that was sent twice */
    peer->state = PEER_UP;
    peer->outdated = false;
    peer->assigned = 0;
    peer->sync_ms = welcome->sync_ms > 0 ? welcome->sync_ms : SYNC_MS;
    snprintf(peer->broker, sizeof peer->broker, "%s", welcome->broker);
    publish_endpoint(peer, welcome->publish, endpoint, sizeof endpoint);
    links->events->on_publish(endpoint, links->arg);
    rz_log_info("link.welcome", "broker=%s endpoint=%s home=%d", peer->broker, peer->endpoint,
                links->home == NULL);
    if (links->home != NULL)
        return;
    links->home = peer;
    links->events->on_home(peer->broker, peer->sync_ms, links->arg);
}

/* Two brokers, or one twice, may tell us the same death. Taken for that of the incarnation that came after, it
 * would end what that one was given meanwhile. If it is dead as well, the next hello is answered so. */
static void on_dead(link_peer_t *peer)
{
    bool known = peer->outdated;
    peer->outdated = false;
    if (!known)
        peer->links->events->on_dead(peer->links->arg);
}

static void on_refused(link_peer_t *peer, const rz_link_t *refused)
{
    links_t *links = peer->links;
    uint64_t now_ms = rz_now_ms();
    bool forgotten = refused->code == RZ_NOT_FOUND;
    if (refused->code == RZ_DEAD) {
        on_dead(peer);
        return;
    }
    rz_log_warn("link.refused", "endpoint=%s code=%s message=%s", peer->endpoint, rz_rc_name(refused->code),
                refused->message);
    if (forgotten && peer->state == PEER_ASKING)
        return; /* an older message was refused; our hello is on its way */
    if (peer == links->home)
        lose_home(links, now_ms);
    lose(peer, forgotten ? now_ms : now_ms + REFUSED_PAUSE_MS);
    links_tick(links, now_ms);
}

static void dispatch(link_peer_t *peer, rz_link_t *link, const rz_msg_t *msg)
{
    links_t *links = peer->links;
    if (link->kind == RZ_LINK_WELCOME) {
        on_welcome(peer, link);
        return;
    }
    if (link->kind == RZ_LINK_REFUSED) {
        on_refused(peer, link);
        return;
    }
    if (link->kind == RZ_LINK_ASSIGN && peer->state != PEER_UP)
        return; /* it waited in the queue of a link that was given up: what is still ours comes with the next sync */
    if (link->kind == RZ_LINK_ASSIGN)
        peer->assigned++;
    links->events->on_message(peer, link, msg, links->arg);
}

static void on_msg(rz_sock_t *sock, const rz_msg_t *msg, void *arg)
{
    (void)sock;
    link_peer_t *peer = arg;
    rz_err_t err = { 0 };
    rz_link_t link;
    peer->heard_ms = rz_now_ms();
    if (rz_link_decode(msg->part[0].p, msg->part[0].n, &link, &err) != RZ_OK) {
        rz_log_warn("link.bad_message", "endpoint=%s error=%s", peer->endpoint, err.text);
        return;
    }
    dispatch(peer, &link, msg);
    rz_link_fini(&link);
}

/* ---- life ---- */

static rz_rc_t open_peer(links_t *links, link_peer_t *peer, uv_loop_t *loop, void *zctx, const char *endpoint,
                         rz_err_t *err)
{
    rz_sock_options_t options = {
        .type = ZMQ_DEALER, .sndhwm = QUEUE, .rcvhwm = QUEUE, .linger_ms = 500, .on_msg = on_msg, .arg = peer
    };
    peer->links = links;
    peer->endpoint = endpoint;
    peer->sock = rz_sock_open(loop, zctx, &options, err);
    return peer->sock == NULL ? err->rc : rz_sock_connect(peer->sock, endpoint, err);
}

links_t *links_open(uv_loop_t *loop, void *zctx, const settings_t *settings, const links_events_t *events,
                    void *arg, rz_err_t *err)
{
    links_t *links = rz_alloc(sizeof *links);
    links->settings = settings;
    links->events = events;
    links->arg = arg;
    links->peers = rz_alloc((size_t)cJSON_GetArraySize(settings->brokers) * sizeof *links->peers);
    rz_uuid_new(links->incarnation);
    const cJSON *endpoint;
    cJSON_ArrayForEach(endpoint, settings->brokers)
    {
        if (open_peer(links, &links->peers[links->count++], loop, zctx, endpoint->valuestring, err) == RZ_OK)
            continue;
        links_close(&links);
        return NULL;
    }
    return links;
}

void links_close(links_t **links_ref)
{
    links_t *links = *links_ref;
    if (links == NULL)
        return;
    for (size_t i = 0; i < links->count; i++)
        rz_sock_close(&links->peers[i].sock);
    rz_free(links->peers);
    rz_buf_fini(&links->scratch);
    rz_free(links);
    *links_ref = NULL;
}

const char *links_incarnation(const links_t *links)
{
    return links->incarnation;
}

const char *links_home(const links_t *links)
{
    return links->home == NULL ? NULL : links->home->broker;
}

uint64_t links_sync_ms(const links_t *links)
{
    return links->home == NULL ? 0 : links->home->sync_ms;
}
