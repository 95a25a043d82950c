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
#define BROKERS_MAX      64    /* links at a time, those of the configuration included       */
#define FOUND_PAUSE_MS   3000  /* so long a configured endpoint may take to say whose it is  */
#define QUEUE            16384 /* messages; the journal bounds what we keep, this only what is on its way */

typedef enum { PEER_DOWN, PEER_ASKING, PEER_UP } peer_state_t;

struct link_peer {
    links_t *links;
    rz_sock_t *sock;
    char *endpoint; /* owned; NULL: no link here (any more) */
    bool found;     /* by what a broker told, not by the configuration */
    char *publish;  /* where it takes events; NULL: it never welcomed us */
    peer_state_t state;
    uint64_t due_ms;   /* next hello */
    uint64_t heard_ms; /* last message */
    uint64_t assigned; /* assignments since the welcome */
    uint64_t sync_ms;
    uint32_t version; /* of the protocol, since the welcome */
    bool outdated;    /* what it says next may still be about our incarnation before this one */
    char broker[RZ_ID_MAX + 1];
};

struct links {
    const settings_t *settings;
    const links_events_t *events;
    void *arg;
    uv_loop_t *loop;
    void *zctx;
    link_peer_t *peers; /* BROKERS_MAX places; they stay where they are */
    size_t count;       /* of places that were ever used */
    uint64_t opened_ms;
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
    if (peer->endpoint == NULL)
        return;
    const settings_t *s = peer->links->settings;
    rz_link_t hello = { .kind = RZ_LINK_HELLO,
                        .version = RZ_PROTOCOL_MIN,
                        .version_max = RZ_PROTOCOL_VERSION,
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

/* ---- links that open and close while we live ---- */

static void on_msg(rz_sock_t *sock, const rz_msg_t *msg, void *arg);

static rz_rc_t open_peer(links_t *links, link_peer_t *peer, const char *endpoint, rz_err_t *err)
{
    rz_sock_options_t options = {
        .type = ZMQ_DEALER, .sndhwm = QUEUE, .rcvhwm = QUEUE, .linger_ms = 500, .on_msg = on_msg, .arg = peer
    };
    *peer = (link_peer_t){ .links = links, .endpoint = rz_strdup(endpoint) };
    peer->sock = rz_sock_open(links->loop, links->zctx, &options, err);
    return peer->sock == NULL ? err->rc : rz_sock_connect(peer->sock, endpoint, err);
}

static void close_peer(link_peer_t *peer)
{
    links_t *links = peer->links;
    if (peer->publish != NULL)
        links->events->on_unpublish(peer->publish, links->arg);
    rz_sock_close(&peer->sock);
    rz_free(peer->endpoint);
    rz_free(peer->publish);
    *peer = (link_peer_t){ .links = links };
}

/* A place for one more; NULL: there are BROKERS_MAX. */
static link_peer_t *vacant_peer(links_t *links)
{
    for (size_t i = 0; i < links->count; i++)
        if (links->peers[i].endpoint == NULL)
            return &links->peers[i];
    return links->count < BROKERS_MAX ? &links->peers[links->count++] : NULL;
}

/* The link that is, or was when it was last welcomed, of this broker; else one to that very endpoint. */
static link_peer_t *peer_of(links_t *links, const char *broker, const char *endpoint)
{
    for (size_t i = 0; i < links->count; i++)
        if (links->peers[i].endpoint != NULL && strcmp(links->peers[i].broker, broker) == 0)
            return &links->peers[i];
    for (size_t i = 0; i < links->count; i++)
        if (links->peers[i].endpoint != NULL && strcmp(links->peers[i].endpoint, endpoint) == 0)
            return &links->peers[i];
    return NULL;
}

/* A configured endpoint may be another name of the broker that was found; it gets time to say so. */
static bool may_be_configured(const links_t *links)
{
    bool unnamed = false;
    for (size_t i = 0; i < links->count; i++)
        unnamed = unnamed || (links->peers[i].endpoint != NULL && !links->peers[i].found &&
                              links->peers[i].broker[0] == '\0');
    return unnamed && rz_now_ms() < links->opened_ms + FOUND_PAUSE_MS;
}

static void link_to(links_t *links, const char *broker, const char *endpoint)
{
    rz_err_t err = { 0 };
    link_peer_t *peer = vacant_peer(links);
    if (peer == NULL) {
        rz_log_warn("link.too_many", "broker=%s endpoint=%s most=%d", broker, endpoint, BROKERS_MAX);
        return;
    }
    if (open_peer(links, peer, endpoint, &err) != RZ_OK) {
        rz_log_warn("link.bad_endpoint", "broker=%s endpoint=%s error=%s", broker, endpoint, err.text);
        close_peer(peer);
        return;
    }
    peer->found = true;
    snprintf(peer->broker, sizeof peer->broker, "%s", broker);
    rz_log_info("link.found", "broker=%s endpoint=%s", broker, endpoint);
}

/* Whoever was found, is not told of any more and does not answer, has left for good; one that moved is followed. */
static void leave_gone(links_t *links, const cJSON *brokers)
{
    for (size_t i = 0; i < links->count; i++) {
        link_peer_t *peer = &links->peers[i];
        if (peer->endpoint == NULL || !peer->found || peer->state == PEER_UP)
            continue;
        const char *now_at = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(brokers, peer->broker));
        if (now_at != NULL && strcmp(now_at, peer->endpoint) == 0)
            continue;
        rz_log_info("link.left", "broker=%s endpoint=%s", peer->broker, peer->endpoint);
        close_peer(peer);
    }
}

/* What a broker told of all that live. */
static void links_set_brokers(links_t *links, const cJSON *brokers)
{
    const cJSON *broker;
    if (brokers == NULL)
        return;
    leave_gone(links, brokers);
    cJSON_ArrayForEach(broker, brokers)
    {
        if (peer_of(links, broker->string, broker->valuestring) == NULL && !may_be_configured(links))
            link_to(links, broker->string, broker->valuestring);
    }
}

/* Two links to one broker: it hears us by the newer only. The one that was found goes, and the other introduces itself
 * anew. True if `peer` is gone. */
static bool merge_double(link_peer_t *peer, const char *broker)
{
    links_t *links = peer->links;
    uint64_t now_ms = rz_now_ms();
    for (size_t i = 0; i < links->count; i++) {
        link_peer_t *other = &links->peers[i];
        if (other == peer || other->endpoint == NULL || strcmp(other->broker, broker) != 0 ||
            (!other->found && !peer->found))
            continue;
        link_peer_t *spare = peer->found ? peer : other, *kept = peer->found ? other : peer;
        rz_log_info("link.double", "broker=%s kept=%s left=%s", broker, kept->endpoint, spare->endpoint);
        if (links->home == spare || links->home == kept)
            lose_home(links, now_ms);
        close_peer(spare);
        lose(kept, now_ms);
        links_tick(links, now_ms);
        return true;
    }
    return false;
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

/* A broker that came back elsewhere is not published to where it was. */
static void told_publish(link_peer_t *peer, const char *endpoint)
{
    links_t *links = peer->links;
    if (peer->publish != NULL && strcmp(peer->publish, endpoint) != 0)
        links->events->on_unpublish(peer->publish, links->arg);
    rz_free(peer->publish);
    peer->publish = rz_strdup(endpoint);
    links->events->on_publish(endpoint, links->arg);
}

static void on_welcome(link_peer_t *peer, const rz_link_t *welcome)
{
    links_t *links = peer->links;
    char endpoint[1024];
    if (peer->state == PEER_UP)
        return; /* the answer to a hello that was sent twice */
    if (merge_double(peer, welcome->broker))
        return;
    peer->state = PEER_UP;
    peer->outdated = false;
    peer->assigned = 0;
    peer->version = (uint32_t)welcome->version;
    peer->sync_ms = welcome->sync_ms > 0 ? welcome->sync_ms : SYNC_MS;
    snprintf(peer->broker, sizeof peer->broker, "%s", welcome->broker);
    publish_endpoint(peer, welcome->publish, endpoint, sizeof endpoint);
    told_publish(peer, endpoint);
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
        links_set_brokers(links, link->brokers);
        return;
    }
    if (link->kind == RZ_LINK_SYNCED)
        links_set_brokers(links, link->brokers);
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

links_t *links_open(uv_loop_t *loop, void *zctx, const settings_t *settings, const links_events_t *events,
                    void *arg, rz_err_t *err)
{
    links_t *links = rz_alloc(sizeof *links);
    links->settings = settings;
    links->events = events;
    links->arg = arg;
    links->loop = loop;
    links->zctx = zctx;
    links->opened_ms = rz_now_ms();
    links->peers = rz_alloc(BROKERS_MAX * sizeof *links->peers);
    rz_uuid_new(links->incarnation);
    const cJSON *endpoint;
    cJSON_ArrayForEach(endpoint, settings->brokers)
    {
        link_peer_t *peer = vacant_peer(links);
        if (peer == NULL)
            rz_fail_field(err, RZ_TOO_LARGE, "runner.brokers", "at most %d brokers", BROKERS_MAX);
        else if (open_peer(links, peer, endpoint->valuestring, err) == RZ_OK)
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
    for (size_t i = 0; i < links->count; i++) {
        rz_sock_close(&links->peers[i].sock);
        rz_free(links->peers[i].endpoint);
        rz_free(links->peers[i].publish);
    }
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
