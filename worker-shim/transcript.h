/* transcript.h - what a program says on stdout, line by line: events, tokens and a result.
 *
 * A line that is one strict JSON object with a string `type` is an event as it stands, except
 * {"type":"result","text":...}, which sets the result. An object without one whose `kind` is "terminal" ends a
 * run, where that is listened to (terminal.h). Any other line is a token. What was meant as JSON and is none, and a
 * result without a text, is told as what it is. Knows no process. */
#pragma once

#include "base/buf.h"
#include "base/limits.h"

#define LINE_MAX_BYTES RZ_EVENT_MAX       /* of one line without its newline            */
#define TEXT_KEPT_MAX  ((size_t)1 << 20)  /* of the token text that stands for a result */
#define TOKEN_MAX      ((size_t)32 << 10) /* escaped sixfold it still fits into RZ_EVENT_MAX */

/* Zero-initialise and set the callbacks and arg; end with transcript_fini(). */
typedef struct {
    void (*event)(void *arg, rz_str_t event);   /* one JSON object, lent                              */
    void (*terminal)(void *arg, rz_str_t line); /* the same; NULL: such a line is a token             */
    /* Before a line is taken as a token although it begins with "{", or a result as an event; NULL: nobody asks. */
    void (*malformed)(void *arg, const rz_err_t *why);
    void *arg;
    rz_buf_t line;     /* private: an unfinished line                                                 */
    rz_buf_t scratch;  /* private: an event being written                                             */
    rz_buf_t text;     /* private: all token text, up to TEXT_KEPT_MAX                                */
    uint64_t text_cut; /* private: bytes of token text that were left out                             */
    rz_buf_t result;   /* private: the result as a raw JSON string, empty when none was given         */
} transcript_t;

/* RZ_TOO_LARGE: a line is longer than LINE_MAX_BYTES; what follows is not looked at. */
rz_rc_t transcript_feed(transcript_t *transcript, const char *bytes, size_t n);
/* No more will come: what stands without a newline is a line too. */
void transcript_end(transcript_t *transcript);
/* Another run begins: text and result of the one before are forgotten, an unfinished line is not. */
void transcript_begin(transcript_t *transcript);
/* Appends the result as a raw JSON string: what was given, else all token text. */
void transcript_result(const transcript_t *transcript, rz_buf_t *json);
void transcript_fini(transcript_t *transcript);
