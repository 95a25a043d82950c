/* fuzz_config.c - a configuration file: what is accepted can be shown, and its tables read or refused. */
#include "base/config.h"
#include "fuzz.h"
#include "wire/agents.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

static void look_at(const rz_config_t *config)
{
    rz_buf_t shown = { 0 };
    rz_config_dump(config, &shown);
    MUST(rz_json_check(shown.data, shown.len, 0, NULL) == RZ_OK);
    rz_buf_fini(&shown);
    rz_agents_t *agents = rz_agents_create(rz_config_table(config, "externalAgents"),
                                           rz_config_table(config, "subagentRouting"),
                                           rz_config_table(config, "subagents"), NULL);
    rz_agents_destroy(&agents);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    char path[40], *argv[] = { (char[]){ "fuzz" }, NULL };
    int argc = 1;
    rz_err_t err = { 0 };
    if (fd < 0)
        fd = memfd_create("config", MFD_CLOEXEC);
    MUST(ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    rz_config_t *config = rz_config_load(path, &argc, argv, &err);
    MUST((config == NULL) == (err.rc != RZ_OK));
    if (config != NULL)
        look_at(config);
    rz_config_destroy(&config);
    return 0;
}
