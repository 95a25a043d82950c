/* brief.c - the child that upstream's SubAgent tool would have made of the same request. */
#include "brief.h"

#include "out.h"

#include "base/clock.h"
#include "wire/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TITLE_COLUMNS 60

static bool check_id(const char *what, const char *id)
{
    if (id == NULL || rz_id_valid(rz_str(id)))
        return true;
    say("%s \"%s\" is no id: letters, digits and . _ : -, at most %d, the first a letter or digit", what, id,
        RZ_ID_MAX);
    return false;
}

static bool find_workspace(brief_t *brief)
{
    const char *folder = brief->workspace != NULL ? brief->workspace : ".";
    brief->workspace_path = realpath(folder, NULL);
    if (brief->workspace_path == NULL)
        say("--workspace %s: %s", folder, strerror(errno));
    return brief->workspace_path != NULL;
}

bool brief_complete(brief_t *brief)
{
    char token[RZ_TOKEN_LEN + 1];
    rz_token_new(token);
    rz_uuid_new(brief->job);
    snprintf(brief->child_made, sizeof brief->child_made, "run-%.8s", token);
    if (brief->parent == NULL)
        brief->parent = "cli";
    if (brief->child == NULL)
        brief->child = brief->child_made;
    if (brief->role == NULL)
        brief->role = "worker";
    bool ok = check_id("--parent", brief->parent) && check_id("--child", brief->child) &&
              check_id("--profile", brief->profile);
    for (size_t i = 0; ok && i < brief->labels.n; i++)
        ok = check_id("--label", brief->labels.text[i]);
    return ok && find_workspace(brief);
}

void brief_fini(brief_t *brief)
{
    free(brief->workspace_path);
    brief->workspace_path = NULL;
}

static void put_message(rz_buf_t *out, const char *text, const char *now)
{
    rz_buf_t content = { 0 };
    rz_json_put_str(&content, NULL, text);
    rz_buf_t message = { 0 };
    rz_message_encode(RZ_ROLE_USER, NULL, rz_buf_str(&content), now, &message);
    rz_json_put_raw(out, NULL, rz_buf_str(&message));
    rz_buf_fini(&message);
    rz_buf_fini(&content);
}

static void put_session(const brief_t *brief, const char *text, rz_buf_t *out)
{
    char now[RZ_RFC3339_LEN + 1];
    rz_rfc3339_now(now);
    size_t line = strcspn(text, "\n");
    rz_json_open_key(out, "session", '{');
    rz_json_put_str(out, "id", brief->child);
    rz_json_put_strn(out, "title", text, text_cut(text, line, TITLE_COLUMNS));
    rz_json_put_str(out, "kind", "child");
    rz_json_put_str(out, "parent_session_id", brief->parent);
    rz_json_put_str(out, "root_session_id", brief->parent);
    rz_json_put_u64(out, "spawn_depth", 1);
    rz_json_open_key(out, "messages", '[');
    put_message(out, text, now);
    rz_json_close(out, ']');
    rz_json_put_str(out, "created_at", now);
    rz_json_put_str(out, "updated_at", now);
    rz_json_opt_str(out, "model", brief->model);
    rz_json_open_key(out, "metadata", '{');
    rz_json_put_str(out, "subagent_type", brief->role);
    rz_json_put_str(out, "spawned_by", "rhizome run");
    rz_json_put_str(out, "last_run_status", "pending");
    rz_json_close(out, '}');
    rz_json_put_str(out, "workspace", brief->workspace_path);
    rz_json_close(out, '}');
}

static void put_require(const brief_t *brief, rz_buf_t *out)
{
    if (brief->profile == NULL && brief->labels.n == 0)
        return;
    rz_json_open_key(out, "require", '{');
    rz_json_opt_str(out, "profile", brief->profile);
    if (brief->labels.n > 0) {
        rz_json_open_key(out, "labels", '[');
        for (size_t i = 0; i < brief->labels.n; i++)
            rz_json_put_str(out, NULL, brief->labels.text[i]);
        rz_json_close(out, ']');
    }
    rz_json_close(out, '}');
}

void brief_job(const brief_t *brief, const char *text, rz_buf_t *out)
{
    rz_json_open(out, '{');
    rz_json_put_str(out, "parent_session_id", brief->parent);
    rz_json_put_str(out, "child_session_id", brief->child);
    rz_json_put_str(out, "model", brief->model != NULL ? brief->model : "");
    rz_json_put_str(out, "job_id", brief->job);
    put_require(brief, out);
    put_session(brief, text, out);
    rz_json_close(out, '}');
}
