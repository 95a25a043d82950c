/* home.h - to which of its brokers a runner gives its credit: the least loaded one.
 *
 * Pure. The load of a broker is the slots of all runners that are homed there, as it last told. Who has no home takes
 * the least loaded broker. Who has one looks now and then whether its slots would weigh less elsewhere: the other must
 * stay below what home carries, so that equal brokers keep what they have and every move makes the fleet more even. All
 * runners see the same difference, and what they see is a moment old. So looks are seconds apart and at random moments,
 * and the part of them that moves is as large as the part of home's load that is too much: a broker that joins is filled
 * within some looks, and nothing swings to and fro. A broker whose store is away can give nothing and write nothing: it
 * is home only where no other is. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HOME_NONE        ((size_t)-1)
#define HOME_LOOK_MIN_MS 3000
#define HOME_LOOK_MAX_MS 6000

typedef struct {
    bool up;   /* it welcomed us and was heard lately */
    bool able; /* its store is there                  */
    uint64_t load;
} home_broker_t;

/* HOME_NONE: nobody is up. `chance` is any number, it decides between equals. */
size_t home_pick(const home_broker_t *brokers, size_t n, uint64_t chance);
/* Where a runner of so many slots, homed at `home` (up), should go. HOME_NONE: it stays. */
size_t home_better(const home_broker_t *brokers, size_t n, size_t home, uint64_t slots, uint64_t chance);
/* How long until the next look. */
uint64_t home_look_ms(uint64_t chance);
