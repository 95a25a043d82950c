/* private_file.h - a small file of secrets: taken only if it is ours alone, and looked at for changes.
 *
 * Its own means: a regular file and no symbolic link, owned by our user, no bit for group or others. */
#pragma once

#include "base/mem.h"
#include "base/rc.h"

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* At most max bytes. The caller ends *bytes with rz_private_file_free(), which wipes them. A failure's text says
 * what is wrong with "the file", without its path or content. */
rz_rc_t rz_private_file_read(const char *path, size_t max, char **bytes, size_t *len, rz_err_t *err);
/* The same for a file that others may read and nobody else may write: owned by our user or by root, without the write
 * bits of group and others. */
rz_rc_t rz_trusted_file_read(const char *path, size_t max, char **bytes, size_t *len, rz_err_t *err);
void rz_private_file_free(char **bytes, size_t len);

/* Tells one state of a file from the next. */
typedef struct {
    uint64_t device, inode, size; /* all zero: there is no file */
    struct timespec written, changed;
    bool young; /* it changed so lately that it may change again and look the same */
} rz_private_file_state_t;

rz_private_file_state_t rz_private_file_look(const char *path);
bool rz_private_file_same(const rz_private_file_state_t *a, const rz_private_file_state_t *b);
