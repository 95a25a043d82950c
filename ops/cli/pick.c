/* pick.c - dotted paths into a cJSON tree. */
#include "pick.h"

#include <string.h>

#define COUNT_END 9007199254740992.0 /* 2^53: from here on a double skips integers */

const cJSON *pick(const cJSON *tree, const char *path)
{
    char key[64];
    while (tree != NULL && *path != '\0') {
        size_t n = strcspn(path, ".");
        if (n >= sizeof key)
            return NULL;
        memcpy(key, path, n);
        key[n] = '\0';
        tree = cJSON_GetObjectItemCaseSensitive(tree, key);
        path += n + (path[n] == '.');
    }
    return tree;
}

const char *pick_text(const cJSON *tree, const char *path)
{
    const char *text = cJSON_GetStringValue(pick(tree, path));
    return text != NULL ? text : "";
}

uint64_t count_of(const cJSON *item)
{
    bool whole = cJSON_IsNumber(item) && item->valuedouble > 0 && item->valuedouble < COUNT_END;
    return whole ? (uint64_t)item->valuedouble : 0;
}

uint64_t pick_count(const cJSON *tree, const char *path)
{
    return count_of(pick(tree, path));
}

bool pick_true(const cJSON *tree, const char *path)
{
    return cJSON_IsTrue(pick(tree, path)) != 0;
}
