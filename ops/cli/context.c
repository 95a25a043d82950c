/* context.c - paths, the context file, endpoints. */
#include "context.h"

#include "out.h"
#include "verb.h"

#include "base/clock.h"
#include "base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#define GREETING_MS      2000 /* how long a program that is alive may take to greet */
#define CONTROL_ENDPOINT "tcp://127.0.0.1:7411"
#define CONTEXT_MAX      65536
#define ENDPOINT_MAX     256

/* As context_dir(), without a word when there is none. */
static bool dir_find(char out[PATH_MAX])
{
    const char *xdg = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    int n = -1;
    const char *named = common.state_dir != NULL ? common.state_dir : getenv("RHIZOME_UP_STATE_DIR");
    if (named != NULL && *named != '\0')
        n = snprintf(out, PATH_MAX, "%s", named);
    else if (xdg != NULL && xdg[0] == '/')
        n = snprintf(out, PATH_MAX, "%s/rhizome", xdg);
    else if (home != NULL && home[0] == '/')
        n = snprintf(out, PATH_MAX, "%s/.local/state/rhizome", home);
    return n > 0 && n < PATH_MAX;
}

bool context_dir(char out[PATH_MAX])
{
    if (dir_find(out))
        return true;
    say("no folder to keep state in: neither --up-state-dir nor XDG_STATE_HOME nor HOME is set");
    return false;
}

bool context_path(const char *name, char out[PATH_MAX])
{
    char dir[PATH_MAX];
    if (!dir_find(dir))
        return false;
    int n = snprintf(out, PATH_MAX, "%s/%s", dir, name);
    return n > 0 && n < PATH_MAX;
}

cJSON *context_read(void)
{
    char path[PATH_MAX];
    char bytes[CONTEXT_MAX];
    if (!context_path("context.json", path))
        return NULL;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return NULL;
    size_t n = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    return rz_json_parse(bytes, n, CONTEXT_MAX, NULL);
}

bool context_write(const cJSON *context)
{
    char path[PATH_MAX], draft[PATH_MAX];
    if (!context_path("context.json", path) || !context_path("context.json.new", draft))
        return false;
    char *text = cJSON_Print(context);
    int fd = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    size_t n = strlen(text);
    bool ok = fd >= 0 && write(fd, text, n) == (ssize_t)n && rename(draft, path) == 0;
    if (!ok)
        say("%s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    cJSON_free(text);
    return ok;
}

void context_remove(void)
{
    char path[PATH_MAX];
    if (context_path("context.json", path))
        unlink(path);
}

void controls_add(cJSON *controls, const char *text)
{
    char endpoint[ENDPOINT_MAX];
    const cJSON *item;
    snprintf(endpoint, sizeof endpoint, "%s%s", strstr(text, "://") == NULL ? "tcp://" : "", text);
    cJSON_ArrayForEach(item, controls)
    {
        if (strcmp(item->valuestring, endpoint) == 0)
            return;
    }
    cJSON_AddItemToArray(controls, cJSON_CreateString(endpoint));
}

/* "a,b": empty parts are passed over. */
static void controls_split(cJSON *controls, const char *list)
{
    char part[ENDPOINT_MAX];
    for (size_t n = 0; *list != '\0'; list += list[n] == ',' ? n + 1 : n) {
        n = strcspn(list, ",");
        snprintf(part, sizeof part, "%.*s", (int)n, list);
        if (n > 0)
            controls_add(controls, part);
    }
}

static void controls_of_up(cJSON *controls)
{
    cJSON *context = context_read();
    const char *control = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(context, "control"));
    const cJSON *other;
    if (control != NULL)
        controls_add(controls, control);
    cJSON_ArrayForEach(other, cJSON_GetObjectItemCaseSensitive(context, "controls"))
    {
        if (cJSON_IsString(other))
            controls_add(controls, other->valuestring);
    }
    cJSON_Delete(context);
}

control_source_t context_controls(cJSON **out)
{
    const char *env = getenv("RHIZOME_CONTROL");
    control_source_t source = CONTROL_FLAG;
    *out = cJSON_CreateArray();
    if (common.control != NULL) {
        controls_split(*out, common.control);
    } else if (env != NULL && *env != '\0') {
        source = CONTROL_ENV;
        controls_split(*out, env);
    } else {
        source = CONTROL_UP;
        controls_of_up(*out);
    }
    if (cJSON_GetArraySize(*out) > 0)
        return source;
    controls_add(*out, CONTROL_ENDPOINT);
    return CONTROL_DEFAULT;
}

bool context_key(control_source_t control, char out[PATH_MAX])
{
    const char *env = getenv("RHIZOME_SECURITY_KEY");
    const char *named = common.key != NULL ? common.key : env;
    cJSON *context = NULL;
    if (rz_or_null(named) == NULL && control == CONTROL_UP) {
        context = context_read();
        named = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(context, "key"));
    }
    int n = snprintf(out, PATH_MAX, "%s", named != NULL ? named : "");
    cJSON_Delete(context);
    return n > 0 && n < PATH_MAX;
}

rz_str_t endpoint_host(const char *endpoint)
{
    size_t scheme = strncmp(endpoint, "tcp://", 6) == 0 ? 6 : strncmp(endpoint, "http://", 7) == 0 ? 7 : 0;
    const char *host = endpoint + scheme;
    const char *colon = strrchr(endpoint, ':');
    if (scheme == 0 || colon == NULL || colon < host)
        return (rz_str_t){ NULL, 0 };
    return (rz_str_t){ host, (size_t)(colon - host) };
}

const char *endpoint_unknown(const char *endpoint, char host[256])
{
    struct addrinfo *found = NULL;
    rz_str_t name = endpoint_host(endpoint);
    if (name.n == 0 || name.p[0] == '[')
        return NULL;
    snprintf(host, 256, "%.*s", (int)name.n, name.p);
    int failure = getaddrinfo(host, NULL, &(struct addrinfo){ .ai_socktype = SOCK_STREAM }, &found);
    if (failure == 0)
        freeaddrinfo(found);
    return failure != 0 ? gai_strerror(failure) : NULL;
}

bool endpoint_is_whole(const char *endpoint)
{
    char *end = NULL;
    if (strncmp(endpoint, "tcp://", 6) != 0)
        return true;
    rz_str_t host = endpoint_host(endpoint);
    const char *port = host.n > 0 ? host.p + host.n + 1 : "";
    long number = strtol(port, &end, 10);
    return port[0] >= '0' && port[0] <= '9' && *end == '\0' && number >= 1 && number <= 65535;
}

void endpoint_reachable(const char *endpoint, const char *control, char out[256])
{
    rz_str_t host = endpoint_host(endpoint);
    rz_str_t known = endpoint_host(control);
    bool wildcard = rz_str_eq(host, "0.0.0.0") || rz_str_eq(host, "*") || rz_str_eq(host, "[::]") ||
                    rz_str_eq(host, "::");
    if (wildcard && known.n > 0)
        snprintf(out, 256, "%.*s%.*s%s", (int)(host.p - endpoint), endpoint, (int)known.n, known.p,
                 host.p + host.n);
    else
        snprintf(out, 256, "%s", endpoint);
}

bool folder_make(const char *path)
{
    char part[PATH_MAX];
    size_t n = strlen(path);
    for (size_t i = 1; i <= n; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        snprintf(part, sizeof part, "%.*s", (int)i, path);
        if (mkdir(part, 0700) != 0 && errno != EEXIST)
            return false;
    }
    return true;
}

/* A message of such a socket: who, and what came, which is empty when the connection is new or gone. */
static bool take_bytes(void *raw)
{
    char who[256], bytes[256];
    return zmq_recv(raw, who, sizeof who, ZMQ_DONTWAIT) > 0 &&
           zmq_recv(raw, bytes, sizeof bytes, ZMQ_DONTWAIT) > 0;
}

bool endpoint_speaks(void *zctx, const char *endpoint)
{
    void *raw = zmq_socket(zctx, ZMQ_STREAM);
    zmq_setsockopt(raw, ZMQ_LINGER, &(int){ 0 }, sizeof(int));
    bool spoke = zmq_connect(raw, endpoint) != 0; /* no way to ask */
    uint64_t deadline = rz_now_ms() + GREETING_MS;
    for (uint64_t now = rz_now_ms(); !spoke && now < deadline; now = rz_now_ms()) {
        zmq_pollitem_t item = { raw, 0, ZMQ_POLLIN, 0 };
        if (zmq_poll(&item, 1, (long)(deadline - now)) > 0)
            spoke = take_bytes(raw);
    }
    zmq_close(raw);
    return spoke;
}
