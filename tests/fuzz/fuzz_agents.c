/* fuzz_agents.c - agent tables: every profile that is accepted has an id, and every route leads somewhere. */
#include "fuzz.h"
#include "wire/agents.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cJSON *table = rz_json_parse((const char *)data, size, 0, NULL);
    rz_agents_t *agents = table != NULL ? rz_agents_create(table, table, NULL, NULL) : NULL;
    for (size_t i = 0; agents != NULL && i < rz_agents_count(agents); i++)
        MUST(rz_agents_find(agents, rz_agents_at(agents, i)->id) != NULL);
    if (agents != NULL)
        MUST(rz_agents_route(agents, "explorer") != NULL);
    rz_agents_destroy(&agents);
    cJSON_Delete(table);
    return 0;
}
