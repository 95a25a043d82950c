/* link_home.c - does what home.h decides. */
#include "link_inner.h"

#include "base/log.h"
#include "home.h"

#include <inttypes.h>

static uint64_t chance(void)
{
    uint64_t number = 0;
    uv_random(NULL, NULL, &number, sizeof number, 0, NULL);
    return number;
}

void links_take_home(links_t *links, link_peer_t *peer, uint64_t now_ms)
{
    link_peer_t *before = links->home;
    links->home = peer;
    links->next = NULL;
    links->room = 0; /* told anew */
    links->look_ms = now_ms + home_look_ms(chance());
    links->moves++;
    rz_log_info("link.home", "broker=%s endpoint=%s load=%" PRIu64, links->home->broker,
                links->home->endpoint, links->home->load);
    if (before != NULL)
        link_say_ping(before, now_ms);
    links->events->on_home(links->home->broker, links->home->sync_ms, links->arg);
    link_say_ping(links->home, now_ms);
}

/* First it is told that no more credit is left, and then it tells that nothing is on its way any more: so what we
 * offer elsewhere is not taken twice. */
static void begin_move(links_t *links, size_t at, uint64_t now_ms)
{
    links->next = &links->peers[at];
    link_say_ping(links->home, now_ms);
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
        up = up && (links->peers[i].endpoint == NULL || links->peers[i].state == PEER_UP ||
                    link_is_spare(&links->peers[i]));
    return up;
}

static void find_home(links_t *links, uint64_t now_ms)
{
    home_broker_t brokers[BROKERS_MAX];
    list_brokers(links, brokers);
    size_t at = home_pick(brokers, links->count, chance());
    if (at != HOME_NONE && (all_are_up(links) || now_ms >= links->choose_ms))
        links_take_home(links, &links->peers[at], now_ms);
}

static void compare_home(links_t *links, uint64_t now_ms)
{
    home_broker_t brokers[BROKERS_MAX];
    if (links->home->down)
        links->next = NULL; /* nothing more can come from there, and nobody there can say so */
    else if (links->next != NULL || now_ms < links->look_ms)
        return;
    list_brokers(links, brokers);
    size_t at = home_better(brokers, links->count, (size_t)(links->home - links->peers),
                            links->settings->slots, chance());
    links->look_ms = now_ms + home_look_ms(chance());
    if (at == HOME_NONE)
        return;
    if (links->home->down)
        links_take_home(links, &links->peers[at], now_ms);
    else
        begin_move(links, at, now_ms);
}

void links_settle(links_t *links, bool was_homed, uint64_t now_ms)
{
    if (links->home == NULL)
        find_home(links, now_ms);
    else
        compare_home(links, now_ms);
    if (was_homed && links->home == NULL)
        links->events->on_homeless(links->arg);
}
