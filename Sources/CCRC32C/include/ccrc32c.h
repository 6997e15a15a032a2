#ifndef BRIM_CRC32C_H
#define BRIM_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/// CRC-32C (Castagnoli) of `length` bytes at `data`, continued from `crc` (0 to begin).
/// Uses the processor's instruction where it has one.
uint32_t brim_crc32c(uint32_t crc, const void *data, size_t length);

/// The same by tables, on any processor; for tests.
uint32_t brim_crc32c_portable(uint32_t crc, const void *data, size_t length);

#endif
