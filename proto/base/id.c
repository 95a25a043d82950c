/* id.c - ids, tokens and digests. */
#include "base/id.h"
#include "base/limits.h"
#include "base/log.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static bool alnum(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool rz_id_valid(rz_str_t id)
{
    if (id.n < 1 || id.n > RZ_ID_MAX || !alnum(id.p[0]))
        return false;
    for (size_t i = 1; i < id.n; i++)
        if (!alnum(id.p[i]) && (id.p[i] == '\0' || strchr("._:-", id.p[i]) == NULL))
            return false;
    return true;
}

/* Without randomness or SHA-256 no fence holds: going on would be worse than stopping. */
static _Noreturn void no_crypto(const char *what)
{
    rz_log_error("crypto.failed", "what=%s errno=%d", what, errno);
    abort();
}

static void random_bytes(unsigned char *out, size_t n)
{
    while (n > 0) {
        ssize_t got = getrandom(out, n, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            no_crypto("getrandom");
        out += got;
        n -= (size_t)got;
    }
}

/* Writes 2n lower-case hex digits, no NUL; returns what is behind them. */
static char *put_hex(char *out, const unsigned char *bytes, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        *out++ = digits[bytes[i] >> 4];
        *out++ = digits[bytes[i] & 15];
    }
    return out;
}

void rz_token_new(char out[RZ_TOKEN_LEN + 1])
{
    unsigned char bytes[RZ_TOKEN_LEN / 2];
    random_bytes(bytes, sizeof(bytes));
    *put_hex(out, bytes, sizeof(bytes)) = '\0';
}

void rz_secret_new(char out[RZ_SECRET_LEN + 1])
{
    unsigned char bytes[RZ_SECRET_LEN / 2];
    random_bytes(bytes, sizeof(bytes));
    *put_hex(out, bytes, sizeof(bytes)) = '\0';
    rz_wipe(bytes, sizeof(bytes));
}

bool rz_secret_same(const char secret[RZ_SECRET_LEN + 1], rz_str_t shown)
{
    return shown.n == RZ_SECRET_LEN && CRYPTO_memcmp(secret, shown.p, RZ_SECRET_LEN) == 0;
}

void rz_uuid_new(char out[RZ_UUID_LEN + 1])
{
    static const size_t groups[] = { 4, 2, 2, 2, 6 };
    unsigned char bytes[16];
    random_bytes(bytes, sizeof(bytes));
    bytes[6] = (unsigned char)((bytes[6] & 0x0f) | 0x40); /* version 4 */
    bytes[8] = (unsigned char)((bytes[8] & 0x3f) | 0x80); /* RFC 4122 variant */
    const unsigned char *from = bytes;
    for (size_t i = 0; i < 5; from += groups[i++]) {
        out = put_hex(out, from, groups[i]);
        *out++ = '-';
    }
    out[-1] = '\0';
}

struct rz_digest {
    EVP_MD_CTX *sha256;
};

rz_digest_t *rz_digest_create(void)
{
    rz_digest_t *digest = rz_alloc(sizeof(*digest));
    digest->sha256 = EVP_MD_CTX_new();
    if (digest->sha256 == NULL || EVP_DigestInit_ex(digest->sha256, EVP_sha256(), NULL) != 1)
        no_crypto("sha256 init");
    return digest;
}

static void feed(rz_digest_t *digest, const void *bytes, size_t n)
{
    if (EVP_DigestUpdate(digest->sha256, bytes, n) != 1)
        no_crypto("sha256 update");
}

void rz_digest_add(rz_digest_t *digest, const void *bytes, size_t n)
{
    uint64_t length = bytes != NULL ? (uint64_t)n : UINT64_MAX;
    unsigned char head[8];
    for (int i = 0; i < 8; i++)
        head[i] = (unsigned char)(length >> (56 - 8 * i));
    feed(digest, head, sizeof(head));
    if (bytes != NULL && n > 0)
        feed(digest, bytes, n);
}

void rz_digest_add_text(rz_digest_t *digest, const char *text)
{
    rz_digest_add(digest, text, text != NULL ? strlen(text) : 0);
}

void rz_digest_hex(rz_digest_t **digest, char out[RZ_DIGEST_LEN + 1])
{
    unsigned char bytes[RZ_DIGEST_LEN / 2];
    if (EVP_DigestFinal_ex((*digest)->sha256, bytes, NULL) != 1)
        no_crypto("sha256 final");
    *put_hex(out, bytes, sizeof(bytes)) = '\0';
    EVP_MD_CTX_free((*digest)->sha256);
    rz_free(*digest);
    *digest = NULL;
}
