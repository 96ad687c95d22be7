/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_LOG_H
#define RNNC_LOG_H
#include <stdint.h>

#include "argument.h"
#include "fixed.h"
#include "functions.h"
#include "loops.h"

typedef struct {
    rnnc_loops loops; /* scale: arguments */
    const rnnc_argument
        *arguments; /* constant: the logarithm of the argument's unit, and rounding */
    uint8_t bits;   /* of the argument below the LSB of x: 0 .. 15 */
    uint8_t x_bits; /* 8, 16 or 32 */
    uint16_t m;     /* of 15 bits */
    uint8_t shift;
    int16_t x_zero;
    int32_t lo, hi; /* y is clipped to lo .. hi, and lo where x <= 0 */
} rnnc_log_params;

/* y = ln(x), elementwise.  log2 < 2^21; the sum < 2^31 by certificate "logarithm". */
static inline void rnnc_log(const rnnc_log_params *p, const void *x, int16_t *y)
{
    const rnnc_loops *l = &p->loops;
    uint16_t i, j, k, n = 0;
    for (i = 0; i < l->count[0]; i++) {
        for (j = 0; j < l->count[1]; j++) {
            for (k = 0; k < l->count[2]; k++, n++) {
                const rnnc_argument *a = &p->arguments[rnnc_offset(l->scale, i, j, k)];
                uint32_t v = rnnc_argue(a, rnnc_read(x, p->x_bits, n) - p->x_zero, p->bits);
                int32_t value = rnnc_mul15(p->m, rnnc_log2(v > 0 ? v : 1) * 256);
                value = (value + rnnc_rom_i32(&a->constant)) >> p->shift;
                y[n] = (int16_t)(v > 0 ? rnnc_clip(value, p->lo, p->hi) : p->lo);
            }
        }
    }
}

#endif
