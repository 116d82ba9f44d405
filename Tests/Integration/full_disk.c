/* A disk that is full while a file exists, for a process this is preloaded into: no file below FULL_BELOW gets longer or
   gets more blocks as long as FULL_WHILE exists. What has blocks already can be written, as on a real disk. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static int is_full(int descriptor, off64_t end) {
    const char *flag = getenv("FULL_WHILE"), *below = getenv("FULL_BELOW"), *code = getenv("FULL_ERROR");
    char link[64], path[PATH_MAX];
    struct stat64 status;
    if (!flag || !below || access(flag, F_OK) != 0) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    if (strncmp(path, below, strlen(below)) != 0) return 0;
    if (fstat64(descriptor, &status) != 0 || !S_ISREG(status.st_mode) || end <= status.st_size) return 0;
    return code && strcmp(code, "EDQUOT") == 0 ? EDQUOT : ENOSPC;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define REFUSE(descriptor, end) do { int code = is_full(descriptor, end); if (code) { errno = code; return -1; } } while (0)

static off64_t total(const struct iovec *parts, int count) {
    off64_t bytes = 0;
    for (int part = 0; part < count; part++) bytes += parts[part].iov_len;
    return bytes;
}

ssize_t pwrite64(int descriptor, const void *bytes, size_t count, off64_t offset) {
    REFUSE(descriptor, offset + (off64_t)count);
    return REAL(pwrite64)(descriptor, bytes, count, offset);
}
ssize_t pwrite(int descriptor, const void *bytes, size_t count, off_t offset) {
    REFUSE(descriptor, offset + (off64_t)count);
    return REAL(pwrite)(descriptor, bytes, count, offset);
}
ssize_t write(int descriptor, const void *bytes, size_t count) {
    REFUSE(descriptor, lseek64(descriptor, 0, SEEK_CUR) + (off64_t)count);
    return REAL(write)(descriptor, bytes, count);
}
ssize_t pwritev(int descriptor, const struct iovec *parts, int count, off_t offset) {
    REFUSE(descriptor, offset + total(parts, count));
    return REAL(pwritev)(descriptor, parts, count, offset);
}
ssize_t pwritev64(int descriptor, const struct iovec *parts, int count, off64_t offset) {
    REFUSE(descriptor, offset + total(parts, count));
    return REAL(pwritev64)(descriptor, parts, count, offset);
}
ssize_t writev(int descriptor, const struct iovec *parts, int count) {
    REFUSE(descriptor, lseek64(descriptor, 0, SEEK_CUR) + total(parts, count));
    return REAL(writev)(descriptor, parts, count);
}
int posix_fallocate(int descriptor, off_t offset, off_t length) {
    int code = is_full(descriptor, offset + length);
    return code ? code : REAL(posix_fallocate)(descriptor, offset, length);
}
int posix_fallocate64(int descriptor, off64_t offset, off64_t length) {
    int code = is_full(descriptor, offset + length);
    return code ? code : REAL(posix_fallocate64)(descriptor, offset, length);
}
int fallocate64(int descriptor, int mode, off64_t offset, off64_t length) {
    REFUSE(descriptor, offset + length);
    return REAL(fallocate64)(descriptor, mode, offset, length);
}
int fallocate(int descriptor, int mode, off_t offset, off_t length) {
    REFUSE(descriptor, offset + length);
    return REAL(fallocate)(descriptor, mode, offset, length);
}
