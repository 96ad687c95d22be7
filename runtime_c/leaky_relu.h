/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_LEAKY_RELU_H
#define RNNC_LEAKY_RELU_H
#include <stdint.h>

#include "fixed.h"
#include "loops.h"

typedef struct {
    rnnc_loops loops;      /* scale: pairs of slopes */
    const int32_t *slopes; /* below and above zero, +-2^shift */
    uint8_t shift;         /* 14 or 15 */
    uint8_t bits;          /* of x and y: 8 or 16 */
    int16_t x_zero;
    int32_t lo, hi; /* y is clipped to lo .. hi */
} rnnc_leaky_relu_params;

/* y = slope x, one slope below zero and one above.  |x slope| < 2^31 by certificate "product". */
RNNC_KERNEL void rnnc_leaky_relu(const rnnc_leaky_relu_params *p, const void *x, void *y)
{
    const rnnc_loops *l = &p->loops;
    uint16_t i, j, k, n = 0;
    for (i = 0; i < l->count[0]; i++) {
        for (j = 0; j < l->count[1]; j++) {
            for (k = 0; k < l->count[2]; k++, n++) {
                const int32_t *slope = &p->slopes[2 * rnnc_offset(l->scale, i, j, k)];
                int32_t v = rnnc_get(x, p->bits, n) - p->x_zero;
                v = (v * rnnc_rom_i32(&slope[v >= 0]) + ((int32_t)1 << p->shift >> 1)) >> p->shift;
                rnnc_put(y, p->bits, n, rnnc_clip(v, p->lo, p->hi));
            }
        }
    }
}

#endif
