/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_ARGUMENT_H
#define RNNC_ARGUMENT_H
/* The argument of a power or logarithm, and what its result is shifted by. */
#include <stdint.h>

#include "rom.h"

typedef struct {
    uint32_t offset;
    int32_t constant;
} rnnc_argument;

/* x 2^bits + offset, 0 where that is negative.  |x| 2^bits + offset < 2^32 by certificate "argument". */
static inline uint32_t rnnc_argue(const rnnc_argument *a, int32_t x, uint8_t bits)
{
    uint32_t offset = rnnc_rom_u32(&a->offset), size = (uint32_t)(x < 0 ? -x : x) << bits;
    if (x >= 0) {
        return offset + size;
    }
    return offset > size ? offset - size : 0;
}

#endif
