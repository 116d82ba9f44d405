#include "CLinux.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

/// EX_DATAERR of sysexits(3).
static const int damaged_status = 65;

/// How long whoever reads standard error may take to make room for the line.
static const int say_milliseconds = 500;

/// Never freed, since a handler may walk over the list at any time; used again once it is free.
struct evidenced_mapped_file {
    struct evidenced_mapped_file *next;
    /// The open file's link in /proc; a free one is of no file.
    atomic_int is_open;
    char link[32];
    char words[256];
    /// The file, where it is put aside; otherwise empty.
    char path[PATH_MAX];
};

static _Atomic(struct evidenced_mapped_file *) files;
static pthread_mutex_t registering = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t installing = PTHREAD_ONCE_INIT;
static struct sigaction before_bus, before_segv;
/// The library's code.
static uintptr_t code_first, code_end;
static __thread const struct evidenced_mapped_file *in_use;

_Noreturn void evidenced_end_of_damage(const struct evidenced_mapped_file *file, const char *what) {
    static atomic_flag is_ending = ATOMIC_FLAG_INIT;
    static char line[1024], aside[PATH_MAX + 16];
    // Another thread has found the damage, too.
    while (atomic_flag_test_and_set(&is_ending)) pause();
    const char *parts[] = {program_invocation_short_name, ": ", file->words, ": ", what, "\n"};
    size_t length = 0;
    for (unsigned i = 0; i < sizeof parts / sizeof *parts; i++) {
        size_t count = strnlen(parts[i], sizeof line - 1 - length);
        memcpy(line + length, parts[i], count);
        length += count;
    }
    line[length - 1] = '\n';
    if (file->path[0]) {
        size_t count = strlen(file->path);
        memcpy(aside, file->path, count);
        memcpy(aside + count, ".damaged", sizeof ".damaged");
        // One that was put aside earlier is kept.
        if (evidenced_rename_new(file->path, aside) != 0) unlink(file->path);
    }
    // Nobody may read it; a pipe that is ready takes a line without waiting.
    struct pollfd output = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (poll(&output, 1, say_milliseconds) == 1 && write(STDERR_FILENO, line, length) < 0) _exit(damaged_status);
    _exit(damaged_status);
}

/// Reads a line of /proc/self/maps without its end; 0 at the end of the file. For one thread at a time.
static int read_line(int descriptor, char *line, size_t size, char *input, size_t input_size, size_t *at, size_t *end) {
    size_t length = 0;
    for (;;) {
        if (*at == *end) {
            ssize_t count = read(descriptor, input, input_size);
            if (count < 0 && errno == EINTR) continue;
            if (count <= 0) return 0;
            *at = 0;
            *end = (size_t)count;
        }
        char byte = input[(*at)++];
        if (byte == '\n') break;
        if (length < size - 1) line[length++] = byte;
    }
    line[length] = 0;
    return 1;
}

static const char *read_hex(const char *text, uintptr_t *value) {
    *value = 0;
    for (;; text++) {
        if (*text >= '0' && *text <= '9') *value = *value << 4 | (uintptr_t)(*text - '0');
        else if (*text >= 'a' && *text <= 'f') *value = *value << 4 | (uintptr_t)(*text - 'a' + 10);
        else return text;
    }
}

/// Where the map at an address begins and ends, and the path of its file, empty for none; 0 where nothing is mapped. For
/// one thread at a time: in a handler there may be little stack.
static int find_map(uintptr_t address, uintptr_t *first, uintptr_t *end, const char **path) {
    static char line[PATH_MAX + 128], input[4096];
    int maps = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    if (maps < 0) return 0;
    size_t at = 0, filled = 0;
    int found = 0;
    while (!found && read_line(maps, line, sizeof line, input, sizeof input, &at, &filled)) {
        const char *rest = read_hex(line, first);
        if (*rest != '-') continue;
        read_hex(rest + 1, end);
        found = address >= *first && address < *end;
    }
    close(maps);
    const char *slash = found ? strchr(line, '/') : NULL;
    *path = slash ? slash : "";
    return found;
}

/// The watched file that is mapped at an address. The kernel tells it by name: it names a mapped and an open file alike,
/// renamed or deleted, on every file system, where devices and inodes of the two may differ.
static const struct evidenced_mapped_file *mapped_at(uintptr_t address) {
    static char name[PATH_MAX];
    uintptr_t first, end;
    const char *path;
    if (!find_map(address, &first, &end, &path) || !*path) return NULL;
    for (const struct evidenced_mapped_file *file = atomic_load(&files); file; file = file->next) {
        if (!atomic_load(&file->is_open)) continue;
        ssize_t length = readlink(file->link, name, sizeof name - 1);
        if (length <= 0) continue;
        name[length] = 0;
        if (strcmp(name, path) == 0) return file;
    }
    return NULL;
}

/// The instruction that a signal has interrupted; 0 on machines of other kinds than these two.
static uintptr_t instruction(const ucontext_t *context) {
#if defined(__x86_64__)
    return (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    return (uintptr_t)context->uc_mcontext.pc;
#else
    (void)context;
    return 0;
#endif
}

static void on_fault(int signal, siginfo_t *info, void *context) {
    static atomic_flag is_looking = ATOMIC_FLAG_INIT;
    int error = errno;
    // What was sent is no fault.
    if (info->si_code > 0) {
        while (atomic_flag_test_and_set(&is_looking)) sched_yield();
        const struct evidenced_mapped_file *file = mapped_at((uintptr_t)info->si_addr);
        const char *what = signal == SIGBUS ? "a page can't be read, or the file was cut short (SIGBUS)"
                                            : "a page can't be accessed (SIGSEGV)";
        uintptr_t at = instruction(context);
        if (!file && at >= code_first && at < code_end) {
            file = in_use;
            what = "a page leads nowhere (a fault within liblmdb)";
        }
        if (file) evidenced_end_of_damage(file, what);
        atomic_flag_clear(&is_looking);
    }
    // For the handler before, or none: what faulted faults again, what was sent is sent again.
    sigaction(signal, signal == SIGBUS ? &before_bus : &before_segv, NULL);
    if (info->si_code <= 0) raise(signal);
    errno = error;
}

static void install(void) {
    const char *path;
    uintptr_t function = (uintptr_t)dlsym(RTLD_DEFAULT, "mdb_cursor_get");
    if (!function || !find_map(function, &code_first, &code_end, &path)) code_first = code_end = 0;
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigemptyset(&action.sa_mask);
    sigaddset(&action.sa_mask, SIGBUS);
    sigaddset(&action.sa_mask, SIGSEGV);
    sigaction(SIGBUS, &action, &before_bus);
    sigaction(SIGSEGV, &action, &before_segv);
}

struct evidenced_mapped_file *evidenced_watch_mapped(int descriptor, const char *words, const char *path) {
    pthread_once(&installing, install);
    pthread_mutex_lock(&registering);
    struct evidenced_mapped_file *file = atomic_load(&files);
    while (file && atomic_load(&file->is_open)) file = file->next;
    if (!file && (file = calloc(1, sizeof *file))) {
        file->next = atomic_load(&files);
        atomic_store(&files, file);
    }
    if (file) {
        snprintf(file->link, sizeof file->link, "/proc/self/fd/%d", descriptor);
        snprintf(file->words, sizeof file->words, "%s", words);
        int length = path ? snprintf(file->path, sizeof file->path, "%s", path) : 0;
        // A path cut short is of another file.
        if (length <= 0 || (size_t)length >= sizeof file->path) file->path[0] = 0;
        atomic_store(&file->is_open, 1);
    }
    pthread_mutex_unlock(&registering);
    return file;
}

void evidenced_unwatch_mapped(struct evidenced_mapped_file *file) { atomic_store(&file->is_open, 0); }

const struct evidenced_mapped_file *evidenced_use_mapped(const struct evidenced_mapped_file *file) {
    const struct evidenced_mapped_file *before = in_use;
    in_use = file;
    return before;
}
