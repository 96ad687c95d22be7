/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_ISA_X86_GATES_H
#define RNNC_ISA_X86_GATES_H
/* The gates of eight units for x86.h: the arithmetic of lut.h, lstm.h and gru.h, lane by lane. */
#include "../lut.h"
#include "knots.h"
#include "x86_avx2.h"

RNNC_AVX2_FUNCTION __m256i rnnc_avx2_load(const void *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

/* (a >> p) * m of scale words m << 16 | p. */
RNNC_AVX2_FUNCTION __m256i rnnc_avx2_scaled(__m256i a, const uint32_t *scale)
{
    __m256i s = rnnc_avx2_load(scale);
    return _mm256_mullo_epi32(_mm256_srav_epi32(a, _mm256_and_si256(s, _mm256_set1_epi32(255))),
                              _mm256_srli_epi32(s, 16));
}

RNNC_AVX2_FUNCTION __m256i rnnc_avx2_gate(const int32_t *bias, const uint32_t *x, const uint32_t *y,
                                          const int32_t *ax, const int32_t *ah)
{
    __m256i over_x =
        rnnc_avx2_scaled(_mm256_add_epi32(rnnc_avx2_load(ax), rnnc_avx2_load(bias)), x);
    return _mm256_srai_epi32(_mm256_add_epi32(over_x, rnnc_avx2_scaled(rnnc_avx2_load(ah), y)), 8);
}

/* 2^(21 + RNNC_STEP) t(a), rounded to 2^16 before RNNC_TAIL (fine), to 2^21 else; a has 12 fraction bits. */
RNNC_AVX2_FUNCTION __m256i rnnc_avx2_line(__m256i a, __m256i *fine)
{
    __m256i k = _mm256_min_epi32(_mm256_srli_epi32(a, RNNC_STEP), _mm256_set1_epi32(RNNC_KNOTS));
    __m256i word = _mm256_i32gather_epi32(rnnc_knots_in_words, k, 4);
    __m256i f = _mm256_and_si256(a, _mm256_set1_epi32((1 << RNNC_STEP) - 1));
    __m256i left = _mm256_slli_epi32(_mm256_srli_epi32(word, 16), RNNC_STEP);
    /* slope f: the upper half of f is 0, so is its product */
    __m256i y =
        _mm256_sub_epi32(_mm256_add_epi32(left, _mm256_set1_epi32((1 << RNNC_STEP >> 1) - 1)),
                         _mm256_madd_epi16(word, f));
    *fine = _mm256_cmpgt_epi32(_mm256_set1_epi32(RNNC_TAIL), k);
    return _mm256_sllv_epi32(y, _mm256_and_si256(*fine, _mm256_set1_epi32(5)));
}

RNNC_AVX2_FUNCTION __m256i rnnc_avx2_sigmoid(__m256i p)
{
    __m256i fine, half = _mm256_set1_epi32(16384), y = rnnc_avx2_line(_mm256_abs_epi32(p), &fine);
    y = _mm256_sub_epi32(
        half,
        _mm256_srai_epi32(_mm256_add_epi32(y, _mm256_set1_epi32(32 << RNNC_STEP)), RNNC_STEP + 6));
    return _mm256_add_epi32(_mm256_sign_epi32(y, p), half);
}

RNNC_AVX2_FUNCTION __m256i rnnc_avx2_tanh(__m256i p)
{
    __m256i fine, y = rnnc_avx2_line(_mm256_slli_epi32(_mm256_abs_epi32(p), 1), &fine);
    y = _mm256_add_epi32(y, _mm256_andnot_si256(fine, _mm256_set1_epi32(16 << RNNC_STEP)));
    y = _mm256_sub_epi32(_mm256_set1_epi32(32768), _mm256_srai_epi32(y, RNNC_STEP + 5));
    return _mm256_sign_epi32(_mm256_min_epi32(y, _mm256_set1_epi32(32767)), p);
}

/* (x + 2^(n - 1)) >> n. */
RNNC_AVX2_FUNCTION __m256i rnnc_avx2_shift_round(__m256i x, int n)
{
    return _mm256_srai_epi32(_mm256_add_epi32(x, _mm256_set1_epi32(1 << (n - 1))), n);
}

RNNC_AVX2_FUNCTION __m256i rnnc_avx2_mul15(__m256i u, __m256i d)
{
    __m256i low = _mm256_mullo_epi32(u, _mm256_and_si256(d, _mm256_set1_epi32(32767)));
    return _mm256_add_epi32(_mm256_mullo_epi32(u, _mm256_srai_epi32(d, 15)),
                            rnnc_avx2_shift_round(low, 15));
}

/* Lanes 0 .. n - 1. */
RNNC_AVX2_FUNCTION __m256i rnnc_avx2_lanes(uint16_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

/* The first n int32; some processors take long to store a part of a vector. */
RNNC_AVX2_FUNCTION __m256i rnnc_avx2_load_lanes(const int32_t *p, uint16_t n)
{
    return n == 8 ? rnnc_avx2_load(p) : _mm256_maskload_epi32(p, rnnc_avx2_lanes(n));
}

RNNC_AVX2_FUNCTION void rnnc_avx2_store_lanes(int32_t *p, __m256i v, uint16_t n)
{
    if (n == 8) {
        _mm256_storeu_si256((__m256i *)(void *)p, v);
    } else {
        _mm256_maskstore_epi32(p, rnnc_avx2_lanes(n), v);
    }
}

/* The first n lanes, which fit, as int16. */
RNNC_AVX2_FUNCTION void rnnc_avx2_store16(int16_t *h, __m256i v, uint16_t n)
{
    __m256i packed = _mm256_permute4x64_epi64(_mm256_packs_epi32(v, v), 8);
    int16_t all[8];
    _mm_storeu_si128((__m128i *)(void *)(n == 8 ? h : all), _mm256_castsi256_si128(packed));
    if (n != 8) {
        memcpy(h, all, n * sizeof *h);
    }
}

/* The preactivation of a GRU's candidate, r: its reset gate. */
RNNC_AVX2_FUNCTION __m256i rnnc_avx2_candidate(const int32_t *b, const uint32_t *mx,
                                               const uint32_t *mh, const int32_t *ax,
                                               const int32_t *ah, __m256i r)
{
    __m256i nx = _mm256_add_epi32(rnnc_avx2_load(ax + 16), rnnc_avx2_load(b + 16));
    __m256i nh = _mm256_add_epi32(rnnc_avx2_load(ah + 16), rnnc_avx2_load(b + 24));
    nx = _mm256_srai_epi32(rnnc_avx2_scaled(nx, mx + 16), 8);
    nh = _mm256_srai_epi32(rnnc_avx2_scaled(nh, mh + 16), 8);
    nh =
        _mm256_max_epi32(_mm256_min_epi32(nh, _mm256_set1_epi32(65535)), _mm256_set1_epi32(-65535));
    return _mm256_add_epi32(nx, rnnc_avx2_shift_round(_mm256_mullo_epi32(r, nh), 15));
}

RNNC_AVX2_FUNCTION __m256i rnnc_avx2_relu(__m256i p)
{
    return _mm256_min_epi32(_mm256_max_epi32(p, _mm256_setzero_si256()), _mm256_set1_epi32(32767));
}

/* A GRU's new state: the old one, and 1 - z of what it lacks of the candidate. */
RNNC_AVX2_FUNCTION __m256i rnnc_avx2_towards(__m256i state, __m256i z, __m256i candidate)
{
    __m256i lacks = _mm256_sub_epi32(_mm256_slli_epi32(candidate, 14), state);
    return _mm256_add_epi32(state,
                            rnnc_avx2_mul15(_mm256_sub_epi32(_mm256_set1_epi32(32768), z), lacks));
}

__attribute__((target("avx2"), noinline, unused)) static void
rnnc_avx2_lstm_units(const int32_t *b, const uint32_t *x, const uint32_t *y, const int32_t *ax,
                     const int32_t *ah, int32_t *c, int16_t *h, uint16_t n)
{
    __m256i i = rnnc_avx2_sigmoid(rnnc_avx2_gate(b, x, y, ax, ah));
    __m256i o = rnnc_avx2_sigmoid(rnnc_avx2_gate(b + 8, x + 8, y + 8, ax + 8, ah + 8));
    __m256i f = rnnc_avx2_sigmoid(rnnc_avx2_gate(b + 16, x + 16, y + 16, ax + 16, ah + 16));
    __m256i g = rnnc_avx2_tanh(rnnc_avx2_gate(b + 24, x + 24, y + 24, ax + 24, ah + 24));
    __m256i cell = rnnc_avx2_mul15(f, rnnc_avx2_load_lanes(c, n));
    cell = _mm256_add_epi32(cell, rnnc_avx2_shift_round(_mm256_mullo_epi32(i, g), 7));
    cell = _mm256_max_epi32(_mm256_min_epi32(cell, _mm256_set1_epi32(1073741824)),
                            _mm256_set1_epi32(-1073741824));
    rnnc_avx2_store_lanes(c, cell, n);
    o = _mm256_mullo_epi32(o, rnnc_avx2_tanh(rnnc_avx2_shift_round(cell, 11)));
    rnnc_avx2_store16(h, rnnc_avx2_shift_round(o, 15), n);
}

__attribute__((target("avx2"), noinline, unused)) static void
rnnc_avx2_gru_units(const int32_t *b, const uint32_t *mx, const uint32_t *mh, const int32_t *ax,
                    const int32_t *ah, int32_t *s, int16_t *h, uint16_t n, uint8_t activation)
{
    __m256i extended = rnnc_avx2_load_lanes(s, n);
    __m256i z = rnnc_avx2_sigmoid(rnnc_avx2_gate(b, mx, mh, ax, ah));
    __m256i r = rnnc_avx2_sigmoid(rnnc_avx2_gate(b + 8, mx + 8, mh + 8, ax + 8, ah + 8));
    __m256i value = rnnc_avx2_candidate(b, mx, mh, ax, ah, r);
    value = activation == RNNC_TANH ? rnnc_avx2_tanh(value) : rnnc_avx2_relu(value);
    extended = rnnc_avx2_towards(extended, z, value);
    rnnc_avx2_store_lanes(s, extended, n);
    rnnc_avx2_store16(h, rnnc_avx2_shift_round(extended, 14), n);
}

#endif
