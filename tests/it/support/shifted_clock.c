// Shifts the wall clock of the process that it is preloaded into by the microseconds in the file
// CLOCK_SHIFT_FILE, read anew at each look. libfaketime cannot be used: it deadlocks with jemalloc.
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long long shift(void) {
    static int file = -1;
    char text[32] = {0};
    if (file < 0) {
        const char *path = getenv("CLOCK_SHIFT_FILE");
        file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    }
    return file >= 0 && pread(file, text, sizeof text - 1, 0) > 0 ? atoll(text) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *at) {
    int result = (int)syscall(SYS_clock_gettime, clock, at);
    if (result == 0 && clock == CLOCK_REALTIME) {
        long long micros = at->tv_sec * 1000000LL + at->tv_nsec / 1000 + shift();
        at->tv_sec = micros / 1000000;
        at->tv_nsec = micros % 1000000 * 1000;
    }
    return result;
}

int gettimeofday(struct timeval *at, void *zone) {
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *at) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at) *at = now.tv_sec;
    return now.tv_sec;
}
