/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_CURVE_H
#define RNNC_CURVE_H
#include <stdint.h>

#include "fixed.h"

typedef struct {
    const int16_t *knots; /* [2^(x_bits - shift) + 1], 2^shift apart from the lowest x on */
    uint16_t size;
    uint8_t x_bits; /* 8 or 16 */
    uint8_t shift;  /* 0 .. 12 */
} rnnc_curve_params;

/* A function by chords between knots.  x, y: [size].  |chord| <= 2^16 2^12 by certificate "chord". */
RNNC_KERNEL void rnnc_curve(const rnnc_curve_params *p, const void *x, int16_t *y)
{
    int32_t lowest = -((int32_t)1 << (p->x_bits - 1)), mask = ((int32_t)1 << p->shift) - 1;
    uint16_t i;
    for (i = 0; i < p->size; i++) {
        int32_t at = rnnc_get(x, p->x_bits, i) - lowest;
        const int16_t *knot = &p->knots[at >> p->shift];
        int32_t left = rnnc_rom_i16(knot), right = rnnc_rom_i16(knot + 1);
        left += ((right - left) * (at & mask) + ((int32_t)1 << p->shift >> 1)) >> p->shift;
        y[i] = (int16_t)left;
    }
}

#endif
