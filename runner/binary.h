/* binary.h - which program stands under a path on disk: two workers of different identities are not
 * interchangeable, and one whose program was replaced is not to be used again.
 *
 * A name without a slash is searched in PATH by the spawn: then only the name counts. */
#pragma once

#include "base/id.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    bool found;
    int64_t device, inode, modified_s, modified_ns, size;
} binary_t;

binary_t binary_at(const char *path);
bool binary_same(const binary_t *a, const binary_t *b);
void binary_digest(rz_digest_t *digest, const char *path); /* adds path and identity */
