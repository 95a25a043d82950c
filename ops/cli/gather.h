/* gather.h - waiting for several children: who ended how goes to stdout, the exit code is told by how they
 * ended. */
#pragma once

#include "client.h"

/* Waits for each of them and prints it when it has ended; the exit code of the worst. timeout_secs 0: for
 * ever; else those that did not end in time count as EXIT_TIMED_OUT. */
outcome_t gather_all(client_t *client, char *const *children, int count, uint64_t timeout_secs);
/* Waits until the condition holds (any, first_error) and prints who made it hold; its exit code. When
 * first_error ends with all of them and no error, as gather_all(). At most RZ_LIST_MAX children. */
outcome_t gather_until(client_t *client, char *const *children, int count, rz_wait_for_t wait_for,
                       uint64_t timeout_secs);
