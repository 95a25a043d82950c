/* setup.h - the broker's part of the configuration, read once. */
#pragma once

#include "base/config.h"
#include "base/id.h"
#include "base/key.h"
#include "base/limits.h"
#include "state/store.h"
#include "wire/agents.h"

typedef struct {
    char name[RZ_ID_MAX + 1];
    const char *jobs, *control, *events, *runners, *publish; /* where to bind */
    const char *http;                                        /* the same; "": nowhere */
    const char *advertise; /* host by which others reach us; "": found out, see brokers.h */
    const char *state_dir; /* "": nothing is kept */
    const char *scoped;    /* where the events sockets of single keys begin; "": beside events */
    uint64_t lease_ms, sync_ms, poll_ms, queue_max;
    uint64_t max_queue_ms;               /* how long a job may wait unless it says otherwise; 0: for ever */
    uint64_t retention_ms, tombstone_ms; /* of sessions, and of what is known after them */
    uint64_t completions_max;
    uint64_t calls_per_sec; /* of one peer; 0: any number */
    size_t job_max, session_max;
    int subscriber_events;    /* kept for a subscriber that does not read */
    rz_store_options_t store; /* without callbacks */
    rz_agents_t *agents;      /* owned */
    rz_key_t key;             /* of our sockets; zero: they are in the clear */
    const char *allow;        /* path of the list of those who may connect to them */
    bool exposed;             /* in the clear, and bound beyond this host: it was asked for */
} setup_t;

/* Texts are lent by config, which must outlive the setup and takes in what redis.password_file holds. RZ_BAD_FIELD and the like, with err. */
rz_rc_t setup_read(rz_config_t *config, setup_t *out, rz_err_t *err);
void setup_fini(setup_t *setup);
