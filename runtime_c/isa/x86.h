/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_ISA_X86_H
#define RNNC_ISA_X86_H
/* x86-64 hosts with AVX2, or AVX-512 VNNI, found at run time unless the compiler may use them anyway; eight units a batch.
 *
 * Eight rows are a block: of each pair of columns, two weights of every row in turn, int8 or, of wide rows, int16. The blocks of a batch of units, up to
 * four, are interleaved: rnnc_product reads one stream. A prepared operand is int16, padded to an even number. Hosts of other
 * kinds read the same packing in plain C. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "../rom.h"

#define RNNC_GROUP 8
#define RNNC_LANES 8
#define RNNC_OPERAND_BYTES(columns, bits) (2 * (((columns) + 1) / 2 * 2))

static inline void rnnc_prepare(void *operand, const void *x, uint8_t bits, uint16_t columns)
{
    int16_t *v = (int16_t *)operand;
    size_t j, n = columns;
    if (bits == 8) {
        for (j = 0; j < n; j++) {
            v[j] = ((const int8_t *)x)[j];
        }
    } else {
        memcpy(v, x, 2 * n);
    }
    if (n % 2) {
        v[n] = 0;
    }
}

static inline const int8_t *rnnc_plain_rows(int32_t *acc, const int8_t *w, const int16_t *v,
                                            uint16_t pairs, uint16_t rows)
{
    uint16_t j, r;
    memset(acc, 0, rows * sizeof *acc);
    for (j = 0; j < pairs; j++) {
        for (r = 0; r < rows; r++, w += 2) {
            acc[r] += w[0] * (int32_t)v[2 * j] + w[1] * (int32_t)v[2 * j + 1];
        }
    }
    return w;
}

static inline const int8_t *rnnc_plain_wide(int32_t *acc, const int8_t *w, const int16_t *v,
                                            uint16_t pairs, uint16_t rows)
{
    uint16_t j, r;
    memset(acc, 0, rows * sizeof *acc);
    for (j = 0; j < pairs; j++) {
        for (r = 0; r < rows; r++, w += 4) {
            acc[r] += rnnc_rom_wide(w) * (int32_t)v[2 * j];
            acc[r] += rnnc_rom_wide(w + 2) * (int32_t)v[2 * j + 1];
        }
    }
    return w;
}

#if defined(__x86_64__) && defined(__GNUC__)
#include "x86_avx512.h"
#include "x86_gates.h"
#include "x86_rows.h"
#else
#include "elsewhere.h"
#define RNNC_AVX2 0
#endif

static inline const int8_t *rnnc_product(int32_t *acc, const int8_t *w, const void *v, uint8_t bits,
                                         uint16_t columns, uint16_t rows)
{
    uint16_t pairs = (uint16_t)((columns + 1) / 2);
    (void)bits;
#if RNNC_AVX2
    if (rnnc_vnni()) {
        return rnnc_vnni_rows(acc, w, (const int16_t *)v, pairs, rows);
    }
    if (rnnc_avx2()) {
        return rnnc_avx2_rows(acc, w, (const int16_t *)v, pairs, rows);
    }
#endif
    return rnnc_plain_rows(acc, w, (const int16_t *)v, pairs, rows);
}

static inline const int8_t *rnnc_product_wide(int32_t *acc, const int8_t *w, const void *v,
                                              uint8_t bits, uint16_t columns, uint16_t rows)
{
    uint16_t pairs = (uint16_t)((columns + 1) / 2);
    (void)bits;
#if RNNC_AVX2
    if (rnnc_vnni()) {
        return rnnc_vnni_wide(acc, w, (const int16_t *)v, pairs, rows);
    }
    if (rnnc_avx2()) {
        return rnnc_avx2_wide(acc, w, (const int16_t *)v, pairs, rows);
    }
#endif
    return rnnc_plain_wide(acc, w, (const int16_t *)v, pairs, rows);
}

#endif
