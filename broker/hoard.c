/* hoard.c - see hoard.h. A table by descriptor: a few words for each. */
#include "hoard.h"

#include "base/mem.h"

#include <string.h>

typedef struct {
    uint64_t id; /* 0: nobody */
    gate_t gate;
    bool suspect, seen, cut;
    uint64_t base; /* bytes that are accounted for: of whole messages, or from before it was a suspect */
    uint64_t before, taken; /* at the look before the last, and at the last */
    uint64_t held;
} conn_t;

struct hoard {
    uint64_t one[GATES];
    conn_t *conn;
    size_t room;
    size_t suspects[GATES], count[GATES];
    uint64_t heard[GATES]; /* since the last look */
    uint64_t looked_ms, passed_ms;
};

hoard_t *hoard_create(const uint64_t one[GATES])
{
    hoard_t *hoard = rz_alloc(sizeof *hoard);
    memcpy(hoard->one, one, sizeof hoard->one);
    return hoard;
}

void hoard_destroy(hoard_t **hoard)
{
    if (*hoard == NULL)
        return;
    rz_free((*hoard)->conn);
    rz_free(*hoard);
    *hoard = NULL;
}

static conn_t *conn_at(hoard_t *hoard, int fd)
{
    size_t at = (size_t)fd, room = hoard->room;
    if (at >= room) {
        room = 2 * at + 64;
        hoard->conn = rz_realloc(hoard->conn, room * sizeof *hoard->conn);
        memset(hoard->conn + hoard->room, 0, (room - hoard->room) * sizeof *hoard->conn);
        hoard->room = room;
    }
    return &hoard->conn[at];
}

static uint64_t at_most(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* ---- a look ---- */

void hoard_begin(hoard_t *hoard, uint64_t now_ms)
{
    hoard->passed_ms = hoard->looked_ms != 0 ? now_ms - hoard->looked_ms : 0;
    hoard->looked_ms = now_ms;
    for (size_t i = 0; i < hoard->room; i++)
        hoard->conn[i].seen = false;
}

void hoard_see(hoard_t *hoard, const hoard_seen_t *seen)
{
    conn_t *conn = conn_at(hoard, seen->fd);
    if (conn->id != seen->id)
        *conn = (conn_t){ .id = seen->id, .gate = seen->gate };
    conn->seen = true;
    conn->before = conn->taken;
    conn->taken = seen->taken;
    conn->base = at_most(conn->base + hoard->passed_ms * HOARD_PINGS / 1000, conn->before);
    if (conn->suspect || conn->taken - conn->base <= HOARD_NOTICED)
        return;
    conn->suspect = true;
    conn->base = conn->before = conn->taken;
}

/* A message that was whole at the look before this has been handed over by now, if its socket is quiet, or has given so many
 * others that each had its turn. */
static bool is_due(const hoard_t *hoard, gate_t gate, const bool quiet[GATES])
{
    return quiet[gate] || hoard->heard[gate] >= HOARD_TURNS(hoard->count[gate]);
}

void hoard_end(hoard_t *hoard, const bool quiet[GATES])
{
    memset(hoard->suspects, 0, sizeof hoard->suspects);
    memset(hoard->count, 0, sizeof hoard->count);
    for (size_t i = 0; i < hoard->room; i++) {
        conn_t *conn = &hoard->conn[i];
        if (!conn->seen)
            *conn = (conn_t){ 0 };
        if (conn->id == 0)
            continue;
        hoard->count[conn->gate]++;
        hoard->suspects[conn->gate] += conn->suspect;
    }
    for (size_t i = 0; i < hoard->room; i++) {
        conn_t *conn = &hoard->conn[i];
        if (conn->id != 0)
            conn->held = conn->suspect && !conn->cut && is_due(hoard, conn->gate, quiet)
                             ? conn->before - conn->base
                             : 0;
    }
    memset(hoard->heard, 0, sizeof hoard->heard);
}

/* The greatest of one socket, and what all of them hold back there. */
static conn_t *greatest(hoard_t *hoard, gate_t gate, uint64_t *all)
{
    conn_t *most = NULL;
    *all = 0;
    for (size_t i = 0; i < hoard->room; i++) {
        conn_t *conn = &hoard->conn[i];
        if (conn->id == 0 || conn->gate != gate || conn->held == 0)
            continue;
        *all += conn->held;
        if (most == NULL || conn->held > most->held)
            most = conn;
    }
    return most;
}

bool hoard_cut(hoard_t *hoard, hoard_seen_t *out, uint64_t *held)
{
    for (gate_t gate = 0; gate < GATES; gate++) {
        uint64_t all;
        conn_t *conn = hoard->suspects[gate] > 0 ? greatest(hoard, gate, &all) : NULL;
        if (conn == NULL || (conn->held <= hoard->one[gate] && all <= HOARD_MANY * hoard->one[gate]))
            continue;
        *out = (hoard_seen_t){ conn->id, (int)(conn - hoard->conn), gate, conn->taken };
        *held = conn->held;
        conn->cut = true;
        conn->held = 0;
        return true;
    }
    return false;
}

/* ---- between looks ---- */

bool hoard_knows(const hoard_t *hoard, uint64_t id, int fd, gate_t *out)
{
    if ((size_t)fd >= hoard->room || hoard->conn[fd].id != id)
        return false;
    *out = hoard->conn[fd].gate;
    return true;
}

bool hoard_listens(const hoard_t *hoard, gate_t gate)
{
    return hoard->suspects[gate] > 0;
}

void hoard_heard(hoard_t *hoard, gate_t gate, int fd)
{
    hoard->heard[gate]++;
    if (fd < 0 || (size_t)fd >= hoard->room || !hoard->conn[fd].suspect)
        return;
    conn_t *conn = &hoard->conn[fd];
    conn->suspect = false;
    conn->base = conn->taken;
    hoard->suspects[conn->gate]--;
}
