/* test_first_words.c - the first event of a run is heard however soon the run comes: a job that waits is given to a runner in
 * the moment in which it links up, fifty times, and a subscriber of much else makes that moment longer. */
#include "facts.h"
#include "rig.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#define TIMES 50
#define OTHER_TOPICS                                                                                         \
    1000 /* that are asked for as well, and of every runner that links up: it takes some milliseconds */

static int rig_without_runner(void **state)
{
    *state = rig_up(&(rig_options_t){ .runners = 0 });
    return 0;
}

static int rig_away(void **state)
{
    rig_t *rig = *state;
    rig_down(&rig);
    return 0;
}

/* Every event of the child, from the first on. */
static void is_heard_from_the_first_word(rig_sub_t *sub, const char *child)
{
    uint64_t seq = 0;
    bool ended = false, token = false;
    while (!ended) {
        rig_event_t event;
        if (!rig_event_next(sub, &event, RIG_PATIENCE_MS))
            fail_msg("%s: nothing more was heard after event %d", child, (int)seq);
        if (strcmp(rig_text(event.event, "child_session_id"), child) == 0) {
            double told = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(event.header, "seq"));
            if (told != (double)++seq)
                fail_msg("%s: event %d was lost, %d came", child, (int)seq, (int)told);
            token |= strcmp(rig_text(event.event, "event.type"), "token") == 0;
            ended = strcmp(rig_text(event.event, "type"), "sub_agent_completed") == 0;
        }
        rig_event_fini(&event);
    }
    assert_true(token);
}

static void what_a_run_says_first_is_heard_in_the_moment_of_linking(void **state)
{
    rig_t *rig = *state;
    char child[32], topic[64];
    rig_sub_t *others = rig_subscribe(rig, "nobody/"), *sub;
    for (int i = 0; i < OTHER_TOPICS; i++) {
        snprintf(topic, sizeof topic, "nobody/at-all-%d/", i);
        rig_sub_also(others, topic);
    }
    sub = rig_subscribe(rig, "root/");
    for (int i = 0; i < TIMES; i++) {
        snprintf(child, sizeof child, "c%d", i);
        rig_submit(rig, "root", child, "echo", "the first words");
        if (i == 0)
            rig_runner_up(rig);
        else
            rig_runner_again(rig, 0);
        is_heard_from_the_first_word(sub, child);
        rig_runner_end(rig, 0, SIGTERM);
    }
    rig_sub_close(&sub);
    rig_sub_close(&others);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(what_a_run_says_first_is_heard_in_the_moment_of_linking,
                                    rig_without_runner, rig_away),
};

RZ_FACTS(tests)
