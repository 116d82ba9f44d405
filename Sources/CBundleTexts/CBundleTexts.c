#include "CBundleTexts.h"

// Embedded by clang, which has #embed in every C: as an array literal of Swift, the page takes minutes to compile.
#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char page[] = {
#embed "../Bundle/Page/index.html"
};

static const unsigned char instructions[] = {
#embed "../Bundle/VERIFY.txt"
};

struct evidenced_text evidenced_bundle_page(void) {
    return (struct evidenced_text){page, sizeof page};
}

struct evidenced_text evidenced_bundle_instructions(void) {
    return (struct evidenced_text){instructions, sizeof instructions};
}
