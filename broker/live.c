/* live.c - see live.h. */
#include "live.h"

#include "base/timer.h"

#include <czmq.h>

typedef struct {
    live_t *live;
    char *key;
    uint64_t from; /* who may answer; LIVE_ANY: whoever knows the key */
    size_t asked;
    rz_timer_t *timer;
    live_fn fn;
    void *arg;
} wait_t;

struct live {
    uv_loop_t *loop;
    zhashx_t *waits; /* key -> wait_t */
};

live_t *live_create(uv_loop_t *loop)
{
    live_t *live = rz_alloc(sizeof *live);
    live->loop = loop;
    live->waits = zhashx_new();
    return live;
}

void live_destroy(live_t **live)
{
    if (*live == NULL)
        return;
    zhashx_destroy(&(*live)->waits);
    rz_free(*live);
    *live = NULL;
}

static void end(wait_t *wait, const live_answer_t *answer)
{
    zhashx_delete(wait->live->waits, wait->key);
    rz_timer_close(&wait->timer);
    wait->fn(answer, wait->arg);
    rz_free(wait->key);
    rz_free(wait);
}

static void on_timeout(void *arg)
{
    end(arg, &(live_answer_t){ .rc = RZ_EXPIRED });
}

bool live_wait(live_t *live, const char *key, uint64_t from, size_t asked, uint64_t timeout_ms, live_fn fn,
               void *arg)
{
    if (zhashx_lookup(live->waits, key) != NULL)
        return false;
    wait_t *wait = rz_alloc(sizeof *wait);
    *wait =
        (wait_t){ .live = live, .key = rz_strdup(key), .from = from, .asked = asked, .fn = fn, .arg = arg };
    wait->timer = rz_timer_open(live->loop, on_timeout, wait);
    rz_timer_start(wait->timer, timeout_ms, 0);
    zhashx_insert(live->waits, key, wait);
    return true;
}

static wait_t *find(const live_t *live, const char *key, uint64_t from)
{
    wait_t *wait = zhashx_lookup(live->waits, key);
    bool may = wait != NULL && (from == LIVE_ANY || wait->from == LIVE_ANY || wait->from == from);
    return may ? wait : NULL;
}

void live_answer(live_t *live, const char *key, uint64_t from, const live_answer_t *answer)
{
    wait_t *wait = find(live, key, from);
    if (wait != NULL)
        end(wait, answer);
}

void live_nothing(live_t *live, const char *key, uint64_t from)
{
    wait_t *wait = find(live, key, from);
    if (wait == NULL)
        return;
    if (wait->asked > 1)
        wait->asked--;
    else
        end(wait, &(live_answer_t){ .rc = RZ_NOT_FOUND });
}

void live_stop(live_t *live)
{
    for (wait_t *wait; (wait = zhashx_first(live->waits)) != NULL;)
        end(wait, &(live_answer_t){ .rc = RZ_UNAVAILABLE });
}
