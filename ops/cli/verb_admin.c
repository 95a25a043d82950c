/* verb_admin.c - verbs about the house: status, session show|put|list. */
#include "client.h"
#include "groups.h"
#include "out.h"
#include "pick.h"
#include "verb.h"

#include "base/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- status ---- */

static bool is_envelope(const char *name)
{
    return strcmp(name, "v") == 0 || strcmp(name, "op") == 0 || strcmp(name, "id") == 0 ||
           strcmp(name, "code") == 0;
}

static void print_fact(const char *path, const char *text)
{
    printf("%s%-28s%s ", look(LOOK_DIM), path, unlook());
    out_text(stdout, text, strlen(text));
    putchar('\n');
}

static void print_leaf(const char *path, const cJSON *item)
{
    char *value = cJSON_IsString(item) ? NULL : cJSON_PrintUnformatted(item);
    print_fact(path, value != NULL ? value : item->valuestring);
    cJSON_free(value);
}

static void print_groups(const cJSON *groups)
{
    const cJSON *group;
    cJSON_ArrayForEach(group, groups)
    {
        rz_buf_t text = { 0 };
        rz_buf_printf(&text, "%s: %" PRIu64 " readers, %" PRIu64 " not read, %" PRIu64 " not acknowledged",
                      pick_text(group, "name"), pick_count(group, "consumers"), pick_count(group, "lag"),
                      pick_count(group, "pending"));
        print_fact("completions.group", text.data);
        rz_buf_fini(&text);
    }
}

/* "store.durability  relaxed": one line for every leaf, dotted; the envelope of the reply is left out. */
static void print_leaves(const cJSON *tree, const char *prefix)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, tree)
    {
        char path[160];
        const char *name = item->string != NULL ? item->string : "";
        if (*prefix == '\0' && is_envelope(name))
            continue;
        snprintf(path, sizeof path, "%s%s%s", prefix, *prefix != '\0' ? "." : "", name);
        if (strcmp(path, "completions.groups") == 0)
            print_groups(item);
        else if (cJSON_IsObject(item) && item->child != NULL)
            print_leaves(item, path);
        else
            print_leaf(path, item);
    }
}

static void status_print(const reply_t *reply)
{
    const cJSON *group;
    print_leaves(reply->tree, "");
    cJSON_ArrayForEach(group, pick(reply->tree, "completions.groups"))
    {
        rz_buf_t warning = { 0 };
        if (group_warning(group, &warning))
            say("%s", warning.data);
        rz_buf_fini(&warning);
    }
}

static outcome_t status_verb(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    rz_control_request_t request = { .op = RZ_OP_STATUS };
    return client_print(&request, status_print);
}

const verb_t verb_status = {
    .name = "status",
    .synopsis = "",
    .summary = "print how the broker is: store, links, what waits, counters, readers of completions",
    .detail =
        "Warns on stderr of a reader group of the completions stream that has no reader, or is behind: what it has not\n"
        "acknowledged is kept for it.",
    .examples = "rhizome status\n"
                "rhizome status --json | jq .counters",
    .min = 0,
    .max = 0,
    .run = status_verb,
};

/* ---- session show, put, list ---- */

static const char *or_dash(const char *text)
{
    return *text != '\0' ? text : "-";
}

static void session_print(const reply_t *reply)
{
    const cJSON *session = pick(reply->tree, "session");
    const cJSON *message;
    printf("%s%s%s  %s\n", look(LOOK_BOLD), pick_text(session, "id"), unlook(), pick_text(session, "title"));
    printf("parent %s, model %s, rev %" PRIu64 ", last run %s %s\n",
           or_dash(pick_text(session, "parent_session_id")), or_dash(pick_text(session, "model")),
           pick_count(reply->tree, "rev"), or_dash(pick_text(session, "metadata.last_run_status")),
           pick_text(session, "metadata.last_run_error"));
    cJSON_ArrayForEach(message, pick(session, "messages"))
    {
        const char *content = pick_text(message, "content");
        printf("\n%s%s%s  %s\n", look(LOOK_BUSY), pick_text(message, "role"), unlook(),
               pick_text(message, "created_at"));
        out_text(stdout, content, strlen(content));
        putchar('\n');
    }
}

static outcome_t session_show_verb(int argc, char **argv)
{
    (void)argc;
    rz_control_request_t request = { .op = RZ_OP_SESSION_GET, .child = argv[0] };
    return client_print(&request, session_print);
}

const verb_t verb_session_show = {
    .name = "session show",
    .synopsis = "CHILD",
    .summary = "print a session and its messages",
    .examples = "rhizome session show ch-41\n"
                "rhizome session show ch-41 --json | jq .session > ch-41.json",
    .min = 1,
    .max = 1,
    .run = session_show_verb,
};

#define REV_NONE UINT64_MAX
static uint64_t put_rev = REV_NONE;
static const option_t put_options[] = {
    { "--rev", "N", "replace the stored session if this is still its rev (default: it must not exist)",
      .number = &put_rev },
    { NULL },
};

static void put_print(const reply_t *reply)
{
    printf("rev %" PRIu64 "\n", pick_count(reply->tree, "rev"));
}

static outcome_t session_put_verb(int argc, char **argv)
{
    char *text = NULL;
    size_t len = 0;
    rz_err_t err = { 0 };
    (void)argc;
    if (!file_argument(argv[0], RZ_SESSION_MAX, &text, &len))
        return EXIT_USAGE;
    outcome_t outcome = EXIT_USAGE;
    if (rz_json_check(text, len, RZ_SESSION_MAX, &err) != RZ_OK) {
        say("%s: %s (%s)", argv[0], err.text, rz_rc_name(err.rc));
    } else {
        rz_control_request_t request = {
            .op = RZ_OP_SESSION_PUT, .session = { text, len }, .rev = put_rev, .has_rev = put_rev != REV_NONE
        };
        outcome = client_print(&request, put_print);
    }
    rz_free(text);
    return outcome;
}

const verb_t verb_session_put = {
    .name = "session put",
    .synopsis = "FILE|- [--rev N]",
    .summary = "store a session",
    .detail =
        "Prints its new rev. A session is replaced only by who has seen its present rev, and not while an\n"
        "activation of it lives (exit code 75 then).",
    .examples = "rhizome session put ch-41.json\n"
                "rhizome session show ch-41 --json | jq '.session.title = \"new\" | .session' |\n"
                "  rhizome session put - --rev 3",
    .options = put_options,
    .min = 1,
    .max = 1,
    .run = session_put_verb,
};

static uint64_t list_limit = 100;
static const option_t list_options[] = {
    { "--limit", "N", "at most so many, newest first (default: 100, at most 1000)", .number = &list_limit },
    { NULL },
};

static void sessions_print(const reply_t *reply)
{
    static const char *const heads[] = { "CHILD", "PARENT", "STATE", "LAST RUN" };
    table_t table;
    const cJSON *session;
    table_open(&table, heads, 4);
    cJSON_ArrayForEach(session, pick(reply->tree, "sessions"))
    {
        const char *cells[] = { pick_text(session, "child"), pick_text(session, "parent"),
                                pick_text(session, "state"), pick_text(session, "status") };
        table_add(&table, cells);
    }
    table_close(&table);
}

static outcome_t session_list_verb(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    rz_control_request_t request = { .op = RZ_OP_SESSION_LIST, .limit = list_limit };
    return client_print(&request, sessions_print);
}

const verb_t verb_session_list = {
    .name = "session list",
    .synopsis = "[--limit N]",
    .summary = "list sessions",
    .examples = "rhizome session list\n"
                "rhizome session list --limit 10 --json",
    .options = list_options,
    .min = 0,
    .max = 0,
    .run = session_list_verb,
};
