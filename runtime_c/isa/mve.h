/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_ISA_MVE_H
#define RNNC_ISA_MVE_H
/* Cortex-M55, M85: the M-profile vector extension (Helium), four units a batch.
 *
 * Four rows are a block: of each 16 columns, then of the last 8 where they are left, every row in turn; of wide rows
 * always of 8 columns. A prepared operand is as wide as it was, padded with zeros to a multiple of 8. */
#include <stddef.h>
#include <stdint.h>

#define RNNC_GROUP 4
#define RNNC_CALL_ROWS 16
#define RNNC_LANES 4
#define RNNC_OPERAND_LENGTH(columns) (((columns) + 7) / 8 * 8)
#define RNNC_OPERAND_BYTES(columns, bits) (RNNC_OPERAND_LENGTH(columns) * ((bits) / 8))

#if defined(__ARM_FEATURE_MVE) && defined(__GNUC__)
#define RNNC_ALIGNED __attribute__((aligned(8)))
#include "mve_copy.h"
#include "mve_gates.h"
#include "mve_root.h"
#include "mve_rows.h"
#include "mve_softmax.h"
#include "mve_vector.h"
#else
#include <string.h>

#include "../rom.h"
#include "elsewhere.h"

static inline void rnnc_prepare(void *v, const void *x, uint8_t bits, uint16_t columns)
{
    size_t n = (size_t)columns * (bits / 8u),
           all = (size_t)RNNC_OPERAND_LENGTH(columns) * (bits / 8u);
    memcpy(v, x, n);
    memset((int8_t *)v + n, 0, all - n);
}

/* The same packing, read plainly. */
static inline const int8_t *rnnc_product(int32_t *acc, const int8_t *w, const void *v, uint8_t bits,
                                         uint16_t columns, uint16_t rows)
{
    uint16_t r, i, j, k, wide;
    for (r = 0; r < rows; r++) {
        acc[r] = 0;
    }
    for (r = 0; r < rows; r = (uint16_t)(r + 4)) {
        for (j = 0; j < columns; j = (uint16_t)(j + wide)) {
            wide = columns - j > 8 ? 16 : 8;
            for (i = 0; i < 4; i++) {
                for (k = 0; k < wide; k++, w++) {
                    if (j + k < columns) {
                        acc[r + i] += *w * (int32_t)(bits == 8 ? ((const int8_t *)v)[j + k]
                                                               : ((const int16_t *)v)[j + k]);
                    }
                }
            }
        }
    }
    return w;
}

static inline const int8_t *rnnc_product_wide(int32_t *acc, const int8_t *w, const void *v,
                                              uint8_t bits, uint16_t columns, uint16_t rows)
{
    uint16_t r, i, j, k;
    for (r = 0; r < rows; r++) {
        acc[r] = 0;
    }
    for (r = 0; r < rows; r = (uint16_t)(r + 4)) {
        for (j = 0; j < columns; j = (uint16_t)(j + 8)) {
            for (i = 0; i < 4; i++) {
                for (k = 0; k < 8; k++, w += 2) {
                    if (j + k < columns) {
                        acc[r + i] +=
                            rnnc_rom_wide(w) * (int32_t)(bits == 8 ? ((const int8_t *)v)[j + k]
                                                                   : ((const int16_t *)v)[j + k]);
                    }
                }
            }
        }
    }
    return w;
}
#endif

#endif
