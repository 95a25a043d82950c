/* lives.h - children on the stage of bare.h: a runner that the test plays begins and ends them. */
#pragma once

#include "bare.h"

/* Submits a child of any parent and expects the receipt OK. more: further members of the job, with a comma. */
void child_submitted(const char *parent, const char *child, const char *more);
/* The same for a child of "root", which the runner is given and starts. */
assigned_t child_begins(runner_t *runner, const char *child);
/* The runner commits its end; error NULL: none. */
void child_ends(runner_t *runner, const assigned_t *a, const char *status, const char *error);
/* Both, completed. */
void child_lives(runner_t *runner, const char *child);
/* How often the text stands in a stream of the store ("completions", "broadcast"). */
unsigned times_in_stream(const char *stream, const char *text);
/* The number at "a.b" of a reply; -1 if there is none. */
int number_at(const cJSON *reply, const char *path);
