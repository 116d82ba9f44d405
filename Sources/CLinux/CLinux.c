#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timex.h>
#include <sys/vfs.h>
#include <unistd.h>

static unsigned closed_at_start;

/// Before anything can be opened: a file of the ledger that got the number of a closed standard descriptor would get
/// what is printed or logged, or be taken for input. As on a closed descriptor, reading from 0 and writing to 1 and 2
/// go on to fail: they are opened the wrong way round.
__attribute__((constructor(101))) static void keep_standard_descriptors(void) {
    for (int descriptor = 0; descriptor <= 2; descriptor++) {
        if (fcntl(descriptor, F_GETFD) >= 0 || errno != EBADF) continue;
        closed_at_start |= 1u << descriptor;
        int opened = open("/dev/null", descriptor == 0 ? O_WRONLY : O_RDONLY);
        // The lowest free number is taken, and those below are open by now. Nothing could be said here.
        if (opened != descriptor) _exit(71);
    }
}

int evidenced_descriptor_was_closed(int descriptor) {
    return descriptor >= 0 && descriptor <= 2 && (closed_at_start >> descriptor & 1);
}

int evidenced_accept(int listener, struct evidenced_peer *peer) {
    int descriptor = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor < 0) return -errno;
    struct ucred credentials;
    socklen_t length = sizeof credentials;
    if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) {
        close(descriptor);
        return -ECONNABORTED;
    }
    peer->pid = credentials.pid;
    peer->uid = credentials.uid;
    peer->gid = credentials.gid;
    return descriptor;
}

int evidenced_clock_is_synchronized(void) {
    struct timex state = {.modes = 0};
    int result = adjtimex(&state);
    return result >= 0 && result != TIME_ERROR && (state.status & STA_UNSYNC) == 0;
}

int evidenced_open_nameless(const char *directory, uint32_t mode) {
    return open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, mode);
}

int evidenced_rename_new(const char *from, const char *to) {
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) return 0;
    if (errno != EINVAL && errno != ENOSYS) return -1;
    // A file system that can't rename so; one that has no links either refuses.
    if (link(from, to) != 0) return -1;
    unlink(from);
    return 0;
}

int evidenced_place_of(int descriptor, struct evidenced_place *place) {
    struct statx status;
    struct statfs volume;
    if (statx(descriptor, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &status) != 0) return errno;
    if (fstatfs(descriptor, &volume) != 0) return errno;
    int has_birth = (status.stx_mask & STATX_BTIME) != 0;
    *place = (struct evidenced_place){
        .inode = status.stx_ino,
        .device_major = status.stx_dev_major,
        .device_minor = status.stx_dev_minor,
        .birth_seconds = has_birth ? status.stx_btime.tv_sec : 0,
        .birth_nanoseconds = has_birth ? status.stx_btime.tv_nsec : 0,
        .file_system = (uint32_t)volume.f_type,
        .file_system_id = (uint64_t)(uint32_t)volume.f_fsid.__val[0] << 32 | (uint32_t)volume.f_fsid.__val[1],
    };
    return 0;
}

int evidenced_is_at(const char *path, const struct evidenced_place *place) {
    struct statx status;
    if (statx(AT_FDCWD, path, 0, STATX_INO, &status) != 0) return errno;
    int is_same = status.stx_ino == place->inode && status.stx_dev_major == place->device_major
        && status.stx_dev_minor == place->device_minor;
    return is_same ? 0 : ESTALE;
}

static struct sigaction before[NSIG];

/// Once the process has crashed, whoever prints its backtrace must be able to read its maps.
static void open_to_backtrace(int signal, siginfo_t *info, void *context) {
    prctl(PR_SET_DUMPABLE, 1L, 0L, 0L, 0L);
    struct sigaction *action = &before[signal];
    sigaction(signal, action, NULL);
    if (action->sa_flags & SA_SIGINFO) action->sa_sigaction(signal, info, context);
    else action->sa_handler(signal);
    // The kernel gives a core dump to a program that takes them whatever RLIMIT_CORE says.
    prctl(PR_SET_DUMPABLE, 0L, 0L, 0L, 0L);
    // What faulted faults again and ends the process; what was sent, as by the service manager's watchdog, must too.
    if (info->si_code <= 0) raise(signal);
}

int evidenced_close_to_tracing(void) {
    static const int crashes[] = {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGQUIT, SIGSEGV, SIGTRAP};
    struct rlimit none = {0, 0};
    int failed = setrlimit(RLIMIT_CORE, &none) != 0 || prctl(PR_SET_DUMPABLE, 0L, 0L, 0L, 0L) != 0 ? errno : 0;
    for (unsigned i = 0; i < sizeof crashes / sizeof *crashes; i++) {
        struct sigaction action;
        if (sigaction(crashes[i], NULL, &action) != 0 || action.sa_handler == SIG_IGN) continue;
        // Without a handler nobody prints a backtrace.
        if (!(action.sa_flags & SA_SIGINFO) && action.sa_handler == SIG_DFL) continue;
        before[crashes[i]] = action;
        action.sa_sigaction = open_to_backtrace;
        action.sa_flags |= SA_SIGINFO;
        sigaction(crashes[i], &action, NULL);
    }
    return failed;
}

void evidenced_begin_writing_out(int descriptor, int64_t offset, int64_t count) {
    sync_file_range(descriptor, offset, count, SYNC_FILE_RANGE_WRITE);
}
