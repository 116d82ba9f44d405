#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/core_names.h>
#include <openssl/rand.h>
#include <openssl/crypto.h>
#include <openssl/params.h>

/// HKDF (RFC 5869), extract and expand. A parameter points to its name and its value, which as literals of C outlive it.
static inline int evidenced_hkdf(
    EVP_KDF_CTX *context, const char *digest, const void *key, size_t key_bytes, const void *salt, size_t salt_bytes,
    const void *info, size_t info_bytes, unsigned char *output, size_t output_bytes
) {
    OSSL_PARAM parameters[5], *next = parameters;
    *next++ = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)digest, 0);
    *next++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)key, key_bytes);
    if (salt_bytes > 0) *next++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)salt, salt_bytes);
    *next++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)info, info_bytes);
    *next = OSSL_PARAM_construct_end();
    return EVP_KDF_derive(context, output, output_bytes, parameters);
}
