/* door.c - see door.h. */
#include "door.h"

#include <stdio.h>

#define UNAUTHORIZED 401
#define BUSY         503

void door_init(door_t *door, const char *token)
{
    *door = (door_t){ .guarded = *token != '\0' };
    snprintf(door->token, sizeof(door->token), "%s", token);
}

bool door_is_guarded(const door_t *door)
{
    return door->guarded;
}

unsigned door_knock(door_t *door, rz_str_t shown, bool occupied)
{
    if (!door->guarded)
        return 0;
    if (door->spent)
        return occupied ? BUSY : UNAUTHORIZED;
    if (!rz_secret_same(door->token, shown))
        return UNAUTHORIZED;
    door->spent = true;
    rz_wipe(door->token, sizeof(door->token));
    return 0;
}
