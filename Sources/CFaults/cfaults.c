// A disk that fails, and one that lies: see cfaults.h. Each function takes the place of the C library's.

#define _GNU_SOURCE
#include "cfaults.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static const struct cfaults nothing;
static const struct cfaults *faults = &nothing;
static dev_t disk;

__attribute__((constructor)) static void begin(void) {
    const char *control = getenv("BRIM_FAULTS_CONTROL"), *directory = getenv("BRIM_FAULTS_DISK");
    struct stat status;
    if (!control || !directory || stat(directory, &status) != 0) return;
    int file = open(control, O_RDONLY | O_CLOEXEC);
    if (file < 0) return;
    void *map = mmap(NULL, sizeof(struct cfaults), PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (map == MAP_FAILED) return;
    disk = status.st_dev;
    faults = map;
}

static int is_on_disk(int file) {
    struct stat status;
    int saved = errno;
    int found = fstat(file, &status) == 0 && status.st_dev == disk;
    errno = saved;
    return found;
}

static int fails(uint8_t fault, int file) {
    if (!fault || !is_on_disk(file)) return 0;
    errno = EIO;
    return 1;
}

#define NEXT(name) __typeof__(&name) next = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

#define READS(type, name, parameters, file, arguments) \
    type name parameters {                             \
        NEXT(name);                                    \
        if (fails(faults->reads_fail, file)) return -1; \
        return next arguments;                         \
    }

#define WRITES(type, name, parameters, file, arguments)  \
    type name parameters {                               \
        NEXT(name);                                      \
        if (fails(faults->writes_fail, file)) return -1; \
        return next arguments;                           \
    }

READS(ssize_t, read, (int file, void *bytes, size_t count), file, (file, bytes, count))
READS(ssize_t, pread, (int file, void *bytes, size_t count, off_t at), file, (file, bytes, count, at))
READS(ssize_t, pread64, (int file, void *bytes, size_t count, off64_t at), file, (file, bytes, count, at))
READS(ssize_t, readv, (int file, const struct iovec *parts, int count), file, (file, parts, count))
READS(ssize_t, preadv2, (int file, const struct iovec *parts, int count, off_t at, int how), file,
      (file, parts, count, at, how))
READS(ssize_t, sendfile, (int to, int file, off_t *at, size_t count), file, (to, file, at, count))
READS(ssize_t, sendfile64, (int to, int file, off64_t *at, size_t count), file, (to, file, at, count))

WRITES(ssize_t, write, (int file, const void *bytes, size_t count), file, (file, bytes, count))
WRITES(ssize_t, pwrite, (int file, const void *bytes, size_t count, off_t at), file, (file, bytes, count, at))
WRITES(ssize_t, pwrite64, (int file, const void *bytes, size_t count, off64_t at), file, (file, bytes, count, at))
WRITES(ssize_t, writev, (int file, const struct iovec *parts, int count), file, (file, parts, count))

#define SYNCS(name)                                      \
    int name(int file) {                                 \
        NEXT(name);                                      \
        if (faults->syncs_lie) return 0;                 \
        if (fails(faults->writes_fail, file)) return -1; \
        return next(file);                               \
    }

SYNCS(fsync)
SYNCS(fdatasync)
SYNCS(syncfs)
