/* trail.h - the events of one child from a place on to its end: its log and the live stream, made one by the rules of
 * follow.h. Goes on at another broker when its own is silent, and through a restart of the only one. */
#pragma once

#include "client.h"
#include "follow.h"

typedef struct {
    void (*on_event)(const event_t *event, void *arg);
    void (*on_gap)(const char *child, const gap_t *gap, void *arg);
    void (*on_quiet)(void *arg); /* nothing came for a moment */
    void *arg;
} trail_sink_t;

/* Subscribes, and follows until the child has ended and all of it was shown. The exit code is that of its end;
 * EXIT_NOT_FOUND: no such child of that parent; EXIT_CUT: no broker answered for a minute. */
outcome_t trail_follow(client_t *client, const char *parent, const char *child, place_t from,
                       const trail_sink_t *sink);
