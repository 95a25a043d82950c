/* states.c - see states.h. */
#include "states.h"

#include "base/clock.h"
#include "base/id.h"
#include "base/json.h"
#include "base/limits.h"

#include <stdio.h>

#define INTEGER_MAX (((uint64_t)1 << 53) - 1)
#define MOMENT_MAX  64
#define WHERE_MAX   (RZ_ID_MAX + 16)

static const char *read_moment(rz_fields_t *f, const char *key)
{
    int64_t unix_us;
    char field[WHERE_MAX + 32];
    const char *text = rz_field_str(f, key, RZ_OPTIONAL, MOMENT_MAX);
    if (text == NULL || rz_rfc3339_parse(text, &unix_us) == 0)
        return text;
    snprintf(field, sizeof field, "%s%s", f->where, key);
    rz_fail_field(f->err, RZ_BAD_FIELD, field, "must be a time as RFC 3339 writes it");
    return NULL;
}

static bool is_said(const rz_fields_t *f, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(f->obj, key);
    return item != NULL && !cJSON_IsNull(item);
}

static void write_entry(rz_fields_t *f, uint64_t *epoch, rz_buf_t *out)
{
    *epoch = rz_field_u64(f, "epoch", RZ_REQUIRED, 0, 1, INTEGER_MAX);
    rz_json_open(out, '{');
    rz_json_opt_str(out, "last_event_at", read_moment(f, "last_event_at"));
    rz_json_opt_str(out, "last_tool_name", rz_field_str(f, "last_tool_name", RZ_OPTIONAL, RZ_NAME_MAX));
    rz_json_opt_str(out, "last_tool_phase", rz_field_str(f, "last_tool_phase", RZ_OPTIONAL, RZ_NAME_MAX));
    if (is_said(f, "round_count"))
        rz_json_put_u64(out, "round_count", rz_field_u64(f, "round_count", RZ_OPTIONAL, 0, 0, INTEGER_MAX));
    rz_json_close(out, '}');
}

/* The entry without its epoch, which is written beside it. */
static rz_rc_t read_entry(const cJSON *entry, uint64_t *epoch, rz_buf_t *out, rz_err_t *err)
{
    char where[WHERE_MAX];
    if (!rz_id_valid(rz_str(entry->string)))
        return rz_fail_field(err, RZ_BAD_ID, "states", "its keys are ids of child sessions");
    snprintf(where, sizeof where, "states.%s", entry->string);
    if (!cJSON_IsObject(entry))
        return rz_fail_field(err, RZ_BAD_FIELD, where, "must be an object");
    snprintf(where, sizeof where, "states.%s.", entry->string);
    rz_fields_t f = { entry, where, err };
    write_entry(&f, epoch, out);
    return err->rc;
}

static void take_entry(const cJSON *entry, rz_buf_t *scratch, states_t *out)
{
    rz_err_t err = { 0 };
    uint64_t epoch = 0;
    rz_buf_clear(scratch);
    if (out->n == STATES_MAX)
        rz_fail_field(&err, RZ_TOO_LARGE, "states", "at most %d entries", STATES_MAX);
    else
        read_entry(entry, &epoch, scratch, &err);
    if (err.rc != RZ_OK) {
        if (out->left_out++ == 0)
            out->why = err;
        return;
    }
    rz_buf_put_str(&out->text, rz_buf_str(scratch));
    out->list[out->n++] =
        (rz_progress_t){ .child = entry->string, .epoch = epoch, .progress = { NULL, scratch->len } };
}

/* Only now: the text has moved while it grew. */
static void point_at_text(states_t *states)
{
    const char *at = states->text.data;
    for (size_t i = 0; i < states->n; i++) {
        states->list[i].progress.p = at;
        at += states->list[i].progress.n;
    }
}

void states_read(const cJSON *states, states_t *out)
{
    *out = (states_t){ 0 };
    rz_buf_t scratch = { 0 };
    size_t n = states == NULL ? 0 : (size_t)cJSON_GetArraySize(states);
    out->list = rz_alloc(((n < STATES_MAX ? n : STATES_MAX) + 1) * sizeof *out->list);
    const cJSON *entry;
    cJSON_ArrayForEach(entry, states) take_entry(entry, &scratch, out);
    point_at_text(out);
    rz_buf_fini(&scratch);
}

void states_fini(states_t *states)
{
    rz_free(states->list);
    rz_buf_fini(&states->text);
    *states = (states_t){ 0 };
}
