/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_ISA_X86_ROWS_H
#define RNNC_ISA_X86_ROWS_H
/* Rows times a vector for x86.h. */
#include "x86_avx2.h"

/* sum [4 rows][2] + the products of four columns: w [4 rows][4], x four columns in every half of a lane. */
RNNC_AVX2_FUNCTION __m256i rnnc_avx2_quad(__m256i sum, const int8_t *w, __m256i x)
{
    __m256i four = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)w));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(four, x));
}

/* The same of [8 rows] and one pair of columns, int16 w [8 rows][2]. */
RNNC_AVX2_FUNCTION __m256i rnnc_avx2_pair(__m256i sum, const int8_t *w, __m256i x)
{
    __m256i pairs = _mm256_loadu_si256((const __m256i *)(const void *)w);
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, x));
}

RNNC_AVX2_FUNCTION __m256i rnnc_avx2_columns(const int16_t *v)
{
    int32_t both;
    memcpy(&both, v, sizeof both);
    return _mm256_set1_epi32(both);
}

RNNC_AVX2_FUNCTION __m256i rnnc_avx2_four_columns(const int16_t *v)
{
    long long four;
    memcpy(&four, v, sizeof four);
    return _mm256_set1_epi64x(four);
}

RNNC_AVX2_FUNCTION void rnnc_avx2_store(int32_t *acc, __m256i sum)
{
    _mm256_storeu_si256((__m256i *)(void *)acc, sum);
}

/* acc[0 .. 7] of two sums of [4 rows][2]. */
RNNC_AVX2_FUNCTION void rnnc_avx2_store_quads(int32_t *acc, __m256i a, __m256i b)
{
    rnnc_avx2_store(acc, _mm256_permute4x64_epi64(_mm256_hadd_epi32(a, b), 0xd8));
}

/* acc[0 .. 8 eights - 1]: of every four columns, the rows one after the other. */
RNNC_AVX2_FUNCTION const int8_t *rnnc_avx2_quads(int32_t *acc, const int8_t *w, const int16_t *v,
                                                 size_t quads, int eights)
{
    const __m256i zero = _mm256_setzero_si256();
    const int16_t *end = v + 4 * quads;
    __m256i s[8] = {zero, zero, zero, zero, zero, zero, zero, zero};
    for (; v < end; v += 4, w += 32 * eights) {
        __m256i x = rnnc_avx2_four_columns(v);
        s[0] = rnnc_avx2_quad(s[0], w, x);
        s[1] = rnnc_avx2_quad(s[1], w + 16, x);
        s[2] = eights > 1 ? rnnc_avx2_quad(s[2], w + 32, x) : zero;
        s[3] = eights > 1 ? rnnc_avx2_quad(s[3], w + 48, x) : zero;
        s[4] = eights > 2 ? rnnc_avx2_quad(s[4], w + 64, x) : zero;
        s[5] = eights > 2 ? rnnc_avx2_quad(s[5], w + 80, x) : zero;
        s[6] = eights > 3 ? rnnc_avx2_quad(s[6], w + 96, x) : zero;
        s[7] = eights > 3 ? rnnc_avx2_quad(s[7], w + 112, x) : zero;
    }
    rnnc_avx2_store_quads(acc, s[0], s[1]);
    if (eights > 1) {
        rnnc_avx2_store_quads(acc + 8, s[2], s[3]);
    }
    if (eights > 2) {
        rnnc_avx2_store_quads(acc + 16, s[4], s[5]);
    }
    if (eights > 3) {
        rnnc_avx2_store_quads(acc + 24, s[6], s[7]);
    }
    return w;
}

/* acc[0 .. 8 eights - 1] of wide rows: of each pair of columns, the rows one after the other. */
RNNC_AVX2_FUNCTION const int8_t *rnnc_avx2_pairs(int32_t *acc, const int8_t *w, const int16_t *v,
                                                 size_t pairs, int eights)
{
    const __m256i zero = _mm256_setzero_si256();
    const int16_t *end = v + 2 * pairs;
    __m256i s[4] = {zero, zero, zero, zero};
    for (; v < end; v += 2, w += 32 * eights) {
        __m256i x = rnnc_avx2_columns(v);
        s[0] = rnnc_avx2_pair(s[0], w, x);
        s[1] = eights > 1 ? rnnc_avx2_pair(s[1], w + 32, x) : zero;
        s[2] = eights > 2 ? rnnc_avx2_pair(s[2], w + 64, x) : zero;
        s[3] = eights > 3 ? rnnc_avx2_pair(s[3], w + 96, x) : zero;
    }
    rnnc_avx2_store(acc, s[0]);
    if (eights > 1) {
        rnnc_avx2_store(acc + 8, s[1]);
    }
    if (eights > 2) {
        rnnc_avx2_store(acc + 16, s[2]);
    }
    if (eights > 3) {
        rnnc_avx2_store(acc + 24, s[3]);
    }
    return w;
}

/* rows = 8, 16, 24 or 32; n: the groups of columns. */
#define RNNC_AVX2_ROWS(name, loop)                                                \
    __attribute__((target("avx2"), noinline, unused)) static const int8_t *name(  \
        int32_t *acc, const int8_t *w, const int16_t *v, size_t n, uint16_t rows) \
    {                                                                             \
        return rows == 32   ? loop(acc, w, v, n, 4)                               \
               : rows == 24 ? loop(acc, w, v, n, 3)                               \
               : rows == 16 ? loop(acc, w, v, n, 2)                               \
                            : loop(acc, w, v, n, 1);                              \
    }
RNNC_AVX2_ROWS(rnnc_avx2_rows, rnnc_avx2_quads)
RNNC_AVX2_ROWS(rnnc_avx2_wide, rnnc_avx2_pairs)

#endif
