/* keyring.c - see keyring.h. */
#include "keyring.h"

#include "../facts.h"

#include <stdlib.h>
#include <sys/stat.h>

#define ENTRIES_MAX 32

keyring_t keyring;
static struct {
    char name[64], text[600]; /* of the list */
} entry[ENTRIES_MAX];
static size_t entries;
static char server_key[RZ_KEY_LEN + 1];

static void save(const rz_key_t *key)
{
    rz_err_t err = { 0 };
    if (rz_key_save(key, keyring_path(key->name), &err) != RZ_OK)
        fail_msg("%s", err.text);
}

void keyring_write(const char *text)
{
    char draft[300];
    snprintf(draft, sizeof draft, "%s.new", keyring.list);
    FILE *file = fopen(draft, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(rename(draft, keyring.list), 0);
}

static void write_list(void)
{
    char text[ENTRIES_MAX * 700] = "{\"keys\":[";
    size_t n = strlen(text);
    for (size_t i = 0; i < entries; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", i > 0 ? ",\n" : "", entry[i].text);
    snprintf(text + n, sizeof text - n, "]}\n");
    keyring_write(text);
}

void keyring_add(const char *name, const char *role, const char *members)
{
    rz_key_t key;
    rz_key_role_t number = RZ_KEY_PRODUCER;
    while (number < RZ_KEY_ROLES && strcmp(rz_key_role_names[number], role) != 0)
        number++;
    assert_true(entries < ENTRIES_MAX);
    rz_key_new(&key, name, number, server_key);
    save(&key);
    snprintf(entry[entries].name, sizeof entry->name, "%s", name);
    snprintf(entry[entries++].text, sizeof entry->text,
             "{\"name\":\"%s\",\"role\":\"%s\",\"public_key\":\"%s\"%s}", name, role, key.public_key,
             members);
    write_list();
}

void keyring_remove(const char *name)
{
    for (size_t i = 0; i < entries; i++)
        if (strcmp(entry[i].name, name) == 0)
            entry[i--] = entry[--entries];
    write_list();
}

void keyring_renew(const char *name)
{
    rz_key_t old, fresh;
    assert_int_equal(rz_key_load(keyring_path(name), "key", &old, NULL), RZ_OK);
    rz_key_new(&fresh, name, old.role, server_key);
    assert_int_equal(remove(keyring_path(name)), 0);
    save(&fresh);
    for (size_t i = 0; i < entries; i++) {
        char *at = strstr(entry[i].text, old.public_key);
        if (at != NULL)
            memcpy(at, fresh.public_key, RZ_KEY_LEN);
    }
    write_list();
}

void keyring_make(const char *dir)
{
    rz_key_t broker;
    snprintf(keyring.dir, sizeof keyring.dir, "%.200s/keys", dir);
    assert_int_equal(mkdir(keyring.dir, 0700), 0);
    snprintf(keyring.list, sizeof keyring.list, "%.220s/allow.json", keyring.dir);
    snprintf(keyring.broker, sizeof keyring.broker, "%s", keyring_path("broker"));
    entries = 0;
    rz_key_new(&broker, "broker", RZ_KEY_BROKER, NULL);
    snprintf(server_key, sizeof server_key, "%s", broker.public_key);
    save(&broker);
    for (rz_key_role_t role = RZ_KEY_PRODUCER; role < RZ_KEY_BROKER; role++)
        keyring_add(rz_key_role_names[role], rz_key_role_names[role],
                    role == RZ_KEY_RUNNER ? ",\"runners\":[\"*\"]" : "");
}

void keyring_forget(void)
{
    keyring = (keyring_t){ 0 };
}

const char *keyring_path(const char *name)
{
    static char path[400];
    snprintf(path, sizeof path, "%s/%s.key", keyring.dir, name);
    return path;
}

void keyring_apply(void *sock, const char *name)
{
    rz_key_t key;
    rz_err_t err = { 0 };
    if (keyring.dir[0] == '\0')
        return;
    if (rz_key_load(keyring_path(name), "key", &key, &err) != RZ_OK ||
        rz_key_apply(&key, "rhizome", sock, &err) != RZ_OK)
        fail_msg("%s", err.text);
}

size_t keyring_flags(const char **argv, size_t n, const char *name)
{
    static char path[400];
    if (keyring.dir[0] != '\0') {
        bool is_broker = strcmp(name, "broker") == 0;
        snprintf(path, sizeof path, "%s", keyring_path(name));
        argv[n++] = "--security-key";
        argv[n++] = is_broker ? keyring.broker : path;
        if (is_broker) {
            argv[n++] = "--security-allow";
            argv[n++] = keyring.list;
        }
    }
    argv[n] = NULL;
    return n;
}
