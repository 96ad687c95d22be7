/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_LONG_GATES_H
#define RNNC_LONG_GATES_H
/* Gates near 0 or 1, whose distance from there is what matters: 30 fraction bits. */
#include <stdint.h>

#include "cell.h"
#include "extended_functions.h"

#define RNNC_LONG_SPLIT 262144 /* 8: powers of two take the place of the table */

/* sigma(-a) in units of 2^-29 from the table of sigmoid, a: 15 fraction bits, 0 .. RNNC_LONG_SPLIT. */
static inline int32_t rnnc_long_near(uint32_t a)
{
    uint32_t k = rnnc_lut_index(a >> RNNC_FINER);
    int32_t rounding = 8064; /* what the line has beside 2^28 and the curve */
    if (k < RNNC_TAIL) {
        rounding = 4127;
    }
    return 268435456 + rounding - rnnc_sigmoid_start(k) - rnnc_fine_rise(a, k);
}

/* The same by e^-a - e^-2a, a: RNNC_LONG_SPLIT .. 21 2^15.  The first power is < 2^18. */
static inline int32_t rnnc_long_far(uint32_t a)
{
    int32_t t = (int32_t)a * 512, e;
    e = rnnc_fine_power_of_two(486539264 -
                               (t + rnnc_mul15(14506, t))); /* log2(e) - 1 = 14506 / 2^15 */
    return e - (((e >> 4) * (e >> 4)) >> 21);
}

/* Logistic function of p, 15 fraction bits, |p| <= 21 2^15: 0 .. 2^30 in units of 2^-30. */
static inline int32_t rnnc_long_sigmoid(int32_t p)
{
    uint32_t a = (uint32_t)(p < 0 ? -p : p);
    int32_t y = a < RNNC_LONG_SPLIT ? rnnc_long_near(a) : rnnc_long_far(a);
    return p < 0 ? 2 * y : 1073741824 - 2 * y;
}

typedef struct {
    uint16_t size;
    int8_t shift; /* to the LSB of y */
    int32_t hi;   /* y <= hi */
} rnnc_long_squash_params;

/* x: [size], 12 fraction bits.  y: [size], a logistic function in 32 bits. */
static inline void rnnc_long_squash(const rnnc_long_squash_params *p, const int32_t *x, int32_t *y)
{
    uint16_t i;
    for (i = 0; i < p->size; i++) {
        int32_t at = rnnc_clip(x[i], -86016, 86016) * 8; /* 21 2^12, to 15 fraction bits */
        int32_t value = rnnc_by_power(rnnc_long_sigmoid(at), p->shift);
        y[i] = value < p->hi ? value : p->hi;
    }
}

#endif
