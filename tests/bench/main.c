/* main.c - rz-bench MEASUREMENT [options]: see bench.h; ops/bench starts what it needs and calls it. */
#include "bench.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

uint64_t bench_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

void bench_die(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fputs("rz-bench: ", stderr);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
    exit(70);
}

void bench_print(const char *name, double value, const char *unit, size_t n)
{
    printf("{\"name\":\"%s\",\"value\":%.3f,\"unit\":\"%s\",\"n\":%zu}\n", name, value, unit, n);
    fflush(stdout);
}

static int by_value(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

void bench_print_percentiles(const char *name, uint64_t *samples_us, size_t n)
{
    char full[96];
    qsort(samples_us, n, sizeof *samples_us, by_value);
    snprintf(full, sizeof full, "%s p50", name);
    bench_print(full, (double)samples_us[n / 2] / 1000.0, "ms", n);
    snprintf(full, sizeof full, "%s p99", name);
    bench_print(full, (double)samples_us[n * 99 / 100] / 1000.0, "ms", n);
}

static size_t number(const char *text)
{
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || *end != '\0' || value == 0)
        bench_die("%s is no positive number", text);
    return (size_t)value;
}

static const struct {
    const char *name;
    void (*run)(const bench_t *bench);
    size_t n;
} measurements[] = {
    { "activations", bench_activations, 10000 },
    { "latency", bench_latency, 1000 },
    { "cold", bench_cold, 50 },
    { "death", bench_death, 50 },
    { "events", bench_events, 100000 },
    { "backlog", bench_backlog, 1000 },
};

static const struct {
    const char *name;
    void (*run)(size_t n);
    size_t n;
} limits[] = {
    { "raw-zmq", bench_raw_zmq, 1000000 },
    { "raw-websocket", bench_raw_websocket, 20000 },
    { "raw-spawn", bench_raw_spawn, 300 },
    { "raw-death", bench_raw_death, 300 },
    { "raw-interpreters", bench_raw_interpreters, 50 },
};

int main(int argc, char **argv)
{
    bench_t bench = { .subscribers = 1, .profile = "echo" };
    const char *what = argc > 1 ? argv[1] : "", *redis = "";
    for (int i = 2; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--jobs") == 0)
            bench.jobs = argv[i + 1];
        else if (strcmp(argv[i], "--control") == 0)
            bench.control = argv[i + 1];
        else if (strcmp(argv[i], "--events") == 0)
            bench.events = argv[i + 1];
        else if (strcmp(argv[i], "--redis") == 0)
            redis = argv[i + 1];
        else if (strcmp(argv[i], "--key") == 0)
            bench.key = argv[i + 1];
        else if (strcmp(argv[i], "--profile") == 0)
            bench.profile = argv[i + 1];
        else if (strcmp(argv[i], "--subscribers") == 0)
            bench.subscribers = (unsigned)number(argv[i + 1]);
        else if (strcmp(argv[i], "--n") == 0)
            bench.n = number(argv[i + 1]);
        else
            bench_die("unknown option %s", argv[i]);
    }
    for (size_t i = 0; i < sizeof measurements / sizeof *measurements; i++)
        if (strcmp(what, measurements[i].name) == 0) {
            bench.n = bench.n != 0 ? bench.n : measurements[i].n;
            measurements[i].run(&bench);
            return 0;
        }
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        if (strcmp(what, limits[i].name) == 0) {
            limits[i].run(bench.n != 0 ? bench.n : limits[i].n);
            return 0;
        }
    if (strcmp(what, "raw-redis") == 0) {
        bench_raw_redis(redis, bench.n != 0 ? bench.n : 200000);
        return 0;
    }
    bench_die("what should be measured? activations latency cold death events backlog raw-zmq raw-redis "
              "raw-websocket raw-spawn raw-death raw-interpreters");
}
