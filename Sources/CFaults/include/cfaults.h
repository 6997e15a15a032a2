#pragma once

#include <stdint.h>

// What goes wrong on one node, in a file of this layout (BRIM_FAULTS_CONTROL) that a test writes and every process of the
// node maps. The library is for LD_PRELOAD; nothing of BrimFS links it.
struct cfaults {
    // What the disk that holds BRIM_FAULTS_DISK answers: 0 as usual, 1 EIO.
    volatile uint8_t reads_fail;
    volatile uint8_t writes_fail;
    // 1: whatever asks for bytes to be made durable is told that they are, and nothing is done.
    volatile uint8_t syncs_lie;
};
