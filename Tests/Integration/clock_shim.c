/* A wall clock that a test sets, to be preloaded. The file $CLOCK_SHIM_FILE holds two numbers: how many microseconds the
   clock is ahead of the real one, and whether the kernel is to say that it is synchronised. It is read at every call. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>
#include <fcntl.h>

static void settings(long long *ahead, int *synchronised) {
    char text[64];
    const char *path = getenv("CLOCK_SHIM_FILE");
    *ahead = 0;
    *synchronised = 0;
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    ssize_t count = read(file, text, sizeof text - 1);
    close(file);
    text[count > 0 ? count : 0] = 0;
    sscanf(text, "%lld %d", ahead, synchronised);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    int result = syscall(SYS_clock_gettime, clock, time);
    if (result == 0 && clock == CLOCK_REALTIME) {
        long long ahead;
        int synchronised;
        settings(&ahead, &synchronised);
        long long now = time->tv_sec * 1000000LL + time->tv_nsec / 1000 + ahead;
        time->tv_sec = now / 1000000 - (now % 1000000 < 0);
        time->tv_nsec = (now % 1000000 + (now % 1000000 < 0 ? 1000000 : 0)) * 1000;
    }
    return result;
}

int adjtimex(struct timex *state) {
    long long ahead;
    int synchronised;
    settings(&ahead, &synchronised);
    state->status = synchronised ? 0 : STA_UNSYNC;
    return synchronised ? TIME_OK : TIME_ERROR;
}
