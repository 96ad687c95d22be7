/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_MANY_H
#define RNNC_MANY_H
/* Rows of weights times a vector of each of several streams: NAME_step_many reads weights once for RNNC_MANY streams. */
#include <stddef.h>
#include <stdint.h>

#include "rows.h"

#define RNNC_MANY 16 /* streams over one pass of the weights */

/* acc[k][r] = sum of w[r][j] v[k][j], k = 0 .. n - 1, n <= RNNC_MANY; acc[k] begins at k step. All else as rnnc_product. Weights
 * that one stream has read are in the nearest cache for the others: a call is of at most 32 rows. */
#define RNNC_EACH_STREAM(name, product)                                            \
    static inline const int8_t *name(int32_t *acc, size_t step, const int8_t *w,   \
                                     const void *const *v, size_t n, uint8_t bits, \
                                     uint16_t columns, uint16_t rows)              \
    {                                                                              \
        const int8_t *end = w;                                                     \
        size_t k;                                                                  \
        for (k = 0; k < n; k++) {                                                  \
            end = product(acc + k * step, w, v[k], bits, columns, rows);           \
        }                                                                          \
        return end;                                                                \
    }

RNNC_EACH_STREAM(rnnc_product_many, rnnc_product)
#ifndef RNNC_PRODUCT_FEW
#define rnnc_product_few_many rnnc_product_many
#else
RNNC_EACH_STREAM(rnnc_product_few_many, rnnc_product_few)
#endif
RNNC_EACH_STREAM(rnnc_product_wide_many, rnnc_product_wide)
#ifdef RNNC_PRODUCT_SPARSE
RNNC_EACH_STREAM(rnnc_product_sparse_many, rnnc_product_sparse)
#endif

#endif
