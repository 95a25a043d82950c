/* pending.c - see pending.h. */
#include "pending.h"

#include <stdio.h>

#define KEY "pending_injected_messages"

static bool put_message(rz_str_t said, rz_buf_t *out)
{
    rz_str_t content = rz_json_member(said, "content");
    if (rz_json_kind(content) != '"')
        return false;
    rz_buf_t message = { 0 };
    rz_message_encode(RZ_ROLE_USER, NULL, content, NULL, &message);
    rz_json_put_raw(out, NULL, rz_buf_str(&message));
    rz_buf_fini(&message);
    return true;
}

rz_rc_t pending_messages(const rz_session_t *session, const char *where, rz_buf_t *out, size_t *count,
                         rz_err_t *err)
{
    const char *text = rz_session_meta(session, KEY);
    rz_str_t list = rz_str(text != NULL && *text != '\0' ? text : "[]"), said;
    if (rz_json_check(list.p, list.n, 0, NULL) != RZ_OK || rz_json_kind(list) != '[') {
        char field[96];
        snprintf(field, sizeof field, "%smetadata." KEY, where);
        return rz_fail_field(err, RZ_BAD_FIELD, field, "must be the text of an array of messages");
    }
    *count = 0;
    rz_json_open(out, '[');
    rz_json_iter_t it = rz_json_iter(list);
    while (rz_json_next_element(&it, &said))
        *count += put_message(said, out);
    rz_json_close(out, ']');
    return RZ_OK;
}
