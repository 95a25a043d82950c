/* credentials.h - keys of model providers, from one private file on the runner's host (rules 1.6, 9.4).
 *
 *     { "anthropic":     { "api_key": "sk-..." },    // comments as in the configuration
 *       "5b0e-instance": { "api_key": "sk-...", "base_url": "https://llm.internal",
 *                          "provider_type": "openai" } }
 *
 * The file must be the runner's alone (private_file.h) and have at most CREDENTIALS_BYTES_MAX. Stricter than
 * upstream: a blank key is an error, where upstream overlooks the provider. No value of the file ever stands
 * in a message of ours; what was read is wiped, what is kept is wiped when it is replaced. Loop thread only.
 */
#pragma once

#include "base/id.h"
#include "wire/provision.h"

#define CREDENTIALS_BYTES_MAX ((size_t)256 << 10)

typedef struct credentials credentials_t;

/* path "": no file is kept; nothing is ever found, and nothing is missed. NULL and err (field
 * "runner.credentials") when the file cannot be taken as it is. */
credentials_t *credentials_open(const char *path, rz_err_t *err);
void credentials_close(credentials_t **credentials);
bool credentials_kept(const credentials_t *credentials); /* there is a file */

/* NULL when there is none. Lent until credentials_refresh() says true. */
const rz_credential_t *credentials_find(const credentials_t *credentials, const char *provider);

/* Which credential a provider has, as a keyed digest that means something to this process alone; "" for none.
 * Lent like the credential. */
const char *credentials_version(const credentials_t *credentials, const char *provider);
/* True if what had this version is still as it was. "" is always current. */
bool credentials_current(const credentials_t *credentials, const char *version);

/* Reads the file again if it changed. True: so did a credential. A file that cannot be taken leaves all as it
 * is and is logged once. Call it every now and then: it costs one lstat. */
bool credentials_refresh(credentials_t *credentials);

cJSON *credentials_names(const credentials_t *credentials); /* gives: ["anthropic",...] */
