/* topics.c - a hash table with chains that grows by doubling. See topics.h. */
#include "topics.h"

#include <stdint.h>
#include <string.h>
#include <sys/random.h>

#define BUCKETS_FIRST 64

typedef struct topic {
    struct topic *next;
    uint64_t hash;
    size_t held, len;
    char bytes[];
} topic_t;

struct topics {
    topic_t **bucket;
    size_t buckets, count, max;
    size_t first;  /* the buckets before it are empty */
    uint64_t seed; /* nobody else can tell which topics share a bucket */
};

/* FNV-1a, from a beginning of our own */
static uint64_t hash_of(const topics_t *topics, rz_str_t topic)
{
    uint64_t hash = 14695981039346656037u ^ topics->seed;
    for (size_t i = 0; i < topic.n; i++)
        hash = (hash ^ (unsigned char)topic.p[i]) * 1099511628211u;
    return hash;
}

topics_t *topics_create(size_t max)
{
    topics_t *topics = rz_alloc(sizeof *topics);
    topics->buckets = BUCKETS_FIRST;
    topics->max = max;
    while (getrandom(&topics->seed, sizeof topics->seed, 0) != (ssize_t)sizeof topics->seed)
        ;
    topics->bucket = rz_alloc(topics->buckets * sizeof(topic_t *));
    return topics;
}

void topics_destroy(topics_t **topics_ref)
{
    topics_t *topics = *topics_ref;
    if (topics == NULL)
        return;
    for (size_t i = 0; i < topics->buckets; i++)
        for (topic_t *topic; (topic = topics->bucket[i]) != NULL;) {
            topics->bucket[i] = topic->next;
            rz_free(topic);
        }
    rz_free(topics->bucket);
    rz_free(topics);
    *topics_ref = NULL;
}

/* Where the pointer to it stands, or to the end of its chain. */
static topic_t **place_of(const topics_t *topics, rz_str_t bytes, uint64_t hash)
{
    topic_t **at = &topics->bucket[hash % topics->buckets];
    while (*at != NULL && ((*at)->hash != hash || (*at)->len != bytes.n ||
                           (bytes.n > 0 && memcmp((*at)->bytes, bytes.p, bytes.n) != 0)))
        at = &(*at)->next;
    return at;
}

static void grow(topics_t *topics)
{
    topics_t wide = { .buckets = 2 * topics->buckets };
    wide.bucket = rz_alloc(wide.buckets * sizeof(topic_t *));
    for (size_t i = 0; i < topics->buckets; i++)
        for (topic_t *topic; (topic = topics->bucket[i]) != NULL;) {
            topics->bucket[i] = topic->next;
            topic->next = wide.bucket[topic->hash % wide.buckets];
            wide.bucket[topic->hash % wide.buckets] = topic;
        }
    rz_free(topics->bucket);
    topics->bucket = wide.bucket;
    topics->buckets = wide.buckets;
    topics->first = 0;
}

bool topics_add(topics_t *topics, rz_str_t bytes)
{
    uint64_t hash = hash_of(topics, bytes);
    topic_t **at = place_of(topics, bytes, hash);
    if (*at == NULL && topics->count == topics->max)
        return false;
    if (*at == NULL) {
        topic_t *topic = rz_alloc(sizeof *topic + bytes.n);
        topic->hash = hash;
        topic->len = bytes.n;
        if (bytes.n > 0)
            memcpy(topic->bytes, bytes.p, bytes.n);
        *at = topic;
        topics->count++;
        if (hash % topics->buckets < topics->first)
            topics->first = hash % topics->buckets;
    }
    (*at)->held++;
    if (topics->count > topics->buckets)
        grow(topics);
    return true;
}

bool topics_take(topics_t *topics, rz_str_t bytes)
{
    topic_t **at = place_of(topics, bytes, hash_of(topics, bytes)), *topic = *at;
    if (topic == NULL)
        return false;
    if (--topic->held == 0) {
        *at = topic->next;
        rz_free(topic);
        topics->count--;
    }
    return true;
}

bool topics_pop(topics_t *topics, rz_buf_t *out)
{
    for (; topics->first < topics->buckets; topics->first++) {
        const topic_t *topic = topics->bucket[topics->first];
        if (topic == NULL)
            continue;
        rz_buf_put_str(out, (rz_str_t){ topic->bytes, topic->len });
        return topics_take(topics, (rz_str_t){ topic->bytes, topic->len });
    }
    return false;
}

size_t topics_count(const topics_t *topics)
{
    return topics->count;
}
