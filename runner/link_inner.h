/* link_inner.h - the links from the inside; private to link*.c.
 *
 * link.c speaks and listens, link_home.c has one of the brokers at home, link_found.c opens and closes links as brokers come
 * and go. */
#pragma once

#include "link.h"

#define BROKERS_MAX 64 /* links at a time, those of the configuration included */

typedef enum { PEER_DOWN, PEER_ASKING, PEER_UP } peer_state_t;

struct link_peer {
    links_t *links;
    rz_sock_t *sock;
    char *endpoint; /* owned; NULL: no link here (any more) */
    bool found;     /* by what a broker told, not by the configuration */
    bool is_double; /* another name of a broker that is configured twice: not used while the other is UP */
    char *publish;  /* where it takes events; NULL: it never welcomed us */
    char mark[RZ_NAME_MAX + 1]; /* see publish.h; "": it has none */
    peer_state_t state;
    uint64_t due_ms;                     /* next hello; UP: next ping     */
    uint64_t silent_ms;                  /* since it said anything        */
    uint64_t pings, pongs;               /* since the welcome             */
    uint64_t assigned;                   /* assignments since the welcome */
    uint64_t load;                       /* as it last told               */
    uint64_t sync_ms, ping_ms, lease_ms; /* as it told; 0: not */
    uint64_t hearing_ms;                 /* until then it is waited for to hear us; 0: no longer */
    uint32_t version;                    /* of the protocol, since the welcome */
    bool down;                           /* its store is away */
    bool outdated; /* what it says next may still be about our incarnation before this one */
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
    uint64_t ticked_ms, moves, rejoined_ms;
    char incarnation[RZ_UUID_LEN + 1];
    const char *phase; /* static; NULL: as if it were "up" */
    rz_buf_t scratch;
    uint64_t malformed; /* messages of brokers that could not be decoded */
    uint64_t unheard;   /* brokers that did not hear us in time          */
};

/* ---- link.c ---- */
void link_say_hello(link_peer_t *peer, uint64_t now_ms);
bool link_say_ping(link_peer_t *peer,
                   uint64_t now_ms); /* false: it could not be sent, so the connection is gone */
void link_lose(link_peer_t *peer,
               uint64_t due_ms); /* DOWN until its next hello is due; links_settle() is the caller's */
void link_on_msg(rz_sock_t *sock, const rz_msg_t *msg, void *arg);

/* ---- link_home.c ---- */
/* After whatever may have cost or brought a broker: there is a home if there can be, or on_homeless says that it was lost. */
void links_settle(links_t *links, bool was_homed, uint64_t now_ms);
void links_take_home(links_t *links, link_peer_t *peer, uint64_t now_ms);

/* ---- link_found.c ---- */
link_peer_t *link_vacant(links_t *links); /* a place for one more; NULL: there are BROKERS_MAX */
rz_rc_t link_open(links_t *links, link_peer_t *peer, const char *endpoint, rz_err_t *err);
void link_close(link_peer_t *peer);
void links_set_brokers(links_t *links,
                       const cJSON *brokers); /* what a broker told of all that live; NULL: nothing */
/* Two links to one broker: it hears us by the newer only. The one that was found goes, of two that are configured the later
 * one rests, and the other introduces itself anew. True if that was so. */
bool link_merge_double(link_peer_t *peer, const char *broker);
bool link_is_spare(const link_peer_t *peer); /* it rests: its broker is UP by its other name */
