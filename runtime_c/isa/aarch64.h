/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_ISA_AARCH64_H
#define RNNC_ISA_AARCH64_H
/* AArch64 (little-endian): NEON, and SDOT where the compiler may use it or the system says at run time that it is there; four units
 * a batch.
 *
 * Up to sixteen rows are a block, a multiple of four: 128 times the sum of each row's weights as int32, then of every four columns,
 * four weights of each row in turn. Wide rows: of each column, the int16 of every row in turn. A prepared operand, padded with 0
 * to P, a multiple of four:
 *     int16 x [P], then of int8 x [P] themselves, or of int16 x = 256 h + l + 128 the int8 h [P] and l [P]
 * so that sum of w x = 256 sum of w h + sum of w l + 128 sum of w. Hosts of other kinds read the same packing in plain C. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "../rom.h"

#define RNNC_GROUP 4
#define RNNC_CALL_ROWS 16
#define RNNC_LANES 4
#define RNNC_OPERAND_BYTES(columns, bits) \
    (((columns) + 3) / 4 * 8 + ((columns) + 3) / 4 * 4 * ((bits) / 8))

/* The elements from j on of a prepared operand. */
static inline void rnnc_prepare_from(void *operand, const void *x, uint8_t bits, size_t columns,
                                     size_t j)
{
    const size_t padded = (columns + 3) / 4 * 4;
    int16_t *v = (int16_t *)operand;
    int8_t *h = (int8_t *)(v + padded), *l = h + padded;
    for (; j < padded; j++) {
        int16_t one = j >= columns ? 0
                      : bits == 8  ? ((const int8_t *)x)[j]
                                   : ((const int16_t *)x)[j];
        v[j] = one;
        h[j] = (int8_t)(bits == 8 ? one : one >> 8);
        if (bits != 8) {
            l[j] = (int8_t)((one & 255) - 128);
        }
    }
}

#if defined(__aarch64__) && defined(__GNUC__) && !defined(__AARCH64EB__) && !defined(RNNC_PLAIN)
#include "aarch64_gates.h"
#include "aarch64_rows.h"
#else
#include "elsewhere.h"

static inline void rnnc_prepare(void *operand, const void *x, uint8_t bits, uint16_t columns)
{
    rnnc_prepare_from(operand, x, bits, columns, 0);
}

static inline const int8_t *rnnc_product(int32_t *acc, const int8_t *w, const void *v, uint8_t bits,
                                         uint16_t columns, uint16_t rows)
{
    const int16_t *x = (const int16_t *)v;
    uint16_t j, r, k;
    (void)bits;
    memset(acc, 0, rows * sizeof *acc);
    w += 4u * rows;
    for (j = 0; j < columns; j = (uint16_t)(j + 4)) {
        for (r = 0; r < rows; r++) {
            for (k = 0; k < 4; k++) {
                acc[r] += *w++ * (int32_t)x[j + k];
            }
        }
    }
    return w;
}

static inline const int8_t *rnnc_product_wide(int32_t *acc, const int8_t *w, const void *v,
                                              uint8_t bits, uint16_t columns, uint16_t rows)
{
    const int16_t *x = (const int16_t *)v;
    uint16_t j, r, padded = (uint16_t)((columns + 3) / 4 * 4);
    (void)bits;
    memset(acc, 0, rows * sizeof *acc);
    for (j = 0; j < padded; j++) {
        for (r = 0; r < rows; r++, w += 2) {
            acc[r] += rnnc_rom_wide(w) * (int32_t)x[j];
        }
    }
    return w;
}
#endif

#endif
