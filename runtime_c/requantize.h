/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_REQUANTIZE_H
#define RNNC_REQUANTIZE_H
#include <stdint.h>

#include "fixed.h"
#include "vector.h"

typedef struct {
    const rnnc_scale1 *scale; /* [scales]: y = x m / 2^p, m of 15 bits */
    uint16_t size, scales;    /* scales: 1, or size */
    uint8_t x_bits, y_bits;
    int16_t x_zero, y_zero;
    int32_t lo, hi; /* y is clipped to lo .. hi */
} rnnc_requantize_params;

/* The same value in another format.  x: [size], 8 or 16 bits, or 32 with 14 more fraction bits.  y: [size].
 * |x m| <= 2^16 * 2^15 by certificate. */
RNNC_KERNEL void rnnc_requantize(const rnnc_requantize_params *p, const void *x, void *y)
{
    size_t k, n = p->size, step = p->scales > 1;
    rnnc_v_scale s = rnnc_v_scales(p->scale, 0, step, RNNC_LEFT(n, 0));
    RNNC_BY_TWO
    for (k = 0; k < n; k += RNNC_VECTOR) {
        const size_t left = RNNC_LEFT(n, k);
        rnnc_vector v = rnnc_v_get(x, p->x_bits, k, 1, left);
        v = p->x_bits == 32 ? rnnc_v_round(v, rnnc_v_of(14)) : rnnc_v_plus(v, -p->x_zero);
        if (step != 0) {
            s = rnnc_v_scales(p->scale, k, step, left);
        }
        v = rnnc_v_plus(rnnc_v_round(rnnc_v_mul(v, s.m), s.p), p->y_zero);
        rnnc_v_put(y, p->y_bits, k, 1, rnnc_v_clip(v, p->lo, p->hi), left);
    }
}

#endif
