/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_DIV_H
#define RNNC_DIV_H
#include <stdint.h>

#include "fixed.h"
#include "functions.h"
#include "loops.h"

typedef struct {
    rnnc_loops loops;         /* scale: constants */
    const int32_t *constants; /* to LSBs of y, 16 fraction bits */
    uint8_t a_bits, b_bits;   /* 8 or 16 */
    int16_t a_zero, b_zero;
    int32_t hi; /* |y| <= hi */
} rnnc_div_params;

/* log2 of |v| with 16 fraction bits, v = 0 taken as 1. */
static inline int32_t rnnc_log2_size(int32_t v)
{
    uint32_t size = (uint32_t)(v < 0 ? -v : v);
    return rnnc_log2(size > 0 ? size : 1);
}

/* y = a / b, elementwise; by 0 the largest number, 0 / 0 = 0.  The exponent by certificate. */
static inline void rnnc_div(const rnnc_div_params *p, const void *a, const void *b, int16_t *y)
{
    const rnnc_loops *l = &p->loops;
    uint16_t i, j, k, n = 0;
    for (i = 0; i < l->count[0]; i++) {
        for (j = 0; j < l->count[1]; j++) {
            for (k = 0; k < l->count[2]; k++) {
                int32_t u = rnnc_get(a, p->a_bits, rnnc_offset(l->a, i, j, k)) - p->a_zero;
                int32_t v = rnnc_get(b, p->b_bits, rnnc_offset(l->b, i, j, k)) - p->b_zero;
                int32_t t = rnnc_log2_size(u) - rnnc_log2_size(v), value;
                t += rnnc_rom_i32(&p->constants[rnnc_offset(l->scale, i, j, k)]);
                value = u == 0 ? 0 : v == 0 ? 32767 : rnnc_power_of_two(t);
                value = value < p->hi ? value : p->hi;
                y[n++] = (int16_t)((u < 0) != (v < 0) ? -value : value);
            }
        }
    }
}

#endif
