/* rooms.c - a count and a queue for each profile. */
#include "rooms.h"

#include <assert.h>
#include <string.h>

struct room {
    const char *profile;
    size_t most, inside;
    guest_t door; /* ring of those who wait, longest first */
};

struct rooms {
    size_t slots, count;
    room_t list[];
};

rooms_t *rooms_create(const rz_agents_t *agents, size_t slots)
{
    size_t count = rz_agents_count(agents);
    rooms_t *rooms = rz_alloc(sizeof *rooms + count * sizeof rooms->list[0]);
    rooms->slots = slots;
    rooms->count = count;
    for (size_t i = 0; i < count; i++) {
        const rz_agent_t *agent = rz_agents_at(agents, i);
        room_t *room = &rooms->list[i];
        room->profile = agent->id;
        room->most = agent->max_concurrent > 0 ? agent->max_concurrent : slots;
        room->door.next = room->door.prev = &room->door;
    }
    return rooms;
}

void rooms_destroy(rooms_t **rooms)
{
    rz_free(*rooms);
    *rooms = NULL;
}

static room_t *find(rooms_t *rooms, const char *profile)
{
    for (size_t i = 0; i < rooms->count; i++)
        if (strcmp(rooms->list[i].profile, profile) == 0)
            return &rooms->list[i];
    return NULL;
}

static void let_in(guest_t *guest)
{
    guest->inside = true;
    guest->room->inside++;
}

static void queue(guest_t *guest)
{
    guest_t *door = &guest->room->door;
    guest->next = door;
    guest->prev = door->prev;
    guest->next->prev = guest->prev->next = guest;
}

static void unqueue(guest_t *guest)
{
    guest->next->prev = guest->prev;
    guest->prev->next = guest->next;
}

/* Whoever comes finds nobody waiting where there is room: rooms_admit() sees to that every turn of the loop, and who
 * comes in between must not overtake. */
bool rooms_enter(rooms_t *rooms, guest_t *guest, const char *profile)
{
    assert(guest->room == NULL);
    guest->room = find(rooms, profile);
    assert(guest->room != NULL);
    if (guest->room->inside < guest->room->most && guest->room->door.next == &guest->room->door)
        let_in(guest);
    else
        queue(guest);
    return guest->inside;
}

void rooms_leave(guest_t *guest)
{
    if (guest->room == NULL)
        return;
    if (guest->inside)
        guest->room->inside--;
    else
        unqueue(guest);
    guest->room = NULL;
    guest->inside = false;
}

guest_t *rooms_admit(rooms_t *rooms)
{
    for (size_t i = 0; i < rooms->count; i++) {
        room_t *room = &rooms->list[i];
        guest_t *first = room->door.next;
        if (first == &room->door || room->inside >= room->most)
            continue;
        unqueue(first);
        let_in(first);
        return first;
    }
    return NULL;
}

cJSON *rooms_full(const rooms_t *rooms)
{
    cJSON *full = NULL;
    for (size_t i = 0; i < rooms->count; i++) {
        const room_t *room = &rooms->list[i];
        if (room->most >= rooms->slots || room->inside < room->most)
            continue;
        if (full == NULL)
            full = cJSON_CreateArray();
        cJSON_AddItemToArray(full, cJSON_CreateString(room->profile));
    }
    return full;
}
