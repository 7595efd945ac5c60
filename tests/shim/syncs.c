// Writes a line for each sync, each rename and each link that went well into the file that SAMPAN_TEST_SYNC_LOG names.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void say(const char *what, const char *one, const char *other) {
    const char *log = getenv("SAMPAN_TEST_SYNC_LOG");
    int to = log ? open(log, O_WRONLY | O_APPEND) : -1;
    if (to < 0) return;
    dprintf(to, "%s %s %s\n", what, one, other);
    close(to);
}

static int synced(const char *call, int file) {
    int (*real)(int) = (int (*)(int)) dlsym(RTLD_NEXT, call);
    int result = real(file);
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (result == 0 && length >= 0) {
        path[length] = 0;
        say("sync", path, "");
    }
    return result;
}

int fsync(int file) { return synced("fsync", file); }
int fdatasync(int file) { return synced("fdatasync", file); }

int rename(const char *from, const char *to) {
    int (*real)(const char *, const char *) = (int (*)(const char *, const char *)) dlsym(RTLD_NEXT, "rename");
    int result = real(from, to);
    if (result == 0) say("rename", from, to);
    return result;
}

int linkat(int at, const char *from, int to_at, const char *to, int flags) {
    int (*real)(int, const char *, int, const char *, int) =
        (int (*)(int, const char *, int, const char *, int)) dlsym(RTLD_NEXT, "linkat");
    int result = real(at, from, to_at, to, flags);
    if (result == 0) say("link", from, to);
    return result;
}
