/* version.h - which version of the protocol two programs speak with each other (proto/README.md, 2).
 *
 * Each speaks a range, RZ_PROTOCOL_MIN to RZ_PROTOCOL_VERSION on our side; they use the highest that both have. Versions of
 * a peer are as it sent them, so anything up to 2^53. */
#pragma once

#include "base/json.h"
#include "base/limits.h"

/* 0: none. highest 0: the peer named one version only, `lowest`. */
uint32_t rz_version_common(uint64_t lowest, uint64_t highest);

/* When there is none: a sentence with both ranges that says who must be upgraded. them, us: "client", "broker". */
#define RZ_VERSION_TEXT_MAX 192
void rz_version_clash(uint64_t lowest, uint64_t highest, const char *them, const char *us,
                      char out[RZ_VERSION_TEXT_MAX]);
/* RZ_BAD_VERSION at the field "v", with that sentence. */
rz_rc_t rz_version_check(uint64_t lowest, uint64_t highest, const char *them, const char *us, rz_err_t *err);
