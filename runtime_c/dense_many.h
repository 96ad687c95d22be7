/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_DENSE_MANY_H
#define RNNC_DENSE_MANY_H
/* dense.h for several streams over one pass of the weights. */
#include "dense.h"
#include "many.h"

/* at[0]: x, at[1]: v, at[2]: y of each of n <= RNNC_MANY streams, as rnnc_dense takes them. */
static inline void rnnc_dense_rows_many(const rnnc_dense_params *p, size_t n,
                                        void *const at[][RNNC_MANY], int form)
{
    enum { block = RNNC_CALL_ROWS };
    const rnnc_results results = {p->bias,       p->scale, p->rows, p->y_bits,
                                  p->zero_point, p->lo,    p->hi};
    const void *v[RNNC_MANY];
    size_t i, r, k;
    for (i = 0; i < p->positions; i++) {
        const int8_t *w = p->weights;
        for (k = 0; k < n; k++) {
            v[k] = rnnc_prepared(at[1][k], rnnc_v_from(at[0][k], p->x_bits, i * p->columns),
                                 p->x_bits, p->columns);
        }
        for (r = 0; r < p->rows; r += block) {
            int32_t a[RNNC_MANY][block];
            size_t left = p->rows - r;
            size_t count = left < block ? left : block;
            uint16_t filled = (uint16_t)RNNC_FILLED(count);
#ifdef RNNC_PRODUCT_SPARSE
            if (form == RNNC_DENSE_SPARSE) {
                w = rnnc_product_sparse_many(a[0], block, w, v, n, p->x_bits, p->columns, filled);
            } else
#endif
                w = form == RNNC_DENSE_WIDE
                        ? rnnc_product_wide_many(a[0], block, w, v, n, p->x_bits, p->columns,
                                                 filled)
                        : rnnc_product_many(a[0], block, w, v, n, p->x_bits, p->columns, filled);
            for (k = 0; k < n; k++) {
                rnnc_put_row_results(&results, a[k], count, r, at[2][k], i * p->rows + r, 1);
            }
        }
    }
}

#endif
