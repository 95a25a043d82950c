/* redis_options.h - the redis.* settings as the store client wants them. */
#pragma once

#include "base/config.h"
#include "state/store.h"

rz_store_options_t redis_options(const rz_config_t *config); /* texts lent by the configuration */
