/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_MUL_H
#define RNNC_MUL_H
#include <stdint.h>

#include "fixed.h"
#include "loops.h"

typedef struct {
    rnnc_loops loops;               /* scale: scales */
    const rnnc_scale1 *scales;      /* y = a b m / 2^(15 + p), m of 15 bits */
    uint8_t a_bits, b_bits, y_bits; /* 8 or 16; y also 32 */
    uint8_t a_shift, b_shift;       /* 1 where |a - a_zero| can pass 2^15 */
    int16_t a_zero, b_zero, y_zero;
    int32_t lo, hi; /* y is clipped to lo .. hi */
} rnnc_mul_params;

/* y = a b, elementwise.  |a b| <= 2^30, and so is the result of rnnc_mul15. */
static inline void rnnc_mul(const rnnc_mul_params *p, const void *a, const void *b, void *y)
{
    const rnnc_loops *l = &p->loops;
    uint16_t i, j, k, n = 0;
    for (i = 0; i < l->count[0]; i++) {
        for (j = 0; j < l->count[1]; j++) {
            uint16_t at_a = rnnc_offset(l->a, i, j, 0), at_b = rnnc_offset(l->b, i, j, 0),
                     at = rnnc_offset(l->scale, i, j, 0);
            for (k = 0; k < l->count[2]; k++) {
                const rnnc_scale1 *s = &p->scales[at];
                int32_t u = rnnc_get(a, p->a_bits, at_a) - p->a_zero;
                int32_t v = rnnc_get(b, p->b_bits, at_b) - p->b_zero;
                uint8_t shift = rnnc_rom_u8(&s->p);
                v = rnnc_mul15(rnnc_rom_u16(&s->m), (u >> p->a_shift) * (v >> p->b_shift));
                v = (v + ((int32_t)1 << shift >> 1)) >> shift;
                rnnc_put(y, p->y_bits, n++, rnnc_clip(v + p->y_zero, p->lo, p->hi));
                at_a = (uint16_t)(at_a + l->a[2]);
                at_b = (uint16_t)(at_b + l->b[2]);
                at = (uint16_t)(at + l->scale[2]);
            }
        }
    }
}

#endif
