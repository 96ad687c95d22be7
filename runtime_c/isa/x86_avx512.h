/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_ISA_X86_AVX512_H
#define RNNC_ISA_X86_AVX512_H
/* Rows times a vector for x86.h by the products of AVX-512 VNNI, which add up what they multiply: sixteen rows at a time. */
#include <immintrin.h>

#define RNNC_VNNI_TARGET target("avx512f,avx512bw,avx512vl,avx512vnni")
#define RNNC_VNNI_FUNCTION __attribute__((RNNC_VNNI_TARGET, always_inline, unused)) static inline

/* RNNC_NO_AVX512: AVX2 alone, as on a processor that has no more. */
static inline int rnnc_vnni(void)
{
#if defined(RNNC_NO_AVX512)
    return 0;
#elif defined(__AVX512VNNI__) && defined(__AVX512BW__) && defined(__AVX512VL__)
    return 1;
#else
    return __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl");
#endif
}

/* sum + the products of one pair of columns, x twice: w [16 rows][2], of 1 or 2 bytes (size). */
RNNC_VNNI_FUNCTION __m512i rnnc_vnni_pair(__m512i sum, const int8_t *w, __m512i x, int size)
{
    __m512i pairs =
        size == 2 ? _mm512_loadu_si512(w)
                  : _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)(const void *)w));
    return _mm512_dpwssd_epi32(sum, pairs, x);
}

/* The same of eight rows. */
RNNC_VNNI_FUNCTION __m256i rnnc_vnni_half(__m256i sum, const int8_t *w, __m512i x, int size)
{
    __m256i pairs = size == 2
                        ? _mm256_loadu_si256((const __m256i *)(const void *)w)
                        : _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)w));
    return _mm256_dpwssd_epi32(sum, pairs, _mm512_castsi512_si256(x));
}

RNNC_VNNI_FUNCTION __m512i rnnc_vnni_columns(const int16_t *v)
{
    int32_t both;
    memcpy(&both, v, sizeof both);
    return _mm512_set1_epi32(both);
}

/* acc[0 .. 8 eights - 1]: of each pair of columns, the rows one after the other; four pairs at a time, as a sum waits longer for
 * the one before than for the next. */
RNNC_VNNI_FUNCTION const int8_t *rnnc_vnni_batch(int32_t *acc, const int8_t *w, const int16_t *v,
                                                 size_t pairs, int eights, int size)
{
    const int step = 16 * size * eights, left = eights % 2, last = (eights - left) * 16 * size;
    const __m512i zero = _mm512_setzero_si512();
    const __m256i none = _mm256_setzero_si256();
    __m512i a[4] = {zero, zero, zero, zero}, b[4] = {zero, zero, zero, zero};
    __m256i c[4] = {none, none, none, none};
#define RNNC_VNNI_STEP(k)                                                         \
    {                                                                             \
        __m512i x = rnnc_vnni_columns(v + 2 * (k));                               \
        const int8_t *at = w + (k) * step;                                        \
        a[k] = eights > 1 ? rnnc_vnni_pair(a[k], at, x, size) : a[k];             \
        b[k] = eights > 3 ? rnnc_vnni_pair(b[k], at + 32 * size, x, size) : b[k]; \
        c[k] = left ? rnnc_vnni_half(c[k], at + last, x, size) : c[k];            \
    }
    for (; pairs >= 4; pairs -= 4, v += 8, w += 4 * step) {
        RNNC_VNNI_STEP(0)
        RNNC_VNNI_STEP(1)
        RNNC_VNNI_STEP(2)
        RNNC_VNNI_STEP(3)
    }
    for (; pairs; pairs--, v += 2, w += step) {
        RNNC_VNNI_STEP(0)
    }
    if (eights > 1) {
        a[0] = _mm512_add_epi32(_mm512_add_epi32(a[0], a[1]), _mm512_add_epi32(a[2], a[3]));
        _mm512_storeu_si512(acc, a[0]);
    }
    if (eights > 3) {
        b[0] = _mm512_add_epi32(_mm512_add_epi32(b[0], b[1]), _mm512_add_epi32(b[2], b[3]));
        _mm512_storeu_si512(acc + 16, b[0]);
    }
    if (left) {
        c[0] = _mm256_add_epi32(_mm256_add_epi32(c[0], c[1]), _mm256_add_epi32(c[2], c[3]));
        _mm256_storeu_si256((__m256i *)(void *)(acc + 8 * (eights - 1)), c[0]);
    }
    return w;
}

#define RNNC_VNNI_ROWS(name, size)                                                    \
    __attribute__((RNNC_VNNI_TARGET, noinline, unused)) static const int8_t *name(    \
        int32_t *acc, const int8_t *w, const int16_t *v, size_t pairs, uint16_t rows) \
    {                                                                                 \
        return rows == 32   ? rnnc_vnni_batch(acc, w, v, pairs, 4, size)              \
               : rows == 24 ? rnnc_vnni_batch(acc, w, v, pairs, 3, size)              \
               : rows == 16 ? rnnc_vnni_batch(acc, w, v, pairs, 2, size)              \
                            : rnnc_vnni_batch(acc, w, v, pairs, 1, size);             \
    }
RNNC_VNNI_ROWS(rnnc_vnni_rows, 1)
RNNC_VNNI_ROWS(rnnc_vnni_wide, 2)

#endif
