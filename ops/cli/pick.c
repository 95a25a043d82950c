/* pick.c - dotted paths into a cJSON tree. */
#include "pick.h"

#include "base/json.h"

#include <string.h>

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

uint64_t pick_count(const cJSON *tree, const char *path)
{
    return rz_json_count(pick(tree, path));
}

bool pick_true(const cJSON *tree, const char *path)
{
    return cJSON_IsTrue(pick(tree, path)) != 0;
}
