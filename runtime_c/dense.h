/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_DENSE_H
#define RNNC_DENSE_H
#include <stdint.h>

#include "fixed.h"
#include "results.h"
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

#define RNNC_DENSE_NARROW 0
#define RNNC_DENSE_WIDE 1
#define RNNC_DENSE_SPARSE 2

RNNC_KERNEL void rnnc_dense_rows(const rnnc_dense_params *p, const void *x, void *v, void *y,
                                 int form)
{
    enum { block = RNNC_CALL_ROWS };
    const rnnc_results results = {p->bias,       p->scale, p->rows, p->y_bits,
                                  p->zero_point, p->lo,    p->hi};
    size_t i, r;
    for (i = 0; i < p->positions; i++) {
        const int8_t *w = p->weights;
        const void *operand =
            rnnc_prepared(v, rnnc_v_from(x, p->x_bits, i * p->columns), p->x_bits, p->columns);
        for (r = 0; r < p->rows; r += block) {
            int32_t a[block];
            size_t left = p->rows - r;
            size_t n = p->rows % block && left < block ? left : block;
            uint16_t filled = (uint16_t)RNNC_FILLED(n);
#ifdef RNNC_PRODUCT_SPARSE
            if (form == RNNC_DENSE_SPARSE) {
                w = rnnc_product_sparse(a, w, operand, p->x_bits, p->columns, filled);
            } else
#endif
                w = form == RNNC_DENSE_WIDE
                        ? rnnc_product_wide(a, w, operand, p->x_bits, p->columns, filled)
                        : rnnc_product(a, w, operand, p->x_bits, p->columns, filled);
            rnnc_put_row_results(&results, a, n, r, y, i * p->rows + r, 1);
        }
    }
}

/* y = W x + b at each position.  x: [positions][columns].  y: [positions][rows].  v: scratch, x as the kernel takes it. */
RNNC_KERNEL void rnnc_dense(const rnnc_dense_params *p, const void *x, void *v, void *y)
{
    rnnc_dense_rows(p, x, v, y, RNNC_DENSE_NARROW);
}

/* The same of wide rows. */
RNNC_KERNEL void rnnc_dense_wide(const rnnc_dense_params *p, const void *x, void *v, void *y)
{
    rnnc_dense_rows(p, x, v, y, RNNC_DENSE_WIDE);
}

#ifdef RNNC_PRODUCT_SPARSE
/* The same of rows without their blocks of zeros. */
RNNC_KERNEL void rnnc_dense_sparse(const rnnc_dense_params *p, const void *x, void *v, void *y)
{
    rnnc_dense_rows(p, x, v, y, RNNC_DENSE_SPARSE);
}
#endif

#endif
