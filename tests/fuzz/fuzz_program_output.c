/* fuzz_program_output.c - what a program writes to its stdout: whole or in pieces it means the same, every event is
 * one JSON object, and a terminal that is understood can be written as a frame. */
#include "fuzz.h"
#include "terminal.h"
#include "transcript.h"

#include <string.h>

static void on_event(void *arg, rz_str_t event)
{
    MUST(rz_json_check(event.p, event.n, RZ_EVENT_MAX, NULL) == RZ_OK);
    MUST(rz_json_kind(rz_json_member(event, "type")) == '"');
    rz_buf_put_str(arg, event);
    rz_buf_putc(arg, '\n');
}

static void on_terminal(void *arg, rz_str_t line)
{
    terminal_t terminal;
    rz_buf_t frame = { 0 };
    rz_child_frame_t again;
    rz_buf_putc(arg, '!');
    if (terminal_decode(line, &terminal, NULL) != RZ_OK)
        return;
    rz_child_frame_encode(&terminal.frame, &frame);
    MUST(rz_child_frame_decode(frame.data, frame.len, &again, NULL) == RZ_OK);
    MUST(again.status == terminal.frame.status);
    rz_child_frame_fini(&again);
    rz_buf_fini(&frame);
    terminal_fini(&terminal);
}

/* Everything that is heard, and the result. */
static rz_buf_t hear(const char *bytes, size_t n, size_t step)
{
    rz_buf_t heard = { 0 };
    transcript_t t = { .event = on_event, .terminal = on_terminal, .arg = &heard };
    for (size_t at = 0; at < n; at += step)
        if (transcript_feed(&t, bytes + at, n - at < step ? n - at : step) != RZ_OK)
            break;
    transcript_end(&t);
    transcript_result(&t, &heard);
    transcript_fini(&t);
    return heard;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rz_buf_t whole = hear((const char *)data, size, size + 1);
    rz_buf_t pieces = hear((const char *)data, size, 3);
    MUST(whole.len == pieces.len && memcmp(whole.data, pieces.data, whole.len) == 0);
    rz_buf_fini(&whole);
    rz_buf_fini(&pieces);
    return 0;
}
