/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_ISA_WORDS_H
#define RNNC_ISA_WORDS_H
/* The packing of cores that take words of weights apart in registers: four rows a word, two where they are wide. A core's header
 * has its own rnnc_words_rows and rnnc_words_wide, defines RNNC_WORDS_ROWS, and includes this.
 *
 * Eight rows are a block, stored column by column; four that are left are the last. A word is a column of four rows:
 * V = w3 << 24 | u2 << 16 | u1 << 8 | u0 with u = w + 128. With t_k = sum of (V >> 8 k) x, all modulo 2^32:
 *     A_3 = t_3,   A_k = t_k - 256 t_(k+1) - 128 sum of x   for k < 3
 * A column of four wide rows is two words, V = w1 << 16 | (w0 + 32768) and the same of w3 and w2. With t_0 = sum of V x and
 * t_1 = sum of (V >> 16) x, modulo 2^32:  A_1 = t_1,   A_0 = t_0 - 65536 t_1 - 32768 sum of x
 *
 * A prepared operand: -128 sum of x modulo 2^32, then int16, whatever they were, padded with 0 to an even number. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define RNNC_GROUP 4
#define RNNC_CALL_ROWS 16
#define RNNC_LANES 2 /* eight rows share the loads of activations */
#define RNNC_OPERAND_BYTES(columns, bits) (4 + ((columns) + 1) / 2 * 4)

#ifndef RNNC_WORDS_ROWS
#include "../rom.h"
#include "elsewhere.h"

/* The rows of a block, one weight at a time: the first three of four are stored raised. */
static inline const int8_t *rnnc_words_rows(int32_t *acc, const int8_t *w, const int32_t *v,
                                            uint16_t columns, uint16_t rows)
{
    const int16_t *x = (const int16_t *)(v + 1);
    uint16_t j, r, block;
    for (; rows; rows = (uint16_t)(rows - block), acc += block) {
        block = rows >= 8 ? 8 : 4;
        memset(acc, 0, block * sizeof *acc);
        for (j = 0; j < columns; j++) {
            for (r = 0; r < block; r++, w++) {
                acc[r] += (r % 4 == 3 ? *w : *w + (*w < 0 ? 128 : -128)) * (int32_t)x[j];
            }
        }
    }
    return w;
}

/* The same; of wide rows every other. */
static inline const int8_t *rnnc_words_wide(int32_t *acc, const int8_t *w, const int32_t *v,
                                            uint16_t columns, uint16_t rows)
{
    const int16_t *x = (const int16_t *)(v + 1);
    uint16_t j, r, block;
    for (; rows; rows = (uint16_t)(rows - block), acc += block) {
        block = rows >= 8 ? 8 : 4;
        memset(acc, 0, block * sizeof *acc);
        for (j = 0; j < columns; j++) {
            for (r = 0; r < block; r++, w += 2) {
                int32_t weight = rnnc_rom_wide(w);
                acc[r] += (r % 2 ? weight : weight + (weight < 0 ? 32768 : -32768)) * x[j];
            }
        }
    }
    return w;
}
#endif

#ifndef RNNC_WORDS_ELEMENT
static inline int16_t rnnc_words_element(int32_t x)
{
    return (int16_t)x;
}
#endif

static inline void rnnc_prepare(void *operand, const void *x, uint8_t bits, uint16_t columns)
{
    int32_t *v = (int32_t *)operand;
    int16_t *to = (int16_t *)(v + 1);
    uint32_t sum = 0;
    uint16_t j;
    for (j = 0; j + 1 < columns; j = (uint16_t)(j + 2), to += 2) {
        int32_t a = bits == 8 ? ((const int8_t *)x)[j] : ((const int16_t *)x)[j],
                b = bits == 8 ? ((const int8_t *)x)[j + 1] : ((const int16_t *)x)[j + 1];
        to[0] = rnnc_words_element(a);
        to[1] = rnnc_words_element(b);
        sum -= (uint32_t)a + (uint32_t)b;
    }
    if (j < columns) {
        int32_t last = bits == 8 ? ((const int8_t *)x)[j] : ((const int16_t *)x)[j];
        to[0] = (int16_t)last;
        to[1] = 0;
        sum -= (uint32_t)last;
    }
    v[0] = (int32_t)(sum << 7);
}

static inline const int8_t *rnnc_product(int32_t *acc, const int8_t *w, const void *v, uint8_t bits,
                                         uint16_t columns, uint16_t rows)
{
    (void)bits;
    return rnnc_words_rows(acc, w, (const int32_t *)v, columns, rows);
}

static inline const int8_t *rnnc_product_wide(int32_t *acc, const int8_t *w, const void *v,
                                              uint8_t bits, uint16_t columns, uint16_t rows)
{
    (void)bits;
    return rnnc_words_wide(acc, w, (const int32_t *)v, columns, rows);
}

#endif
