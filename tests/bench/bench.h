/* bench.h - the load generator behind ops/bench: each measurement is one function that prints one JSON line
 * on stdout,
 *
 *     {"name":"activations","value":5321.4,"unit":"1/s","n":10000}
 *
 * and exits the program with a sentence when a result would not be true (a lost or doubled terminal, a wrong
 * status). */
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef struct {
    const char *jobs, *control, *events; /* endpoints of a running broker */
    const char *key;                     /* path of the key to connect with; NULL: in the clear */
    const char *profile;                 /* of the jobs of latency and cold */
    size_t n;                            /* how much; each measurement has a default */
    unsigned subscribers;
} bench_t;

/* whole system */
void bench_activations(
    const bench_t *bench);                /* n echo jobs by PUSH, all terminals seen once by a subscriber   */
void bench_latency(const bench_t *bench); /* one warm job at a time, PUSH to terminal seen                  */
void bench_cold(const bench_t *bench);    /* one job at a time, each of a role never seen before            */
void bench_death(const bench_t *bench);   /* n workers killed in mid-run, each to its child's terminal seen */
void bench_events(
    const bench_t *bench); /* n tokens, 4,000 a child, one child after the other, to each of `subscribers` */
void bench_backlog(const bench_t *bench); /* queue n jobs nobody takes, then the latency of one that is     */

/* raw limits of the same machine, in the same run */
void bench_raw_zmq(size_t n); /* PUSH to PULL over TCP, 300 bytes                         */
void bench_raw_redis(const char *socket, size_t n); /* pipelined SET of 300 bytes */
void bench_raw_websocket(size_t n);    /* echo round trips on one open connection                  */
void bench_raw_spawn(size_t n);        /* posix_spawn of /bin/true to its exit                     */
void bench_raw_death(size_t n);        /* kill of a child to its pidfd being readable              */
void bench_raw_interpreters(size_t n); /* the same of python3 and node with nothing to do              */

/* shared */
uint64_t bench_now_us(void);
_Noreturn void bench_die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void bench_print(const char *name, double value, const char *unit, size_t n);
/* Sorts; prints <name> p50 and p99 in milliseconds. */
void bench_print_percentiles(const char *name, uint64_t *samples_us, size_t n);
