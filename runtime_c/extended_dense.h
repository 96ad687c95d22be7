/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_EXTENDED_DENSE_H
#define RNNC_EXTENDED_DENSE_H
#include <stdint.h>

#include "extended.h"

typedef struct {
    const int32_t
        *weights; /* [rows][columns], 30 fraction bits, the sizes of a row add up to 2^31 at most */
    const int8_t *shifts;   /* [rows], -30 .. 29 */
    const int32_t *offsets; /* [rows], within +-2^29 */
    uint16_t rows, columns, positions;
    uint8_t x_bits;
    int16_t x_zero;
    int32_t lo, hi; /* y is clipped to lo .. hi */
} rnnc_extended_dense_params;

/* y = W x + b at each position.  x: [positions][columns], y: [positions][rows].
 * |sum| < 2^31 by certificate "sum", with the offset by "result". */
static inline void rnnc_extended_dense(const rnnc_extended_dense_params *p, const void *x,
                                       int32_t *y)
{
    uint16_t at, i, j, first = 0;
    for (at = 0; at < p->positions; at++, first = (uint16_t)(first + p->columns)) {
        const int32_t *w = p->weights;
        for (i = 0; i < p->rows; i++) {
            int32_t sum = 0;
            for (j = 0; j < p->columns; j++) {
                int32_t v = rnnc_lifted(x, p->x_bits, p->x_zero, (uint16_t)(first + j));
                sum += rnnc_mul30(rnnc_rom_i32(w++), v);
            }
            sum = rnnc_by_power(sum, rnnc_rom_i8(&p->shifts[i])) + rnnc_rom_i32(&p->offsets[i]);
            *y++ = rnnc_clip(sum, p->lo, p->hi);
        }
    }
}

#endif
