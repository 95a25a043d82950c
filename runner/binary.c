/* binary.c - see binary.h. */
#include "binary.h"

#include <string.h>
#include <sys/stat.h>

binary_t binary_at(const char *path)
{
    struct stat info;
    if (strchr(path, '/') == NULL || stat(path, &info) != 0)
        return (binary_t){ 0 };
    return (binary_t){ .found = true,
                       .device = (int64_t)info.st_dev,
                       .inode = (int64_t)info.st_ino,
                       .modified_s = info.st_mtim.tv_sec,
                       .modified_ns = info.st_mtim.tv_nsec,
                       .size = info.st_size };
}

bool binary_same(const binary_t *a, const binary_t *b)
{
    return a->found == b->found && a->device == b->device && a->inode == b->inode &&
           a->modified_s == b->modified_s && a->modified_ns == b->modified_ns && a->size == b->size;
}

void binary_digest(rz_digest_t *digest, const char *path)
{
    binary_t binary = binary_at(path);
    int64_t identity[] = { binary.device, binary.inode, binary.modified_s, binary.modified_ns, binary.size };
    rz_digest_add_text(digest, path);
    if (binary.found)
        rz_digest_add(digest, identity, sizeof identity);
}
