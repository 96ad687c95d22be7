/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_EXTENDED_FUNCTIONS_H
#define RNNC_EXTENDED_FUNCTIONS_H
/* Quotients, powers and exponentials of extended values. */
#include <stdint.h>

#include "argument.h"
#include "extended.h"
#include "functions.h"
#include "loops.h"

/* generated: the table of the fine power of two, by make golden */
/* clang-format off */
/* [0 .. 63] 2^30 2^-(k/64). */
static const int32_t RNNC_ROM rnnc_fine_exp2_table[64] = {
    1073741824, 1062175491, 1050733751, 1039415261, 1028218693, 1017142735, 1006186087,
    995347464, 984625594, 974019220, 963527098, 953147997, 942880699, 932724001, 922676710,
    912737649, 902905651, 893179563, 883558244, 874040567, 864625413, 855311680, 846098274,
    836984114, 827968132, 819049271, 810226483, 801498734, 792865000, 784324269, 775875538,
    767517817, 759250125, 751071493, 742980960, 734977579, 727060411, 719228525, 711481005,
    703816941, 696235434, 688735596, 681316545, 673977412, 666717336, 659535466, 652430958,
    645402981, 638450708, 631573326, 624770026, 618040012, 611382493, 604796689, 598281827,
    591837143, 585461881, 579155293, 572916640, 566745190, 560640218, 554601009, 548626854,
    542717053,
};
/* clang-format on */
/* end of the table of the fine power of two */

/* 2^30 2^-(t/2^24), t: 0 .. 2^24 - 1: 2^29 .. 2^30, relative error < 2^-20.
 * p = 2^21 (1 - 2^-z), z the rest below a knot: p < 22714, the first product < 2^32. */
static inline int32_t rnnc_fine_exp2(uint32_t t)
{
    int32_t left = rnnc_rom_i32(&rnnc_fine_exp2_table[t >> 18]);
    uint32_t p = (((t & 262143u) >> 1) * 22713u + 65536u) >> 17;
    p -= (p * p + 2097152u) >> 22;
    return left - ((rnnc_mul15((int32_t)p, left) + 32) >> 6);
}

/* 2^(t / 2^24), rounded, saturated at 2^29.  |t| <= 2^30. */
static inline int32_t rnnc_fine_power_of_two(int32_t t)
{
    uint32_t u = (0u - (uint32_t)t) & 16777215u;
    int32_t shift = 30 - ((t + (int32_t)u) >> 24);
    if (shift < 1) {
        return RNNC_EXTENDED_MAX;
    }
    if (shift > 31) {
        return 0;
    }
    return (int32_t)(((uint32_t)rnnc_fine_exp2(u) + ((uint32_t)1 << shift >> 1)) >> shift);
}

/* The same of an exponent with 16 fraction bits, beyond +-63 taken as that. */
static inline int32_t rnnc_fine_power_of_two_16(int32_t t)
{
    return rnnc_fine_power_of_two(rnnc_clip(t, -4128768, 4128768) * 256);
}

/* log2 of |v| with 16 fraction bits, v = 0 taken as 1. */
static inline int32_t rnnc_fine_log2_size(int32_t v)
{
    uint32_t size = (uint32_t)(v < 0 ? -v : v);
    return rnnc_log2(size > 0 ? size : 1);
}

/* u / v 2^(c / 2^16), |result| <= hi; by 0 the largest number, 0 / 0 = 0.  The exponent by certificate. */
static inline int32_t rnnc_fine_quotient(int32_t u, int32_t v, int32_t c, int32_t hi)
{
    int32_t t = rnnc_fine_log2_size(u) - rnnc_fine_log2_size(v) + c;
    int32_t value = u == 0 ? 0 : v == 0 ? hi : rnnc_fine_power_of_two_16(t);
    value = value < hi ? value : hi;
    return (u < 0) != (v < 0) ? -value : value;
}

typedef struct {
    rnnc_loops loops;         /* scale: constants */
    const int32_t *constants; /* to LSBs of y, 16 fraction bits */
    uint8_t a_bits, b_bits, y_bits;
    int16_t a_zero, b_zero;
    int32_t hi; /* |y| <= hi */
} rnnc_extended_div_params;

/* y = a / b, elementwise. */
static inline void rnnc_extended_div(const rnnc_extended_div_params *p, const void *a,
                                     const void *b, void *y)
{
    const rnnc_loops *l = &p->loops;
    uint16_t i, j, k, n = 0;
    for (i = 0; i < l->count[0]; i++) {
        for (j = 0; j < l->count[1]; j++) {
            for (k = 0; k < l->count[2]; k++) {
                int32_t u = rnnc_read(a, p->a_bits, rnnc_offset(l->a, i, j, k)) - p->a_zero;
                int32_t v = rnnc_read(b, p->b_bits, rnnc_offset(l->b, i, j, k)) - p->b_zero;
                int32_t c = rnnc_rom_i32(&p->constants[rnnc_offset(l->scale, i, j, k)]);
                rnnc_put(y, p->y_bits, n++, rnnc_fine_quotient(u, v, c, p->hi));
            }
        }
    }
}

typedef struct {
    rnnc_loops loops;               /* scale: arguments */
    const rnnc_argument *arguments; /* constant: to LSBs of y, 16 fraction bits */
    uint8_t bits;                   /* of the argument below the LSB of x: 0 .. 15 */
    uint8_t x_bits, y_bits;
    uint16_t m; /* |p| = m / 2^(shift + 7), m of 15 bits */
    uint8_t shift, negative;
    uint8_t
        sign; /* of a negative base: 0 counts as 0, 1 as its magnitude, 2 so and y is negative */
    int16_t x_zero;
    int32_t hi; /* |y| <= hi */
} rnnc_extended_power_params;

/* y = x^p, elementwise.  log2 < 2^21, so |p log2 2^8| < 2^29 m / 2^15; the exponent by certificate. */
static inline void rnnc_extended_power(const rnnc_extended_power_params *p, const void *x, void *y)
{
    const rnnc_loops *l = &p->loops;
    uint16_t i, j, k, n = 0;
    for (i = 0; i < l->count[0]; i++) {
        for (j = 0; j < l->count[1]; j++) {
            for (k = 0; k < l->count[2]; k++, n++) {
                const rnnc_argument *a = &p->arguments[rnnc_offset(l->scale, i, j, k)];
                int32_t base = rnnc_read(x, p->x_bits, n) - p->x_zero, t, value;
                uint32_t v = rnnc_argue(a, p->sign && base < 0 ? -base : base, p->bits);
                t = rnnc_mul15(p->m, rnnc_log2(v > 0 ? v : 1) * 256);
                t = (t + ((int32_t)1 << p->shift >> 1)) >> p->shift;
                t = (p->negative ? -t : t) + rnnc_rom_i32(&a->constant);
                value = v > 0 ? rnnc_fine_power_of_two_16(t) : p->negative ? p->hi : 0;
                value = value < p->hi ? value : p->hi;
                rnnc_put(y, p->y_bits, n, p->sign == 2 && base < 0 ? -value : value);
            }
        }
    }
}

typedef struct {
    int32_t gain; /* to exponents of 2 with 24 fraction bits: (gain x / 2^30) 2^shift */
    int8_t shift;
    int32_t constant; /* to LSBs of y, 24 fraction bits, within +-2^30 */
    uint16_t size;
    uint8_t x_bits, y_bits;
    int16_t x_zero;
    int32_t hi;
} rnnc_extended_exp_params;

/* y = exp(x), elementwise.  |exponent| <= 2^29 + 2, its sum with the constant < 2^31. */
static inline void rnnc_extended_exp(const rnnc_extended_exp_params *p, const void *x, void *y)
{
    uint16_t i;
    for (i = 0; i < p->size; i++) {
        int32_t t = rnnc_mul30(p->gain, rnnc_lifted(x, p->x_bits, p->x_zero, i));
        t = rnnc_by_power(t, p->shift) + p->constant;
        t = rnnc_fine_power_of_two(rnnc_clip(t, -1073741824, 1073741824));
        rnnc_put(y, p->y_bits, i, t < p->hi ? t : p->hi);
    }
}

typedef struct {
    rnnc_loops loops;               /* scale: arguments */
    const rnnc_argument *arguments; /* constant: the logarithm of the argument's unit, LSB of y */
    uint8_t bits;                   /* of the argument below the LSB of x: 0 .. 15 */
    uint8_t x_bits;
    int32_t gain; /* to LSBs of y from a log2 with 24 fraction bits: (gain log2 / 2^30) 2^shift */
    int8_t shift;
    int16_t x_zero;
    int32_t lo, hi; /* y is clipped to lo .. hi, and lo where x <= 0 */
} rnnc_extended_log_params;

/* y = ln(x), elementwise.  log2 <= 2^21; the sum < 2^31 by certificate "logarithm". */
static inline void rnnc_extended_log(const rnnc_extended_log_params *p, const void *x, int32_t *y)
{
    const rnnc_loops *l = &p->loops;
    uint16_t i, j, k, n = 0;
    for (i = 0; i < l->count[0]; i++) {
        for (j = 0; j < l->count[1]; j++) {
            for (k = 0; k < l->count[2]; k++, n++) {
                const rnnc_argument *a = &p->arguments[rnnc_offset(l->scale, i, j, k)];
                uint32_t v = rnnc_argue(a, rnnc_read(x, p->x_bits, n) - p->x_zero, p->bits);
                int32_t value = rnnc_mul30(p->gain, rnnc_log2(v > 0 ? v : 1) * 256);
                value = rnnc_by_power(value, p->shift) + rnnc_rom_i32(&a->constant);
                y[n] = v > 0 ? rnnc_clip(value, p->lo, p->hi) : p->lo;
            }
        }
    }
}

#endif
