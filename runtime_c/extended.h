/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_EXTENDED_H
#define RNNC_EXTENDED_H
/* Arithmetic on extended values: int32 within +-2^29, for states of plain arithmetic and what is computed from them. */
#include <stdint.h>

#include "fixed.h"
#include "loops.h"

#define RNNC_EXTENDED_MAX 536870912 /* 2^29 */

/* Element i of an operand; one of 8 or 16 bits less its zero point: |result| <= 2^15. */
RNNC_KERNEL int32_t rnnc_less_zero(const void *v, uint8_t bits, int16_t zero, size_t i)
{
    if (bits == 32) {
        return ((const int32_t *)v)[i];
    }
    return rnnc_clip(rnnc_get(v, bits, i) - zero, -32768, 32768);
}

/* The same, one of 8 or 16 bits shifted left by 14: |result| <= 2^29. */
RNNC_KERNEL int32_t rnnc_lifted(const void *v, uint8_t bits, int16_t zero, size_t i)
{
    return rnnc_less_zero(v, bits, zero, i) * (bits == 32 ? 1 : 16384);
}

/* m x / 2^30, rounded.  |m|, |x| <= 2^30: both parts <= 2^30 + 2^15, and the second is below 2^15 beside |m| = 2^30. */
static inline int32_t rnnc_mul30(int32_t m, int32_t x)
{
    return rnnc_mul15(m >> 15, x) + (((m & 32767) * ((x + 16384) >> 15) + 16384) >> 15);
}

/* y 2^k, rounded where k < 0, clipped to +-2^29 before it is shifted left.  |y| <= 2^30, k: -30 .. 29. */
static inline int32_t rnnc_by_power(int32_t y, int8_t k)
{
    int32_t room;
    if (k < 0) {
        return (y + (int32_t)((uint32_t)1 << -k >> 1)) >> -k;
    }
    room = (int32_t)RNNC_EXTENDED_MAX >> k;
    return rnnc_clip(y, -room, room) * ((int32_t)1 << k);
}

typedef struct {
    rnnc_loops loops;       /* scale: gains, shifts and offsets */
    const int32_t *gains;   /* [scales][operands], 30 fraction bits, within +-2^30 */
    const int8_t *shifts;   /* [scales][operands], -30 .. 29: a term is (gain x / 2^30) 2^shift */
    const int32_t *offsets; /* [scales], within +-2^29 */
    uint8_t operands;       /* 1 or 2 */
    uint8_t pick;           /* 0: the sum of both terms, 1: the larger, 2: the smaller */
    uint8_t a_bits, b_bits; /* 8, 16 or 32 */
    uint8_t y_bits;         /* 8, 16 or 32 */
    int16_t a_zero, b_zero;
    int32_t lo, hi;
} rnnc_extended_sum_params;

/* Both terms as one.  |term| <= 2^29 + 1. */
static inline int32_t rnnc_picked(uint8_t pick, int32_t u, int32_t v)
{
    if (pick == 0) {
        return u + v;
    }
    return (pick == 1) == (u > v) ? u : v;
}

/* y = gain_a a + gain_b b + offset, elementwise, clipped to lo .. hi; |sum| < 2^31 by certificate "sum". */
RNNC_KERNEL void rnnc_extended_sum(const rnnc_extended_sum_params *p, const void *a, const void *b,
                                   void *y)
{
    const rnnc_loops *l = &p->loops;
    uint16_t i, j, k, n = 0;
    for (i = 0; i < l->count[0]; i++) {
        for (j = 0; j < l->count[1]; j++) {
            for (k = 0; k < l->count[2]; k++) {
                size_t at = rnnc_offset(l->scale, i, j, k), g = at * p->operands;
                int32_t x = rnnc_lifted(a, p->a_bits, p->a_zero, rnnc_offset(l->a, i, j, k));
                int32_t v = rnnc_mul30(rnnc_rom_i32(&p->gains[g]), x);
                v = rnnc_by_power(v, rnnc_rom_i8(&p->shifts[g]));
                if (b != NULL) {
                    int32_t w;
                    x = rnnc_lifted(b, p->b_bits, p->b_zero, rnnc_offset(l->b, i, j, k));
                    w = rnnc_mul30(rnnc_rom_i32(&p->gains[g + 1]), x);
                    v = rnnc_picked(p->pick, v, rnnc_by_power(w, rnnc_rom_i8(&p->shifts[g + 1])));
                }
                v += rnnc_rom_i32(&p->offsets[at]);
                rnnc_put(y, p->y_bits, n++, rnnc_clip(v, p->lo, p->hi));
            }
        }
    }
}

typedef struct {
    rnnc_loops loops;     /* scale: gains and shifts */
    const int32_t *gains; /* [scales], 30 fraction bits, within 0 .. 2^30 */
    const int8_t *shifts; /* [scales], -30 .. 29 */
    uint8_t a_bits, b_bits, y_bits;
    int16_t a_zero, b_zero;
    int32_t lo, hi;
} rnnc_extended_product_params;

/* The product of two operands: exact where both are short, else without its last 15 or 30 bits.  |product| <= 2^30. */
RNNC_KERNEL int32_t rnnc_extended_times(int32_t u, uint8_t u_bits, int32_t v, uint8_t v_bits)
{
    if (u_bits == 32) {
        return v_bits == 32 ? rnnc_mul30(u, v) : rnnc_mul15(v, u);
    }
    return v_bits == 32 ? rnnc_mul15(u, v) : u * v;
}

/* y = gain a b, elementwise. */
RNNC_KERNEL void rnnc_extended_product(const rnnc_extended_product_params *p, const void *a,
                                       const void *b, void *y)
{
    const rnnc_loops *l = &p->loops;
    uint16_t i, j, k, n = 0;
    for (i = 0; i < l->count[0]; i++) {
        for (j = 0; j < l->count[1]; j++) {
            for (k = 0; k < l->count[2]; k++) {
                size_t at = rnnc_offset(l->scale, i, j, k);
                int32_t u = rnnc_less_zero(a, p->a_bits, p->a_zero, rnnc_offset(l->a, i, j, k));
                int32_t v = rnnc_less_zero(b, p->b_bits, p->b_zero, rnnc_offset(l->b, i, j, k));
                v = rnnc_extended_times(u, p->a_bits, v, p->b_bits);
                v = rnnc_mul30(rnnc_rom_i32(&p->gains[at]), v);
                v = rnnc_by_power(v, rnnc_rom_i8(&p->shifts[at]));
                rnnc_put(y, p->y_bits, n++, rnnc_clip(v, p->lo, p->hi));
            }
        }
    }
}

#endif
