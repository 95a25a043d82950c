/* test_crew.c - the crew with real workers and nothing else: what cannot be arranged through a whole runner, because it
 * must happen between two turns of the loop. The rules of the pool end to end are in tests/integration/test_pool.c. */
#include "crew.h"
#include "facts.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_MS 20000
#define KEY         "key-of-the-test"

typedef struct {
    char dir[32];
    uv_loop_t loop;
    uv_timer_t pace; /* so that a turn of the loop never waits for long */
    settings_t settings;
    rz_ws_context_t *ws;
    fabric_t *fabric;
    tree_t *tree;
    crew_t *crew;
    seeker_t seeker;
    worker_t *served; /* by on_worker */
    int spawns;
    int mute; /* so many of them are of a program that never registers */
    bool empty;
} stage_t;

static stage_t stage;

/* ---- what the crew asks and tells ---- */

static rz_rc_t on_spawn(void *user, worker_t **out, rz_err_t *err, void *arg)
{
    (void)user;
    (void)arg;
    char program[512];
    snprintf(program, sizeof program, "%s/rhizome-worker", getenv("RZ_BIN_DIR"));
    char *worker[] = { program, NULL }, *mute[] = { "/bin/sleep", "1000", NULL }, *envp[] = { NULL };
    rz_provision_t provision = { .version = 1,
                                 .child_id = "ch-1",
                                 .parent_id = "root",
                                 .role = "worker",
                                 .executor = RZ_EXECUTOR_ECHO,
                                 .reusable = true };
    worker_plan_t plan = { .argv = stage.spawns < stage.mute ? mute : worker,
                           .envp = envp,
                           .provision = &provision,
                           .pool_key = KEY,
                           .affinity = "a",
                           .credential = "secret-of-today" };
    stage.spawns++;
    return crew_spawn(stage.crew, &plan, out, err);
}

static void on_worker(void *user, worker_t *worker, void *arg)
{
    (void)user;
    (void)arg;
    stage.served = worker;
}

static void on_none(void *user, worker_failure_t failure, const char *reason, void *arg)
{
    (void)user;
    (void)failure;
    (void)arg;
    fail_msg("no worker: %s", reason);
}

static void on_frame(void *user, const char *bytes, size_t len, void *arg)
{
    (void)user;
    (void)bytes;
    (void)len;
    (void)arg;
}

static void on_lost(void *user, const char *reason, void *arg)
{
    (void)user;
    (void)arg;
    fail_msg("a run lost its worker: %s", reason);
}

static void on_stderr(void *user, const char *bytes, size_t n, void *arg)
{
    (void)user;
    (void)arg;
    print_message("%.*s", (int)n, bytes);
}

static void on_idle(void *arg)
{
    (void)arg;
}

static void on_empty(void *arg)
{
    (void)arg;
    stage.empty = true;
}

static const crew_events_t events = { .on_spawn = on_spawn,
                                      .on_worker = on_worker,
                                      .on_none = on_none,
                                      .on_frame = on_frame,
                                      .on_lost = on_lost,
                                      .on_stderr = on_stderr,
                                      .on_idle = on_idle,
                                      .on_empty = on_empty };

/* ---- the stage ---- */

static void on_pace(uv_timer_t *timer)
{
    (void)timer;
}

static int stage_up(void **state)
{
    (void)state;
    rz_err_t err = { 0 };
    stage = (stage_t){ .settings = { .slots = 8,
                                     .idle_per_key = 4,
                                     .idle_max_total = 8,
                                     .idle_secs = 300,
                                     .register_ms = PATIENCE_MS } };
    snprintf(stage.dir, sizeof stage.dir, "/tmp/rz-crew-XXXXXX");
    assert_non_null(mkdtemp(stage.dir));
    uv_loop_init(&stage.loop);
    uv_timer_init(&stage.loop, &stage.pace);
    uv_timer_start(&stage.pace, on_pace, 10, 10);
    stage.ws = rz_ws_context_open(&stage.loop, &err);
    stage.fabric = fabric_open(stage.dir, &stage.settings.confinement, &err);
    assert_true(stage.ws != NULL && stage.fabric != NULL);
    stage.tree = tree_open(&(tree_options_t){ .wish = TREE_OFF }, &err);
    stage.crew = crew_open(&stage.loop, stage.ws, stage.fabric, stage.tree, &stage.settings, &events, NULL);
    stage.seeker = (seeker_t){ .pool_key = KEY, .user = &stage };
    return 0;
}

/* One turn; false when it took too long altogether. */
static bool turn(uint64_t deadline_ms)
{
    uv_run(&stage.loop, UV_RUN_ONCE);
    crew_turn(stage.crew);
    return uv_now(&stage.loop) < deadline_ms;
}

static int stage_down(void **state)
{
    (void)state;
    uint64_t deadline_ms = uv_now(&stage.loop) + PATIENCE_MS;
    crew_stop(stage.crew, WORKER_KILL);
    while (!stage.empty && turn(deadline_ms)) {}
    assert_true(stage.empty);
    uv_close((uv_handle_t *)&stage.pace, NULL);
    rz_ws_context_close(&stage.ws);
    uv_run(&stage.loop, UV_RUN_DEFAULT);
    crew_close(&stage.crew);
    tree_close(&stage.tree);
    fabric_close(&stage.fabric);
    assert_int_equal(uv_loop_close(&stage.loop), 0);
    return rmdir(stage.dir);
}

/* The worker that it waits for after this turn. */
static worker_t *wait_for_one(seeker_t *seeker)
{
    assert_null(crew_seek(stage.crew, seeker));
    crew_turn(stage.crew);
    assert_non_null(seeker->coming);
    return seeker->coming;
}

static worker_t *await_served(void)
{
    uint64_t deadline_ms = uv_now(&stage.loop) + PATIENCE_MS;
    while (stage.served == NULL && turn(deadline_ms)) {}
    assert_non_null(stage.served);
    return stage.served;
}

static worker_t *seek(void)
{
    stage.served = crew_seek(stage.crew, &stage.seeker);
    return await_served();
}

static double idle(void)
{
    cJSON *counts = crew_idle(stage.crew);
    double n = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(counts, "a"));
    cJSON_Delete(counts);
    return n >= 1 ? n : 0; /* NaN: none */
}

static void park(worker_t *worker)
{
    crew_give_back(stage.crew, worker);
    crew_turn(stage.crew);
    assert_int_equal(idle(), 1);
}

/* ---- facts ---- */

static void a_parked_worker_serves_the_next_run(void **state)
{
    (void)state;
    worker_t *worker = seek();
    park(worker);
    assert_ptr_equal(crew_seek(stage.crew, &stage.seeker), worker);
    assert_int_equal(worker_runs(worker), 2);
    assert_int_equal(stage.spawns, 1);
}

static void a_worker_found_dead_at_checkout_is_replaced(void **state)
{
    (void)state;
    siginfo_t info;
    worker_t *worker = seek();
    int dead = worker_pid(worker);
    park(worker);
    kill(dead, SIGKILL); /* the loop hears nothing of it before the next run asks */
    assert_int_equal(waitid(P_PID, (id_t)dead, &info, WEXITED | WNOWAIT), 0);
    assert_int_not_equal(worker_pid(seek()), dead);
    assert_int_equal(stage.spawns, 2);
}

static void a_worker_that_died_in_the_turn_in_which_its_run_ended_is_not_parked(void **state)
{
    (void)state;
    siginfo_t info;
    worker_t *worker = seek();
    int dead = worker_pid(worker);
    kill(dead, SIGKILL);
    assert_int_equal(waitid(P_PID, (id_t)dead, &info, WEXITED | WNOWAIT), 0);
    crew_give_back(stage.crew, worker);
    crew_turn(stage.crew);
    assert_int_equal(idle(), 0);
}

static bool has_credential(const worker_t *worker, void *arg)
{
    return strcmp(worker_credential(worker), arg) == 0;
}

static void who_has_an_old_credential_retires_when_idle_and_no_other(void **state)
{
    (void)state;
    worker_t *worker = seek();
    park(worker);
    crew_retire_idle(stage.crew, has_credential, "that of another");
    assert_int_equal(idle(), 1);
    crew_retire_idle(stage.crew, has_credential, "secret-of-today");
    assert_int_equal(idle(), 0);
    assert_int_equal(worker_state(worker), WORKER_RETIRING);
}

static void who_has_an_old_credential_finishes_its_run_and_serves_no_other(void **state)
{
    (void)state;
    worker_t *worker = seek();
    crew_retire_idle(stage.crew, has_credential, "secret-of-today");
    assert_int_equal(worker_state(worker), WORKER_BUSY);
    crew_give_back(stage.crew, worker);
    crew_turn(stage.crew);
    assert_int_equal(idle(), 0);
    assert_int_equal(worker_state(worker), WORKER_RETIRING);
}

static void a_run_that_adopted_a_worker_gets_its_own_when_that_one_fails(void **state)
{
    (void)state;
    seeker_t next = { .pool_key = KEY, .user = &next };
    stage.mute = 1;
    worker_t *mute = wait_for_one(&stage.seeker);
    crew_withdraw(stage.crew, &stage.seeker);
    assert_ptr_equal(wait_for_one(&next), mute);
    assert_int_equal(stage.spawns, 1);
    kill(worker_pid(mute), SIGKILL);
    await_served(); /* on_none() would fail it */
    assert_int_equal(stage.spawns, 2);
}

static void who_waits_for_a_worker_with_an_old_credential_gets_a_new_one(void **state)
{
    (void)state;
    worker_t *old = wait_for_one(&stage.seeker);
    int pid = worker_pid(old);
    crew_retire_idle(stage.crew, has_credential, "secret-of-today");
    assert_false(worker_is_coming(old));
    assert_int_not_equal(worker_pid(await_served()), pid);
    assert_int_equal(stage.spawns, 2);
}

static void nobodys_worker_on_the_way_with_an_old_credential_is_not_parked(void **state)
{
    (void)state;
    worker_t *old = wait_for_one(&stage.seeker);
    crew_withdraw(stage.crew, &stage.seeker);
    assert_true(worker_is_coming(old));
    crew_retire_idle(stage.crew, has_credential, "secret-of-today");
    assert_false(worker_is_coming(old));
}

static void what_is_told_to_a_worker_that_must_go_is_refused(void **state)
{
    (void)state;
    static const char cancel[] = "{\"kind\":\"cancel\"}";
    worker_t *worker = seek();
    assert_int_equal(worker_send(worker, cancel, sizeof cancel - 1), RZ_OK);
    crew_discard(worker, WORKER_TERMINATE);
    assert_int_equal(worker_send(worker, cancel, sizeof cancel - 1), RZ_CLOSED);
}

/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(a_parked_worker_serves_the_next_run, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_worker_found_dead_at_checkout_is_replaced, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_worker_that_died_in_the_turn_in_which_its_run_ended_is_not_parked, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(who_has_an_old_credential_retires_when_idle_and_no_other, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(who_has_an_old_credential_finishes_its_run_and_serves_no_other, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_run_that_adopted_a_worker_gets_its_own_when_that_one_fails, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(who_waits_for_a_worker_with_an_old_credential_gets_a_new_one, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(nobodys_worker_on_the_way_with_an_old_credential_is_not_parked, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(what_is_told_to_a_worker_that_must_go_is_refused, stage_up, stage_down),
};
/* clang-format on */
RZ_FACTS(tests)
