/* link.c - see link.h. */
#include "link.h"

#include "base/clock.h"
#include "base/log.h"
#include "home.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define HELLO_RETRY_MS   100  /* while not connected              */
#define WELCOME_WAIT_MS  1000 /* after a hello was sent           */
#define REFUSED_PAUSE_MS 5000 /* after a refusal that will not mend itself at once */
#define CHOICE_MS        300  /* how long the first that welcomes us waits for the others  */
#define SILENT_PINGS     4    /* a broker is lost after so many intervals without a word   */
#define SILENT_SYNCS     3    /* and after so many of these, when it knows no ping         */
#define UNSEEN_MS        1000 /* of a longer pause between two ticks, so much counts       */
#define SYNC_MS          3000
#define BROKERS_MAX      64    /* links at a time, those of the configuration included       */
#define FOUND_PAUSE_MS   3000  /* so long a configured endpoint may take to say whose it is  */
#define PHASE_SINCE      2     /* version of the protocol that knows `phase` */
#define QUEUE            16384 /* messages; the journal bounds what we keep, this only what is on its way */

typedef enum { PEER_DOWN, PEER_ASKING, PEER_UP } peer_state_t;

struct link_peer {
    links_t *links;
    rz_sock_t *sock;
    char *endpoint; /* owned; NULL: no link here (any more) */
    bool found;     /* by what a broker told, not by the configuration */
    char *publish;  /* where it takes events; NULL: it never welcomed us */
    peer_state_t state;
    uint64_t due_ms;       /* next hello; UP: next ping     */
    uint64_t silent_ms;    /* since it said anything        */
    uint64_t pings, pongs; /* since the welcome             */
    uint64_t assigned;     /* assignments since the welcome */
    uint64_t load;         /* as it last told               */
    uint64_t sync_ms, ping_ms;
    uint32_t version; /* of the protocol, since the welcome */
    bool down;        /* its store is away */
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
    link_peer_t *next;   /* home as soon as the present one can assign nothing more; or NULL */
    uint64_t next_pongs; /* of home: that many tell of it                                   */
    uint64_t room;       /* what home may assign beyond what came, as last told             */
    uint64_t choose_ms;  /* without a home: when it is chosen from those who are there      */
    uint64_t look_ms;    /* with one: when it is compared with the others                   */
    uint64_t ticked_ms, moves;
    char incarnation[RZ_UUID_LEN + 1];
    const char *phase; /* static; NULL: as if it were "up" */
    rz_buf_t scratch;
    uint64_t malformed; /* messages of brokers that could not be decoded */
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

/* ---- credit ---- */

/* Cumulative, so that one that is repeated says nothing new and the next one makes good for one that was lost. */
static uint64_t granted(const link_peer_t *peer)
{
    const links_t *links = peer->links;
    return peer->assigned + (peer == links->home && links->next == NULL ? links->room : 0);
}

rz_rc_t links_credit(links_t *links, uint64_t room, const cJSON *idle, const cJSON *full)
{
    if (links->home == NULL)
        return RZ_AGAIN;
    links->room = room;
    rz_link_t credit = {
        .kind = RZ_LINK_CREDIT, .granted = granted(links->home), .idle = idle, .full = full
    };
    return links_send(links, &credit, NULL, 0);
}

/* One more came: as much less may come, until the runner says how much room there is. */
static void count_assign(link_peer_t *peer)
{
    links_t *links = peer->links;
    peer->assigned++;
    if (links->room > 0)
        links->room--;
}

/* ---- hello and ping ---- */

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
                        .profiles = s->profiles,
                        .phase = peer->links->phase };
    bool sent = link_answer(peer, &hello, NULL, 0) == RZ_OK;
    peer->state = sent ? PEER_ASKING : PEER_DOWN;
    peer->due_ms = now_ms + (sent ? WELCOME_WAIT_MS : HELLO_RETRY_MS);
}

/* False: it could not be sent, so the connection is gone. */
static bool say_ping(link_peer_t *peer, uint64_t now_ms)
{
    rz_link_t ping = { .kind = RZ_LINK_PING, .granted = granted(peer), .home = peer == peer->links->home };
    if (peer->ping_ms == 0)
        return true;
    peer->due_ms = now_ms + peer->ping_ms;
    peer->pings++;
    return link_answer(peer, &ping, NULL, 0) == RZ_OK;
}

/* ---- losing ---- */

static void lose(link_peer_t *peer, uint64_t due_ms)
{
    links_t *links = peer->links;
    peer->state = PEER_DOWN;
    peer->due_ms = due_ms;
    if (peer == links->next)
        links->next = NULL;
    if (peer != links->home)
        return;
    rz_log_warn("link.home_lost", "broker=%s endpoint=%s", peer->broker, peer->endpoint);
    links->home = links->next = NULL;
}

/* A connection that is cut somewhere on its way would wait for TCP; another one need not. Its end takes a moment: until
 * then it would swallow our hello. */
static void drop(link_peer_t *peer, const char *why, uint64_t now_ms)
{
    rz_err_t err = { 0 };
    rz_log_warn("link.lost", "broker=%s endpoint=%s why=%s", peer->broker, peer->endpoint, why);
    lose(peer, now_ms + HELLO_RETRY_MS);
    rz_sock_disconnect(peer->sock, peer->endpoint);
    if (rz_sock_connect(peer->sock, peer->endpoint, &err) != RZ_OK)
        rz_log_error("link.connect", "endpoint=%s error=%s", peer->endpoint, err.text);
}

/* One that knows no ping is only heard as our home. */
static bool is_silent(const link_peer_t *peer)
{
    if (peer->ping_ms > 0)
        return peer->silent_ms > SILENT_PINGS * peer->ping_ms;
    return peer == peer->links->home && peer->silent_ms > SILENT_SYNCS * peer->sync_ms;
}

/* ---- home ---- */

static uint64_t chance(void)
{
    uint64_t number = 0;
    uv_random(NULL, NULL, &number, sizeof number, 0, NULL);
    return number;
}

static size_t index_of(const link_peer_t *peer)
{
    return (size_t)(peer - peer->links->peers);
}

static void take_home(links_t *links, size_t at, uint64_t now_ms)
{
    link_peer_t *before = links->home;
    links->home = &links->peers[at];
    links->next = NULL;
    links->room = 0; /* told anew */
    links->look_ms = now_ms + home_look_ms(chance());
    links->moves++;
    rz_log_info("link.home", "broker=%s endpoint=%s load=%" PRIu64, links->home->broker,
                links->home->endpoint, links->home->load);
    if (before != NULL)
        say_ping(before, now_ms);
    links->events->on_home(links->home->broker, links->home->sync_ms, links->arg);
    say_ping(links->home, now_ms);
}

/* First it is told that no more credit is left, and then it tells that nothing is on its way any more: so what we
 * offer elsewhere is not taken twice. */
static void begin_move(links_t *links, size_t at, uint64_t now_ms)
{
    links->next = &links->peers[at];
    say_ping(links->home, now_ms);
    links->next_pongs = links->home->pings;
}

static void list_brokers(const links_t *links, home_broker_t *out)
{
    for (size_t i = 0; i < links->count; i++) {
        const link_peer_t *peer = &links->peers[i];
        out[i] = (home_broker_t){ .up = peer->state == PEER_UP, .able = !peer->down, .load = peer->load };
    }
}

static bool all_are_up(const links_t *links)
{
    bool up = true;
    for (size_t i = 0; i < links->count; i++)
        up = up && (links->peers[i].endpoint == NULL || links->peers[i].state == PEER_UP);
    return up;
}

static void find_home(links_t *links, uint64_t now_ms)
{
    home_broker_t brokers[BROKERS_MAX];
    list_brokers(links, brokers);
    size_t at = home_pick(brokers, links->count, chance());
    if (at != HOME_NONE && (all_are_up(links) || now_ms >= links->choose_ms))
        take_home(links, at, now_ms);
}

static void compare_home(links_t *links, uint64_t now_ms)
{
    home_broker_t brokers[BROKERS_MAX];
    if (links->home->down)
        links->next = NULL; /* nothing more can come from there, and nobody there can say so */
    else if (links->next != NULL || now_ms < links->look_ms)
        return;
    list_brokers(links, brokers);
    size_t at = home_better(brokers, links->count, index_of(links->home), links->settings->slots, chance());
    links->look_ms = now_ms + home_look_ms(chance());
    if (at == HOME_NONE)
        return;
    if (links->home->down)
        take_home(links, at, now_ms);
    else
        begin_move(links, at, now_ms);
}

/* After whatever may have cost or brought a broker. */
static void settle(links_t *links, bool was_homed, uint64_t now_ms)
{
    if (links->home == NULL)
        find_home(links, now_ms);
    else
        compare_home(links, now_ms);
    if (was_homed && links->home == NULL)
        links->events->on_homeless(links->arg);
}

/* ---- time ---- */

/* Time in which we did not look, because we were stopped or busy, is nobody's silence. */
static void count_silence(links_t *links, uint64_t now_ms)
{
    uint64_t passed_ms = now_ms - links->ticked_ms;
    links->ticked_ms = now_ms;
    for (size_t i = 0; i < links->count; i++)
        links->peers[i].silent_ms += passed_ms < UNSEEN_MS ? passed_ms : UNSEEN_MS;
}

static void tick_peer(link_peer_t *peer, uint64_t now_ms)
{
    if (peer->state == PEER_UP && is_silent(peer))
        drop(peer, "silent", now_ms);
    else if (peer->state == PEER_UP && now_ms >= peer->due_ms && !say_ping(peer, now_ms))
        drop(peer, "disconnected", now_ms);
    if (peer->state != PEER_UP && now_ms >= peer->due_ms)
        say_hello(peer, now_ms);
}

void links_tick(links_t *links, uint64_t now_ms)
{
    bool was_homed = links->home != NULL;
    count_silence(links, now_ms);
    for (size_t i = 0; i < links->count; i++)
        tick_peer(&links->peers[i], now_ms);
    settle(links, was_homed, now_ms);
}

void links_set_phase(links_t *links, const char *phase)
{
    const rz_link_t link = { .kind = RZ_LINK_PHASE, .phase = phase };
    links->phase = phase;
    for (size_t i = 0; i < links->count; i++)
        if (links->peers[i].state == PEER_UP && links->peers[i].version >= PHASE_SINCE)
            link_answer(&links->peers[i], &link, NULL, 0);
}

void links_rejoin(links_t *links)
{
    rz_uuid_new(links->incarnation);
    links->home = links->next = NULL;
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
    options.key = &links->settings->key;
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
        bool was_homed = links->home != NULL;
        lose(spare, now_ms);
        lose(kept, now_ms);
        close_peer(spare);
        say_hello(kept, now_ms);
        settle(links, was_homed, now_ms);
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
    uint64_t now_ms = rz_now_ms();
    char endpoint[1024];
    if (peer->state == PEER_UP)
        return; /* the answer to a hello that was sent twice */
    if (merge_double(peer, welcome->broker))
        return;
    peer->state = PEER_UP;
    peer->outdated = false;
    peer->version = (uint32_t)welcome->version;
    peer->down = false; /* the store has just taken us */
    peer->assigned = peer->pings = peer->pongs = 0;
    peer->sync_ms = welcome->sync_ms > 0 ? welcome->sync_ms : SYNC_MS;
    peer->ping_ms = welcome->ping_ms;
    peer->load = welcome->load;
    peer->due_ms = now_ms + peer->ping_ms;
    snprintf(peer->broker, sizeof peer->broker, "%s", welcome->broker);
    publish_endpoint(peer, welcome->publish, endpoint, sizeof endpoint);
    told_publish(peer, endpoint);
    rz_log_info("link.welcome", "broker=%s endpoint=%s load=%" PRIu64, peer->broker, peer->endpoint,
                peer->load);
    if (links->home == NULL && links_welcomed(links) == 1)
        links->choose_ms = now_ms + CHOICE_MS;
    links_set_brokers(links, welcome->brokers);
    settle(links, false, now_ms);
}

/* A number of assigns that differs was lost between us, unreadable or before the welcome: then the broker's counts, for
 * it is the one who spends. */
static void on_pong(link_peer_t *peer, const rz_link_t *pong)
{
    links_t *links = peer->links;
    if (peer->state != PEER_UP)
        return;
    peer->pongs++;
    peer->load = pong->load;
    peer->down = pong->down;
    if (pong->sent != peer->assigned) {
        rz_log_warn("link.assigns_differ", "broker=%s sent=%" PRIu64 " came=%" PRIu64, peer->broker,
                    pong->sent, peer->assigned);
        peer->assigned = pong->sent;
    }
    if (peer == links->home && links->next != NULL && peer->pongs >= links->next_pongs && pong->promised == 0)
        take_home(links, index_of(links->next), rz_now_ms());
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
    bool was_homed = links->home != NULL;
    lose(peer, forgotten ? now_ms : now_ms + REFUSED_PAUSE_MS);
    settle(links, was_homed, now_ms);
    links_tick(links, now_ms);
}

/* It ends: what we say to it now is lost. Another process may soon stand there. */
static void on_closing(link_peer_t *peer)
{
    links_t *links = peer->links;
    uint64_t now_ms = rz_now_ms();
    bool was_homed = links->home != NULL;
    if (peer->state != PEER_UP)
        return;
    rz_log_info("link.closing", "broker=%s endpoint=%s", peer->broker, peer->endpoint);
    lose(peer, now_ms + WELCOME_WAIT_MS);
    settle(links, was_homed, now_ms);
}

static void dispatch(link_peer_t *peer, rz_link_t *link, const rz_msg_t *msg)
{
    links_t *links = peer->links;
    if (link->kind == RZ_LINK_WELCOME) {
        on_welcome(peer, link);
        return;
    }
    if (link->kind == RZ_LINK_CLOSING) {
        on_closing(peer);
        return;
    }
    if (link->kind == RZ_LINK_REFUSED) {
        on_refused(peer, link);
        return;
    }
    if (link->kind == RZ_LINK_PONG) {
        on_pong(peer, link);
        return;
    }
    /* It waited in the queue of a link that was given up, or is about an incarnation of before: what is still ours comes
     * with the next sync. */
    if ((link->kind == RZ_LINK_ASSIGN || link->kind == RZ_LINK_SYNCED) && peer->state != PEER_UP)
        return;
    if (link->kind == RZ_LINK_SYNCED)
        links_set_brokers(links, link->brokers);
    if (link->kind == RZ_LINK_ASSIGN)
        count_assign(peer);
    links->events->on_message(peer, link, msg, links->arg);
}

static void on_msg(rz_sock_t *sock, const rz_msg_t *msg, void *arg)
{
    (void)sock;
    link_peer_t *peer = arg;
    rz_err_t err = { 0 };
    rz_link_t link;
    peer->silent_ms = 0;
    if (rz_link_decode(msg->part[0].p, msg->part[0].n, &link, &err) != RZ_OK) {
        peer->links->malformed++;
        rz_log_warn("link.bad_message", "endpoint=%s code=%s %s", peer->endpoint, rz_rc_name(err.rc),
                    err.text);
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
    links->opened_ms = links->ticked_ms = rz_now_ms();
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

size_t links_welcomed(const links_t *links)
{
    size_t n = 0;
    for (size_t i = 0; i < links->count; i++)
        n += links->peers[i].state == PEER_UP;
    return n;
}

uint64_t links_moves(const links_t *links)
{
    return links->moves;
}

uint64_t links_malformed(const links_t *links)
{
    return links->malformed;
}
