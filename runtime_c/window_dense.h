/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_WINDOW_DENSE_H
#define RNNC_WINDOW_DENSE_H
#include <stddef.h>
#include <stdint.h>

#include "fixed.h"

typedef struct {
    const void *weights;      /* [steps][rows][columns], int8 or int16 */
    const rnnc_scale1 *scale; /* [steps][rows] */
    const int32_t *start;     /* [rows], 2^-8 of y's LSB */
    uint16_t steps, rows, columns;
    uint8_t x_bits, y_bits; /* 8 or 16; y also 32 */
    int16_t zero_point;     /* of y */
    int32_t lo, hi;         /* y is clipped to lo .. hi */
} rnnc_window_dense_params;

/* Adds one step's products.  x: [columns].  sum: [rows], 2^-8 of y's LSB, < 2^31 by certificate.
 * at: [1], steps added since the start of the window, 0 .. steps - 1. */
static inline void rnnc_window_dense_add(const rnnc_window_dense_params *p, const void *x,
                                         int32_t *sum, int16_t *at)
{
    const int8_t *w = (const int8_t *)p->weights + (size_t)*at * p->rows * p->columns;
    const rnnc_scale1 *s = p->scale + (size_t)*at * p->rows;
    uint16_t r, j;
    for (r = 0; r < p->rows; r++, s++) {
        uint8_t shift = rnnc_rom_u8(&s->p);
        int32_t a = (int32_t)1 << shift >> 1;
        for (j = 0; j < p->columns; j++) {
            a += (int32_t)rnnc_rom_i8(w++) * rnnc_get(x, p->x_bits, j);
        }
        sum[r] += (a >> shift) * (int32_t)rnnc_rom_u16(&s->m);
    }
    *at = (int16_t)(*at + 1 < (int16_t)p->steps ? *at + 1 : 0);
}

/* The same of int16 weights. */
static inline void rnnc_window_dense_add_wide(const rnnc_window_dense_params *p, const void *x,
                                              int32_t *sum, int16_t *at)
{
    const int16_t *w = (const int16_t *)p->weights + (size_t)*at * p->rows * p->columns;
    const rnnc_scale1 *s = p->scale + (size_t)*at * p->rows;
    uint16_t r, j;
    for (r = 0; r < p->rows; r++, s++) {
        uint8_t shift = rnnc_rom_u8(&s->p);
        int32_t a = (int32_t)1 << shift >> 1;
        for (j = 0; j < p->columns; j++) {
            a += (int32_t)rnnc_rom_i16(w++) * rnnc_get(x, p->x_bits, j);
        }
        sum[r] += (a >> shift) * (int32_t)rnnc_rom_u16(&s->m);
    }
    *at = (int16_t)(*at + 1 < (int16_t)p->steps ? *at + 1 : 0);
}

/* After the last step.  sum: [rows], then what the next window starts from.  y: [rows]. */
static inline void rnnc_window_dense_end(const rnnc_window_dense_params *p, int32_t *sum, void *y)
{
    uint16_t r;
    for (r = 0; r < p->rows; r++) {
        rnnc_put(y, p->y_bits, r, rnnc_clip(((sum[r] + 128) >> 8) + p->zero_point, p->lo, p->hi));
        sum[r] = rnnc_rom_i32(&p->start[r]);
    }
}

#endif
