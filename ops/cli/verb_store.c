/* verb_store.c - `rhizome store init|upgrade|check|accept`: the only verbs that talk to Redis. */
#include "client.h"
#include "context.h"
#include "out.h"
#include "pick.h"
#include "verb.h"

#include "base/buf.h"
#include "base/setting.h"
#include "state/access.h"
#include "state/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static uint64_t shards = 1;
static const option_t init_options[] = {
    { "--shards", "N", "into how many parts keys are divided, fixed for ever (default: 1)",
      .number = &shards },
    { NULL },
};

static const char *const settings[] = { "redis.", NULL };

/* redis.url as it was set; if it was not, where a running `rhizome up` has its own. */
static const char *redis_url(void)
{
    static char found[PATH_MAX + 8];
    const char *set = rz_config_str(common.config, "redis.url");
    if (strcmp(set, rz_setting_find("redis.url")->dflt) != 0)
        return set;
    cJSON *context = context_read();
    const char *of_up = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(context, "redis"));
    snprintf(found, sizeof found, "%s", of_up != NULL ? of_up : set);
    cJSON_Delete(context);
    return found;
}

/* Says what is wrong with them. */
static bool read_access(rz_store_options_t *out)
{
    rz_err_t err = { 0 };
    if (rz_store_access_read(common.config, out, &err) == RZ_OK) {
        out->url = redis_url();
        return true;
    }
    say("%s", err.text);
    return false;
}

static void print_json(const rz_store_info_t *info)
{
    rz_buf_t line = { 0 };
    rz_json_open(&line, '{');
    rz_json_put_str(&line, "id", info->id);
    rz_json_put_u64(&line, "shards", info->shards);
    rz_json_put_str(&line, "library", info->library);
    rz_json_put_str(&line, "libraries", info->libraries);
    rz_json_put_u64(&line, "term", info->term);
    rz_json_put_u64(&line, "tick_ms", info->tick_ms);
    rz_json_put_bool(&line, "accepted", info->accepted);
    rz_json_put_str(&line, "durability", info->durability);
    rz_json_put_str(&line, "redis_version", info->redis_version);
    rz_json_put_u64(&line, "queued", info->queued);
    rz_json_put_u64(&line, "live", info->live);
    rz_json_put_u64(&line, "sessions", info->sessions);
    rz_json_close(&line, '}');
    out_json_bytes(rz_buf_str(&line));
    rz_buf_fini(&line);
}

static void print_info(const rz_store_info_t *info)
{
    printf("store       %s\n", info->id);
    printf("shards      %u\n", info->shards);
    printf("library     %s", info->library);
    if (strchr(info->libraries, ',') != NULL)
        printf("  (loaded: %s)", info->libraries);
    printf("\nterm        %" PRIu64 "%s\n", info->term, info->accepted ? ", accepted as it is" : "");
    printf("time        %" PRIu64 " s\n", info->tick_ms / 1000);
    printf("redis       %s\n", info->redis_version);
    printf("durability  %s\n", info->durability);
    printf("holds       %" PRIu64 " sessions, %" PRIu64 " queued, %" PRIu64 " live\n", info->sessions,
           info->queued, info->live);
    if (strcmp(info->durability, "relaxed") == 0)
        note("A crash may lose the last seconds. For strict receipts set in redis.conf: appendonly yes,\n"
             "appendfsync always, no-appendfsync-on-rewrite no, maxmemory-policy noeviction");
}

/* What Redis answers to a user without the right, or to nobody it knows. */
static bool is_right_missing(const char *text)
{
    static const char *const refusals[] = { "NOPERM", "NOAUTH", "WRONGPASS" };
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
        if (strstr(text, refusals[i]) != NULL)
            return true;
    return false;
}

static outcome_t report(rz_rc_t rc, const rz_store_info_t *info, const rz_err_t *err)
{
    if (rc == RZ_OK) {
        (common.json ? print_json : print_info)(info);
        return EXIT_DONE;
    }
    rz_buf_t url = { 0 };
    rz_setting_show(rz_setting_find("redis.url"), redis_url(), &url);
    say("store at %s: %s (%s)", url.data, err->text[0] != '\0' ? err->text : rz_rc_text(rc), rz_rc_name(rc));
    rz_buf_fini(&url);
    if (is_right_missing(err->text))
        return EXIT_NOT_ALLOWED;
    return rc == RZ_SYS || rc == RZ_CLOSED ? EXIT_UNAVAILABLE : outcome_of_code(rc);
}

typedef rz_rc_t (*store_call_t)(const rz_store_options_t *options, rz_store_info_t *info, rz_err_t *err);

static rz_rc_t init(const rz_store_options_t *options, rz_store_info_t *info, rz_err_t *err)
{
    return rz_store_init(options, (unsigned)shards, info, err);
}

/* One call to Redis, and its report. loads: the library, which a broker's user may not. */
static outcome_t run(store_call_t call, bool loads)
{
    rz_err_t err = { 0 };
    rz_store_info_t info = { 0 };
    rz_store_options_t options;
    if (!read_access(&options))
        return EXIT_CONFIG;
    rz_rc_t rc = call(&options, &info, &err);
    outcome_t outcome = report(rc, &info, &err);
    if (rc != RZ_OK && loads && strstr(err.text, "NOPERM") != NULL)
        note("this Redis user may not load the library: use --redis-user admin --redis-password-file FILE");
    return outcome;
}

static outcome_t init_verb(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    if (shards >= 1 && shards <= 1024)
        return run(init, true);
    say("--shards takes 1 to 1024");
    return EXIT_USAGE;
}

static outcome_t upgrade_verb(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return run(rz_store_upgrade, true);
}

static outcome_t check_verb(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return run(rz_store_check, false);
}

/* What the broker that we would talk to says of its store, if there is one: that is what is being accepted. */
static void show_what_differs(void)
{
    cJSON *controls;
    bool told = context_controls(&controls) != CONTROL_DEFAULT;
    cJSON_Delete(controls);
    outcome_t outcome;
    client_t *client = told ? client_open(&outcome) : NULL;
    if (client == NULL)
        return;
    const char *broker = pick_text(client_hello(client), "broker");
    const char *reason = pick_text(client_hello(client), "store_reason");
    if (*reason != '\0')
        note("broker %s says: %s", broker, reason);
    else
        note("broker %s uses the store already; others may not", broker);
    client_close(&client);
}

static rz_rc_t look_and_accept(const rz_store_options_t *options, rz_store_info_t *info, rz_err_t *err)
{
    show_what_differs();
    return rz_store_accept(options, info, err);
}

static outcome_t accept_verb(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    outcome_t outcome = run(look_and_accept, false);
    if (outcome == EXIT_DONE)
        note("Brokers go on with it within a second. What it does not hold is gone.");
    return outcome;
}

const verb_t verb_store_init = {
    .name = "store init",
    .synopsis = "[--redis-...] [--shards N]",
    .summary = "make a Redis a store: its id and the function library",
    .detail = "Running it again changes nothing.",
    .examples = "rhizome store init --redis-url unix:/run/redis/redis.sock\n"
                "rhizome store init --config /etc/rhizome.json",
    .options = init_options,
    .config_prefixes = settings,
    .min = 0,
    .max = 0,
    .run = init_verb,
};

const verb_t verb_store_upgrade = {
    .name = "store upgrade",
    .synopsis = "[--redis-...]",
    .summary = "put this version's function library in place of an older minor; brokers of that go on",
    .examples = "rhizome store upgrade --config /etc/rhizome.json\n"
                "rhizome store upgrade --redis-url redis://127.0.0.1:6379 --json",
    .config_prefixes = settings,
    .min = 0,
    .max = 0,
    .run = upgrade_verb,
};

const verb_t verb_store_check = {
    .name = "store check",
    .synopsis = "[--redis-...]",
    .summary = "verify id, library, durability and that the store can be written",
    .examples = "rhizome store check --config /etc/rhizome.json\n"
                "rhizome store check --redis-url unix:/run/redis/redis.sock --json | jq -r .durability",
    .config_prefixes = settings,
    .min = 0,
    .max = 0,
    .run = check_verb,
};

const verb_t verb_store_accept = {
    .name = "store accept",
    .synopsis = "[--redis-...]",
    .summary = "let brokers go on with a store that went back, or is another, than they knew",
    .detail =
        "A broker whose store is gone, is another, or went back by more than some seconds (an old snapshot)\n"
        "stops and says so. Bring the right data back if you can; if this is what there is, accept it: what\n"
        "it holds goes on, nothing is run again that it says has ended. On a Redis that was emptied, make a\n"
        "store first: `rhizome store init`. It holds for this life of Redis only.",
    .examples = "rhizome store accept\n"
                "rhizome store accept --config /etc/rhizome.json --control 10.0.0.5:7411",
    .config_prefixes = settings,
    .min = 0,
    .max = 0,
    .run = accept_verb,
};
