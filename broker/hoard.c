/* hoard.c - see hoard.h. Two tables by descriptor: a few words for each connection, and one that any thread adds to. */
#include "hoard.h"

#include "base/mem.h"

#include <stdatomic.h>
#include <string.h>

typedef struct {
    uint64_t id; /* 0: nobody */
    gate_t gate;
    bool seen, cut, spoke;  /* spoke: a message of it was whole */
    uint64_t base;          /* bytes that are accounted for: of whole messages, or of none */
    uint64_t before, taken; /* at the look before the last, and at the last */
    uint64_t told;          /* handed over between those */
    uint64_t turn, heard;   /* taken at an earlier look, and messages of its socket until then */
    uint64_t due;           /* bytes that would have been handed over by now, if they were whole */
    uint64_t answered, held;
} conn_t;

struct hoard {
    uint64_t one[GATES];
    conn_t *conn;
    size_t room;
    atomic_uint_fast64_t *told; /* bytes handed over since the last look, by descriptor */
    size_t fds;
    atomic_uint_fast64_t heard[GATES]; /* messages since the beginning */
    size_t suspects[GATES], count[GATES];
    bool quiet[GATES]; /* at the last look */
    uint64_t looked_ms, passed_ms;
};

hoard_t *hoard_create(const uint64_t one[GATES], size_t fds)
{
    hoard_t *hoard = rz_alloc(sizeof *hoard);
    memcpy(hoard->one, one, sizeof hoard->one);
    hoard->told = rz_alloc(fds * sizeof *hoard->told);
    hoard->fds = fds;
    return hoard;
}

void hoard_destroy(hoard_t **hoard)
{
    if (*hoard == NULL)
        return;
    rz_free((*hoard)->told);
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

static uint64_t messages(hoard_t *hoard, gate_t gate)
{
    return atomic_load_explicit(&hoard->heard[gate], memory_order_relaxed);
}

/* A message that was handed over after a quiet look ended after it: nothing from before that look is held back. */
void hoard_see(hoard_t *hoard, const hoard_seen_t *seen)
{
    if (seen->fd < 0 || (size_t)seen->fd >= hoard->fds)
        return;
    conn_t *conn = conn_at(hoard, seen->fd);
    if (conn->id != seen->id)
        *conn = (conn_t){
            .id = seen->id, .gate = seen->gate, .turn = seen->taken, .heard = messages(hoard, seen->gate)
        };
    conn->told = atomic_exchange_explicit(&hoard->told[seen->fd], 0, memory_order_relaxed);
    conn->seen = true;
    conn->before = conn->taken;
    conn->taken = seen->taken;
    conn->base +=
        conn->told + at_most(hoard->passed_ms * HOARD_PINGS / 1000, seen->answered - conn->answered);
    conn->answered = seen->answered;
    conn->spoke |= conn->told > 0;
    if (conn->told > 0 && hoard->quiet[conn->gate] && conn->base < conn->before)
        conn->base = conn->before;
    conn->base = at_most(conn->base, conn->taken);
}

/* What was whole at the look before this has been handed over by now, if its socket is quiet. What was whole at an earlier one,
 * if since then nothing of it was, and so many messages of others that each had its turn. */
static void look_at_turns(conn_t *conn, uint64_t heard, size_t count, bool quiet)
{
    if (quiet)
        conn->due = conn->before;
    else if (conn->told == 0 && heard - conn->heard >= HOARD_TURNS(count))
        conn->due = conn->turn;
    else if (conn->told == 0)
        return;
    conn->turn = conn->taken;
    conn->heard = heard;
}

static void count_all(hoard_t *hoard)
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
        hoard->suspects[conn->gate] += !conn->cut && conn->taken - conn->base > HOARD_NOTICED;
    }
}

void hoard_end(hoard_t *hoard, const bool quiet[GATES])
{
    count_all(hoard);
    for (size_t i = 0; i < hoard->room; i++) {
        conn_t *conn = &hoard->conn[i];
        if (conn->id == 0)
            continue;
        look_at_turns(conn, messages(hoard, conn->gate), hoard->count[conn->gate], quiet[conn->gate]);
        conn->held = !conn->cut && conn->due > conn->base ? conn->due - conn->base : 0;
    }
    memcpy(hoard->quiet, quiet, sizeof hoard->quiet);
}

/* Beyond what one may hold, the greater; below, rather a stranger than one who sends a large message slowly. */
static bool is_worse(const conn_t *conn, const conn_t *other, uint64_t one)
{
    if (conn->spoke != other->spoke && conn->held <= one && other->held <= one)
        return !conn->spoke;
    return conn->held > other->held;
}

/* The worst of one socket, and what all of them hold back there. */
static conn_t *worst(hoard_t *hoard, gate_t gate, uint64_t *all)
{
    conn_t *most = NULL;
    *all = 0;
    for (size_t i = 0; i < hoard->room; i++) {
        conn_t *conn = &hoard->conn[i];
        if (conn->id == 0 || conn->gate != gate || conn->held == 0)
            continue;
        *all += conn->held;
        if (most == NULL || is_worse(conn, most, hoard->one[gate]))
            most = conn;
    }
    return most;
}

bool hoard_cut(hoard_t *hoard, hoard_seen_t *out, uint64_t *held)
{
    for (gate_t gate = 0; gate < GATES; gate++) {
        uint64_t all;
        conn_t *conn = hoard->suspects[gate] > 0 ? worst(hoard, gate, &all) : NULL;
        if (conn == NULL || (conn->held <= hoard->one[gate] && all <= HOARD_MANY * hoard->one[gate]))
            continue;
        *out = (hoard_seen_t){ conn->id, (int)(conn - hoard->conn), gate, conn->taken, conn->answered };
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

uint64_t hoard_one(const hoard_t *hoard, gate_t gate)
{
    return hoard->one[gate];
}

bool hoard_suspects(const hoard_t *hoard, gate_t gate)
{
    return hoard->suspects[gate] > 0;
}

void hoard_heard(hoard_t *hoard, gate_t gate, int fd, size_t bytes, size_t parts)
{
    atomic_fetch_add_explicit(&hoard->heard[gate], 1, memory_order_relaxed);
    if (fd >= 0 && (size_t)fd < hoard->fds)
        atomic_fetch_add_explicit(&hoard->told[fd], bytes + parts * HOARD_FRAMING, memory_order_relaxed);
}
