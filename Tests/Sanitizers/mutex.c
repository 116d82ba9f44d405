// Tells ThreadSanitizer what Swift's Mutex does where two threads contend for it.
//
// The sanitizer sees the compare-and-exchange that takes and frees an uncontended Mutex, for the compiler puts that into
// the caller. A contended one is handed over by the kernel (futex with priority inheritance), called from the Swift
// runtime, which is not instrumented: what was done under the lock then looks like a race with what is done under it
// next. Suppressions would have to hide whole functions, and the real races in them. So these stand in the place of the
// runtime's three slow paths, do what those do, and state the order the lock makes, on the word the fast paths use too.
//
// Preloaded by run.sh. Programs without the sanitizer in them, such as the build system, don't notice.

#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define SELF __attribute__((swift_context))
#define SWIFT __attribute__((swiftcall))

#define LOCK_SLOW "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define TRY_LOCK_SLOW "$s15Synchronization12_MutexHandleV12_tryLockSlowSbyF"
#define UNLOCK_SLOW "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

__attribute__((weak)) void __tsan_acquire(void *address);
__attribute__((weak)) void __tsan_release(void *address);

SWIFT void lock_slow(uint32_t thread, SELF void *mutex) __asm__(LOCK_SLOW);
SWIFT bool try_lock_slow(SELF void *mutex) __asm__(TRY_LOCK_SLOW);
SWIFT void unlock_slow(SELF void *mutex) __asm__(UNLOCK_SLOW);

static void *runtime(const char *symbol) {
    void *found = dlsym(RTLD_NEXT, symbol);
    if (!found) {
        fprintf(stderr, "the Swift runtime has no %s any more: see its Mutex and mend %s\n", symbol, __FILE__);
        abort();
    }
    return found;
}

SWIFT void lock_slow(uint32_t thread, SELF void *mutex) {
    static SWIFT void (*real)(uint32_t, SELF void *);
    if (!real) real = runtime(LOCK_SLOW);
    real(thread, mutex);
    if (__tsan_acquire) __tsan_acquire(mutex);
}

SWIFT bool try_lock_slow(SELF void *mutex) {
    static SWIFT bool (*real)(SELF void *);
    if (!real) real = runtime(TRY_LOCK_SLOW);
    bool is_locked = real(mutex);
    if (is_locked && __tsan_acquire) __tsan_acquire(mutex);
    return is_locked;
}

SWIFT void unlock_slow(SELF void *mutex) {
    static SWIFT void (*real)(SELF void *);
    if (!real) real = runtime(UNLOCK_SLOW);
    if (__tsan_release) __tsan_release(mutex);
    real(mutex);
}
