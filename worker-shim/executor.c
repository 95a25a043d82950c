/* executor.c - which executors this worker has. */
#include "executor.h"

const executor_t *executor_find(rz_executor_t kind)
{
    switch (kind) {
    case RZ_EXECUTOR_ECHO:
        return &echo_executor;
    case RZ_EXECUTOR_CLI_ADAPTER:
        return &command_executor;
    case RZ_EXECUTOR_SESSION:
        return &session_executor;
    default:
        return NULL;
    }
}
