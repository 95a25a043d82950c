/* rooms.h - how many runs of each profile may go at a time (rules 3.8, 9.4): a profile's `max_concurrent`, else as many
 * as the runner has slots.
 *
 * A run enters the room of its profile, or waits at its door; whoever waits longest is let in when another one leaves.
 * Plain data: no loop, no clock, no run is looked into. */
#pragma once

#include "wire/agents.h"

typedef struct rooms rooms_t;
typedef struct room room_t;

typedef struct guest guest_t;
struct guest {            /* embed; zero-initialise */
    room_t *room;         /* NULL: neither in nor waiting */
    guest_t *next, *prev; /* at the door                  */
    bool inside;
    void *user;
};

/* The agents must outlive the rooms. */
rooms_t *rooms_create(const rz_agents_t *agents, size_t slots);
void rooms_destroy(rooms_t **rooms);

/* True: it is in. False: it waits, until rooms_admit() names it or rooms_leave() ends that. */
bool rooms_enter(rooms_t *rooms, guest_t *guest, const char *profile);
void rooms_leave(guest_t *guest); /* harmless when it is neither in nor waiting */
/* Lets in one that waits at a door where there is room now; NULL when there is none. */
guest_t *rooms_admit(rooms_t *rooms);
/* Gives: the profiles with a limit below the slots that have no room; NULL when there are none. */
cJSON *rooms_full(const rooms_t *rooms);
