/* link.h - the runner's connections to its brokers (proto/README.md 5).
 *
 *     DOWN ──hello──► ASKING ──welcome──► UP         refused NOT_FOUND, 2 s of silence, disconnected: back to DOWN
 *
 * One DEALER per broker: those of the configuration, and all that they tell of, also later (`brokers` of welcome and
 * synced). One that was found, is not told of any more and does not answer is left. Each that is UP is pinged twice a
 * second. One of them is home (home.h): writes, credit and sync go there. When home is lost another takes over at once, if
 * any is UP, and on_home says that whatever waits for an answer must be sent again; otherwise the next one that welcomes us,
 * and until then on_homeless. When home is moved although it is well, nothing that it may still assign comes on top of
 * what the new one may.
 *
 * Credit waits until every broker that is UP hears what we publish, for HEARING_MS at most: who gave it at once would say
 * the first words of its first run to nobody.
 *
 * An incarnation is one life of this process as the brokers know it: a DEAD one is replaced by links_rejoin(). Loop
 * thread only. */
#pragma once

#include "base/sock.h"
#include "settings.h"
#include "wire/link.h"

typedef struct links links_t;
typedef struct link_peer link_peer_t;

typedef struct {
    void (*on_publish)(const char *endpoint, void *arg);   /* a broker's, ready to connect to */
    void (*on_unpublish)(const char *endpoint, void *arg); /* that broker left */
    bool (*is_heard)(const char *mark, void *arg);         /* by the broker of this mark: what we publish */
    void (*on_home)(const char *broker, uint64_t sync_ms, void *arg);
    void (*on_homeless)(void *arg); /* the home was lost and no other broker is there */
    void (*on_dead)(void *arg);     /* this incarnation was declared dead: stop, then links_rejoin() */
    /* Any other message. The callee may take the header's memory by zeroing *link. */
    void (*on_message)(link_peer_t *peer, rz_link_t *link, const rz_msg_t *msg, void *arg);
} links_events_t;

links_t *links_open(uv_loop_t *loop, void *zctx, const settings_t *settings, const links_events_t *events,
                    void *arg, rz_err_t *err);
void links_close(links_t **links);

const char *links_incarnation(const links_t *links);
const char *links_home(const links_t *links);   /* the broker's name, NULL when there is none */
uint64_t links_sync_ms(const links_t *links);   /* how often it wants to be told; 0: there is none */
size_t links_welcomed(const links_t *links);    /* how many are UP */
uint64_t links_moves(const links_t *links);     /* how often one became home */
uint64_t links_malformed(const links_t *links); /* messages of brokers that could not be decoded */
uint64_t links_unheard(const links_t *links);   /* how often a broker did not hear us in time */
uint64_t links_lease_ms(const links_t *links);  /* the shortest that a broker told; 0: none did */
void links_rejoin(links_t *links);              /* with a fresh incarnation */
/* Whether we take work, of rz_phase_names: told to every broker now, and to each that we meet from here on. */
void links_set_phase(links_t *links, const char *phase);
void links_tick(links_t *links, uint64_t now_ms); /* a few times a second */

/* Encodes and sends to home, or to one broker. payload: further frames. RZ_AGAIN: nobody takes it now. */
rz_rc_t links_send(links_t *links, const rz_link_t *link, const rz_str_t *payload, size_t n);
rz_rc_t link_answer(link_peer_t *peer, const rz_link_t *link, const rz_str_t *payload, size_t n);
/* Tells home how many more it may assign: `room` beyond what came so far. idle: {"<affinity>": n}; full: profiles
 * without room of their own, NULL for none. RZ_AGAIN: not now, say it again in the next turn. */
rz_rc_t links_credit(links_t *links, uint64_t room, const cJSON *idle, const cJSON *full);
