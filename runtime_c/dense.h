/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_DENSE_H
#define RNNC_DENSE_H
#include <stdint.h>

#include "fixed.h"
#include "rows.h"

typedef struct {
    const int8_t *weights;    /* [rows][columns], packed by the target */
    const int32_t *bias;      /* [rows] */
    const rnnc_scale1 *scale; /* [rows] */
    uint16_t columns, rows, positions;
    uint8_t x_bits, y_bits; /* 8 or 16; y also 32 */
    int16_t zero_point;     /* of y */
    int32_t lo, hi;         /* y is clipped to lo .. hi */
} rnnc_dense_params;

/* y = W x + b at each position.  x: [positions][columns].  y: [positions][rows]. */
static inline void rnnc_dense(const rnnc_dense_params *p, const void *x, void *y)
{
    enum { UNITS = RNNC_UNITS(1) };
    uint16_t i, u, k;
    for (i = 0; i < p->positions; i++) {
        const int8_t *w = p->weights;
        const void *at = (const int8_t *)x + (size_t)i * p->columns * (p->x_bits / 8u);
        for (u = 0; u < p->rows; u = (uint16_t)(u + UNITS)) {
            int32_t a[UNITS];
            w = rnnc_rows(a, w, at, p->x_bits, p->columns, UNITS);
            for (k = u; k < u + UNITS && k < p->rows; k++) {
                int32_t v = rnnc_rescale1(a[k - u] + rnnc_rom_i32(&p->bias[k]), &p->scale[k]) + p->zero_point;
                rnnc_put(y, p->y_bits, (uint16_t)(i * p->rows + k), rnnc_clip(v, p->lo, p->hi));
            }
        }
    }
}

#endif
