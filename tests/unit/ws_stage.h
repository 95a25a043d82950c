/* ws_stage.h - a loop with WebSocket text on it: with itself, and with a peer that speaks raw TCP, because a
 * well-behaved one cannot show what happens to bad frames, half frames and silence. */
#pragma once

#include "base/timer.h"
#include "base/ws.h"

#include "facts.h"

typedef struct {
    int opened, texts, closed;
    rz_ws_t *ws; /* the last one opened; NULL when it closed */
    char last[64];
    size_t last_len;
    rz_ws_end_t end;
    char detail[160];
    bool echo, close_on_text, abort_on_text;
    rz_buf_t expect; /* compared with each text unless empty */
} side_t;

typedef struct {
    uv_loop_t loop;
    rz_ws_context_t *context;
    rz_ws_server_t *server;
    rz_timer_t *deadline;
    side_t here, there; /* client's side, server's side */
    int raw;            /* TCP socket of a raw peer, or -1 */
    const char *bearer; /* what connect_to() shows */
} fixture_t;

extern const rz_ws_events_t events; /* arg: the side_t */

int setup(void **state);
/* The loop can be closed only if every handle was, libwebsockets' own ones included. */
int teardown(void **state);

void listen_with(fixture_t *f, rz_ws_limits_t limits);
rz_ws_t *connect_to(fixture_t *f, uint16_t port, rz_ws_limits_t limits);
void run_until(fixture_t *f, const int *counter, int goal);
void open_pair_with(fixture_t *f, rz_ws_limits_t client, rz_ws_limits_t server);
void open_pair(fixture_t *f);

/* ---- the raw peer ---- */
/* Connected to *port, or listening on a free one that *port then tells. */
int tcp_socket(uint16_t *port, bool listening);
void raw_send(fixture_t *f, const void *bytes, size_t n);
/* Reads until n bytes are there, or the end of the stream; returns how many. */
size_t raw_read(fixture_t *f, char *out, size_t n);
void raw_request(fixture_t *f);
/* The answer up to its empty line. */
void raw_answer(fixture_t *f, char *out, size_t cap);
void raw_open(fixture_t *f);
/* One client frame of at most 125 bytes, masked with zeros. */
void raw_frame(fixture_t *f, unsigned char first, const char *payload, size_t n);
void expect_close_frame(fixture_t *f, int code);

void fill(rz_buf_t *buf, size_t n);
