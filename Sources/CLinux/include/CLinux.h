#ifndef EVIDENCED_CLINUX_H
#define EVIDENCED_CLINUX_H

#include <stdint.h>

/// Who connected a Unix socket, as the kernel saw it at connect().
struct evidenced_peer {
    int32_t pid;
    uint32_t uid;
    uint32_t gid;
};

/// Reads SO_PEERCRED; struct ucred hides behind _GNU_SOURCE, which Swift's importer does not define.
/// Returns 0, or the errno.
int evidenced_peer_credentials(int descriptor, struct evidenced_peer *peer);

/// Whether the kernel holds its clock for synchronised (adjtimex). 1 or 0.
int evidenced_clock_is_synchronized(void);

#endif
