/* test_control_fleet.c - what control promises of children, with real runners and workers: steering at every moment of
 * a life, and a parent's wait. */
#include "facts.h"

#include "rig.h"

#include <stdlib.h>

static int rig_with_one_runner(void **state)
{
    *state = rig_up(&(rig_options_t){ .runners = 1 });
    return 0;
}

static int rig_away(void **state)
{
    rig_down((rig_t **)state);
    return 0;
}

/* ---- steering ---- */

static bool send_is_live(rig_t *rig, unsigned number)
{
    cJSON *reply =
        rig_ask(rig, "{\"op\":\"send\",\"child\":\"c\",\"text\":\"go on\",\"message_id\":\"s%u\"}", number);
    assert_string_equal(rig_text(reply, "code"), "OK");
    bool live = strcmp(rig_text(reply, "delivery"), "live") == 0;
    cJSON_Delete(reply);
    return live;
}

static bool has_ended(rig_t *rig)
{
    cJSON *reply = rig_ask(rig, "{\"op\":\"get\",\"child\":\"c\"}");
    bool ended = strcmp(rig_text(reply, "activation.state"), "terminal") == 0;
    cJSON_Delete(reply);
    return ended;
}

/* Ids s0, s1, ... of the stored conversation, in this order and nothing between them; how many. */
static unsigned steering_stored(rig_t *rig)
{
    unsigned found = 0;
    const cJSON *message;
    cJSON *reply = rig_ask(rig, "{\"op\":\"session_get\",\"child\":\"c\"}");
    cJSON_ArrayForEach(message, cJSON_GetObjectItem(cJSON_GetObjectItem(reply, "session"), "messages"))
    {
        char expected[16];
        snprintf(expected, sizeof expected, "s%u", found);
        const char *id = rig_text(message, "id");
        if (strcmp(rig_text(message, "content"), "go on") != 0)
            continue;
        assert_string_equal(id, expected);
        found++;
    }
    cJSON_Delete(reply);
    return found;
}

/* Without a worker, while it registers, while it works, as it ends, after: what the runner says of a message decides
 * nothing but the receipt. */
static void steering_at_any_moment_of_a_life_is_stored_once_and_in_order(void **state)
{
    rig_t *rig = *state;
    unsigned sent = 0, live = 0;
    bool ended = false;
    rig_submit(rig, "p", "c", "echo", "__sleep_ms:400 done");
    while (!ended) {
        live += send_is_live(rig, sent++);
        ended = has_ended(rig);
    }
    assert_true(live > 0);
    assert_false(send_is_live(rig, sent++));
    assert_int_equal(steering_stored(rig), sent);
}

/* ---- a parent's wait ---- */

static void a_parent_hears_once_that_all_its_children_have_ended(void **state)
{
    rig_t *rig = *state;
    rig_event_t event;
    char status[32];
    rig_sub_t *sub = rig_subscribe(rig, "p/");
    rig_submit(rig, "p", "a", "echo", "one");
    rig_submit(rig, "p", "b", "echo", "two");
    cJSON_Delete(rig_ask(
        rig, "{\"op\":\"wait_register\",\"parent\":\"p\",\"wait_id\":\"w\",\"children\":[\"a\",\"b\"]}"));
    rig_wait(rig, "a", status);
    rig_wait(rig, "b", status);
    rig_submit(rig, "p", "last", "echo", "three"); /* its end comes behind all that may still come */
    unsigned heard = 0;
    for (bool over = false; !over || heard == 0;) {
        assert_true(rig_event_next(sub, &event, RIG_PATIENCE_MS));
        heard += strcmp(event.topic, "p/$wait/wait_satisfied") == 0 &&
                 strcmp(rig_text(event.header, "wait"), "w") == 0;
        over |= strcmp(event.topic, "p/last/sub_agent_completed") == 0;
        rig_event_fini(&event);
    }
    assert_int_equal(heard, 1);
    rig_sub_close(&sub);
}

/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(steering_at_any_moment_of_a_life_is_stored_once_and_in_order, rig_with_one_runner, rig_away),
    cmocka_unit_test_setup_teardown(a_parent_hears_once_that_all_its_children_have_ended, rig_with_one_runner, rig_away),
};
/* clang-format on */

RZ_FACTS(tests)
