/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_COMPARE_H
#define RNNC_COMPARE_H
#include <stdint.h>

#include "fixed.h"
#include "loops.h"

typedef struct {
    rnnc_loops loops;      /* scale: limits */
    const int32_t *limits; /* [lo, hi] in LSB of x, -2^17 - 1 .. 2^17 + 1 */
    uint8_t bits;          /* of x: 8 or 16 */
    uint8_t outside;       /* 1: the other way round */
} rnnc_compare_params;

/* y = lo <= x <= hi ? 1 : 0, elementwise.  y: Q1.14. */
RNNC_KERNEL void rnnc_compare(const rnnc_compare_params *p, const void *x, int16_t *y)
{
    const rnnc_loops *l = &p->loops;
    uint16_t i, j, k, n = 0;
    for (i = 0; i < l->count[0]; i++) {
        for (j = 0; j < l->count[1]; j++) {
            for (k = 0; k < l->count[2]; k++, n++) {
                const int32_t *limits = p->limits + 2 * rnnc_offset(l->scale, i, j, k);
                int32_t v = rnnc_get(x, p->bits, n);
                uint8_t inside = v >= rnnc_rom_i32(limits) && v <= rnnc_rom_i32(limits + 1);
                y[n] = inside != p->outside ? 16384 : 0;
            }
        }
    }
}

#endif
