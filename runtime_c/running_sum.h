/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_RUNNING_SUM_H
#define RNNC_RUNNING_SUM_H
#include <stdint.h>

#include "fixed.h"

typedef struct {
    const rnnc_scale1 *scale; /* [size], or one: y = mul15(m, sum) / 2^p */
    uint16_t size;
    uint8_t scale_step; /* 1, or 0 where there is one scale */
    uint8_t x_bits;     /* 8 or 16 */
    int16_t x_zero;
    int32_t lo, hi; /* y is clipped to lo .. hi */
} rnnc_running_sum_params;

/* x: [size].  sum: [size], LSB of x, saturated at +-2^30.  y: [size]. */
static inline void rnnc_running_sum(const rnnc_running_sum_params *p, const void *x, int32_t *sum,
                                    int16_t *y)
{
    const rnnc_scale1 *s = p->scale;
    uint16_t i;
    for (i = 0; i < p->size; i++, s += p->scale_step) {
        uint8_t shift = rnnc_rom_u8(&s->p);
        int32_t v;
        sum[i] = rnnc_clip(sum[i] + rnnc_get(x, p->x_bits, i) - p->x_zero, -((int32_t)1 << 30),
                           (int32_t)1 << 30);
        v = rnnc_mul15((int32_t)rnnc_rom_u16(&s->m), sum[i]);
        v = (v + ((int32_t)1 << shift >> 1)) >> shift;
        y[i] = (int16_t)rnnc_clip(v, p->lo, p->hi);
    }
}

#endif
