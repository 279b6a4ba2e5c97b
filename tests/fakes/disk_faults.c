/* Faults of a disk, for a process that was started with this library in LD_PRELOAD.
 *
 * $DISK_FAULTS_BELOW   only files whose path begins with this are touched
 * $DISK_FAULTS_ORDER   a file with one line: ACTION CALL FIRST COUNT VALUE
 *     ACTION  none | errno | delay | kill | short
 *     CALL    sync | write | any
 *     FIRST   the first call that is hit, from 1, counted since the order was given
 *     COUNT   how many calls are hit
 *     VALUE   the errno, or the milliseconds, or 0
 * $DISK_FAULTS_SYNCED  a directory that gets a copy of each file as it is when a sync returns
 * $DISK_FAULTS_COUNTS  a file that is told the number of calls, "SYNCS WRITES", at each call
 *
 * An order is read again whenever its file changes, so a test may give one while the process runs.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum call { SYNC, WRITE };

static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;
static struct timespec read_at;
static char action[16] = "none", which[16] = "any";
static long first, count, value, seen, syncs, writes;

static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off64_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_ftruncate)(int, off64_t);
static int (*real_unlink)(const char *);

__attribute__((constructor)) static void find(void) {
    real_write = dlsym(RTLD_NEXT, "write");
    real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
    real_unlink = dlsym(RTLD_NEXT, "unlink");
}

static int path_of(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return 1;
}

static int is_ours(int fd, char *path) {
    const char *below = getenv("DISK_FAULTS_BELOW");
    return below && *below && path_of(fd, path) && strncmp(path, below, strlen(below)) == 0;
}

static void read_order(void) {
    const char *name = getenv("DISK_FAULTS_ORDER");
    struct stat about;
    if (!name || stat(name, &about) != 0) return;
    if (about.st_mtim.tv_sec == read_at.tv_sec && about.st_mtim.tv_nsec == read_at.tv_nsec) return;
    read_at = about.st_mtim;
    strcpy(action, "none");
    seen = 0;
    FILE *order = fopen(name, "re");
    if (!order) return;
    if (fscanf(order, "%15s %15s %ld %ld %ld", action, which, &first, &count, &value) != 5)
        strcpy(action, "none");
    fclose(order);
}

static void tell_counts(void) {
    const char *name = getenv("DISK_FAULTS_COUNTS");
    if (!name) return;
    char line[64];
    int length = snprintf(line, sizeof line, "%ld %ld\n", syncs, writes);
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) return;
    if (real_write(fd, line, length) < 0) abort();
    close(fd);
}

/* 0: go on; -1: fail with errno; 1: write half of it. */
static int strike(enum call call) {
    int saved = errno, verdict = 0, error = saved;
    long milliseconds = 0;
    pthread_mutex_lock(&guard);
    *(call == SYNC ? &syncs : &writes) += 1;
    read_order();
    tell_counts();
    int meant = strcmp(which, "any") == 0 || strcmp(which, call == SYNC ? "sync" : "write") == 0;
    if (strcmp(action, "none") != 0 && meant) {
        seen++;
        if (seen >= first && seen < first + count) {
            if (strcmp(action, "kill") == 0) kill(getpid(), SIGKILL);
            if (strcmp(action, "delay") == 0) milliseconds = value;
            if (strcmp(action, "short") == 0 && call == WRITE) verdict = 1;
            if (strcmp(action, "errno") == 0) verdict = -1, error = (int)value;
        }
    }
    pthread_mutex_unlock(&guard);
    if (milliseconds > 0) {
        struct timespec pause = {milliseconds / 1000, milliseconds % 1000 * 1000000};
        nanosleep(&pause, NULL);
    }
    errno = error;
    return verdict;
}

/* What a power failure would leave: the file as it is at the return of its sync. */
static void keep_synced(const char *path) {
    const char *into = getenv("DISK_FAULTS_SYNCED");
    const char *name = strrchr(path, '/');
    char copy[PATH_MAX + 16], part[PATH_MAX], piece[65536];
    struct stat about;
    if (!into || !name || stat(path, &about) != 0 || !S_ISREG(about.st_mode)) return;
    pthread_mutex_lock(&guard);
    snprintf(part, sizeof part, "%s%s", into, name);
    snprintf(copy, sizeof copy, "%s.part", part);
    int from = open(path, O_RDONLY | O_CLOEXEC), to = open(copy, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (from >= 0 && to >= 0) {
        ssize_t length;
        while ((length = read(from, piece, sizeof piece)) > 0)
            if (real_write(to, piece, length) != length) abort();
    }
    if (from >= 0) close(from);
    if (to >= 0) close(to);
    rename(copy, part);
    pthread_mutex_unlock(&guard);
}

static int sync_file(int fd, int (*real)(int)) {
    char path[PATH_MAX];
    if (!is_ours(fd, path)) return real(fd);
    if (strike(SYNC) < 0) return -1;
    int result = real(fd), saved = errno;
    if (result == 0) keep_synced(path);
    errno = saved;
    return result;
}

/* A name that is gone is gone: SQLite syncs the directory after it. */
int unlink(const char *path) {
    char part[PATH_MAX];
    const char *below = getenv("DISK_FAULTS_BELOW"), *into = getenv("DISK_FAULTS_SYNCED");
    const char *name = strrchr(path, '/');
    int result = real_unlink(path), saved = errno;
    if (result == 0 && into && name && below && strncmp(path, below, strlen(below)) == 0) {
        snprintf(part, sizeof part, "%s%s", into, name);
        real_unlink(part);
    }
    errno = saved;
    return result;
}

int fsync(int fd) { return sync_file(fd, real_fsync); }
int fdatasync(int fd) { return sync_file(fd, real_fdatasync); }

ssize_t write(int fd, const void *data, size_t size) {
    char path[PATH_MAX];
    int verdict = is_ours(fd, path) ? strike(WRITE) : 0;
    return verdict < 0 ? -1 : real_write(fd, data, verdict ? (size + 1) / 2 : size);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    char path[PATH_MAX];
    int verdict = is_ours(fd, path) ? strike(WRITE) : 0;
    return verdict < 0 ? -1 : real_pwrite(fd, data, verdict ? (size + 1) / 2 : size, at);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
    return pwrite64(fd, data, size, at);
}

int ftruncate64(int fd, off64_t size) {
    char path[PATH_MAX];
    if (is_ours(fd, path) && strike(WRITE) < 0) return -1;
    return real_ftruncate(fd, size);
}

int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }
