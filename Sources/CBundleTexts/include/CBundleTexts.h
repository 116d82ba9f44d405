#ifndef EVIDENCED_CBUNDLETEXTS_H
#define EVIDENCED_CBUNDLETEXTS_H

#include <stddef.h>

/// A text embedded in the program.
struct evidenced_text {
    const unsigned char *_Nonnull bytes;
    size_t count;
};

/// Sources/Bundle/Page/index.html
struct evidenced_text evidenced_bundle_page(void);

/// Sources/Bundle/VERIFY.txt
struct evidenced_text evidenced_bundle_instructions(void);

#endif
