/* A library to preload: the n-th call that writes a checkpoint fails or kills the process.

   FAULT_AT=n        which call; a child process continues the count of its parent
   FAULT_KIND        fail: the call fails with ENOSPC; tear: it writes half, then the process
                     is killed; kill: killed before the call; after: killed after the call
   FAULT_MARK=FILE   a file that is created when the fault happens
   Calls that count: write and fsync of a file with "/checkpoint-" in its path, fsync of a
   folder, and every rename. A child process is killed together with the first process. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int calls;
static pid_t first;

__attribute__((constructor)) static void begin(void) { first = getpid(); }

static void die(void) {
    if (getpid() != first)
        kill(first, SIGKILL);
    kill(getpid(), SIGKILL);
}

/* Count a call; return the kind of its fault, or "". Dies here if the kind is "kill". */
static const char *fault(void) {
    const char *at = getenv("FAULT_AT"), *kind = getenv("FAULT_KIND");
    calls++;
    if (at == NULL || calls != atoi(at))
        return "";
    int mark = creat(getenv("FAULT_MARK"), 0666);
    if (mark >= 0)
        close(mark);
    if (strcmp(kind, "kill") == 0)
        die();
    if (strcmp(kind, "fail") == 0)
        errno = ENOSPC;
    return kind;
}

static int counts(int fd) {
    char link[64], name[4096];
    struct stat status;
    if (fstat(fd, &status) == 0 && S_ISDIR(status.st_mode))
        return 1;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, name, sizeof name - 1);
    if (size < 0)
        return 0;
    name[size] = 0;
    return strstr(name, "/checkpoint-") != NULL;
}

ssize_t write(int fd, const void *data, size_t size) {
    static ssize_t (*real)(int, const void *, size_t);
    if (real == NULL)
        real = dlsym(RTLD_NEXT, "write");
    if (!counts(fd))
        return real(fd, data, size);
    const char *kind = fault();
    if (strcmp(kind, "fail") == 0)
        return -1;
    if (strcmp(kind, "tear") == 0) {
        real(fd, data, size / 2);
        die();
    }
    ssize_t written = real(fd, data, size);
    if (strcmp(kind, "after") == 0)
        die();
    return written;
}

int fsync(int fd) {
    static int (*real)(int);
    if (real == NULL)
        real = dlsym(RTLD_NEXT, "fsync");
    if (!counts(fd))
        return real(fd);
    const char *kind = fault();
    if (strcmp(kind, "fail") == 0)
        return -1;
    int status = real(fd);
    if (strcmp(kind, "after") == 0)
        die();
    return status;
}

int rename(const char *from, const char *to) {
    static int (*real)(const char *, const char *);
    if (real == NULL)
        real = dlsym(RTLD_NEXT, "rename");
    const char *kind = fault();
    if (strcmp(kind, "fail") == 0)
        return -1;
    int status = real(from, to);
    if (strcmp(kind, "after") == 0)
        die();
    return status;
}
