/* verb_key.c - `rhizome key new|list|allow|revoke`: who may connect to the brokers. */
#include "keys.h"
#include "out.h"
#include "verb.h"

#include "base/id.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *role_name, *tenant, *server_key, *out_path;
static texts_t parents, topics, runners;

#define SCOPE_OPTIONS                                                                                        \
    { "--role", "ROLE", "producer, client, subscriber, runner, admin; new: also broker",                     \
      .text = &role_name },                                                                                  \
        { "--parents", "ID", "producer: only children of these parents; ID* for all that begin so",          \
          .list = &parents },                                                                                \
        { "--tenant", "ID", "producer: only jobs and children of this tenant", .text = &tenant },            \
        { "--topics", "PREFIX", "subscriber, client: only events whose topic begins so", .list = &topics },  \
    {                                                                                                        \
        "--runners", "NAME", "runner: under these names (default: the key's name, or NAME-...)",             \
            .list = &runners                                                                                 \
    }

static const option_t new_options[] = {
    SCOPE_OPTIONS,
    { "--out", "FILE", "where the key goes (default: NAME.key)", .text = &out_path },
    { "--server-key", "KEY", "the brokers' public key (default: that of security.key)", .text = &server_key },
    { NULL },
};
static const option_t allow_options[] = { SCOPE_OPTIONS, { NULL } };

static bool role_of(rz_key_role_t *out)
{
    for (int i = 0; role_name != NULL && i < RZ_KEY_ROLES; i++)
        if (strcmp(role_name, rz_key_role_names[i]) == 0) {
            *out = (rz_key_role_t)i;
            return true;
        }
    say("--role takes producer, client, subscriber, runner, admin or broker");
    return false;
}

static bool name_of(const char *text)
{
    if (rz_id_valid(rz_str(text)))
        return true;
    say("\"%s\" is no name: letters, digits and . _ : -, beginning with a letter or digit", text);
    return false;
}

/* A scope that its role does not take would look like a limit and be none. */
static bool scope_fits(rz_key_role_t role)
{
    static const char *const takes[RZ_KEY_ROLES] = {
        [RZ_KEY_PRODUCER] = "a producer takes --parents and --tenant",
        [RZ_KEY_CLIENT] = "a client takes --topics",
        [RZ_KEY_SUBSCRIBER] = "a subscriber takes --topics",
        [RZ_KEY_RUNNER] = "a runner takes --runners",
        [RZ_KEY_ADMIN] = "an admin has no limits",
        [RZ_KEY_BROKER] = "a broker has no limits",
    };
    const struct {
        bool given, fits;
        const char *option, *owners;
    } scopes[] = {
        { parents.n > 0, role == RZ_KEY_PRODUCER, "--parents", "producers" },
        { tenant != NULL, role == RZ_KEY_PRODUCER, "--tenant", "producers" },
        { topics.n > 0, role == RZ_KEY_SUBSCRIBER || role == RZ_KEY_CLIENT, "--topics",
          "subscribers and clients" },
        { runners.n > 0, role == RZ_KEY_RUNNER, "--runners", "runners" },
    };
    for (size_t i = 0; i < sizeof scopes / sizeof *scopes; i++)
        if (scopes[i].given && !scopes[i].fits) {
            say("%s is for %s; %s", scopes[i].option, scopes[i].owners, takes[role]);
            return false;
        }
    return true;
}

static cJSON *list_of(const texts_t *texts)
{
    cJSON *list = texts->n > 0 ? cJSON_CreateArray() : NULL;
    for (size_t i = 0; i < texts->n; i++)
        cJSON_AddItemToArray(list, cJSON_CreateString(texts->text[i]));
    return list;
}

/* Puts the key on the list, with the scope that the options say. As keys_change(). */
static outcome_t put_on_list(const char *path, const char *name, rz_key_role_t role, const char *public_key)
{
    cJSON *lists[] = { list_of(&parents), list_of(&topics), list_of(&runners) };
    const rz_allowed_t entry = { .name = name,
                                 .public_key = public_key,
                                 .role = role,
                                 .parents = lists[0],
                                 .topics = lists[1],
                                 .runners = lists[2],
                                 .tenant = tenant };
    outcome_t outcome = keys_change(path, NULL, &entry);
    for (size_t i = 0; i < 3; i++)
        cJSON_Delete(lists[i]);
    return outcome;
}

/* ---- new ---- */

static bool find_server_key(const keys_t *keys, char out[RZ_KEY_LEN + 1])
{
    if (server_key != NULL && !rz_key_text_valid(server_key)) {
        say("--server-key takes the %d characters of a public key", RZ_KEY_LEN);
        return false;
    }
    if (server_key != NULL) {
        memcpy(out, server_key, RZ_KEY_LEN + 1);
        return true;
    }
    if (!keys_server_key(keys, out)) {
        note("a key is made for one broker: run this on its host, or name its public key with --server-key");
        return false;
    }
    return true;
}

static void tell_new(const rz_key_t *key, const char *path, const char *allow)
{
    if (common.json) {
        rz_buf_t line = { 0 };
        rz_json_open(&line, '{');
        rz_json_put_str(&line, "name", key->name);
        rz_json_put_str(&line, "role", rz_key_role_names[key->role]);
        rz_json_put_str(&line, "public_key", key->public_key);
        rz_json_put_str(&line, "file", path);
        rz_json_opt_str(&line, "allow", allow);
        rz_json_close(&line, '}');
        out_json_bytes(rz_buf_str(&line));
        rz_buf_fini(&line);
        return;
    }
    printf("%s  %s key, public part %s\n", path, rz_key_role_names[key->role], key->public_key);
    if (key->role == RZ_KEY_BROKER)
        printf("set security.key to it, and security.allow to %s\n", allow);
    else if (allow == NULL)
        printf("on the broker's host: rhizome key allow %s '%s' --role %s\n", key->name, key->public_key,
               rz_key_role_names[key->role]);
    else if (key->role == RZ_KEY_RUNNER)
        printf("copy it to the runner's host: rhizome up --join HOST:7411 --key %s\n", path);
    else
        printf("use it with --key FILE, or name it in RHIZOME_SECURITY_KEY\n");
}

/* A broker's list lies beside its key, unless it is named. */
static void list_beside(const char *path, char out[PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    snprintf(out, PATH_MAX, "%.*sallow.json", slash != NULL ? (int)(slash + 1 - path) : 0, path);
}

static outcome_t enlist(const char *path, const rz_key_t *key)
{
    if (key->role == RZ_KEY_BROKER)
        return keys_make_list(path) ? EXIT_DONE : EXIT_CONFIG;
    return put_on_list(path, key->name, key->role, key->public_key);
}

static outcome_t make(const char *name, rz_key_role_t role, const char *path, keys_t *keys)
{
    rz_err_t err = { 0 };
    rz_key_t key;
    char server[RZ_KEY_LEN + 1] = "";
    bool elsewhere = server_key != NULL && access(keys->allow, F_OK) != 0; /* the list is on another host */
    if (role != RZ_KEY_BROKER && !find_server_key(keys, server))
        return EXIT_CONFIG;
    rz_key_new(&key, name, role, server);
    outcome_t outcome = EXIT_DONE;
    if (rz_key_save(&key, path, &err) != RZ_OK) {
        say("%s", err.text);
        outcome = err.rc == RZ_CONFLICT ? EXIT_REFUSED : EXIT_CONFIG;
    } else if (!elsewhere && (outcome = enlist(keys->allow, &key)) != EXIT_DONE) {
        unlink(path);
    } else {
        tell_new(&key, path, elsewhere ? NULL : keys->allow);
    }
    rz_key_wipe(&key);
    return outcome;
}

static outcome_t new_verb(int argc, char **argv)
{
    (void)argc;
    rz_key_role_t role;
    keys_t keys;
    char path[PATH_MAX];
    if (!role_of(&role) || !name_of(argv[0]) || !scope_fits(role))
        return EXIT_USAGE;
    if (!keys_find(&keys))
        return EXIT_CONFIG;
    snprintf(path, sizeof path, "%s%s", out_path != NULL ? out_path : argv[0],
             out_path != NULL ? "" : ".key");
    if (role == RZ_KEY_BROKER && *rz_config_str(common.config, "security.allow") == '\0')
        list_beside(path, keys.allow);
    return make(argv[0], role, path, &keys);
}

/* ---- list, allow, revoke ---- */

static void put_scope(rz_buf_t *out, const char *what, const cJSON *list)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
        rz_buf_printf(out, "%s%s %s", out->len > 0 ? ", " : "", what, item->valuestring);
}

static void print_table(const rz_allow_t *allow)
{
    static const char *const heads[] = { "NAME", "ROLE", "PUBLIC KEY", "LIMITED TO" };
    table_t table;
    table_open(&table, heads, 4);
    for (size_t i = 0; i < rz_allow_count(allow); i++) {
        const rz_allowed_t *one = rz_allow_at(allow, i);
        rz_buf_t scope = { 0 };
        put_scope(&scope, "parents", one->parents);
        put_scope(&scope, "topics", one->topics);
        put_scope(&scope, "runners", one->runners);
        if (one->role == RZ_KEY_RUNNER && one->runners == NULL) /* one that names none has its own */
            rz_buf_printf(&scope, "runners %s, %s-*", one->name, one->name);
        if (one->tenant != NULL)
            rz_buf_printf(&scope, "%stenant %s", scope.len > 0 ? ", " : "", one->tenant);
        const char *cells[] = { one->name, rz_key_role_names[one->role], one->public_key,
                                scope.data != NULL ? scope.data : "-" };
        table_add(&table, cells);
        rz_buf_fini(&scope);
    }
    table_close(&table);
}

static outcome_t list_verb(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    keys_t keys;
    rz_allow_t *allow = keys_find(&keys) ? keys_read(keys.allow) : NULL;
    if (allow == NULL)
        return EXIT_CONFIG;
    if (common.json) {
        rz_buf_t text = { 0 };
        rz_allow_encode(allow, NULL, NULL, &text);
        cJSON *tree = cJSON_Parse(text.data);
        out_json(tree);
        cJSON_Delete(tree);
        rz_buf_fini(&text);
    } else {
        print_table(allow);
    }
    rz_allow_destroy(&allow);
    return EXIT_DONE;
}

static outcome_t tell_change(const char *done, const char *name, const char *effect, const char *list)
{
    note("%s %s: brokers that share this list %s within a second; copy %s to the other brokers' hosts", done,
         name, effect, list);
    return EXIT_DONE;
}

static outcome_t allow_verb(int argc, char **argv)
{
    (void)argc;
    rz_key_role_t role;
    keys_t keys;
    if (!role_of(&role) || !name_of(argv[0]) || !scope_fits(role))
        return EXIT_USAGE;
    if (!rz_key_text_valid(argv[1])) {
        say("\"%s\" is no public key: %d characters, as `rhizome key new` shows it", argv[1], RZ_KEY_LEN);
        return EXIT_USAGE;
    }
    outcome_t outcome = keys_find(&keys) ? put_on_list(keys.allow, argv[0], role, argv[1]) : EXIT_CONFIG;
    if (outcome != EXIT_DONE)
        return outcome;
    return tell_change("allowed", argv[0], "let it in", keys.allow);
}

static outcome_t revoke_verb(int argc, char **argv)
{
    (void)argc;
    keys_t keys;
    rz_allow_t *allow = keys_find(&keys) ? keys_read(keys.allow) : NULL;
    if (allow == NULL)
        return EXIT_CONFIG;
    bool known = rz_allow_by_name(allow, argv[0]) != NULL;
    rz_allow_destroy(&allow);
    if (!known) {
        say("%s: no key is called %s", keys.allow, argv[0]);
        return EXIT_NOT_FOUND;
    }
    outcome_t outcome = keys_change(keys.allow, argv[0], NULL);
    if (outcome != EXIT_DONE)
        return outcome;
    return tell_change("revoked", argv[0], "refuse it", keys.allow);
}

/* ---- verbs ---- */

static const char *const settings[] = { "security.", NULL };

const verb_t verb_key_new = {
    .name = "key new",
    .synopsis = "NAME --role ROLE [scope]",
    .summary = "make a key and put it on the brokers' list of those who may connect",
    .detail =
        "The file holds the key's secret part and the brokers' public one: all that a program needs. Mode 0600;\n"
        "copy it as you would a password. Brokers take the new list up by themselves.",
    .examples =
        "rhizome key new host2 --role runner            # then, there: rhizome up --join HOST:7411 --key host2.key\n"
        "rhizome key new ci --role producer --parents 'ci-*'\n"
        "rhizome key new broker --role broker --out /etc/rhizome/broker.key",
    .options = new_options,
    .config_prefixes = settings,
    .min = 1,
    .max = 1,
    .run = new_verb,
};

const verb_t verb_key_list = {
    .name = "key list",
    .synopsis = "",
    .summary = "list the keys that may connect, and how far each reaches",
    .examples = "rhizome key list\n"
                "rhizome key list --security-allow /etc/rhizome/allow.json --json",
    .config_prefixes = settings,
    .min = 0,
    .max = 0,
    .run = list_verb,
};

const verb_t verb_key_allow = {
    .name = "key allow",
    .synopsis = "NAME PUBLIC_KEY --role ROLE [scope]",
    .summary = "put a key on the list whose secret part was made elsewhere",
    .examples = "rhizome key allow host3 'Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID' --role runner",
    .options = allow_options,
    .config_prefixes = settings,
    .min = 2,
    .max = 2,
    .run = allow_verb,
};

const verb_t verb_key_revoke = {
    .name = "key revoke",
    .synopsis = "NAME",
    .summary = "take a key off the list: it is refused from now on, also where it is connected",
    .examples = "rhizome key revoke host2",
    .config_prefixes = settings,
    .min = 1,
    .max = 1,
    .run = revoke_verb,
};
