/* Owns: recording what taskq does to the files below one directory, in one order over all its processes.
 * Never: what a disk makes of it (see disk.rs).
 *
 * Preloaded into taskq. A lock is held around each call and its record, so that the order of the records is
 * the order of the calls. The index of SQLite's log is not durable and is left out, and so is whatever is
 * not a regular file or a directory. A call that is missing here shows: at its end a record is compared with
 * the files.
 *
 * TASKQ_RECORD names the record, TASKQ_RECORD_BELOW the directory, TASKQ_RECORD_KILL the number of the record
 * after which the process dies, TASKQ_RECORD_FREE the bytes that the file system has left.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(name) static __typeof__(name) *real; if (!real) real = dlsym(RTLD_NEXT, #name)
#define ALSO(name) __attribute__((alias(#name)))

static const char *path_of_record, *below;
static long free_bytes, records_left = -1;
static __thread int lock;

__attribute__((constructor)) static void begin(void) {
    const char *kill_after = getenv("TASKQ_RECORD_KILL"), *left = getenv("TASKQ_RECORD_FREE");
    if (strcmp(program_invocation_short_name, "taskq") != 0 || !getenv("TASKQ_RECORD")) return;
    path_of_record = strdup(getenv("TASKQ_RECORD"));
    below = strdup(getenv("TASKQ_RECORD_BELOW"));
    if (kill_after) records_left = atol(kill_after);
    if (left) free_bytes = atol(left);
}

static void enter(void) {
    REAL(open);
    lock = real(path_of_record, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (lock < 0 || flock(lock, LOCK_EX) != 0) abort();
}

static void leave(void) {
    int was = errno;
    flock(lock, LOCK_UN);
    close(lock);
    errno = was;
}

/* Writes what disk.rs reads. Numbers that a call does not have are 0. */
static void record(const char *op, uint64_t inode, uint64_t parent, uint64_t offset, const char *name,
                   const void *data, size_t bytes) {
    REAL(writev);
    char head[4096];
    int length = snprintf(head, sizeof head, "%s %d %lu %lu %lu %zu %zu\n%s", op, getpid(), inode, parent, offset,
                          strlen(name), bytes, name);
    struct iovec parts[] = { { head, length }, { (void *)data, bytes } };
    if (real(lock, parts, 2) != (ssize_t)(length + bytes)) abort();
    if (records_left > 0 && --records_left == 0) raise(SIGKILL);
}

/* Tells whether the file or directory is below the directory, and durable. */
static int is_ours(int fd, struct stat *st) {
    char link[64], path[4096];
    if (!below || fstat(fd, st) != 0 || !(S_ISREG(st->st_mode) || S_ISDIR(st->st_mode))) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return strncmp(path, below, strlen(below)) == 0 && !strstr(path, "-shm");
}

/* The same of a name; returns the inode of the directory that it is in, and 0 for what is not ours. */
static uint64_t parent_of(int dir, const char *path, const char **name) {
    REAL(openat);
    struct stat st;
    char parent[4096];
    const char *slash = strrchr(path, '/');
    *name = slash ? slash + 1 : path;
    if (!below || strlen(path) >= sizeof parent || strstr(*name, "-shm")) return 0;
    snprintf(parent, sizeof parent, "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
    int fd = real(dir, parent, O_PATH | O_CLOEXEC);
    if (fd < 0) return 0;
    int ours = is_ours(fd, &st);
    close(fd);
    return ours ? st.st_ino : 0;
}

int openat(int dir, const char *path, int flags, ...) {
    REAL(openat);
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    const char *name;
    struct stat st;
    uint64_t parent = flags & (O_CREAT | O_TRUNC) ? parent_of(dir, path, &name) : 0;
    if (!parent) return real(dir, path, flags, mode);
    enter();
    int is_new = fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW) != 0;
    int fd = real(dir, path, flags, mode);
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
        if (is_new) record("create", st.st_ino, parent, 0, name, NULL, 0);
        else if (flags & O_TRUNC) record("resize", st.st_ino, 0, 0, "", NULL, 0);
    }
    leave();
    return fd;
}

int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return openat(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) ALSO(open);
int openat64(int dir, const char *path, int flags, ...) ALSO(openat);

static void record_print(const void *data, size_t bytes) {
    enter();
    record("print", 0, 0, 0, "", data, bytes);
    leave();
}

ssize_t write(int fd, const void *data, size_t bytes) {
    REAL(write);
    struct stat st;
    if (below && fd == STDOUT_FILENO) record_print(data, bytes);
    if (!is_ours(fd, &st)) return real(fd, data, bytes);
    enter();
    fstat(fd, &st);
    off_t at = fcntl(fd, F_GETFL) & O_APPEND ? st.st_size : lseek(fd, 0, SEEK_CUR);
    ssize_t written = real(fd, data, bytes);
    if (written > 0) record("write", st.st_ino, 0, at, "", data, written);
    leave();
    return written;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    REAL(writev);
    if (below && fd == STDOUT_FILENO)
        for (int part = 0; part < count; part++) record_print(parts[part].iov_base, parts[part].iov_len);
    return real(fd, parts, count);
}

ssize_t pwrite(int fd, const void *data, size_t bytes, off_t at) {
    REAL(pwrite);
    struct stat st;
    if (!is_ours(fd, &st)) return real(fd, data, bytes, at);
    enter();
    ssize_t written = real(fd, data, bytes, at);
    if (written > 0) record("write", st.st_ino, 0, at, "", data, written);
    leave();
    return written;
}

ssize_t pwrite64(int fd, const void *data, size_t bytes, off64_t at) ALSO(pwrite);

/* Calls the real function of a descriptor, and records it if it succeeds. */
#define RECORDED(call, op, offset)                                  \
    struct stat st;                                                 \
    if (!is_ours(fd, &st)) return call;                             \
    enter();                                                        \
    int result = call;                                              \
    if (result == 0) record(op, st.st_ino, 0, offset, "", NULL, 0); \
    leave();                                                        \
    return result

int ftruncate(int fd, off_t length) { REAL(ftruncate); RECORDED(real(fd, length), "resize", length); }
int ftruncate64(int fd, off64_t length) ALSO(ftruncate);
int fsync(int fd) { REAL(fsync); RECORDED(real(fd), "sync", 0); }
int fdatasync(int fd) { REAL(fdatasync); RECORDED(real(fd), "sync", 0); }

/* The same of a name; what it leads to afterwards is asked for where it stays. */
#define RECORDED_NAME(dir, path, call, op)                                              \
    const char *name;                                                                   \
    struct stat st = { 0 };                                                             \
    uint64_t parent = parent_of(dir, path, &name);                                      \
    if (!parent) return call;                                                           \
    enter();                                                                            \
    int result = call;                                                                  \
    if (result == 0) {                                                                  \
        if (strcmp(op, "unlink") != 0 && fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW) != 0) abort(); \
        record(op, st.st_ino, parent, 0, name, NULL, 0);                                \
    }                                                                                   \
    leave();                                                                            \
    return result

int mkdir(const char *path, mode_t mode) {
    REAL(mkdir);
    RECORDED_NAME(AT_FDCWD, path, real(path, mode), "mkdir");
}
int linkat(int from, const char *old, int dir, const char *path, int flags) {
    REAL(linkat);
    RECORDED_NAME(dir, path, real(from, old, dir, path, flags), "link");
}
int unlink(const char *path) { REAL(unlink); RECORDED_NAME(AT_FDCWD, path, real(path), "unlink"); }
int rmdir(const char *path) { REAL(rmdir); RECORDED_NAME(AT_FDCWD, path, real(path), "unlink"); }
int unlinkat(int dir, const char *path, int flags) {
    REAL(unlinkat);
    RECORDED_NAME(dir, path, real(dir, path, flags), "unlink");
}

int fstatvfs(int fd, struct statvfs *found) {
    REAL(fstatvfs);
    int result = real(fd, found);
    if (result == 0 && free_bytes)
        found->f_blocks = found->f_bfree = found->f_bavail = free_bytes / found->f_frsize;
    return result;
}
int fstatvfs64(int fd, struct statvfs64 *found) ALSO(fstatvfs);
