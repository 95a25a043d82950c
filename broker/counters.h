/* counters.h - what the broker counts of its own doing, shown by `status` and, with a sentence each, as metrics
 * rhizome_broker_<name>_total. Loop thread only. */
#pragma once

#include "base/buf.h"

#include <stdint.h>

#define COUNTERS(X)                                                                                          \
    X(jobs_received, "Spawn jobs read from the jobs socket.")                                                \
    X(jobs_accepted, "Of those, stored.")                                                                    \
    X(jobs_duplicate, "Of those, known before: same id and content.")                                        \
    X(jobs_rejected, "Of those, refused, and published with the reason.")                                    \
    X(jobs_malformed, "Of those, not one frame.")                                                            \
    X(jobs_retried, "Repeats of a pushed job that the store could not take yet.")                            \
    X(calls, "Requests on the control socket.")                                                              \
    X(calls_refused, "Requests answered with another code than OK or DUPLICATE.")                            \
    X(calls_malformed, "Requests without an envelope, which are not answered.")                              \
    X(replies_dropped, "Replies that could not be sent: the client is gone.")                                \
    X(submitted, "Spawn jobs given to the store, from either socket.")                                       \
    X(claimed_with_submit, "Of those, assigned in the same step: a runner was free.")                        \
    X(doomed, "Jobs that nobody could ever run, ended when they were submitted.")                            \
    X(claimed, "Activations taken from the queue for a runner.")                                             \
    X(wakes, "Times that it looked at all queues as somebody waits where nobody did before.")                \
    X(assigned, "Activations sent to a runner.")                                                             \
    X(reassigned, "Activations sent once more: the first time was lost.")                                    \
    X(unassignable, "Activations given back to the queue: their runner was gone.")                           \
    X(starts, "Messages of runners: an activation runs.")                                                    \
    X(appends, "Messages of runners: durable events.")                                                       \
    X(finishes, "Messages of runners: an activation ended.")                                                 \
    X(releases, "Messages of runners: an activation is given back.")                                         \
    X(resteered, "Steering messages sent once more: no worker had been told.")                               \
    X(states_left_out, "States of runs that runners told and that could not be read.")                       \
    X(fenced, "Writes of runners that were refused: the activation is another's, or the store ended it.")    \
    X(link_messages, "Messages from runners.")                                                               \
    X(link_malformed, "Of those, not readable.")                                                             \
    X(link_unknown_peer, "Of those, from a runner that has not said hello.")                                 \
    X(link_send_failed, "Messages to runners that could not be sent.")                                       \
    X(joins, "Runners that linked up.")                                                                      \
    X(byes, "Runners that said they leave.")                                                                 \
    X(events_made, "Events that a broker originated, published here.")                                       \
    X(events_unsent, "Of those, dropped: the event proxy did not keep up.")                                  \
    X(condemned, "Runners declared dead: silent for a lease.")                                               \
    X(reaped, "Steps of settling what dead runners left behind.")                                            \
    X(ticks, "Ticks of the store's time that were answered.")                                                \
    X(queue_expired, "Activations that nobody took in time.")                                                \
    X(waits_expired, "Waits of parents that ran out.")                                                       \
    X(sessions_retired, "Sessions that became tombstones: they ended long ago.")                             \
    X(tombstones_forgotten, "Tombstones that went.")                                                         \
    X(store_gaps, "Times that the store was lost.")                                                          \
    X(peers_admitted, "Handshakes of keys that the allow list has for the socket.")                          \
    X(peers_denied, "Handshakes that were refused: an unknown key, another role's, a list that is broken.")  \
    X(greetings_failed,                                                                                      \
      "Connections that ended before they had greeted: no key, another protocol, silence.")                  \
    X(calls_limited, "Requests refused because their peer asks too often.")                                  \
    X(tries_refused, "Handshakes of our own try to get in with a key that nobody knows.")                    \
    X(not_allowed, "Messages refused to a known key: beyond its role or scope, or revoked.")                 \
    X(topics_denied, "Subscriptions outside the topics of their key.")                                       \
    X(topics_unkept, "Subscriptions beyond those that a socket for events keeps.")                           \
    X(events_refused, "Events that their key had no business to publish.")                                   \
    X(topics_malformed, "Parts that came where events are heard and are no subscription.")                   \
    X(events_malformed, "Messages of runners that are no event: not three parts, no topic, too large.")      \
    X(too_many_parts, "Messages of more than 144 parts, dropped whole.")                                     \
    X(frames_too_large, "Messages refused by name: a frame of them was too large.")                          \
    X(unfinished_cut, "Connections cut: they held back a message without an end, or too large.")

typedef struct {
#define X(name, help) uint64_t name;
    COUNTERS(X)
#undef X
} counters_t;

/* Adds the member "counters": {name: number}. */
void counters_encode(const counters_t *counters, rz_buf_t *out);
void counters_metrics(const counters_t *counters, rz_buf_t *out);
