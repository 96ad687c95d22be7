/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_ISA_X86_ROWS_H
#define RNNC_ISA_X86_ROWS_H
/* Rows times a vector for x86.h. */
#include "x86_avx2.h"

/* The products of one pair of columns: w [8 rows][2] and x twice in every lane. */
RNNC_AVX2_FUNCTION __m256i rnnc_avx2_pair(__m256i sum, const int8_t *w, __m256i x)
{
    __m256i wide = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)w));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(wide, x));
}

RNNC_AVX2_FUNCTION __m256i rnnc_avx2_columns(const int16_t *v)
{
    int32_t both;
    memcpy(&both, v, sizeof both);
    return _mm256_set1_epi32(both);
}

RNNC_AVX2_FUNCTION void rnnc_avx2_store(int32_t *acc, __m256i sum)
{
    _mm256_storeu_si256((__m256i *)(void *)acc, sum);
}

/* Two blocks: acc[0 .. 15]. */
RNNC_AVX2_FUNCTION void rnnc_avx2_two(int32_t *acc, const int8_t *w, const int16_t *v, size_t pairs)
{
    __m256i a = _mm256_setzero_si256(), b = a;
    size_t j;
    for (j = 0; j < pairs; j++) {
        __m256i x = rnnc_avx2_columns(&v[2 * j]);
        a = rnnc_avx2_pair(a, w + 16 * j, x);
        b = rnnc_avx2_pair(b, w + 16 * (pairs + j), x);
    }
    rnnc_avx2_store(acc, a);
    rnnc_avx2_store(acc + 8, b);
}

/* acc[0 .. rows - 1], four blocks at a time, then two, then one. */
__attribute__((target("avx2"), noinline, unused)) static const int8_t *
rnnc_avx2_rows(int32_t *acc, const int8_t *w, const int16_t *v, size_t pairs, uint16_t rows)
{
    size_t j, block = 16 * pairs;
    for (; rows >= 32; rows = (uint16_t)(rows - 32), acc += 32, w += 4 * block) {
        __m256i a = _mm256_setzero_si256(), b = a, c = a, d = a;
        for (j = 0; j < pairs; j++) {
            __m256i x = rnnc_avx2_columns(&v[2 * j]);
            a = rnnc_avx2_pair(a, w + 16 * j, x);
            b = rnnc_avx2_pair(b, w + block + 16 * j, x);
            c = rnnc_avx2_pair(c, w + 2 * block + 16 * j, x);
            d = rnnc_avx2_pair(d, w + 3 * block + 16 * j, x);
        }
        rnnc_avx2_store(acc, a);
        rnnc_avx2_store(acc + 8, b);
        rnnc_avx2_store(acc + 16, c);
        rnnc_avx2_store(acc + 24, d);
    }
    for (; rows >= 16; rows = (uint16_t)(rows - 16), acc += 16, w += 2 * block) {
        rnnc_avx2_two(acc, w, v, pairs);
    }
    if (rows) {
        __m256i a = _mm256_setzero_si256();
        for (j = 0; j < pairs; j++) {
            a = rnnc_avx2_pair(a, w + 16 * j, rnnc_avx2_columns(&v[2 * j]));
        }
        rnnc_avx2_store(acc, a);
        w += block;
    }
    return w;
}

#endif
