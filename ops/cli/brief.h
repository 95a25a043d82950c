/* brief.h - a child session and its spawn job, made from what was asked for on the command line. */
#pragma once

#include "verb.h"

#include "base/buf.h"
#include "base/id.h"

typedef struct {
    const char *parent, *child, *profile, *model, *workspace, *role; /* NULL: see brief_complete() */
    texts_t labels;
    char child_made[16];       /* behind `child` when it was not given */
    char job[RZ_UUID_LEN + 1]; /* so that a submit whose answer was lost may be repeated */
    char *workspace_path;      /* absolute; owned */
} brief_t;

/* Fills in what was not given and checks ids and folder. False after a message. */
bool brief_complete(brief_t *brief);
void brief_fini(brief_t *brief);
/* The spawn job with its whole session (upstream's shape of a new child): one JSON object. Appends. */
void brief_job(const brief_t *brief, const char *text, rz_buf_t *out);
