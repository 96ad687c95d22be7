/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_WIDE_H
#define RNNC_WIDE_H
/* Arithmetic on states that the network feeds back itself: int32 with 14 more fraction bits than int16. */
#include <stdint.h>

#include "fixed.h"
#include "loops.h"

#define RNNC_WIDE_MAX 536854528  /* 32767 * 2^14 */
#define RNNC_WIDE_TERM 536870912 /* 2^29 */

/* y = base x + (m x / 2^15) / 2^s; s < 0 shifts left, after clipping. */
typedef struct {
    int16_t m;
    int8_t s; /* -10 .. 15 */
    int8_t base;
} rnnc_wide_term;

/* Element i of an operand, lifted: |result| <= 2^29. */
static inline int32_t rnnc_wide_get(const void *v, uint8_t bits, int16_t zero, uint16_t i)
{
    if (bits == 32) {
        return ((const int32_t *)v)[i];
    }
    return rnnc_clip(rnnc_get(v, bits, i) - zero, -32768, 32768) * 16384;
}

/* |x| <= 2^29: |base x| <= 2^29, and the rest <= 2^28 beside a base, 2^29 without. */
static inline int32_t rnnc_wide_times(int32_t m, int8_t s, int32_t base, int32_t x)
{
    int32_t y = rnnc_mul15(m, x);
    if (s >= 0) {
        y = (y + ((int32_t)1 << s >> 1)) >> s;
    } else {
        int32_t room = (int32_t)RNNC_WIDE_TERM >> -s;
        y = rnnc_clip(y, -room, room) * ((int32_t)1 << -s);
    }
    return base * x + y;
}

typedef struct {
    rnnc_loops loops;            /* scale: terms and offsets */
    const rnnc_wide_term *terms; /* [scales][operands] */
    const int32_t *offsets;      /* [scales] */
    uint8_t operands;            /* 1 or 2 */
    uint8_t a_bits, b_bits;      /* 8, 16 or 32 */
    int16_t a_zero, b_zero;
    int32_t lo, hi;
} rnnc_wide_sum_params;

/* y = gain_a a + gain_b b + offset, elementwise, clipped to lo .. hi; |sum| < 2^31 by certificate "sum". */
static inline void rnnc_wide_sum(const rnnc_wide_sum_params *p, const void *a, const void *b,
                                 int32_t *y)
{
    const rnnc_loops *l = &p->loops;
    uint16_t i, j, k, n = 0;
    for (i = 0; i < l->count[0]; i++) {
        for (j = 0; j < l->count[1]; j++) {
            for (k = 0; k < l->count[2]; k++) {
                uint16_t at = rnnc_offset(l->scale, i, j, k);
                const rnnc_wide_term *t = &p->terms[at * p->operands];
                int32_t x = rnnc_wide_get(a, p->a_bits, p->a_zero, rnnc_offset(l->a, i, j, k));
                int32_t v = rnnc_rom_i32(&p->offsets[at]);
                v += rnnc_wide_times(rnnc_rom_i16(&t[0].m), rnnc_rom_i8(&t[0].s),
                                     rnnc_rom_i8(&t[0].base), x);
                if (b) {
                    x = rnnc_wide_get(b, p->b_bits, p->b_zero, rnnc_offset(l->b, i, j, k));
                    v += rnnc_wide_times(rnnc_rom_i16(&t[1].m), rnnc_rom_i8(&t[1].s),
                                         rnnc_rom_i8(&t[1].base), x);
                }
                y[n++] = rnnc_clip(v, p->lo, p->hi);
            }
        }
    }
}

typedef struct {
    rnnc_loops loops; /* a: the factor u of 16 bits, b: the lifted d */
    rnnc_wide_term term;
    uint8_t u_bits, d_bits;
    int16_t u_zero, d_zero;
} rnnc_wide_product_params;

/* y = u d, elementwise.  |u| <= 2^15 (of a 32-bit u the upper half), |d| <= 2^29: rnnc_mul15 <= 2^29 + 2^14. */
static inline void rnnc_wide_product(const rnnc_wide_product_params *p, const void *u,
                                     const void *d, int32_t *y)
{
    const rnnc_loops *l = &p->loops;
    uint16_t i, j, k, n = 0;
    for (i = 0; i < l->count[0]; i++) {
        for (j = 0; j < l->count[1]; j++) {
            for (k = 0; k < l->count[2]; k++) {
                uint16_t at = rnnc_offset(l->a, i, j, k);
                int32_t f = p->u_bits == 32 ? (((const int32_t *)u)[at] + 8192) >> 14
                                            : rnnc_get(u, p->u_bits, at) - p->u_zero;
                int32_t v = rnnc_wide_get(d, p->d_bits, p->d_zero, rnnc_offset(l->b, i, j, k));
                v = rnnc_mul15(rnnc_clip(f, -32768, 32768), v);
                v = rnnc_wide_times(p->term.m, p->term.s, p->term.base, v);
                y[n++] = rnnc_clip(v, -RNNC_WIDE_MAX, RNNC_WIDE_MAX);
            }
        }
    }
}

#endif
