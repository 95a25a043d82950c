/* limits.h - the named bounds: what is larger is refused by name, not truncated.
 * These are defaults and ceilings of the wire; a configuration may set some of them lower (config keys
 * "limits.*"), never higher. */
#pragma once

#define RZ_PROTOCOL_VERSION  2                   /* control and broker<->runner: the newest spoken     */
#define RZ_PROTOCOL_MIN      1                   /* and the oldest: the one before                     */
#define RZ_EVENT_VERSION     1                   /* event header `v`                                   */
#define RZ_ID_MAX            128                 /* bytes of an id: [A-Za-z0-9][A-Za-z0-9._:-]{0,127}  */
#define RZ_JOB_MAX           ((size_t)1 << 20)   /* a spawn job without its session, bytes of JSON     */
#define RZ_SESSION_MAX       ((size_t)8 << 20)   /* a session, bytes of JSON                           */
#define RZ_FRAME_MAX         ((size_t)16 << 20)  /* a WebSocket protocol frame (rule 3.3)              */
#define RZ_FRAME_WALL        4                   /* times what a socket takes: so far refused by name  */
#define RZ_EVENT_MAX         ((size_t)256 << 10) /* one worker event, bytes of JSON                    */
#define RZ_PROVISION_MAX     ((size_t)8 << 20)   /* the document on a worker's stdin (rule 1.1)        */
#define RZ_JSON_DEPTH_MAX    64
#define RZ_QUEUE_MAX         1000000 /* queued activations                                 */
#define RZ_LOGGED_EVENTS_MAX 10000   /* durable events kept per child                      */
#define RZ_BATCH_ITEMS_MAX   64      /* elements of one store call                         */
#define RZ_BATCH_BYTES_MAX   ((size_t)256 << 10)
#define RZ_PARTS_MAX         144                 /* frames of one ZeroMQ message                       */
#define RZ_TEXT_MAX          ((size_t)256 << 10) /* a steering message                                 */
#define RZ_NAME_MAX          256                 /* model, provider, tool and other short names, bytes */
#define RZ_STDERR_KEPT       ((size_t)64 << 10)  /* worker stderr kept per child, for `logs`           */
#define RZ_LIST_MAX          256                 /* entries of disabled_tools, labels                  */
