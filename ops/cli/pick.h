/* pick.h - reading replies: members by dotted path, with an empty value where there is none. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

const cJSON *pick(const cJSON *tree, const char *path);     /* "activation.status"; NULL when absent */
const char *pick_text(const cJSON *tree, const char *path); /* lent; "" when absent or no string     */
uint64_t pick_count(const cJSON *tree, const char *path);   /* as rz_json_count(); 0 when absent     */
bool pick_true(const cJSON *tree, const char *path);
