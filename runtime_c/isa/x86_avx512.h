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

RNNC_VNNI_FUNCTION __m512i rnnc_vnni_columns(const void *v)
{
    int32_t columns;
    memcpy(&columns, v, sizeof columns);
    return _mm512_set1_epi32(columns);
}

RNNC_VNNI_FUNCTION __m256i rnnc_vnni_half_load(const int8_t *w)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)w);
}

/* Weights that two instructions read: loaded once, as loads are what there are fewest of in a cycle. */
RNNC_VNNI_FUNCTION __m512i rnnc_vnni_once(const int8_t *w)
{
    __m512i one = _mm512_loadu_si512(w);
    __asm__("" : "+v"(one));
    return one;
}

/* What x86.h says of a prepared operand. */
__attribute__((RNNC_VNNI_TARGET, noinline, unused)) static void
rnnc_vnni_prepare(int16_t *v, const void *x, uint8_t bits, size_t columns)
{
    const size_t padded = (columns + 3) / 4 * 4;
    int8_t *h = (int8_t *)(v + padded) + 4, *l = h + padded;
    __m512i sum = _mm512_setzero_si512();
    int32_t total;
    size_t j;
    for (j = 0; j < padded; j += 32) {
        __mmask32 in = columns - j >= 32 ? ~0u : (1u << (columns - j)) - 1;
        __mmask32 to = padded - j >= 32 ? ~0u : (1u << (padded - j)) - 1;
        __m512i both =
            bits == 8 ? _mm512_cvtepi8_epi16(_mm256_maskz_loadu_epi8(in, (const int8_t *)x + j))
                      : _mm512_maskz_loadu_epi16(in, (const int16_t *)x + j);
        __m512i high = bits == 8 ? both : _mm512_srai_epi16(both, 8);
        _mm512_mask_storeu_epi16(v + j, to, both);
        _mm256_mask_storeu_epi8(h + j, to, _mm512_cvtepi16_epi8(high));
        if (bits != 8) {
            _mm256_mask_storeu_epi8(l + j, to, _mm512_cvtepi16_epi8(both));
        }
        sum = _mm512_dpwssd_epi32(sum, high, _mm512_set1_epi16(128));
    }
    total = _mm512_reduce_add_epi32(sum);
    memcpy(h - 4, &total, sizeof total);
}

/* acc[0 .. 8 eights - 1]: of every four columns, the rows one after the other. The instruction multiplies bytes without a sign by
 * bytes with one: weights raised by 128 by h, and l by weights. Some groups of columns at a time, as a sum waits longer for the
 * one before than for the next. */
RNNC_VNNI_FUNCTION const int8_t *rnnc_vnni_quads(int32_t *acc, const int8_t *w, const int16_t *v,
                                                 size_t quads, int eights, int bits)
{
    const int step = 32 * eights, left = eights % 2, last = (eights - left) * 32;
    const int8_t *h = (const int8_t *)(v + 4 * quads) + 4, *l = h + 4 * quads;
    const __m512i zero = _mm512_setzero_si512(), flip = _mm512_set1_epi8(-128);
    const __m256i none = _mm256_setzero_si256();
    __m512i ah[2] = {zero, zero}, al[2] = {zero, zero}, bh[2] = {zero, zero}, bl[2] = {zero, zero};
    __m256i ch[2] = {none, none}, cl[2] = {none, none};
    __m512i less = rnnc_vnni_columns(h - 4);
#define RNNC_VNNI_QUAD(k)                                                                        \
    {                                                                                            \
        const int8_t *at = w + (k) * step;                                                       \
        __m512i high = rnnc_vnni_columns(h + 4 * (k));                                           \
        __m512i low = bits == 8 ? zero : rnnc_vnni_columns(l + 4 * (k));                         \
        if (eights > 1) {                                                                        \
            __m512i one = rnnc_vnni_once(at);                                                    \
            ah[k] = _mm512_dpbusd_epi32(ah[k], _mm512_xor_si512(one, flip), high);               \
            al[k] = bits == 8 ? zero : _mm512_dpbusd_epi32(al[k], low, one);                     \
        }                                                                                        \
        if (eights > 3) {                                                                        \
            __m512i one = rnnc_vnni_once(at + 64);                                               \
            bh[k] = _mm512_dpbusd_epi32(bh[k], _mm512_xor_si512(one, flip), high);               \
            bl[k] = bits == 8 ? zero : _mm512_dpbusd_epi32(bl[k], low, one);                     \
        }                                                                                        \
        if (left) {                                                                              \
            __m256i one = rnnc_vnni_half_load(at + last);                                        \
            __m256i raised = _mm256_xor_si256(one, _mm512_castsi512_si256(flip));                \
            ch[k] = _mm256_dpbusd_epi32(ch[k], raised, _mm512_castsi512_si256(high));            \
            cl[k] =                                                                              \
                bits == 8 ? none : _mm256_dpbusd_epi32(cl[k], _mm512_castsi512_si256(low), one); \
        }                                                                                        \
    }
    for (; quads >= 2; quads -= 2, h += 8, l += 8, w += 2 * step) {
        RNNC_VNNI_QUAD(0)
        RNNC_VNNI_QUAD(1)
    }
    if (quads) {
        RNNC_VNNI_QUAD(0)
        w += step;
    }
#define RNNC_VNNI_SUM(p, m, high, low)                                                        \
    p##_add_epi32(                                                                            \
        p##_slli_epi32(p##_sub_epi32(p##_add_epi32(high[0], high[1]), m), bits == 8 ? 0 : 8), \
        p##_add_epi32(low[0], low[1]))
    if (eights > 1) {
        _mm512_storeu_si512(acc, RNNC_VNNI_SUM(_mm512, less, ah, al));
    }
    if (eights > 3) {
        _mm512_storeu_si512(acc + 16, RNNC_VNNI_SUM(_mm512, less, bh, bl));
    }
    if (left) {
        _mm256_storeu_si256((__m256i *)(void *)(acc + 8 * (eights - 1)),
                            RNNC_VNNI_SUM(_mm256, _mm512_castsi512_si256(less), ch, cl));
    }
    return w;
}

/* The same of wide rows: of each pair of columns, the int16 of the rows one after the other; four pairs at a time. */
RNNC_VNNI_FUNCTION const int8_t *rnnc_vnni_pairs(int32_t *acc, const int8_t *w, const int16_t *v,
                                                 size_t pairs, int eights, int bits)
{
    const int step = 32 * eights, left = eights % 2, last = (eights - left) * 32;
    const __m512i zero = _mm512_setzero_si512();
    const __m256i none = _mm256_setzero_si256();
    __m512i a[4] = {zero, zero, zero, zero}, b[4] = {zero, zero, zero, zero};
    __m256i c[4] = {none, none, none, none};
    (void)bits;
#define RNNC_VNNI_PAIR(k)                                                                     \
    {                                                                                         \
        __m512i x = rnnc_vnni_columns(v + 2 * (k));                                           \
        const int8_t *at = w + (k) * step;                                                    \
        a[k] = eights > 1 ? _mm512_dpwssd_epi32(a[k], _mm512_loadu_si512(at), x) : a[k];      \
        b[k] = eights > 3 ? _mm512_dpwssd_epi32(b[k], _mm512_loadu_si512(at + 64), x) : b[k]; \
        c[k] = left ? _mm256_dpwssd_epi32(c[k], rnnc_vnni_half_load(at + last),               \
                                          _mm512_castsi512_si256(x))                          \
                    : c[k];                                                                   \
    }
    for (; pairs >= 4; pairs -= 4, v += 8, w += 4 * step) {
        RNNC_VNNI_PAIR(0)
        RNNC_VNNI_PAIR(1)
        RNNC_VNNI_PAIR(2)
        RNNC_VNNI_PAIR(3)
    }
    for (; pairs; pairs--, v += 2, w += step) {
        RNNC_VNNI_PAIR(0)
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

/* rows = 8, 16, 24 or 32; n: the groups of columns. */
#define RNNC_VNNI_ROWS(name, loop, bits)                                           \
    __attribute__((RNNC_VNNI_TARGET, noinline, unused)) static const int8_t *name( \
        int32_t *acc, const int8_t *w, const int16_t *v, size_t n, uint16_t rows)  \
    {                                                                              \
        return rows == 32   ? loop(acc, w, v, n, 4, bits)                          \
               : rows == 24 ? loop(acc, w, v, n, 3, bits)                          \
               : rows == 16 ? loop(acc, w, v, n, 2, bits)                          \
                            : loop(acc, w, v, n, 1, bits);                         \
    }
RNNC_VNNI_ROWS(rnnc_vnni_rows8, rnnc_vnni_quads, 8)
RNNC_VNNI_ROWS(rnnc_vnni_rows16, rnnc_vnni_quads, 16)
RNNC_VNNI_ROWS(rnnc_vnni_wide, rnnc_vnni_pairs, 16)

#endif
