#define _GNU_SOURCE
#include "clinux.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <malloc.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

long brim_read_cached(const char *path, void *buffer, size_t count) {
    struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW, .resolve = RESOLVE_CACHED};
    struct iovec space = {.iov_base = buffer, .iov_len = count};
    ssize_t got;
    int file = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
    if (file < 0) return -1;
    got = preadv2(file, &space, 1, 0, RWF_NOWAIT);
    close(file);
    return got;
}

int brim_can_sync_file_system(int file) {
    struct statfs about;
    struct utsname system;
    int major = 0, minor = 0;
    if (fstatfs(file, &about) != 0 || uname(&system) != 0) return 0;
    if (sscanf(system.release, "%d.%d", &major, &minor) != 2 || major < 5 || (major == 5 && minor < 8)) return 0;
    return about.f_type == EXT4_SUPER_MAGIC || about.f_type == XFS_SUPER_MAGIC || about.f_type == BTRFS_SUPER_MAGIC;
}

int brim_sync_file_system(int file) {
    if (syncfs(file) != 0) return -1;
    // ext4 without a journal writes directories after it has had the disk empty its cache; this has it do so once more.
    return fsync(file);
}

void brim_begin_writing(int file, long long offset, long long count) {
    (void)sync_file_range(file, offset, count, SYNC_FILE_RANGE_WRITE);
}

void brim_limit_arenas(int count) {
#ifdef M_ARENA_MAX
    mallopt(M_ARENA_MAX, count);
#else
    (void)count;
#endif
}

static int set_up(posix_spawn_file_actions_t *actions, const char *directory, const int standard[3]) {
    int code = 0;
    if (directory && (code = posix_spawn_file_actions_addchdir_np(actions, directory))) return code;
    for (int target = 0; target < 3; target++)
        if ((code = posix_spawn_file_actions_adddup2(actions, standard[target], target))) return code;
#ifdef __GLIBC_PREREQ
#if __GLIBC_PREREQ(2, 34)
    code = posix_spawn_file_actions_addclosefrom_np(actions, 3);
#endif
#endif
    return code;
}

static int reset(posix_spawnattr_t *attributes) {
    sigset_t none, all;
    int code;
    sigemptyset(&none);
    sigfillset(&all);
    // Nobody may change what these two do, not even back.
    sigdelset(&all, SIGKILL);
    sigdelset(&all, SIGSTOP);
    if ((code = posix_spawnattr_setsigmask(attributes, &none))) return code;
    if ((code = posix_spawnattr_setsigdefault(attributes, &all))) return code;
    if ((code = posix_spawnattr_setpgroup(attributes, 0))) return code;
    return posix_spawnattr_setflags(
        attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
}

int brim_spawn(const char *path, char *const arguments[], char *const environment[], const char *directory, int input,
               int output, int error) {
    const int standard[3] = {input, output, error};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    pid_t child = -1;
    int code = posix_spawn_file_actions_init(&actions);
    if (code == 0) {
        if ((code = posix_spawnattr_init(&attributes)) == 0) {
            if ((code = set_up(&actions, directory, standard)) == 0 && (code = reset(&attributes)) == 0)
                code = posix_spawn(&child, path, &actions, &attributes, arguments, environment);
            posix_spawnattr_destroy(&attributes);
        }
        posix_spawn_file_actions_destroy(&actions);
    }
    errno = code;
    return code == 0 ? child : -1;
}

int brim_watch_child(int child) { return (int)syscall(SYS_pidfd_open, child, 0); }

int brim_make_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC); }
