#ifndef BRIM_CLINUX_H
#define BRIM_CLINUX_H

#include <stddef.h>

/// Reads up to `count` bytes from the beginning of a file, without waiting for a disk: only if its name and those bytes
/// are in the kernel's caches. Returns the bytes read, or -1: for whatever reason, the file is then to be read as usual.
long brim_read_cached(const char *path, void *buffer, size_t count);

/// Whether `brim_sync_file_system` can be relied on for the file system that holds an open file or directory: its kind is
/// known to make all that was done before durable, and the kernel tells of data that could not be written (since 5.8).
int brim_can_sync_file_system(int file);

/// Makes all that was done on the file system that holds an open file or directory durable. Returns 0, or -1 with `errno`
/// set: also when anything could not be written there since the file was opened, or since the last call with it.
int brim_sync_file_system(int file);

/// Has the kernel begin to write what is in its memory of a part of a file. Waits for nothing but a queue that is full.
void brim_begin_writing(int file, long long offset, long long count);

/// Has malloc share `count` arenas among all threads, instead of eight for each processor, each of which keeps what was
/// freed in it. To be called before threads are made.
void brim_limit_arenas(int count);

/// Starts a program at a path, with these descriptors as its standard input, output and error and, where glibc is 2.34 or
/// newer, no others; in a process group of its own, with no signal blocked and none ignored. `directory` may be NULL: the
/// one of this process. Returns its number, or -1 with `errno` set.
int brim_spawn(const char *path, char *const arguments[], char *const environment[], const char *directory, int input,
               int output, int error);

/// Opens a child that was not waited for: the descriptor can be read from once the child has ended. Closed on exec.
/// Returns -1 with `errno` set on failure.
int brim_watch_child(int child);

/// Makes a pipe whose ends, for reading and for writing, are closed on exec. Returns 0, or -1 with `errno` set.
int brim_make_pipe(int ends[2]);

#endif
