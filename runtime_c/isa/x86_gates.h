/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_ISA_X86_GATES_H
#define RNNC_ISA_X86_GATES_H
/* The gates of eight units for x86.h: the arithmetic of lut.h, lstm.h and gru.h, lane by lane. */
#include "../lut.h"
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

/* generated: the knots of AVX2, by make golden */
/* The knots and slopes of lut.h in one word, as one gather is dearer than the arithmetic that takes it apart:
 * k < 64: A[k] << 16 | A[k] - A[k + 1];  k < 192: B[k] << 16 | B[k] - B[k + 1];  the last slope is 0. */
/* clang-format off */
static const int32_t rnnc_avx2_knots[193] = {
    -2147482624, 2080375806, 2013398009, 1946747892, 1880425452, 1814627299, 1749418967,
    1684997065, 1621492667, 1558905771, 1497367450, 1436943238, 1377829746, 1320026974,
    1263534919, 1208550193, 1155007258, 1102971650, 1052508905, 1003684562, 956367544,
    910754465, 866648711, 824246895, 783417943, 744161855, 706478631, 670368272, 635765241,
    602669539, 571015630, 540737976, 511902116, 484376976, 458162557, 433193322, 409469273,
    386859335, 365429047, 345047335, 325714199, 307429641, 290062587, 273613038, 258015457,
    243269845, 229310665, 216137919, 203620531, 191889578, 180748449, 170197143, 160301199,
    150929543, 142082175, 133759096, 125894770, 118423658, 111476837, 104857694, 98697306,
    92799060, 87294031, 82116683, -1823536954, -1970730941, -2109339706, 2055210833, 1932461795,
    1816921723, 1708197401, 1605895612, 1509688677, 1419183380, 1333986502, 1253901437,
    1178600505, 1107756024, 1041171388, 978518914, 919667533, 864289563, 812188394, 763298494,
    717292180, 674038380, 633406023, 595198500, 559284739, 525533668, 493814215, 463995308,
    435945874, 409600377, 384893283, 361627982, 339738937, 319226151, 299893012, 281805060,
    264765685, 248709349, 233701592, 219545803, 206241982, 193790131, 182059176, 171049118,
    160694420, 150995084, 141820035, 133234811, 125173875, 117637229, 110493798, 103809120,
    97517658, 91619413, 86048847, 80871499, 75956294, 71368770, 67043390, 62980154, 59179063,
    55574579, 52232241, 49020973, 46071850, 43319336, 40697894, 38207523, 35913762, 33685535,
    31653917, 29753371, 27983898, 26279961, 24641558, 23199766, 21757972, 20447251, 19202066,
    18022416, 16973840, 15925263, 14942222, 14024717, 13172748, 12386315, 11665419, 10944522,
    10289162, 9633801, 9043976, 8519688, 7995399, 7536647, 7077895, 6619142, 6225926, 5832709,
    5505029, 5177349, 4849668, 4587525, 4259844, 3997699, 3801092, 3538947, 3342339, 3145731,
    2949123, 2752514, 2621443, 2424834, 2293762, 2162690, 2031618, 1900546, 1769473, 1703938,
    1572865, 1507330, 1376257, 1310721, 1245185, 1179649, 1114113, 1048577, 983041, 917505,
    851968,
};
/* clang-format on */
/* end of the knots of AVX2 */

/* 2^(21 + RNNC_STEP) t(a), rounded to 2^16 before RNNC_TAIL (fine), to 2^21 else; a has 12 fraction bits. */
RNNC_AVX2_FUNCTION __m256i rnnc_avx2_line(__m256i a, __m256i *fine)
{
    __m256i k = _mm256_min_epi32(_mm256_srli_epi32(a, RNNC_STEP), _mm256_set1_epi32(RNNC_KNOTS));
    __m256i word = _mm256_i32gather_epi32(rnnc_avx2_knots, k, 4);
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

__attribute__((target("avx2"), noinline, unused)) static void
rnnc_avx2_lstm_units(const int32_t *b, const uint32_t *x, const uint32_t *y, const int32_t *ax,
                     const int32_t *ah, int32_t *c, int16_t *h, uint16_t n)
{
    __m256i lanes = rnnc_avx2_lanes(n);
    __m256i i = rnnc_avx2_sigmoid(rnnc_avx2_gate(b, x, y, ax, ah));
    __m256i o = rnnc_avx2_sigmoid(rnnc_avx2_gate(b + 8, x + 8, y + 8, ax + 8, ah + 8));
    __m256i f = rnnc_avx2_sigmoid(rnnc_avx2_gate(b + 16, x + 16, y + 16, ax + 16, ah + 16));
    __m256i g = rnnc_avx2_tanh(rnnc_avx2_gate(b + 24, x + 24, y + 24, ax + 24, ah + 24));
    __m256i cell = rnnc_avx2_mul15(f, _mm256_maskload_epi32(c, lanes));
    cell = _mm256_add_epi32(cell, rnnc_avx2_shift_round(_mm256_mullo_epi32(i, g), 7));
    cell = _mm256_max_epi32(_mm256_min_epi32(cell, _mm256_set1_epi32(1073741824)),
                            _mm256_set1_epi32(-1073741824));
    _mm256_maskstore_epi32(c, lanes, cell);
    o = _mm256_mullo_epi32(o, rnnc_avx2_tanh(rnnc_avx2_shift_round(cell, 11)));
    rnnc_avx2_store16(h, rnnc_avx2_shift_round(o, 15), n);
}

__attribute__((target("avx2"), noinline, unused)) static void
rnnc_avx2_gru_units(const int32_t *b, const uint32_t *mx, const uint32_t *mh, const int32_t *ax,
                    const int32_t *ah, int32_t *s, int16_t *h, uint16_t n, uint8_t activation)
{
    __m256i lanes = rnnc_avx2_lanes(n), extended = _mm256_maskload_epi32(s, lanes);
    __m256i z = rnnc_avx2_sigmoid(rnnc_avx2_gate(b, mx, mh, ax, ah));
    __m256i r = rnnc_avx2_sigmoid(rnnc_avx2_gate(b + 8, mx + 8, mh + 8, ax + 8, ah + 8));
    __m256i nx = _mm256_add_epi32(rnnc_avx2_load(ax + 16), rnnc_avx2_load(b + 16));
    __m256i nh = _mm256_add_epi32(rnnc_avx2_load(ah + 16), rnnc_avx2_load(b + 24)), value;
    nx = _mm256_srai_epi32(rnnc_avx2_scaled(nx, mx + 16), 8);
    nh = _mm256_srai_epi32(rnnc_avx2_scaled(nh, mh + 16), 8);
    nh =
        _mm256_max_epi32(_mm256_min_epi32(nh, _mm256_set1_epi32(65535)), _mm256_set1_epi32(-65535));
    value = _mm256_add_epi32(nx, rnnc_avx2_shift_round(_mm256_mullo_epi32(r, nh), 15));
    if (activation == RNNC_TANH) {
        value = rnnc_avx2_tanh(value);
    } else {
        value = _mm256_min_epi32(_mm256_max_epi32(value, _mm256_setzero_si256()),
                                 _mm256_set1_epi32(32767));
    }
    z = _mm256_sub_epi32(_mm256_set1_epi32(32768), z);
    extended = _mm256_add_epi32(
        extended, rnnc_avx2_mul15(z, _mm256_sub_epi32(_mm256_slli_epi32(value, 14), extended)));
    _mm256_maskstore_epi32(s, lanes, extended);
    rnnc_avx2_store16(h, rnnc_avx2_shift_round(extended, 14), n);
}

#define RNNC_LSTM_UNITS
#define rnnc_lstm_units(b, x, y, ax, ah, c, h, batch, n)          \
    (rnnc_avx2() ? rnnc_avx2_lstm_units(b, x, y, ax, ah, c, h, n) \
                 : rnnc_lstm_each(b, x, y, ax, ah, c, h, batch, n))

#define RNNC_GRU_UNITS
#define rnnc_gru_units(b, mx, mh, ax, ah, s, h, batch, n, activation)          \
    (rnnc_avx2() ? rnnc_avx2_gru_units(b, mx, mh, ax, ah, s, h, n, activation) \
                 : rnnc_gru_each(b, mx, mh, ax, ah, s, h, batch, n, activation))

#endif
