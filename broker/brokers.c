/* brokers.c - see brokers.h. */
#include "brokers.h"

#include "base/limits.h"
#include "base/log.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PLACE_MAX 512

struct brokers {
    const char *name, *host;
    const endpoints_t *endpoints;
    const rz_store_t *store;
    cJSON *known; /* {"<broker>": its endpoints} */
    cJSON *links; /* {"<broker>": its runners endpoint} */
    rz_buf_t places;
};

/* ---- where we are ---- */

void endpoints_encode(const endpoints_t *endpoints, rz_buf_t *out)
{
    rz_json_put_str(out, "jobs", endpoints->jobs);
    rz_json_put_str(out, "control", endpoints->control);
    rz_json_put_str(out, "events", endpoints->events);
    rz_json_put_str(out, "runners", endpoints->runners);
    rz_json_put_str(out, "publish", endpoints->publish);
    rz_json_opt_str(out, "http", endpoints->http);
}

/* The span of the host in "scheme://host:port"; empty if it is no such text. */
static rz_str_t host_of(const char *endpoint)
{
    const char *host = strstr(endpoint, "://"), *port = strrchr(endpoint, ':');
    if (host == NULL || port < host + 3)
        return (rz_str_t){ NULL, 0 };
    return (rz_str_t){ host + 3, (size_t)(port - host - 3) };
}

static bool is_wildcard(rz_str_t host)
{
    return rz_str_eq(host, "0.0.0.0") || rz_str_eq(host, "*") || rz_str_eq(host, "[::]");
}

static void host_for_others(const brokers_t *brokers, char out[RZ_HOST_TEXT_MAX + 1])
{
    out[RZ_HOST_TEXT_MAX] = '\0';
    if (brokers->host[0] != '\0')
        snprintf(out, RZ_HOST_TEXT_MAX, "%s", brokers->host);
    else if (!rz_store_local_host(brokers->store, out) && gethostname(out, RZ_HOST_TEXT_MAX) != 0)
        snprintf(out, RZ_HOST_TEXT_MAX, "localhost");
}

/* The endpoint with a host that means something elsewhere; NULL stays NULL. */
static const char *place(const char *endpoint, const char *host, char out[PLACE_MAX])
{
    if (endpoint == NULL)
        return NULL;
    rz_str_t bound = host_of(endpoint);
    if (is_wildcard(bound))
        snprintf(out, PLACE_MAX, "%.*s%s%s", (int)(bound.p - endpoint), endpoint, host, bound.p + bound.n);
    else
        snprintf(out, PLACE_MAX, "%s", endpoint);
    return out;
}

const char *brokers_places(brokers_t *brokers)
{
    const endpoints_t *at = brokers->endpoints;
    char host[RZ_HOST_TEXT_MAX + 1], text[6][PLACE_MAX];
    host_for_others(brokers, host);
    const endpoints_t there = { .jobs = place(at->jobs, host, text[0]),
                                .control = place(at->control, host, text[1]),
                                .events = place(at->events, host, text[2]),
                                .runners = place(at->runners, host, text[3]),
                                .publish = place(at->publish, host, text[4]),
                                .http = place(at->http, host, text[5]) };
    rz_buf_clear(&brokers->places);
    rz_json_open(&brokers->places, '{');
    endpoints_encode(&there, &brokers->places);
    rz_json_close(&brokers->places, '}');
    return brokers->places.data;
}

/* ---- who lives ---- */

static void add(brokers_t *brokers, const char *name, const char *places)
{
    cJSON *endpoints = rz_json_parse(places, strlen(places), RZ_JOB_MAX, NULL);
    const cJSON *runners = cJSON_GetObjectItemCaseSensitive(endpoints, "runners");
    if (!cJSON_IsString(runners)) {
        rz_log_warn("brokers.bad_places", "broker=%s places=%s", name, places);
        cJSON_Delete(endpoints);
        return;
    }
    cJSON_AddStringToObject(brokers->links, name, runners->valuestring);
    cJSON_AddItemToObject(brokers->known, name, endpoints);
}

static void forget(brokers_t *brokers)
{
    cJSON_Delete(brokers->known);
    cJSON_Delete(brokers->links);
    brokers->known = cJSON_CreateObject();
    brokers->links = cJSON_CreateObject();
}

void brokers_seen(brokers_t *brokers, const rz_broker_t *list, size_t n)
{
    forget(brokers);
    for (size_t i = 0; i < n; i++)
        add(brokers, list[i].name, list[i].places);
}

size_t brokers_count(const brokers_t *brokers)
{
    return (size_t)cJSON_GetArraySize(brokers->known);
}

const cJSON *brokers_links(const brokers_t *brokers)
{
    return brokers->links;
}

void brokers_encode(const brokers_t *brokers, rz_buf_t *out)
{
    const cJSON *endpoints;
    rz_json_open_key(out, "brokers", '[');
    cJSON_ArrayForEach(endpoints, brokers->known)
    {
        char *text = cJSON_PrintUnformatted(endpoints);
        rz_json_open(out, '{');
        rz_json_put_str(out, "broker", endpoints->string);
        rz_json_put_raw(out, "endpoints", rz_str(text));
        rz_json_close(out, '}');
        cJSON_free(text);
    }
    rz_json_close(out, ']');
}

/* ---- life ---- */

brokers_t *brokers_create(const char *name, const endpoints_t *endpoints, const char *host,
                          const rz_store_t *store)
{
    brokers_t *brokers = rz_alloc(sizeof *brokers);
    *brokers = (brokers_t){ .name = name, .host = host, .endpoints = endpoints, .store = store };
    brokers_seen(brokers, &(rz_broker_t){ name, brokers_places(brokers) }, 1);
    return brokers;
}

void brokers_destroy(brokers_t **brokers_ref)
{
    brokers_t *brokers = *brokers_ref;
    if (brokers == NULL)
        return;
    cJSON_Delete(brokers->known);
    cJSON_Delete(brokers->links);
    rz_buf_fini(&brokers->places);
    rz_free(brokers);
    *brokers_ref = NULL;
}
