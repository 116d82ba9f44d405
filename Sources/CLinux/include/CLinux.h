#ifndef EVIDENCED_CLINUX_H
#define EVIDENCED_CLINUX_H

#include <stdint.h>

/// Who connected a Unix socket, as the kernel saw it at connect().
struct evidenced_peer {
    int32_t pid;
    uint32_t uid;
    uint32_t gid;
};

/// Takes a connection in, not blocking and closed on exec, and reads SO_PEERCRED; accept4 and struct ucred hide behind
/// _GNU_SOURCE, which Swift's importer does not define. Returns the descriptor, or the negated errno.
int evidenced_accept(int listener, struct evidenced_peer *peer);

/// Whether the kernel holds its clock for synchronised (adjtimex). 1 or 0.
int evidenced_clock_is_synchronized(void);

/// Closes the process to debuggers of its own user and to core dumps (PR_SET_DUMPABLE, RLIMIT_CORE) until it crashes: a
/// handler of the crash, where one is set by then, may read the process again. Returns 0, or the errno.
int evidenced_close_to_tracing(void);

/// Whether the standard descriptor 0, 1 or 2 was closed when the process started. 1 or 0.
/// A program that links this has /dev/null there by then, before anything else runs, and fails with status 71 where
/// that can't be opened; reading from 0 and writing to 1 and 2 fail with EBADF, as they would without.
int evidenced_descriptor_was_closed(int descriptor);

/// Opens a file without a name in a directory, for reading and writing (O_TMPFILE): it is gone with its last descriptor
/// unless it is given a name. Returns the descriptor, or -1 and errno; EOPNOTSUPP, EISDIR or EINVAL where the file system
/// has no such files.
int evidenced_open_nameless(const char *directory, uint32_t mode);

/// Renames a file to a name that is not taken. Returns 0, or -1 and errno: EEXIST where it is.
int evidenced_rename_new(const char *from, const char *to);

/// Where a file lies. Its times are not asked for: a file system that was asked for them writes the inode again with the
/// next sync.
struct evidenced_place {
    uint64_t inode;
    uint32_t device_major;
    uint32_t device_minor;
    /// When the file was created; 0 and 0 where the file system keeps no such time.
    int64_t birth_seconds;
    uint32_t birth_nanoseconds;
    /// f_type and f_fsid of the file system, statfs(2).
    uint32_t file_system;
    uint64_t file_system_id;
};

/// Reads where the file of a descriptor lies. Returns 0, or the errno.
int evidenced_place_of(int descriptor, struct evidenced_place *place);

/// Whether a path names the file of this device and inode. Returns 0, ESTALE for another file, or the errno.
int evidenced_is_at(const char *path, const struct evidenced_place *place);

/// Has the kernel begin to write out a part of a file, and waits for nothing. Nothing becomes durable by it.
void evidenced_begin_writing_out(int descriptor, int64_t offset, int64_t count);

/// A file that the process has mapped and whose pages it trusts.
struct evidenced_mapped_file;

/// From now on a fault of the processor (SIGBUS, SIGSEGV) within a map of the open file is damage of the file, and ends
/// the process as `evidenced_end_of_damage` does; any other goes to the handler there was before. `words` (up to 255
/// bytes) say what is damaged and what to do; a `path` that is given is renamed to `path.damaged` first, or deleted
/// where there is such a file. Returns NULL where there is no memory.
struct evidenced_mapped_file *evidenced_watch_mapped(int descriptor, const char *words, const char *path);

/// The calling thread works with the file from now on, so that a fault in the code of liblmdb itself is damage of it,
/// whatever the address: what is damaged may lead to nothing. Returns what it worked with before; NULL for none.
const struct evidenced_mapped_file *evidenced_use_mapped(const struct evidenced_mapped_file *file);

/// Ends what `evidenced_watch_mapped` began, before the file is closed. Nobody may be using the map any more.
void evidenced_unwatch_mapped(struct evidenced_mapped_file *file);

/// Ends the process at once with status 65, after one line on standard error: the file's words, and what shows it. May be
/// called within a handler.
_Noreturn void evidenced_end_of_damage(const struct evidenced_mapped_file *file, const char *what);

#endif
