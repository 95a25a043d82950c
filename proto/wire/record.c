/* record.c - AgentRecord, a worker's entry in the file fabric (rule 2). */
#include "wire/record.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define RECORD_BYTES_MAX    ((size_t)64 << 10)
#define TIMESTAMP_BYTES_MAX ((size_t)64)

static const char *read_timestamp(rz_fields_t *f, const char *key)
{
    const char *text = rz_field_str(f, key, RZ_REQUIRED, TIMESTAMP_BYTES_MAX);
    int64_t unix_us;
    if (text != NULL && rz_rfc3339_parse(text, &unix_us) != 0)
        rz_fail_field(f->err, RZ_BAD_FIELD, key, "allowed: an RFC 3339 time");
    return text;
}

rz_rc_t rz_record_decode(const char *bytes, size_t len, rz_record_t *out, rz_err_t *err)
{
    rz_err_t local = { 0 };
    if (err == NULL)
        err = &local;
    *out = (rz_record_t){ .version = "" };
    if (rz_object_decode(bytes, len, RECORD_BYTES_MAX, NULL, &out->object, err) != RZ_OK)
        return err->rc;

    rz_fields_t f = { .obj = out->object.tree, .where = "", .err = err };
    out->agent_id = rz_field_id(&f, "agent_id", RZ_REQUIRED);
    out->role = rz_field_str(&f, "role", RZ_REQUIRED, RZ_NAME_MAX);
    out->labels = rz_field_strings(&f, "labels", RZ_DEFAULTED, RZ_NAME_MAX);
    out->endpoint = rz_field_str(&f, "endpoint", RZ_REQUIRED, RZ_NAME_MAX);
    out->pid = (uint32_t)rz_field_u64(&f, "pid", RZ_REQUIRED, 0, 0, UINT32_MAX);
    const char *version = rz_field_str(&f, "version", RZ_DEFAULTED, RZ_NAME_MAX);
    out->version = version != NULL ? version : "";
    out->started_at = read_timestamp(&f, "started_at");
    out->lease_expires_at = read_timestamp(&f, "lease_expires_at");
    if (err->rc != RZ_OK)
        rz_record_fini(out);
    return err->rc;
}

void rz_record_fini(rz_record_t *record)
{
    rz_object_fini(&record->object);
    *record = (rz_record_t){ .version = "" };
}

static void put_member(rz_buf_t *out, const char *key, const char *text)
{
    rz_buf_printf(out, "  \"%s\": ", key);
    rz_json_put_str(out, NULL, text != NULL ? text : "");
    rz_buf_puts(out, ",\n");
}

static void put_labels(rz_buf_t *out, const cJSON *labels)
{
    rz_buf_puts(out, "  \"labels\": [");
    const char *separator = "\n    ";
    for (const cJSON *item = labels != NULL ? labels->child : NULL; item != NULL; item = item->next) {
        rz_buf_puts(out, separator);
        rz_json_put_str(out, NULL, item->valuestring);
        separator = ",\n    ";
    }
    rz_buf_puts(out, cJSON_GetArraySize(labels) > 0 ? "\n  ],\n" : "],\n");
}

void rz_record_encode(const rz_record_t *record, rz_buf_t *out)
{
    rz_buf_puts(out, "{\n");
    put_member(out, "agent_id", record->agent_id);
    put_member(out, "role", record->role);
    put_labels(out, record->labels);
    put_member(out, "endpoint", record->endpoint);
    rz_buf_printf(out, "  \"pid\": %" PRIu32 ",\n", record->pid);
    put_member(out, "version", record->version);
    put_member(out, "started_at", record->started_at);
    rz_buf_puts(out, "  \"lease_expires_at\": ");
    rz_json_put_str(out, NULL, record->lease_expires_at);
    rz_buf_puts(out, "\n}");
}

bool rz_record_live(const rz_record_t *record, int64_t now_unix_us)
{
    int64_t expires_us;
    if (record->lease_expires_at == NULL || rz_rfc3339_parse(record->lease_expires_at, &expires_us) != 0)
        return false;
    return expires_us > now_unix_us;
}

/* ---- endpoint ---- */

/* A literal address, or "localhost": a name would make us ask a resolver that a worker could have chosen. */
static bool host_is_literal(const char *host, bool bracketed)
{
    unsigned char address[sizeof(struct in6_addr)];
    if (bracketed)
        return inet_pton(AF_INET6, host, address) == 1;
    return inet_pton(AF_INET, host, address) == 1 || strcasecmp(host, "localhost") == 0;
}

static bool port_parse(const char *text, uint16_t *port)
{
    size_t n = strlen(text);
    if (n < 1 || n > 5 || strspn(text, "0123456789") != n || text[0] == '0')
        return false;
    unsigned long value = strtoul(text, NULL, 10);
    *port = (uint16_t)value;
    return value <= UINT16_MAX;
}

rz_rc_t rz_endpoint_parse(const char *endpoint, char host[64], uint16_t *port, rz_err_t *err)
{
    static const char scheme[] = "ws://";
    if (strncmp(endpoint, scheme, sizeof(scheme) - 1) != 0)
        return rz_fail_field(err, RZ_BAD_FIELD, "endpoint", "allowed: ws://<address>:<port>");
    const char *start = endpoint + sizeof(scheme) - 1;
    bool bracketed = *start == '[';
    const char *end = bracketed ? strstr(++start, "]:") : strchr(start, ':');
    if (end == NULL || end == start || end - start > 63)
        return rz_fail_field(err, RZ_BAD_FIELD, "endpoint", "allowed: ws://<address>:<port>");

    size_t n = (size_t)(end - start);
    memcpy(host, start, n);
    host[n] = '\0';
    if (!host_is_literal(host, bracketed))
        return rz_fail_field(err, RZ_BAD_FIELD, "endpoint", "allowed: a literal address as host");
    if (!port_parse(end + (bracketed ? 2 : 1), port))
        return rz_fail_field(err, RZ_BAD_FIELD, "endpoint", "allowed: a port from 1 to 65535");
    return RZ_OK;
}
