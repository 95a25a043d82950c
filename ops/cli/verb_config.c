/* verb_config.c - `rhizome config check` and `rhizome config dump`. */
#include "out.h"
#include "pick.h"
#include "verb.h"

#include "base/buf.h"
#include "state/access.h"
#include "wire/agents.h"

#include <stdio.h>
#include <string.h>

/* Profiles that are read and kept, but not run by this version. */
static void note_unserved(const char *file, const rz_agents_t *agents)
{
    for (size_t i = 0; i < rz_agents_count(agents); i++) {
        const rz_agent_t *agent = rz_agents_at(agents, i);
        if (agent->protocol == RZ_AGENT_A2A)
            note("%s: externalAgents.%s: a2a_jsonrpc profiles are not served yet; jobs for it wait", file,
                 agent->id);
    }
}

static bool check_one(const char *file)
{
    rz_err_t err = { 0 };
    int argc = 1;
    char *argv[] = { (char[]){ "rhizome" }, NULL };
    rz_agents_t *agents = NULL;
    rz_config_t *config = rz_config_load(file, &argc, argv, &err);
    if (config != NULL && rz_store_access_check(config, &err) == RZ_OK)
        agents = rz_agents_read(config, &err);
    if (agents == NULL)
        say("%s: %s (%s)", file, err.text, rz_rc_name(err.rc));
    else
        note_unserved(file, agents);
    bool ok = agents != NULL;
    if (ok && !common.json)
        printf("%s: good, %zu profiles\n", file, rz_agents_count(agents));
    rz_agents_destroy(&agents);
    rz_config_destroy(&config);
    return ok;
}

static void print_verdict(const char *file, bool ok)
{
    rz_buf_t line = { 0 };
    rz_json_open(&line, '{');
    rz_json_put_str(&line, "file", file);
    rz_json_put_bool(&line, "ok", ok);
    rz_json_close(&line, '}');
    out_json_bytes(rz_buf_str(&line));
    rz_buf_fini(&line);
}

static outcome_t check_verb(int argc, char **argv)
{
    outcome_t outcome = EXIT_DONE;
    for (int i = 0; i < argc; i++) {
        bool ok = check_one(argv[i]);
        if (common.json)
            print_verdict(argv[i], ok);
        if (!ok)
            outcome = EXIT_CONFIG;
    }
    return outcome;
}

const verb_t verb_config_check = {
    .name = "config check",
    .synopsis = "FILE...",
    .summary = "read configuration files as the programs do and say what is wrong",
    .detail =
        "The environment counts too, as it does for the programs. Exit code 78 if one file is bad. What a file names on its\n"
        "host, like keys, is looked at by rhizome-broker and rhizome-runner --check-config, there.",
    .examples = "rhizome config check /etc/rhizome.json\n"
                "rhizome config check *.json && systemctl restart rhizome-broker",
    .min = 1,
    .max = -1,
    .run = check_verb,
};

static void print_settings(const cJSON *dump)
{
    static const char *const heads[] = { "KEY", "SOURCE", "VALUE" };
    table_t table;
    const cJSON *setting;
    table_open(&table, heads, 3);
    cJSON_ArrayForEach(setting, dump)
    {
        const cJSON *value = pick(setting, "value");
        char *text = cJSON_IsString(value) ? NULL : cJSON_PrintUnformatted(value);
        const char *cells[] = { setting->string, pick_text(setting, "source"),
                                text != NULL ? text : cJSON_GetStringValue(value) };
        table_add(&table, cells);
        cJSON_free(text);
    }
    table_close(&table);
}

static outcome_t dump_verb(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    rz_buf_t text = { 0 };
    rz_config_dump(common.config, &text);
    if (common.json) {
        out_json_bytes(rz_buf_str(&text));
    } else {
        cJSON *dump = rz_json_parse(text.data, text.len, 0, NULL);
        print_settings(dump);
        cJSON_Delete(dump);
    }
    rz_buf_fini(&text);
    return EXIT_DONE;
}

static const char *const all_settings[] = { "", NULL };

const verb_t verb_config_dump = {
    .name = "config dump",
    .synopsis = "[--config FILE] [settings]",
    .summary = "print every setting, its value and where it came from",
    .examples = "rhizome config dump\n"
                "RHIZOME_REDIS_URL=unix:/run/redis.sock rhizome config dump --config rhizome.json\n"
                "rhizome config dump --json | jq 'map_values(.value)'",
    .config_prefixes = all_settings,
    .min = 0,
    .max = 0,
    .run = dump_verb,
};
