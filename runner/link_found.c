/* link_found.c - links that open and close while we live. */
#include "link_inner.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>
#include <string.h>

#define FOUND_PAUSE_MS                                                                                       \
    3000 /* so long a configured endpoint may take to say whose it is                     */
#define DOUBLE_PAUSE_MS 5000  /* before a broker that is configured twice is looked for by its second name */
#define QUEUE           16384 /* messages; the journal bounds what we keep, this only what is on its way */

rz_rc_t link_open(links_t *links, link_peer_t *peer, const char *endpoint, rz_err_t *err)
{
    rz_sock_options_t options = { .type = ZMQ_DEALER,
                                  .sndhwm = QUEUE,
                                  .rcvhwm = QUEUE,
                                  .linger_ms = 500,
                                  .on_msg = link_on_msg,
                                  .arg = peer };
    options.key = &links->settings->key;
    *peer = (link_peer_t){ .links = links, .endpoint = rz_strdup(endpoint) };
    peer->sock = rz_sock_open(links->loop, links->zctx, &options, err);
    return peer->sock == NULL ? err->rc : rz_sock_connect(peer->sock, endpoint, err);
}

void link_close(link_peer_t *peer)
{
    links_t *links = peer->links;
    if (peer->publish != NULL)
        links->events->on_unpublish(peer->publish, links->arg);
    rz_sock_close(&peer->sock);
    rz_free(peer->endpoint);
    rz_free(peer->publish);
    *peer = (link_peer_t){ .links = links };
}

link_peer_t *link_vacant(links_t *links)
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
    link_peer_t *peer = link_vacant(links);
    if (peer == NULL) {
        rz_log_warn("link.too_many", "broker=%s endpoint=%s most=%d", broker, endpoint, BROKERS_MAX);
        return;
    }
    if (link_open(links, peer, endpoint, &err) != RZ_OK) {
        rz_log_warn("link.bad_endpoint", "broker=%s endpoint=%s error=%s", broker, endpoint, err.text);
        link_close(peer);
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
        link_close(peer);
    }
}

void links_set_brokers(links_t *links, const cJSON *brokers)
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

bool link_is_spare(const link_peer_t *peer)
{
    const links_t *links = peer->links;
    for (size_t i = 0; peer->is_double && i < links->count; i++)
        if (&links->peers[i] != peer && links->peers[i].state == PEER_UP &&
            strcmp(links->peers[i].broker, peer->broker) == 0)
            return true;
    return false;
}

/* The link by which this broker is known as well. One that was configured and is not UP tells where it was, not where it is. */
static link_peer_t *double_of(const link_peer_t *peer, const char *broker)
{
    links_t *links = peer->links;
    for (size_t i = 0; i < links->count; i++) {
        link_peer_t *other = &links->peers[i];
        if (other != peer && other->endpoint != NULL && strcmp(other->broker, broker) == 0 &&
            (other->found || peer->found || other->state == PEER_UP))
            return other;
    }
    return NULL;
}

/* Where its broker takes events may be known by two names as well: it shall get each event once. */
static void give_publish(link_peer_t *spare, link_peer_t *kept)
{
    links_t *links = spare->links;
    if (kept->publish == NULL)
        kept->publish = spare->publish;
    else if (spare->publish != NULL) {
        if (strcmp(kept->publish, spare->publish) != 0)
            links->events->on_unpublish(spare->publish, links->arg);
        rz_free(spare->publish);
    }
    spare->publish = NULL;
}

/* Of the configuration: it stays, for the other may lead nowhere one day. */
static void rest(link_peer_t *spare, const link_peer_t *kept, const char *broker)
{
    snprintf(spare->broker, sizeof spare->broker, "%s", broker);
    if (!spare->is_double)
        rz_log_warn("link.double", "broker=%s text=\"%s and %s are one broker: name it once\"", broker,
                    kept->endpoint, spare->endpoint);
    spare->is_double = true;
}

bool link_merge_double(link_peer_t *peer, const char *broker)
{
    links_t *links = peer->links;
    uint64_t now_ms = rz_now_ms();
    link_peer_t *other = double_of(peer, broker);
    if (other == NULL)
        return false;
    bool both_configured = !peer->found && !other->found, was_homed = links->home != NULL;
    bool keeps_other = both_configured ? other < peer : peer->found;
    link_peer_t *spare = keeps_other ? peer : other, *kept = keeps_other ? other : peer;
    link_lose(spare, now_ms + DOUBLE_PAUSE_MS);
    link_lose(kept, now_ms);
    give_publish(spare, kept);
    snprintf(kept->broker, sizeof kept->broker, "%s", broker);
    if (both_configured) {
        rest(spare, kept, broker);
    } else {
        rz_log_info("link.double", "broker=%s kept=%s left=%s", broker, kept->endpoint, spare->endpoint);
        link_close(spare);
    }
    link_say_hello(kept, now_ms);
    links_settle(links, was_homed, now_ms);
    return true;
}
