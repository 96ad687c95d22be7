/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_ISA_X86_ROWS_H
#define RNNC_ISA_X86_ROWS_H
/* Rows times a vector for x86.h. */
#include "x86_avx2.h"

/* The products of one pair of columns: w [8 rows][2], of 1 or 2 bytes (size), and x twice in every lane. */
RNNC_AVX2_FUNCTION __m256i rnnc_avx2_pair(__m256i sum, const int8_t *w, __m256i x, int size)
{
    __m256i pairs = size == 2
                        ? _mm256_loadu_si256((const __m256i *)(const void *)w)
                        : _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)w));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, x));
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

/* acc[0 .. rows - 1], rows = 8, 16, 24 or 32: of each pair of columns, the blocks one after the other. */
RNNC_AVX2_FUNCTION const int8_t *rnnc_avx2_batch(int32_t *acc, const int8_t *w, const int16_t *v,
                                                 size_t pairs, uint16_t rows, int size)
{
    const int block = 16 * size;
    const int16_t *end = v + 2 * pairs;
    __m256i a = _mm256_setzero_si256(), b = a, c = a, d = a;
    if (rows == 32) {
        for (; v < end; v += 2, w += 4 * block) {
            __m256i x = rnnc_avx2_columns(v);
            a = rnnc_avx2_pair(a, w, x, size);
            b = rnnc_avx2_pair(b, w + block, x, size);
            c = rnnc_avx2_pair(c, w + 2 * block, x, size);
            d = rnnc_avx2_pair(d, w + 3 * block, x, size);
        }
        rnnc_avx2_store(acc + 24, d);
        rnnc_avx2_store(acc + 16, c);
        rnnc_avx2_store(acc + 8, b);
    } else if (rows == 24) {
        for (; v < end; v += 2, w += 3 * block) {
            __m256i x = rnnc_avx2_columns(v);
            a = rnnc_avx2_pair(a, w, x, size);
            b = rnnc_avx2_pair(b, w + block, x, size);
            c = rnnc_avx2_pair(c, w + 2 * block, x, size);
        }
        rnnc_avx2_store(acc + 16, c);
        rnnc_avx2_store(acc + 8, b);
    } else if (rows == 16) {
        for (; v < end; v += 2, w += 2 * block) {
            __m256i x = rnnc_avx2_columns(v);
            a = rnnc_avx2_pair(a, w, x, size);
            b = rnnc_avx2_pair(b, w + block, x, size);
        }
        rnnc_avx2_store(acc + 8, b);
    } else {
        for (; v < end; v += 2, w += block) {
            a = rnnc_avx2_pair(a, w, rnnc_avx2_columns(v), size);
        }
    }
    rnnc_avx2_store(acc, a);
    return w;
}

__attribute__((target("avx2"), noinline, unused)) static const int8_t *
rnnc_avx2_rows(int32_t *acc, const int8_t *w, const int16_t *v, size_t pairs, uint16_t rows)
{
    return rnnc_avx2_batch(acc, w, v, pairs, rows, 1);
}

__attribute__((target("avx2"), noinline, unused)) static const int8_t *
rnnc_avx2_wide(int32_t *acc, const int8_t *w, const int16_t *v, size_t pairs, uint16_t rows)
{
    return rnnc_avx2_batch(acc, w, v, pairs, rows, 2);
}

#endif
