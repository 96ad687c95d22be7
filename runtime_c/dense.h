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

static inline void rnnc_dense_rows(const rnnc_dense_params *p, const void *x, void *v, void *y,
                                   int wide)
{
    enum { block = RNNC_GROUP < 4 ? 4 : RNNC_GROUP };
    uint16_t i, r, k;
    for (i = 0; i < p->positions; i++) {
        const int8_t *w = p->weights;
        const void *at = (const int8_t *)x + (size_t)i * p->columns * (p->x_bits / 8u);
        const void *operand = rnnc_prepared(v, at, p->x_bits, p->columns);
        for (r = 0; r < p->rows; r = (uint16_t)(r + block)) {
            int32_t a[block];
            uint16_t left = (uint16_t)(p->rows - r), n = left < block ? left : block;
            uint16_t filled = (uint16_t)((n + RNNC_GROUP - 1) / RNNC_GROUP * RNNC_GROUP);
            w = wide ? rnnc_product_wide(a, w, operand, p->x_bits, p->columns, filled)
                     : rnnc_product(a, w, operand, p->x_bits, p->columns, filled);
            for (k = 0; k < n; k++) {
                int32_t value =
                    rnnc_requantize1(a[k] + rnnc_rom_i32(&p->bias[r + k]), &p->scale[r + k]) +
                    p->zero_point;
                rnnc_put(y, p->y_bits, (uint16_t)(i * p->rows + r + k),
                         rnnc_clip(value, p->lo, p->hi));
            }
        }
    }
}

/* y = W x + b at each position.  x: [positions][columns].  y: [positions][rows].  v: scratch, x as the kernel takes it. */
static inline void rnnc_dense(const rnnc_dense_params *p, const void *x, void *v, void *y)
{
    rnnc_dense_rows(p, x, v, y, 0);
}

/* The same of wide rows. */
static inline void rnnc_dense_wide(const rnnc_dense_params *p, const void *x, void *v, void *y)
{
    rnnc_dense_rows(p, x, v, y, 1);
}

#endif
