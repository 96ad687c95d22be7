/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_EXTENDED_CURVE_H
#define RNNC_EXTENDED_CURVE_H
/* Smooth functions of extended values. */
#include <stdint.h>

#include "activation.h"
#include "extended.h"

typedef struct {
    const rnnc_segment *segments; /* [n_segments] chords of one length each, 2^8 .. 2^30 LSB of x */
    const int32_t *knots;         /* within +-2^29, LSB of y */
    uint8_t n_segments;
    uint16_t size;
    uint8_t x_bits; /* 8, 16 or 32 */
    int16_t x_zero;
    int32_t lo, hi;
} rnnc_extended_curve_params;

/* A function by chords between knots.  x, y: [size].  |x| <= 2^29, at < 2^30; |chord| <= 2^30 by certificate "chord". */
static inline void rnnc_extended_curve(const rnnc_extended_curve_params *p, const void *x,
                                       int32_t *y)
{
    uint16_t i;
    for (i = 0; i < p->size; i++) {
        int32_t at = rnnc_lifted(x, p->x_bits, p->x_zero, i), left;
        uint8_t k = (uint8_t)(p->n_segments - 1), step;
        uint16_t knot;
        at = at < RNNC_EXTENDED_MAX ? at : RNNC_EXTENDED_MAX - 1;
        while (at < rnnc_rom_i32(&p->segments[k].first)) {
            k--;
        }
        at -= rnnc_rom_i32(&p->segments[k].first);
        step = rnnc_rom_u8(&p->segments[k].step);
        knot = (uint16_t)(rnnc_rom_u16(&p->segments[k].knot) + (at >> step));
        at &= (int32_t)(((uint32_t)1 << step) - 1u);
        left = rnnc_rom_i32(&p->knots[knot]);
        left +=
            rnnc_mul30(at * ((int32_t)1 << (30 - step)), rnnc_rom_i32(&p->knots[knot + 1]) - left);
        y[i] = rnnc_clip(left, p->lo, p->hi);
    }
}

#endif
