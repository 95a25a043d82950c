/* topics.c - a hash table with chains that grows by doubling, and an array of holders in each. See topics.h. */
#include "topics.h"

#include <stdint.h>
#include <string.h>
#include <sys/random.h>

#define BUCKETS_FIRST 64

typedef struct topic {
    struct topic *next;
    uint64_t hash;
    holder_t *holder;
    size_t held, room, len;
    char bytes[];
} topic_t;

struct topics {
    topic_t **bucket;
    size_t buckets, count, max;
    size_t held; /* of all */
    bool (*gone)(const holder_t *holder);
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

topics_t *topics_create(size_t max, bool (*gone)(const holder_t *holder))
{
    topics_t *topics = rz_alloc(sizeof *topics);
    topics->buckets = BUCKETS_FIRST;
    topics->max = max;
    topics->gone = gone;
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
            rz_free(topic->holder);
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

static topic_t *insert(topics_t *topics, topic_t **at, rz_str_t bytes, uint64_t hash)
{
    topic_t *topic = rz_alloc(sizeof *topic + bytes.n);
    topic->hash = hash;
    topic->len = bytes.n;
    if (bytes.n > 0)
        memcpy(topic->bytes, bytes.p, bytes.n);
    *at = topic;
    topics->count++;
    if (hash % topics->buckets < topics->first)
        topics->first = hash % topics->buckets;
    return topic;
}

static void erase(topics_t *topics, topic_t **at)
{
    topic_t *topic = *at;
    *at = topic->next;
    topics->count--;
    topics->held -= topic->held;
    rz_free(topic->holder);
    rz_free(topic);
}

/* Its place among those who hold the topic, or their number. */
static size_t find(const topic_t *topic, holder_t holder)
{
    size_t i = 0;
    while (i < topic->held && (topic->holder[i].fd != holder.fd || topic->holder[i].id != holder.id))
        i++;
    return i;
}

/* The same of one who is gone; of the last one, if all seem to be there: libzmq tells a little earlier than the kernel. */
static size_t find_gone(const topics_t *topics, const topic_t *topic)
{
    size_t i = 0;
    while (i + 1 < topic->held && !topics->gone(&topic->holder[i]))
        i++;
    return i;
}

static void hold(topics_t *topics, topic_t *topic, holder_t holder)
{
    if (topic->held == topic->room) {
        topic->room = 2 * topic->room + 1;
        topic->holder = rz_realloc(topic->holder, topic->room * sizeof *topic->holder);
    }
    topic->holder[topic->held++] = holder;
    topics->held++;
}

bool topics_add(topics_t *topics, rz_str_t bytes, holder_t holder, bool *first)
{
    uint64_t hash = hash_of(topics, bytes);
    topic_t **at = place_of(topics, bytes, hash), *topic = *at;
    *first = topic == NULL;
    if (topic != NULL && find(topic, holder) < topic->held)
        return true;
    if ((topic == NULL && topics->count == topics->max) || topics->held == TOPICS_HELD * topics->max)
        return false;
    if (topic == NULL)
        topic = insert(topics, at, bytes, hash);
    hold(topics, topic, holder);
    if (topics->count > topics->buckets)
        grow(topics);
    return true;
}

bool topics_take(topics_t *topics, rz_str_t bytes, holder_t holder)
{
    topic_t **at = place_of(topics, bytes, hash_of(topics, bytes)), *topic = *at;
    if (topic == NULL)
        return false;
    size_t i = holder.fd < 0 ? find_gone(topics, topic) : find(topic, holder);
    if (i == topic->held)
        return false;
    topic->holder[i] = topic->holder[--topic->held];
    topics->held--;
    if (topic->held > 0)
        return false;
    erase(topics, at);
    return true;
}

bool topics_pop(topics_t *topics, rz_buf_t *out)
{
    for (; topics->first < topics->buckets; topics->first++) {
        topic_t **at = &topics->bucket[topics->first];
        if (*at == NULL)
            continue;
        rz_buf_put_str(out, (rz_str_t){ (*at)->bytes, (*at)->len });
        erase(topics, at);
        return true;
    }
    return false;
}

size_t topics_count(const topics_t *topics)
{
    return topics->count;
}
