/* talk.c - a running program that is spoken with in JSON lines. */
#include "talk.h"

#include "base/log.h"
#include "base/timer.h"
#include "lasts.h"
#include "program.h"
#include "relay.h"
#include "transcript.h"

#include <stdio.h>
#include <string.h>

#define RETRY_MS 5 /* pause while the connection is behind */

struct talk {
    talk_listener_t listener;
    const char *command;
    program_t *program;
    transcript_t transcript;
    lasts_t lasts;
    rz_timer_t *retry;   /* reads on after the connection was behind                            */
    rz_timer_t *hangup;  /* it closed an end of a pipe: the time it has to follow by exiting    */
    const char *hung_up; /* which                                                               */
    char broken[80];     /* why we killed it; "" if we did not                                  */
    bool in_run;
    size_t unheard; /* of the bytes that we were handed last: not yet looked at           */
    size_t stale;   /* of the bytes to come: written before it knew of this run           */
    bool stray;     /* what was heard last belongs to no run                              */
    bool begun;     /* and was a line without its end                                     */
    bool told;      /* that something belongs to no run; once between two begins and ends */
    bool run_told;  /* the line of this run was written, or is about to be                */
    size_t behind;  /* bytes told behind it                                               */
    bool doubted;   /* that a line was malformed; once a run                              */
};

bool talk_is_broken(const talk_t *talk)
{
    return talk->broken[0] != '\0';
}

/* ---- what belongs to a run ---- */

/* One that does not was started for its run, and says nothing else, even if it speaks before it is told. */
static bool serves_many(const talk_t *talk)
{
    return talk->listener.on_terminal != NULL;
}

void talk_begin_run(talk_t *talk)
{
    talk->in_run = true;
    talk->told = false;
    talk->doubted = false;
    talk->run_told = false;
    talk->behind = 0;
    talk->stale = serves_many(talk) ? talk->unheard + program_unread(talk->program) : 0;
    transcript_begin(&talk->transcript);
}

void talk_end_run(talk_t *talk)
{
    talk->in_run = false;
    talk->told = false;
    lasts_clear(&talk->lasts);
}

/* Before each piece of output, of one line at most: whose is it? What strays said is no part of a result. */
static void find_owner(talk_t *talk)
{
    bool stray = !talk->in_run || talk->stale > 0 || (talk->stray && talk->begun);
    if (talk->stray && !stray)
        transcript_begin(&talk->transcript);
    talk->stray = stray;
}

static bool belongs_to_run(talk_t *talk)
{
    if (!talk->stray)
        return true;
    if (!talk->told)
        rz_log_warn("output.dropped", "command=%s reason=\"it belongs to no run\"", talk->command);
    talk->told = true;
    return false;
}

static void on_event(void *arg, rz_str_t event)
{
    talk_t *talk = arg;
    if (belongs_to_run(talk))
        talk->listener.on_event(talk->listener.arg, event);
}

static void on_terminal(void *arg, rz_str_t line)
{
    talk_t *talk = arg;
    if (belongs_to_run(talk))
        talk->listener.on_terminal(talk->listener.arg, line);
}

/* Plain text may begin with "{" on every line: the first of a run is enough for whoever looks. */
static void on_malformed(void *arg, const rz_err_t *why)
{
    talk_t *talk = arg;
    if (!talk->stray && !talk->doubted)
        rz_log_warn("output.malformed", "command=%s rc=%s text=\"%s\"", talk->command, rz_rc_name(why->rc),
                    why->text);
    talk->doubted = talk->doubted || !talk->stray;
}

/* ---- what it says ---- */

static void read_on(talk_t *talk)
{
    if (talk->retry != NULL)
        rz_timer_stop(talk->retry);
    program_pause(talk->program, false);
}

static void slow_down(talk_t *talk)
{
    if (talk_is_broken(talk) || talk->listener.backlog(talk->listener.arg) <= BACKLOG_HIGH)
        return;
    program_pause(talk->program, true);
    rz_timer_start(talk->retry, RETRY_MS, 0);
}

static void on_retry(void *arg)
{
    talk_t *talk = arg;
    if (talk->listener.backlog(talk->listener.arg) > BACKLOG_HIGH)
        rz_timer_start(talk->retry, RETRY_MS, 0);
    else
        read_on(talk);
}

static void hear(talk_t *talk, const char *bytes, size_t n)
{
    find_owner(talk);
    talk->begun = bytes[n - 1] != '\n';
    talk->stale -= n < talk->stale ? n : talk->stale;
    if (transcript_feed(&talk->transcript, bytes, n) != RZ_TOO_LARGE)
        return;
    char reason[sizeof(talk->broken)];
    snprintf(reason, sizeof(reason), "wrote a line longer than %zu bytes (%s)", LINE_MAX_BYTES,
             rz_rc_name(RZ_TOO_LARGE));
    talk_break(talk, reason);
}

/* Line by line, as one may end a run, and what stands behind it is not the next one's. */
static void on_output(void *arg, const char *bytes, size_t n)
{
    talk_t *talk = arg;
    while (n > 0 && !talk_is_broken(talk)) {
        const char *newline = memchr(bytes, '\n', n);
        size_t part = newline != NULL ? (size_t)(newline - bytes) + 1 : n;
        talk->unheard = n - part;
        hear(talk, bytes, part);
        bytes += part;
        n -= part;
    }
    slow_down(talk);
}

static void on_diagnostics(void *arg, const char *bytes, size_t n)
{
    talk_t *talk = arg;
    relay_stderr(bytes, n);
    lasts_add(&talk->lasts, bytes, n);
}

/* ---- its end ---- */

static void describe_end(const talk_t *talk, const program_end_t *end, rz_buf_t *out)
{
    if (talk_is_broken(talk))
        rz_buf_puts(out, talk->broken);
    else if (end->signal != 0)
        rz_buf_printf(out, "was killed by signal %d", end->signal);
    else
        rz_buf_printf(out, "exited with status %d", end->status);
}

static void describe(const talk_t *talk, const program_end_t *end, rz_buf_t *out)
{
    if (end->exec_errno != 0) {
        rz_buf_printf(out, "cannot execute %s: %s", talk->command, strerror(end->exec_errno));
        return;
    }
    rz_buf_printf(out, "%s ", talk->command);
    describe_end(talk, end, out);
    rz_buf_t last_words = { 0 };
    lasts_text(&talk->lasts, &last_words);
    if (last_words.len > 0)
        rz_buf_printf(out, ": %s", last_words.data);
    rz_buf_fini(&last_words);
}

static void on_end(void *arg, const program_end_t *end)
{
    talk_t *talk = arg;
    if (talk->hangup != NULL)
        rz_timer_stop(talk->hangup);
    if (!talk_is_broken(talk)) {
        find_owner(talk);
        transcript_end(&talk->transcript);
    }
    bool clean = end->exec_errno == 0 && end->signal == 0 && end->status == 0 && !talk_is_broken(talk);
    rz_buf_t why = { 0 };
    describe(talk, end, &why);
    talk->listener.on_end(talk->listener.arg, clean, why.data);
    rz_buf_fini(&why);
}

static void on_hangup_over(void *arg)
{
    talk_t *talk = arg;
    if (!program_exited(talk->program))
        talk_break(talk, talk->hung_up);
}

/* Whoever exits closes its ends, too, and a little earlier: its status will say more than we could. */
static void on_hangup(void *arg, const char *what)
{
    talk_t *talk = arg;
    if (talk->hangup == NULL || talk->hung_up != NULL)
        return;
    talk->hung_up = what;
    rz_timer_start(talk->hangup, LINGER_MS, 0);
}

void talk_stop(talk_t *talk, uint64_t grace_ms)
{
    read_on(talk); /* so that the end of its output is seen */
    program_stop(talk->program, grace_ms);
}

void talk_break(talk_t *talk, const char *reason)
{
    if (!talk_is_broken(talk))
        snprintf(talk->broken, sizeof(talk->broken), "%s", reason);
    read_on(talk);
    program_kill(talk->program);
}

/* ---- what it is told ---- */

rz_rc_t talk_tell(talk_t *talk, rz_str_t line)
{
    rz_rc_t rc = program_write(talk->program, line);
    if (rc != RZ_OK)
        return rc;
    if (talk->run_told)
        talk->behind += line.n;
    talk->run_told = true;
    return RZ_OK;
}

bool talk_took_run(const talk_t *talk)
{
    return talk->run_told && program_untaken(talk->program) <= talk->behind;
}

void talk_result(const talk_t *talk, rz_buf_t *json)
{
    transcript_result(&talk->transcript, json);
}

/* ---- life ---- */

talk_t *talk_open(const setting_t *setting, const talk_listener_t *listener, rz_err_t *err)
{
    talk_t *talk = rz_alloc(sizeof(*talk));
    talk->listener = *listener;
    talk->command = setting->program.command;
    talk->transcript.event = on_event;
    talk->transcript.terminal = serves_many(talk) ? on_terminal : NULL;
    talk->transcript.malformed = on_malformed;
    talk->transcript.arg = talk;
    program_listener_t ears = { .on_output = on_output,
                                .on_diagnostics = on_diagnostics,
                                .on_hangup = on_hangup,
                                .on_end = on_end,
                                .arg = talk };
    talk->program = program_start(setting->loop, &setting->program, &ears, err);
    if (talk->program == NULL) {
        rz_free(talk);
        return NULL;
    }
    talk->retry = rz_timer_open(setting->loop, on_retry, talk);
    talk->hangup = serves_many(talk) ? rz_timer_open(setting->loop, on_hangup_over, talk) : NULL;
    return talk;
}

void talk_close(talk_t **talk_ref)
{
    talk_t *talk = *talk_ref;
    if (talk == NULL)
        return;
    *talk_ref = NULL;
    program_destroy(&talk->program);
    rz_timer_close(&talk->retry);
    rz_timer_close(&talk->hangup);
    transcript_fini(&talk->transcript);
    rz_buf_fini(&talk->lasts.bytes);
    rz_free(talk);
}
