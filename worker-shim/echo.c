/* echo.c - the echo executor: one token per word, then the words again as the result (rule 5).
 *
 * A short assignment is answered within the call that starts it. A long one is cut into turns, so that a
 * cancel can come between and a slow reader slows us down instead of filling our memory. */
#include "base/timer.h"
#include "executor.h"
#include "words.h"

#define WORDS_PER_TURN 256
#define RETRY_MS       2 /* pause while the connection is behind */

struct execution {
    uv_loop_t *loop;
    sink_t sink;
    rz_buf_t text;     /* the assignment                                         */
    rz_str_t rest;     /* what is not yet echoed; into text                      */
    rz_buf_t result;   /* "echo: " and the words so far                          */
    rz_buf_t event;    /* scratch                                                */
    rz_timer_t *timer; /* the delay, and the next turn; opened when first needed */
    bool has_delay;    /* the delay word has been found and is to be left out    */
    rz_str_t delay;    /* that word; into text                                   */
    size_t words;
};

static execution_t *echo_create(const setting_t *setting, const sink_t *sink)
{
    execution_t *echo = rz_alloc(sizeof(*echo));
    echo->loop = setting->loop;
    echo->sink = *sink;
    return echo;
}

static void echo_destroy(execution_t **execution)
{
    execution_t *echo = *execution;
    if (echo == NULL)
        return;
    rz_timer_close(&echo->timer);
    rz_buf_fini(&echo->text);
    rz_buf_fini(&echo->result);
    rz_buf_fini(&echo->event);
    rz_free(echo);
    *execution = NULL;
}

static void tell_word(execution_t *echo, rz_str_t word)
{
    /* The word with its trailing space is first put together behind the result, which needs the word anyway.
     */
    if (echo->words++ > 0)
        rz_buf_putc(&echo->result, ' ');
    size_t at = echo->result.len;
    rz_buf_put_str(&echo->result, word);
    rz_buf_putc(&echo->result, ' ');

    rz_buf_clear(&echo->event);
    rz_json_open(&echo->event, '{');
    rz_json_put_str(&echo->event, "type", "token");
    rz_json_put_strn(&echo->event, "content", echo->result.data + at, word.n + 1);
    rz_json_close(&echo->event, '}');
    echo->result.len--;
    echo->result.data[echo->result.len] = '\0';
    echo->sink.event(echo->sink.arg, rz_buf_str(&echo->event));
}

static void tell_end(execution_t *echo)
{
    echo->sink.event(echo->sink.arg, RZ_STR("{\"type\":\"complete\"}"));
    rz_buf_t *json = &echo->event;
    rz_buf_clear(json);
    rz_json_put_strn(json, NULL, echo->result.data, echo->result.len);
    outcome_t outcome = { .status = RZ_WORKER_COMPLETED, .result = rz_buf_str(json) };
    echo->sink.finish(echo->sink.arg, &outcome);
}

static void on_timer(void *arg);

static void later(execution_t *echo, uint64_t delay_ms)
{
    if (echo->timer == NULL)
        echo->timer = rz_timer_open(echo->loop, on_timer, echo);
    rz_timer_start(echo->timer, delay_ms, 0);
}

static void take_turn(execution_t *echo)
{
    rz_str_t word;
    for (size_t n = 0; n < WORDS_PER_TURN; n++) {
        if (!word_next(&echo->rest, &word)) {
            tell_end(echo);
            return;
        }
        if (!echo->has_delay || word.p != echo->delay.p)
            tell_word(echo, word);
    }
    later(echo, echo->sink.backlog(echo->sink.arg) > BACKLOG_HIGH ? RETRY_MS : 0);
}

static void on_timer(void *arg)
{
    take_turn(arg);
}

/* The first word that is a delay, wherever it stands. */
static bool find_delay(execution_t *echo, uint64_t *delay_ms)
{
    rz_str_t rest = echo->rest;
    while (word_next(&rest, &echo->delay))
        if (word_is_delay(echo->delay, delay_ms))
            return true;
    return false;
}

static void echo_start(execution_t *echo, const rz_parent_frame_t *run, rz_str_t frame)
{
    (void)frame;
    rz_json_unescape(run->assignment, &echo->text);
    echo->rest = rz_buf_str(&echo->text);
    rz_buf_puts(&echo->result, "echo: ");
    uint64_t delay_ms;
    echo->has_delay = find_delay(echo, &delay_ms);
    if (echo->has_delay)
        later(echo, delay_ms);
    else
        take_turn(echo);
}

static void echo_steer(execution_t *echo, const char *text)
{
    (void)echo;
    (void)text; /* echo ignores steering (rule 5) */
}

static void echo_cancel(execution_t *echo)
{
    if (echo->timer != NULL)
        rz_timer_stop(echo->timer);
    outcome_t outcome = { .status = RZ_WORKER_CANCELLED };
    echo->sink.finish(echo->sink.arg, &outcome);
}

const executor_t echo_executor = {
    .create = echo_create,
    .start = echo_start,
    .steer = echo_steer,
    .cancel = echo_cancel,
    .destroy = echo_destroy,
};
