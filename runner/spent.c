/* spent.c - a ring; when its words are too many, the oldest are forgotten. */
#include "spent.h"

#include "base/mem.h"

#include <stdint.h>

struct spent {
    uint64_t key[SPENT_MAX]; /* 0: none; apart from the rest, as every assign goes through them */
    outcome_t outcome[SPENT_MAX];
    uint64_t next;   /* number of the next one: its place is that modulo SPENT_MAX */
    uint64_t worded; /* all before this one have no words any more                 */
    size_t bytes;    /* of all words                                               */
};

spent_t *spent_create(void)
{
    return rz_alloc(sizeof(spent_t));
}

static size_t size_of(const words_t *words)
{
    return words == NULL
               ? 0
               : sizeof *words + words->error.len + words->reply.len + words->header.len + words->event.len;
}

static void forget_words(spent_t *spent, outcome_t *outcome)
{
    words_t *words = outcome->words;
    if (words == NULL)
        return;
    spent->bytes -= size_of(words);
    rz_buf_fini(&words->error);
    rz_buf_fini(&words->reply);
    rz_buf_fini(&words->header);
    rz_buf_fini(&words->event);
    rz_free(words);
    outcome->words = NULL;
}

void spent_destroy(spent_t **spent)
{
    for (size_t i = 0; *spent != NULL && i < SPENT_MAX; i++)
        forget_words(*spent, &(*spent)->outcome[i]);
    rz_free(*spent);
    *spent = NULL;
}

static uint64_t mix(uint64_t hash, const char *text)
{
    for (; *text != '\0'; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
    return hash;
}

/* FNV-1a. Tokens are random, so two of them having one key is as unlikely as it looks. */
static uint64_t key_of(const char *child, const char *token)
{
    uint64_t key = mix(mix(mix(UINT64_C(14695981039346656037), child), " "), token);
    return key != 0 ? key : 1;
}

void spent_add(spent_t *spent, const char *child, const char *token, outcome_t outcome)
{
    size_t at = spent->next++ % SPENT_MAX;
    forget_words(spent, &spent->outcome[at]); /* of the oldest */
    spent->key[at] = key_of(child, token);
    spent->outcome[at] = outcome;
    spent->bytes += size_of(outcome.words);
    while (spent->bytes > SPENT_BYTES_MAX)
        forget_words(spent, &spent->outcome[spent->worded++ % SPENT_MAX]);
}

const outcome_t *spent_find(const spent_t *spent, const char *child, const char *token)
{
    uint64_t key = key_of(child, token);
    for (size_t i = 0; i < SPENT_MAX; i++)
        if (spent->key[i] == key)
            return &spent->outcome[i];
    return NULL;
}
