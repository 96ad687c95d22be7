/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_AFFINE_H
#define RNNC_AFFINE_H
#include <stdint.h>

#include "fixed.h"
#include "loops.h"

typedef struct {
    rnnc_loops loops;       /* a: x, scale: lines */
    const rnnc_line *lines; /* rounding and zero points in the offset */
    uint8_t x_bits, y_bits; /* 8 or 16; y also 32 */
    int32_t lo, hi;         /* y is clipped to lo .. hi */
} rnnc_affine_params;

/* y = gain x + offset, elementwise. */
static inline void rnnc_affine(const rnnc_affine_params *p, const void *x, void *y)
{
    const rnnc_loops *l = &p->loops;
    uint16_t i, j, k, n = 0;
    for (i = 0; i < l->count[0]; i++) {
        for (j = 0; j < l->count[1]; j++) {
            for (k = 0; k < l->count[2]; k++) {
                int32_t v = rnnc_get(x, p->x_bits, rnnc_offset(l->a, i, j, k));
                v = rnnc_on_line(&p->lines[rnnc_offset(l->scale, i, j, k)], v);
                rnnc_put(y, p->y_bits, n++, rnnc_clip(v, p->lo, p->hi));
            }
        }
    }
}

#endif
