/* link.c - see link.h. */
#include "link_inner.h"

#include "base/clock.h"
#include "base/log.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define HELLO_RETRY_MS   100  /* while not connected              */
#define WELCOME_WAIT_MS  1000 /* after a hello was sent           */
#define REFUSED_PAUSE_MS 1000 /* after a refusal that will not mend itself at once */
#define REJOIN_PAUSE_MS  5000 /* between two deaths of this runner, except for the first    */
#define CHOICE_MS        300  /* how long the first that welcomes us waits for the others  */
#define SILENT_PINGS     4    /* a broker is lost after so many intervals without a word   */
#define SILENT_SYNCS     3    /* and after so many of these, when it knows no ping         */
#define UNSEEN_MS        1000 /* of a longer pause between two ticks, so much counts       */
#define SYNC_MS          3000
#define HEARING_MS       2000 /* how long credit waits for a broker to hear us             */
#define PHASE_SINCE      2    /* version of the protocol that knows `phase` */

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

/* What it is told there is lost, and perhaps it is the connection that is: another one may not be. */
static void give_up_hearing(link_peer_t *peer)
{
    links_t *links = peer->links;
    links->unheard++;
    rz_log_warn("link.unheard", "broker=%s publish=%s ms=%d text=\"its first events may be lost\"",
                peer->broker, peer->publish, HEARING_MS);
    links->events->on_unpublish(peer->publish, links->arg);
    links->events->on_publish(peer->publish, links->arg);
}

static bool hears_us(link_peer_t *peer, uint64_t now_ms)
{
    if (peer->state != PEER_UP || peer->hearing_ms == 0)
        return true;
    bool heard = peer->links->events->is_heard(peer->mark, peer->links->arg);
    if (!heard && now_ms < peer->hearing_ms)
        return false;
    peer->hearing_ms = 0;
    if (!heard)
        give_up_hearing(peer);
    return true;
}

static bool all_hear_us(links_t *links)
{
    uint64_t now_ms = rz_now_ms();
    bool all = true;
    for (size_t i = 0; i < links->count; i++)
        all = hears_us(&links->peers[i], now_ms) && all;
    return all;
}

rz_rc_t links_credit(links_t *links, uint64_t room, const cJSON *idle, const cJSON *full)
{
    if (links->home == NULL)
        return RZ_AGAIN;
    if (!all_hear_us(links)) { /* less is said at once, by the next ping */
        links->room = room < links->room ? room : links->room;
        return RZ_AGAIN;
    }
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

void link_say_hello(link_peer_t *peer, uint64_t now_ms)
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

bool link_say_ping(link_peer_t *peer, uint64_t now_ms)
{
    rz_link_t ping = { .kind = RZ_LINK_PING, .granted = granted(peer), .home = peer == peer->links->home };
    if (peer->ping_ms == 0)
        return true;
    peer->due_ms = now_ms + peer->ping_ms;
    peer->pings++;
    return link_answer(peer, &ping, NULL, 0) == RZ_OK;
}

/* ---- losing ---- */

void link_lose(link_peer_t *peer, uint64_t due_ms)
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
    link_lose(peer, now_ms + HELLO_RETRY_MS);
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
    else if (peer->state == PEER_UP && now_ms >= peer->due_ms && !link_say_ping(peer, now_ms))
        drop(peer, "disconnected", now_ms);
    if (peer->state != PEER_UP && now_ms >= peer->due_ms && !link_is_spare(peer))
        link_say_hello(peer, now_ms);
}

void links_tick(links_t *links, uint64_t now_ms)
{
    bool was_homed = links->home != NULL;
    count_silence(links, now_ms);
    for (size_t i = 0; i < links->count; i++)
        tick_peer(&links->peers[i], now_ms);
    links_settle(links, was_homed, now_ms);
}

void links_set_phase(links_t *links, const char *phase)
{
    const rz_link_t link = { .kind = RZ_LINK_PHASE, .phase = phase };
    links->phase = phase;
    for (size_t i = 0; i < links->count; i++)
        if (links->peers[i].state == PEER_UP && links->peers[i].version >= PHASE_SINCE)
            link_answer(&links->peers[i], &link, NULL, 0);
}

/* Two living runners of one name end each other with every new incarnation; they shall not do that all the time. */
static uint64_t rejoin_due(links_t *links, uint64_t now_ms)
{
    uint64_t last_ms = links->rejoined_ms;
    links->rejoined_ms = now_ms;
    if (last_ms == 0 || now_ms - last_ms >= REJOIN_PAUSE_MS)
        return now_ms;
    rz_log_error("link.rejoin", "pause_ms=%d text=\"declared dead again: is there another runner %s?\"",
                 REJOIN_PAUSE_MS, links->settings->name);
    return now_ms + REJOIN_PAUSE_MS;
}

void links_rejoin(links_t *links)
{
    uint64_t now_ms = rz_now_ms(), due_ms = rejoin_due(links, now_ms);
    rz_uuid_new(links->incarnation);
    links->home = links->next = NULL;
    for (size_t i = 0; i < links->count; i++) {
        link_lose(&links->peers[i], due_ms);
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
    if (peer->state != PEER_ASKING)
        return; /* the answer to a hello that was sent twice, or of before this link was given up */
    if (link_merge_double(peer, welcome->broker))
        return;
    peer->state = PEER_UP;
    peer->outdated = false;
    peer->version = (uint32_t)welcome->version;
    peer->down = false; /* the store has just taken us */
    peer->assigned = peer->pings = peer->pongs = 0;
    peer->sync_ms = welcome->sync_ms > 0 ? welcome->sync_ms : SYNC_MS;
    peer->ping_ms = welcome->ping_ms;
    peer->lease_ms = welcome->lease_ms;
    peer->hearing_ms = welcome->mark != NULL ? now_ms + HEARING_MS : 0;
    snprintf(peer->mark, sizeof peer->mark, "%s", welcome->mark != NULL ? welcome->mark : "");
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
    links_settle(links, false, now_ms);
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
        links_take_home(links, links->next, rz_now_ms());
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
    if (forgotten && peer->state != PEER_UP)
        return; /* an older message was refused; our hello is on its way, or will be */
    bool was_homed = links->home != NULL;
    link_lose(peer, forgotten ? now_ms : now_ms + REFUSED_PAUSE_MS);
    links_settle(links, was_homed, now_ms);
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
    link_lose(peer, now_ms + WELCOME_WAIT_MS);
    links_settle(links, was_homed, now_ms);
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

void link_on_msg(rz_sock_t *sock, const rz_msg_t *msg, void *arg)
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
    rz_uuid_new(links->incarnation);
    links->peers = rz_alloc(BROKERS_MAX * sizeof *links->peers);
    const cJSON *endpoint;
    cJSON_ArrayForEach(endpoint, settings->brokers)
    {
        link_peer_t *peer = link_vacant(links);
        if (peer == NULL)
            rz_fail_field(err, RZ_TOO_LARGE, "runner.brokers", "at most %d brokers", BROKERS_MAX);
        else if (link_open(links, peer, endpoint->valuestring, err) == RZ_OK)
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

uint64_t links_unheard(const links_t *links)
{
    return links->unheard;
}

uint64_t links_lease_ms(const links_t *links)
{
    uint64_t least = 0;
    for (size_t i = 0; i < links->count; i++) {
        uint64_t lease_ms = links->peers[i].lease_ms;
        if (lease_ms != 0 && (least == 0 || lease_ms < least))
            least = lease_ms;
    }
    return least;
}
