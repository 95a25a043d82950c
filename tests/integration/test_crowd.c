/* test_crowd.c - the crowd of faults.many, smaller, on sanitized programs: whatever a cancel, a steering or a limit in
 * the midst of others leaves behind is told by LeakSanitizer when broker, runner and workers exit. */
#include "crowd.h"
#include "facts.h"

static crowd_t crowd;

static int rig_for_a_crowd(void **state)
{
    static const char *const flags[] = { "--runner-slots", "40", NULL };
    crowd_init(&crowd);
    *state = rig_up(&(rig_options_t){ .runners = 1, .runner = flags, .config = crowd.config });
    return 0;
}

static int rig_away(void **state)
{
    rig_t *rig = *state;
    rig_down(&rig); /* expects that every program exits 0: a leak is another number */
    crowd_fini(&crowd);
    return 0;
}

static void forty_children_at_once_lose_no_byte(void **state)
{
    for (unsigned round = 0; round < 2; round++) /* the second meets warm workers */
        crowd_round(&crowd, *state, round, 40);
}

/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(forty_children_at_once_lose_no_byte, rig_for_a_crowd, rig_away),
};
/* clang-format on */

RZ_FACTS(tests)
