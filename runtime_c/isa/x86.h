/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_ISA_X86_H
#define RNNC_ISA_X86_H
/* x86-64 hosts with AVX2, or AVX-512 VNNI, found at run time unless the compiler may use them anyway; eight units a batch.
 *
 * Eight rows are a block: of every four columns, four weights of each row in turn; of wide rows, of each pair of columns, two
 * int16. The blocks of a batch of units, up to four, are interleaved: rnnc_product reads one stream. A prepared operand, padded
 * with 0 to P, a multiple of four:
 *     int16 x [P], and for AVX-512 VNNI int32 128 times the sum of h, int8 h [P], and where x has 16 bits uint8 l [P]
 * where x = 256 h + l; of 8 bits h is x itself. Hosts of other kinds read the same packing in plain C. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __GNUC__
#define RNNC_ALIGNED __attribute__((aligned(64))) /* no load crosses two lines of the cache */
#endif

#include "../rom.h"

#define RNNC_GROUP 8
#define RNNC_LANES 8
#define RNNC_OPERAND_BYTES(columns, bits) \
    (4 + ((columns) + 3) / 4 * 8 + ((columns) + 3) / 4 * 4 * ((bits) / 8))

static inline void rnnc_plain_prepare(int16_t *v, const void *x, uint8_t bits, size_t columns)
{
    const size_t padded = (columns + 3) / 4 * 4;
    size_t j;
    if (bits == 8) {
        for (j = 0; j < columns; j++) {
            v[j] = ((const int8_t *)x)[j];
        }
    } else {
        memcpy(v, x, 2 * columns);
    }
    for (j = columns; j < padded; j++) {
        v[j] = 0;
    }
}

static inline const int8_t *rnnc_plain_rows(int32_t *acc, const int8_t *w, const int16_t *v,
                                            uint16_t quads, uint16_t rows)
{
    uint16_t j, r;
    memset(acc, 0, rows * sizeof *acc);
    for (j = 0; j < quads; j++, v += 4) {
        for (r = 0; r < rows; r++, w += 4) {
            acc[r] += w[0] * (int32_t)v[0] + w[1] * (int32_t)v[1];
            acc[r] += w[2] * (int32_t)v[2] + w[3] * (int32_t)v[3];
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
#include "x86_rows.h"
#include "x86_units.h"
#else
#include "elsewhere.h"
#define RNNC_AVX2 0
#endif

static inline void rnnc_prepare(void *operand, const void *x, uint8_t bits, uint16_t columns)
{
#if RNNC_AVX2
    if (rnnc_vnni()) {
        rnnc_vnni_prepare((int16_t *)operand, x, bits, columns);
        return;
    }
#endif
    rnnc_plain_prepare((int16_t *)operand, x, bits, columns);
}

static inline const int8_t *rnnc_product(int32_t *acc, const int8_t *w, const void *v, uint8_t bits,
                                         uint16_t columns, uint16_t rows)
{
    uint16_t quads = (uint16_t)((columns + 3) / 4);
    (void)bits;
#if RNNC_AVX2
    if (rnnc_vnni()) {
        return bits == 8 ? rnnc_vnni_rows8(acc, w, (const int16_t *)v, quads, rows)
                         : rnnc_vnni_rows16(acc, w, (const int16_t *)v, quads, rows);
    }
    if (rnnc_avx2()) {
        return rnnc_avx2_rows(acc, w, (const int16_t *)v, quads, rows);
    }
#endif
    return rnnc_plain_rows(acc, w, (const int16_t *)v, quads, rows);
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

#if RNNC_AVX2
#include "x86_cells.h"
#endif

#endif
