/* test_pictures.c - the pictures in ARCHITECTURE.md, "State machines", against the tables in the code: every edge
 * stands in both, so a forgotten one fails, on whichever side.
 *
 * A picture is the first mermaid block behind "### <title>", with one line for every pair of states and action,
 *     FROM --> TO : EVENT, EVENT / ACTION
 * `[*] --> STATE` where a life begins and `STATE --> [*]` where nothing can happen any more. When a picture is wrong
 * the fact prints what the table says, ready to be pasted. */
#include "course.h"
#include "duty.h"
#include "facts.h"
#include "freeze.h"
#include "phase.h"
#include "pool_entry.h"
#include "worker_life.h"

#include <stdbool.h>
#include <stdlib.h>

#define STATES_MAX 16
#define EVENTS_MAX 32

/* One table, asked through its feed function. */
typedef struct {
    const char *title;
    int states, events; /* state 0 is the first of every life */
    const char *(*state_name)(int state);
    const char *(*event_name)(int event);
    /* The action's name, and *state the one after it; NULL: the event means nothing here. */
    const char *(*feed)(int *state, int event);
} machine_t;

typedef struct {
    int next;
    const char *action; /* NULL: no edge */
} edge_t;

typedef struct {
    edge_t edges[STATES_MAX][EVENTS_MAX];
    char actions[STATES_MAX * EVENTS_MAX][32]; /* owns the names of the edges that were read */
    size_t count;
    int begins;
    bool ends[STATES_MAX];
} picture_t;

/* ---- the tables ---- */

static const char *activation_state(int state)
{
    return course_state_name((course_state_t)state);
}

static const char *activation_event(int event)
{
    return course_event_name((course_event_t)event);
}

static const char *activation_feed(int *state, int event)
{
    course_t course = { .state = (course_state_t)*state };
    course_action_t action = course_feed(&course, (course_event_t)event);
    *state = (int)course.state;
    return action == DO_NOTHING ? NULL : course_action_name(action);
}

static const char *worker_state_text(int state)
{
    return worker_state_name((worker_state_t)state);
}

static const char *worker_event_text(int event)
{
    return worker_event_name((worker_event_t)event);
}

static const char *worker_feed(int *state, int event)
{
    worker_state_t life = (worker_state_t)*state;
    worker_action_t action = worker_life_feed(&life, (worker_event_t)event);
    *state = (int)life;
    return action == WORKER_DO_NOTHING ? NULL : worker_action_name(action);
}

static const char *entry_state_text(int state)
{
    return entry_state_name((entry_state_t)state);
}

static const char *entry_event_text(int event)
{
    return entry_event_name((entry_event_t)event);
}

static const char *entry_feed(int *state, int event)
{
    entry_state_t entry = (entry_state_t)*state;
    entry_action_t action = pool_entry_feed(&entry, (entry_event_t)event);
    *state = (int)entry;
    return action == ENTRY_DO_NOTHING ? NULL : entry_action_name(action);
}

static const char *phase_text(int state)
{
    return phase_name((phase_t)state);
}

static const char *phase_event_text(int event)
{
    return phase_event_name((phase_event_t)event);
}

static const char *phase_fed(int *state, int event)
{
    phase_t phase = (phase_t)*state;
    phase_action_t action = phase_feed(&phase, (phase_event_t)event);
    *state = (int)phase;
    return action == PHASE_DO_NOTHING ? NULL : phase_action_name(action);
}

static const char *duty_state_text(int state)
{
    return duty_state_name((duty_state_t)state);
}

static const char *duty_event_text(int event)
{
    return duty_event_name((duty_event_t)event);
}

static const char *duty_fed(int *state, int event)
{
    duty_t duty = { .state = (duty_state_t)*state };
    duty_action_t action = duty_feed(&duty, (duty_event_t)event);
    *state = (int)duty.state;
    return action == DUTY_NOTHING ? NULL : duty_action_name(action);
}

static const char *freeze_state_text(int state)
{
    return freeze_state_name((freeze_state_t)state);
}

static const char *freeze_event_text(int event)
{
    return freeze_event_name((freeze_event_t)event);
}

static const char *freeze_feed_text(int *state, int event)
{
    freeze_state_t freeze = (freeze_state_t)*state;
    freeze_action_t action = freeze_feed(&freeze, (freeze_event_t)event);
    *state = (int)freeze;
    return action == FREEZE_DO_NOTHING ? NULL : freeze_action_name(action);
}

static const machine_t runner = { "Runner", PHASES, PHASE_EVENTS, phase_text, phase_event_text, phase_fed };
static const machine_t freeze = { "Freeze",          FREEZE_STATES,     FREEZE_EVENTS,
                                  freeze_state_text, freeze_event_text, freeze_feed_text };
static const machine_t duty = { "Duty",          DUTY_STATE_COUNT, DUTY_EVENT_COUNT,
                                duty_state_text, duty_event_text,  duty_fed };
static const machine_t activation = { "Activation",     ACT_STATES,       ACT_EVENTS,
                                      activation_state, activation_event, activation_feed };
static const machine_t worker = { "Worker",          WORKER_STATES,     WORKER_EVENTS,
                                  worker_state_text, worker_event_text, worker_feed };
static const machine_t pool_entry = { "Pool entry",     ENTRY_STATES,     ENTRY_EVENTS,
                                      entry_state_text, entry_event_text, entry_feed };

static void table_of(const machine_t *machine, picture_t *out)
{
    assert_in_range(machine->states, 1, STATES_MAX);
    assert_in_range(machine->events, 1, EVENTS_MAX);
    for (int s = 0; s < machine->states; s++) {
        out->ends[s] = true;
        for (int e = 0; e < machine->events; e++) {
            edge_t *edge = &out->edges[s][e];
            edge->next = s;
            edge->action = machine->feed(&edge->next, e);
            out->ends[s] &= edge->action == NULL;
        }
    }
}

/* ---- reading a picture ---- */

static int number_of(const char *name, int count, const char *(*name_of)(int), const char *line)
{
    for (int i = 0; i < count; i++)
        if (strcmp(name, name_of(i)) == 0)
            return i;
    fail_msg("the code knows no %s: %s", name, line);
    return -1;
}

static void read_events(const machine_t *machine, picture_t *picture, int from, edge_t edge, char *events,
                        const char *line)
{
    for (char *rest = events, *name; (name = strtok_r(rest, ", ", &rest)) != NULL;) {
        int event = number_of(name, machine->events, machine->event_name, line);
        if (picture->edges[from][event].action != NULL)
            fail_msg("drawn twice: %s", line);
        picture->edges[from][event] = edge;
    }
}

static void read_line(const machine_t *machine, picture_t *picture, const char *line)
{
    char from[32], to[32], events[256], action[32];
    if (sscanf(line, " [*] --> %31[A-Z_]", to) == 1) {
        picture->begins = number_of(to, machine->states, machine->state_name, line);
    } else if (sscanf(line, " %31[A-Z_] --> [%1[*]]", from, to) == 2) {
        picture->ends[number_of(from, machine->states, machine->state_name, line)] = true;
    } else if (sscanf(line, " %31[A-Z_] --> %31[A-Z_] : %255[A-Z_, ] / %31[A-Z_]", from, to, events,
                      action) == 4) {
        char *kept = picture->actions[picture->count++];
        snprintf(kept, sizeof picture->actions[0], "%s", action);
        edge_t edge = { .next = number_of(to, machine->states, machine->state_name, line), .action = kept };
        read_events(machine, picture, number_of(from, machine->states, machine->state_name, line), edge,
                    events, line);
    } else if (strspn(line, " \n") != strlen(line) && strcmp(line, "stateDiagram-v2\n") != 0 &&
               strstr(line, "direction ") == NULL) {
        fail_msg("not understood in the picture of %s: %s", machine->title, line);
    }
}

static void picture_of(const machine_t *machine, picture_t *out)
{
    static const char path[] = RZ_SOURCE_DIR "/ARCHITECTURE.md";
    char line[512], heading[64];
    bool found = false, drawn = false, over = false;
    snprintf(heading, sizeof heading, "### %s\n", machine->title);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    out->begins = -1;
    while (!over && fgets(line, sizeof line, file) != NULL) {
        over = drawn && strcmp(line, "```\n") == 0;
        if (drawn && !over)
            read_line(machine, out, line);
        drawn |= found && strcmp(line, "```mermaid\n") == 0;
        found |= strcmp(line, heading) == 0;
    }
    fclose(file);
    if (!over)
        fail_msg("%s has no picture of %s", path, machine->title);
}

/* ---- comparing ---- */

static bool same_edge(const edge_t *a, const edge_t *b)
{
    if (a->action == NULL || b->action == NULL)
        return a->action == b->action;
    return a->next == b->next && strcmp(a->action, b->action) == 0;
}

static bool is_first_of_its_kind(const picture_t *table, int state, int event)
{
    for (int e = 0; e < event; e++)
        if (same_edge(&table->edges[state][e], &table->edges[state][event]))
            return false;
    return true;
}

static void print_edge(const machine_t *machine, const picture_t *table, int s, int first)
{
    const edge_t *edge = &table->edges[s][first];
    print_error("    %s --> %s : %s", machine->state_name(s), machine->state_name(edge->next),
                machine->event_name(first));
    for (int e = first + 1; e < machine->events; e++)
        if (same_edge(edge, &table->edges[s][e]))
            print_error(", %s", machine->event_name(e));
    print_error(" / %s\n", edge->action);
}

static void print_table(const machine_t *machine, const picture_t *table)
{
    print_error("the table of %s says:\n    [*] --> %s\n", machine->title, machine->state_name(0));
    for (int s = 0; s < machine->states; s++) {
        for (int e = 0; e < machine->events; e++)
            if (table->edges[s][e].action != NULL && is_first_of_its_kind(table, s, e))
                print_edge(machine, table, s, e);
        if (table->ends[s])
            print_error("    %s --> [*]\n", machine->state_name(s));
    }
}

static int differences(const machine_t *machine, const picture_t *table, const picture_t *picture)
{
    int wrong = picture->begins != 0;
    for (int s = 0; s < machine->states; s++) {
        wrong += table->ends[s] != picture->ends[s];
        for (int e = 0; e < machine->events; e++) {
            const edge_t *said = &table->edges[s][e], *drawn = &picture->edges[s][e];
            if (same_edge(said, drawn))
                continue;
            wrong++;
            print_error("%s + %s: %s -> %s by the table, %s -> %s in the picture\n", machine->state_name(s),
                        machine->event_name(e), said->action != NULL ? said->action : "nothing",
                        machine->state_name(said->next), drawn->action != NULL ? drawn->action : "nothing",
                        machine->state_name(drawn->action != NULL ? drawn->next : s));
        }
    }
    return wrong;
}

static void the_picture_is_the_table(const machine_t *machine)
{
    static picture_t table, picture; /* large */
    table = picture = (picture_t){ 0 };
    table_of(machine, &table);
    picture_of(machine, &picture);
    if (differences(machine, &table, &picture) == 0)
        return;
    print_table(machine, &table);
    fail_msg("ARCHITECTURE.md draws another %s than the code has", machine->title);
}

static void the_picture_of_a_runner_is_its_table(void **state)
{
    (void)state;
    the_picture_is_the_table(&runner);
}

static void the_picture_of_an_activation_is_its_table(void **state)
{
    (void)state;
    the_picture_is_the_table(&activation);
}

static void the_picture_of_a_worker_is_its_table(void **state)
{
    (void)state;
    the_picture_is_the_table(&worker);
}

static void the_picture_of_a_pool_entry_is_its_table(void **state)
{
    (void)state;
    the_picture_is_the_table(&pool_entry);
}

static void the_picture_of_a_freeze_is_its_table(void **state)
{
    (void)state;
    the_picture_is_the_table(&freeze);
}

static void the_picture_of_a_duty_is_its_table(void **state)
{
    (void)state;
    the_picture_is_the_table(&duty);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_picture_of_a_runner_is_its_table),
    cmocka_unit_test(the_picture_of_an_activation_is_its_table),
    cmocka_unit_test(the_picture_of_a_worker_is_its_table),
    cmocka_unit_test(the_picture_of_a_pool_entry_is_its_table),
    cmocka_unit_test(the_picture_of_a_freeze_is_its_table),
    cmocka_unit_test(the_picture_of_a_duty_is_its_table),
};
RZ_FACTS(tests)
