/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_ISA_XTENSA_H
#define RNNC_ISA_XTENSA_H
/* Xtensa: plain C for either ABI that reads words of words.h, as a load of a byte has no sign, and flash that is mapped (ESP8266)
 * is read by words only. */
#include "core.h"

#ifdef RNNC_CORE_XTENSA
#include <stddef.h>
#include <stdint.h>

#define RNNC_WORDS_ROWS
#define RNNC_ALIGNED __attribute__((aligned(4)))

/* Four rows, or two wide ones, wherever a compiler would think that they are bytes. */
typedef int32_t __attribute__((may_alias)) rnnc_xtensa_word;

/* acc[0 .. 3] = t_k - 256 t_(k+1) - 128 sum of x of the words at w, each `apart` words from the next. */
static __attribute__((noinline, unused)) void
rnnc_xtensa_rows4(int32_t *acc, const rnnc_xtensa_word *w, uint32_t apart, const int16_t *x,
                  const int16_t *end, uint32_t correction)
{
    uint32_t t0 = 0, t1 = 0, t2 = 0, t3 = 0;
    for (; x < end; x++, w += apart) {
        int32_t word = *w;
        uint32_t a = (uint32_t)(int32_t)*x;
        t0 += (uint32_t)word * a;
        t1 += (uint32_t)(word >> 8) * a;
        t2 += (uint32_t)(word >> 16) * a;
        t3 += (uint32_t)(word >> 24) * a;
    }
    acc[0] = (int32_t)(t0 - (t1 << 8) + correction);
    acc[1] = (int32_t)(t1 - (t2 << 8) + correction);
    acc[2] = (int32_t)(t2 - (t3 << 8) + correction);
    acc[3] = (int32_t)t3;
}

static inline const int8_t *rnnc_words_rows(int32_t *acc, const int8_t *w, const int32_t *v,
                                            uint16_t columns, uint16_t rows)
{
    const int16_t *x = (const int16_t *)(v + 1);
    const rnnc_xtensa_word *word = (const rnnc_xtensa_word *)(const void *)w;
    uint16_t k;
    for (; rows >= 8; rows = (uint16_t)(rows - 8), word += 2u * columns) {
        for (k = 0; k < 2; k++, acc += 4) {
            rnnc_xtensa_rows4(acc, word + k, 2, x, x + columns, (uint32_t)v[0]);
        }
    }
    if (rows) {
        rnnc_xtensa_rows4(acc, word, 1, x, x + columns, (uint32_t)v[0]);
        word += columns;
    }
    return (const int8_t *)word;
}

/* acc[0 .. 3] of wide rows: A_1 = t_1, A_0 = t_0 - 65536 t_1 - 32768 sum of x, of two words at a time. */
static __attribute__((noinline, unused)) void
rnnc_xtensa_wide4(int32_t *acc, const rnnc_xtensa_word *w, uint32_t apart, const int16_t *x,
                  const int16_t *end, uint32_t correction)
{
    uint32_t t0 = 0, t1 = 0, t2 = 0, t3 = 0;
    for (; x < end; x++, w += apart) {
        uint32_t a = (uint32_t)(int32_t)*x;
        t0 += (uint32_t)w[0] * a;
        t1 += (uint32_t)(w[0] >> 16) * a;
        t2 += (uint32_t)w[1] * a;
        t3 += (uint32_t)(w[1] >> 16) * a;
    }
    acc[0] = (int32_t)(t0 - (t1 << 16) + correction);
    acc[1] = (int32_t)t1;
    acc[2] = (int32_t)(t2 - (t3 << 16) + correction);
    acc[3] = (int32_t)t3;
}

static inline const int8_t *rnnc_words_wide(int32_t *acc, const int8_t *w, const int32_t *v,
                                            uint16_t columns, uint16_t rows)
{
    const int16_t *x = (const int16_t *)(v + 1);
    const rnnc_xtensa_word *word = (const rnnc_xtensa_word *)(const void *)w;
    uint32_t correction = (uint32_t)v[0] << 8;
    uint16_t k;
    for (; rows >= 8; rows = (uint16_t)(rows - 8), word += 4u * columns) {
        for (k = 0; k < 2; k++, acc += 4) {
            rnnc_xtensa_wide4(acc, word + 2 * k, 4, x, x + columns, correction);
        }
    }
    if (rows) {
        rnnc_xtensa_wide4(acc, word, 2, x, x + columns, correction);
        word += 2u * columns;
    }
    return (const int8_t *)word;
}
#endif

#include "words.h"

#endif
