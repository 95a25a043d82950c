/* record.h - AgentRecord, a worker's entry in the file fabric (rule 2). */
#pragma once

#include "base/json.h"
#include "base/limits.h"

#define RZ_RECORD_LEASE_MS 60000 /* rule 2.3 */
#define RZ_RECORD_RENEW_MS 20000

typedef struct {
    const char *agent_id;                      /* required, id rule                          */
    const char *role;                          /* required                                   */
    const cJSON *labels;                       /* NULL writes []                             */
    const char *endpoint;                      /* required, "ws://host:port"                 */
    uint32_t pid;                              /* required                                   */
    const char *version;                       /* "" default                                 */
    const char *started_at, *lease_expires_at; /* required, RFC 3339                 */
    rz_object_t object;
} rz_record_t;

rz_rc_t rz_record_decode(const char *bytes, size_t len, rz_record_t *out, rz_err_t *err);
void rz_record_fini(rz_record_t *record);
void rz_record_encode(const rz_record_t *record, rz_buf_t *out); /* pretty-printed like upstream: 2 spaces */
/* Live: lease_expires_at strictly later than now (rule 2.4). */
bool rz_record_live(const rz_record_t *record, int64_t now_unix_us);
/* "ws://127.0.0.1:40213" -> host, port. Only ws://, a loopback or literal address and a port 1..65535. */
rz_rc_t rz_endpoint_parse(const char *endpoint, char host[64], uint16_t *port, rz_err_t *err);
