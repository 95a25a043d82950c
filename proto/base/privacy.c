/* privacy.c - keeping what a process holds from its neighbours. */
#include "base/privacy.h"

#include <sys/prctl.h>
#include <sys/resource.h>

#if defined(__SANITIZE_ADDRESS__)
#define CHECKS_LEAKS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CHECKS_LEAKS 1
#endif
#endif

/* Both, because neither suffices: a core_pattern that is a pipe ignores the limit, and exec takes back what
 * PR_SET_DUMPABLE said. */
void rz_keep_memory_private(void)
{
    const struct rlimit none = { 0, 0 };
    setrlimit(RLIMIT_CORE, &none);
#if !defined(CHECKS_LEAKS)
    prctl(PR_SET_DUMPABLE, 0);
#endif
}

void rz_give_up_privileges(void)
{
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}
