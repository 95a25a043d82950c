/* routing.c - see routing.h. */
#include "wire/routing.h"

#include <stdio.h>
#include <string.h>

enum { KIND, AGENT_ID, PROTOCOL, PERMISSION_PROFILE, CARD_URL, KEYS };
static const char *const keys[KEYS] = {
    [KIND] = "runtime.kind",
    [AGENT_ID] = "external.agent_id",
    [PROTOCOL] = "external.protocol",
    [PERMISSION_PROFILE] = "external.permission_profile",
    [CARD_URL] = "external.agent_card_url",
};

const char *rz_routing_profile(const rz_agents_t *agents, const rz_session_t *session)
{
    const char *pinned = rz_session_meta(session, keys[AGENT_ID]);
    return pinned != NULL ? pinned : rz_agents_route(agents, rz_session_meta(session, "subagent_type"));
}

/* ---- joining ---- */

/* The table of rule 9.3. Built-in profiles have no permission profile. */
static void resolve(const rz_agents_t *agents, const char *profile, const char *value[KEYS])
{
    const rz_agent_t *agent = rz_agents_find(agents, profile);
    value[KIND] = "external";
    value[AGENT_ID] = rz_or_null(profile);
    if (agent == NULL)
        return;
    value[PROTOCOL] = agent->protocol == RZ_AGENT_A2A ? "a2a_jsonrpc" : "actor";
    value[PERMISSION_PROFILE] = rz_or_null(agent->permission_profile);
    value[CARD_URL] = rz_or_null(agent->agent_card_url);
}

/* Which of ours the member is, KEYS for none: found by its place, so that escapes in its key do not matter. */
static int place_of(const rz_str_t stored[KEYS], rz_str_t value)
{
    int k = 0;
    while (k < KEYS && stored[k].p != value.p)
        k++;
    return k;
}

static void join_metadata(rz_str_t metadata, const char *const value[KEYS], rz_buf_t *out)
{
    rz_str_t stored[KEYS], key, member;
    for (int k = 0; k < KEYS; k++)
        stored[k] = rz_json_member(metadata, keys[k]);
    bool same = value[AGENT_ID] != NULL && rz_json_is(stored[AGENT_ID], value[AGENT_ID]);

    rz_json_open_key(out, "metadata", '{');
    rz_json_iter_t it = rz_json_iter(metadata);
    while (rz_json_next_member(&it, &key, &member)) {
        int k = place_of(stored, member);
        if (k == KEYS || (same && value[k] == NULL))
            rz_json_put_member(out, key, member);
    }
    for (int k = 0; k < KEYS; k++)
        rz_json_opt_str(out, keys[k], value[k]);
    rz_json_close(out, '}');
}

static void join(const char *const value[KEYS], rz_str_t header, rz_str_t metadata, rz_buf_t *out)
{
    rz_str_t key, member;
    rz_json_open(out, '{');
    rz_json_iter_t it = rz_json_iter(header);
    while (rz_json_next_member(&it, &key, &member))
        if (member.p != metadata.p)
            rz_json_put_member(out, key, member);
    join_metadata(metadata, value, out);
    rz_json_close(out, '}');
}

/* Lent by text. NULL: the header is no session's. */
static const char *profile_of(const rz_agents_t *agents, rz_str_t header, rz_buf_t *text)
{
    rz_session_t session;
    if (rz_session_header_decode(header, &session, NULL) != RZ_OK)
        return NULL;
    rz_buf_puts(text, rz_routing_profile(agents, &session));
    rz_session_fini(&session);
    return text->data != NULL ? text->data : "";
}

/* The bytes come from the store: whoever runs the session says what is wrong with it, so they stay as they are. */
static bool is_damaged(rz_str_t header)
{
    if (rz_json_check(header.p, header.n, RZ_SESSION_MAX, NULL) != RZ_OK || rz_json_kind(header) != '{')
        return true;
    rz_str_t metadata = rz_json_member(header, "metadata");
    return strchr("{n", rz_json_kind(metadata)) == NULL; /* 0, which strchr finds too: there is none */
}

void rz_routing_join(const rz_agents_t *agents, const char *profile, rz_str_t header, rz_buf_t *out)
{
    rz_buf_t text = { 0 };
    bool damaged = is_damaged(header);
    if (!damaged && profile == NULL)
        profile = profile_of(agents, header, &text);
    if (damaged || profile == NULL) {
        rz_buf_put_str(out, header);
    } else {
        const char *value[KEYS] = { NULL };
        resolve(agents, profile, value);
        join(value, header, rz_json_member(header, "metadata"), out);
    }
    rz_buf_fini(&text);
}

/* ---- nobody ---- */

/* As Rust's `{:?}` of Option<String>. */
static void put_option(const char *text, rz_buf_t *out)
{
    if (text == NULL) {
        rz_buf_puts(out, "None");
        return;
    }
    rz_buf_puts(out, "Some(\"");
    for (; *text != '\0'; text++) {
        static const char special[] = "\n\r\t\"\\", letter[] = "nrt\"\\";
        const char *found = strchr(special, *text);
        if (found != NULL)
            rz_buf_printf(out, "\\%c", letter[found - special]);
        else if ((unsigned char)*text < ' ' || *text == 0x7f)
            rz_buf_printf(out, "\\u{%x}", (unsigned)*text);
        else
            rz_buf_putc(out, *text);
    }
    rz_buf_puts(out, "\")");
}

void rz_routing_unmatched(const char *agent_id, const char *protocol, rz_buf_t *out)
{
    rz_buf_puts(out, "No external runner matched child session runtime metadata: agent_id=");
    put_option(agent_id, out);
    rz_buf_puts(out, ", protocol=");
    put_option(protocol, out);
}
