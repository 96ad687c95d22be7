/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_LOOPS_H
#define RNNC_LOOPS_H
/* Walking through the elements of a result whose operands are broadcast, and their weighting. */
#include <stddef.h>
#include <stdint.h>

#include "fixed.h"

/* Element (i, j, k), count[0] * count[1] * count[2] in all, lies at i a[0] + j a[1] + k a[2] of operand a. */
typedef struct {
    uint16_t count[3];
    uint16_t a[3], b[3], scale[3];
} rnnc_loops;

/* y = (x factor + offset) >> shift. */
typedef struct {
    int32_t offset;
    int16_t factor;
    uint8_t shift; /* 0 .. 30 */
} rnnc_line;

/* y = (a factor_a + b factor_b + offset) >> shift. */
typedef struct {
    int32_t offset; /* rounding and zero points */
    int16_t factor_a, factor_b;
    uint8_t shift; /* 0 .. 30 */
} rnnc_sum;

RNNC_KERNEL size_t rnnc_offset(const uint16_t step[3], size_t i, size_t j, size_t k)
{
    return i * step[0] + j * step[1] + k * step[2];
}

/* |x factor| + |offset| < 2^31 by certificate "sum". */
static inline int32_t rnnc_on_line(const rnnc_line *line, int32_t x)
{
    int32_t product = x * (int32_t)rnnc_rom_i16(&line->factor);
    return (product + rnnc_rom_i32(&line->offset)) >> rnnc_rom_u8(&line->shift);
}

#endif
