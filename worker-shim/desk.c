/* desk.c - one run at a time. */
#include "desk.h"

#include "base/log.h"

#include <string.h>

struct desk {
    const executor_t *executor;
    const setting_t *setting;
    desk_port_t port;
    execution_t *active;  /* NULL when idle                                        */
    bool active_silent;   /* its connection is gone: send nothing                  */
    bool starting;        /* inside the executor's start: finish must not destroy  */
    bool finished;        /* finish came while starting                            */
    char *waiting;        /* the run frame that follows the active run, or NULL    */
    size_t waiting_len;   /* bytes of it                                           */
    bool waiting_stopped; /* it was cancelled before it began                      */
    rz_buf_t out;         /* scratch for frames                                    */
};

desk_t *desk_create(const executor_t *executor, const setting_t *setting, const desk_port_t *port)
{
    desk_t *desk = rz_alloc(sizeof(*desk));
    desk->executor = executor;
    desk->setting = setting;
    desk->port = *port;
    return desk;
}

void desk_destroy(desk_t **desk)
{
    if (*desk == NULL)
        return;
    (*desk)->executor->destroy(&(*desk)->active);
    rz_free((*desk)->waiting);
    rz_buf_fini(&(*desk)->out);
    rz_free(*desk);
    *desk = NULL;
}

bool desk_idle(const desk_t *desk)
{
    return desk->active == NULL && desk->waiting == NULL;
}

static void send_terminal(desk_t *desk, const outcome_t *outcome)
{
    rz_child_frame_t frame = { .kind = RZ_CHILD_TERMINAL,
                               .status = outcome->status,
                               .result = outcome->result,
                               .error = outcome->error };
    rz_buf_clear(&desk->out);
    rz_child_frame_encode(&frame, &desk->out);
    desk->port.send(desk->port.arg, rz_buf_str(&desk->out));
}

static void send_cancelled(desk_t *desk)
{
    outcome_t outcome = { .status = RZ_WORKER_CANCELLED };
    send_terminal(desk, &outcome);
}

/* ---- what the active execution says ---- */

static void on_event(void *arg, rz_str_t event)
{
    desk_t *desk = arg;
    if (desk->active_silent)
        return;
    rz_buf_clear(&desk->out);
    rz_child_event_encode(event, &desk->out);
    desk->port.send(desk->port.arg, rz_buf_str(&desk->out));
}

static size_t on_backlog(void *arg)
{
    desk_t *desk = arg;
    return desk->active_silent ? 0 : desk->port.backlog(desk->port.arg);
}

static void begin_waiting(desk_t *desk);

static void on_finish(void *arg, const outcome_t *outcome)
{
    desk_t *desk = arg;
    if (!desk->active_silent)
        send_terminal(desk, outcome);
    if (desk->starting) {
        desk->finished = true;
        return;
    }
    desk->executor->destroy(&desk->active);
    begin_waiting(desk);
}

/* ---- what the parent says ---- */

static void begin(desk_t *desk, const rz_parent_frame_t *run, rz_str_t frame)
{
    sink_t sink = { .event = on_event, .finish = on_finish, .backlog = on_backlog, .arg = desk };
    desk->active = desk->executor->create(desk->setting, &sink);
    desk->active_silent = false;
    desk->finished = false;
    desk->starting = true;
    desk->executor->start(desk->active, run, frame);
    desk->starting = false;
    if (desk->finished)
        desk->executor->destroy(&desk->active);
}

/* Loops instead of recursing: a waiting run may finish within its start and another may have come meanwhile.
 */
static void begin_waiting(desk_t *desk)
{
    while (desk->active == NULL && desk->waiting != NULL) {
        char *bytes = desk->waiting;
        size_t len = desk->waiting_len;
        desk->waiting = NULL;
        rz_parent_frame_t run;
        if (desk->waiting_stopped)
            send_cancelled(desk);
        else if (rz_parent_frame_decode(bytes, len, &run, NULL) == RZ_OK) {
            begin(desk, &run, (rz_str_t){ bytes, len });
            rz_parent_frame_fini(&run);
        }
        rz_free(bytes);
    }
}

static void cancel_active(desk_t *desk)
{
    if (desk->active != NULL)
        desk->executor->cancel(desk->active);
}

static void take_run(desk_t *desk, const rz_parent_frame_t *run, rz_str_t frame)
{
    if (desk_idle(desk)) {
        begin(desk, run, frame);
        return;
    }
    if (desk->waiting != NULL) /* a third run: the second never began, but it has its terminal too */
        send_cancelled(desk);
    rz_free(desk->waiting);
    desk->waiting = rz_strndup(frame.p, frame.n);
    desk->waiting_len = frame.n;
    desk->waiting_stopped = false;
    cancel_active(desk);
}

static void take_cancel(desk_t *desk)
{
    desk->waiting_stopped = true;
    cancel_active(desk);
}

static void take_message(desk_t *desk, const char *text)
{
    if (desk->active == NULL || desk->active_silent || desk->waiting != NULL)
        rz_log_warn("steering.dropped", "reason=no_active_run bytes=%zu", strlen(text));
    else
        desk->executor->steer(desk->active, text);
}

void desk_frame(desk_t *desk, const char *bytes, size_t len)
{
    rz_parent_frame_t frame;
    rz_err_t err = { 0 };
    if (rz_parent_frame_decode(bytes, len, &frame, &err) != RZ_OK) {
        rz_log_warn("frame.refused", "rc=%s text=\"%s\"", rz_rc_name(err.rc), err.text);
        return; /* a malformed parent frame is ignored (rule 0.2) */
    }
    switch (frame.kind) {
    case RZ_PARENT_RUN:
        take_run(desk, &frame, (rz_str_t){ bytes, len });
        break;
    case RZ_PARENT_CANCEL:
        take_cancel(desk);
        break;
    case RZ_PARENT_MESSAGE:
        take_message(desk, frame.text);
        break;
    case RZ_PARENT_APPROVAL_REPLY:
    case RZ_PARENT_SUBAGENT_REPLY: /* we never ask */
    case RZ_PARENT_OTHER:
        rz_log_debug("frame.ignored", "kind=%s", frame.kind_name);
        break;
    }
    rz_parent_frame_fini(&frame);
}

void desk_disconnected(desk_t *desk)
{
    rz_free(desk->waiting);
    desk->waiting = NULL;
    desk->active_silent = true;
    cancel_active(desk);
}
