#ifndef BRIM_CLINUX_H
#define BRIM_CLINUX_H

#include <stddef.h>

/// Reads up to `count` bytes from the beginning of a file, without waiting for a disk: only if its name and those bytes
/// are in the kernel's caches. Returns the bytes read, or -1: for whatever reason, the file is then to be read as usual.
long brim_read_cached(const char *path, void *buffer, size_t count);

/// Has malloc share `count` arenas among all threads, instead of eight for each processor, each of which keeps what was
/// freed in it. To be called before threads are made.
void brim_limit_arenas(int count);

#endif
