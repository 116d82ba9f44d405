/* A libcrypto without one algorithm, to be preloaded: what $MISSING_ALGORITHM names can't be fetched, as where it was built
   without it, or configured to have only a provider that lacks it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <strings.h>

typedef void *fetch(void *, const char *, const char *);

static void *fetched(const char *function, void *library, const char *name, const char *properties) {
    const char *missing = getenv("MISSING_ALGORITHM");
    if (missing && name && strcasecmp(name, missing) == 0) return 0;
    fetch *real = (fetch *)dlsym(RTLD_NEXT, function);
    return real ? real(library, name, properties) : 0;
}

#define FETCH(FUNCTION) \
    void *FUNCTION(void *library, const char *name, const char *properties) { \
        return fetched(#FUNCTION, library, name, properties); \
    }

FETCH(EVP_MD_fetch)
FETCH(EVP_MAC_fetch)
FETCH(EVP_KDF_fetch)
FETCH(EVP_CIPHER_fetch)
FETCH(EVP_SIGNATURE_fetch)
