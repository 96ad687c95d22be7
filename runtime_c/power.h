/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_POWER_H
#define RNNC_POWER_H
#include <stdint.h>

#include "argument.h"
#include "fixed.h"
#include "functions.h"
#include "loops.h"

#define RNNC_POSITIVE 0 /* a negative base counts as 0 */
#define RNNC_EVEN 1     /* it counts as its magnitude */
#define RNNC_ODD 2      /* so, and the result is negative */

typedef struct {
    rnnc_loops loops;               /* scale: arguments */
    const rnnc_argument *arguments; /* constant: to LSBs of y, 16 fraction bits */
    uint8_t bits;                   /* of the argument below the LSB of x: 0 .. 15 */
    uint8_t x_bits;                 /* 8 or 16 */
    uint16_t m;                     /* |p| = m / 2^(shift + 7), m of 15 bits */
    uint8_t shift, negative, sign;
    int16_t x_zero;
    int32_t hi; /* |y| <= hi */
} rnnc_power_params;

/* y = x^p, elementwise.  log2 < 2^21, so |p log2 2^8| < 2^29 m / 2^15; the exponent by certificate. */
static inline void rnnc_power(const rnnc_power_params *p, const void *x, int16_t *y)
{
    const rnnc_loops *l = &p->loops;
    uint16_t i, j, k, n = 0;
    for (i = 0; i < l->count[0]; i++) {
        for (j = 0; j < l->count[1]; j++) {
            for (k = 0; k < l->count[2]; k++, n++) {
                const rnnc_argument *a = &p->arguments[rnnc_offset(l->scale, i, j, k)];
                int32_t base = rnnc_get(x, p->x_bits, n) - p->x_zero, t, value;
                uint32_t v = rnnc_argue(a, p->sign && base < 0 ? -base : base, p->bits);
                t = rnnc_mul15(p->m, rnnc_log2(v > 0 ? v : 1) * 256);
                t = (t + ((int32_t)1 << p->shift >> 1)) >> p->shift;
                value = rnnc_power_of_two((p->negative ? -t : t) + rnnc_rom_i32(&a->constant));
                if (v == 0) {
                    value = p->negative ? 32767 : 0;
                }
                value = value < p->hi ? value : p->hi;
                y[n] = (int16_t)(p->sign == RNNC_ODD && base < 0 ? -value : value);
            }
        }
    }
}

#endif
