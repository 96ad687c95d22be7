/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_ISA_X86_AVX512_GATES_H
#define RNNC_ISA_X86_AVX512_GATES_H
/* The gates of eight units for x86.h, those of two gates in a vector. A look-up permutes the table, which is in registers: a
 * gather takes several times as long. */
#include "../lut.h"
#include "x86_avx512.h"
#include "x86_gates.h"

#if RNNC_KNOTS != 192
#error "the look-up is of six vectors of 32 intervals"
#endif

/* generated: the knots in halves, by make golden */
/* k < 64: A[k] - 32768;  k < 192: B[k] - 32768, as lut.h has them. */
/* clang-format off */
static const int16_t __attribute__((aligned(64))) rnnc_knots_left[192] = {
    0, -1024, -2046, -3063, -4075, -5079, -6074, -7057, -8026, -8981, -9920, -10842, -11744,
    -12626, -13488, -14327, -15144, -15938, -16708, -17453, -18175, -18871, -19544, -20191,
    -20814, -21413, -21988, -22539, -23067, -23572, -24055, -24517, -24957, -25377, -25777,
    -26158, -26520, -26865, -27192, -27503, -27798, -28077, -28342, -28593, -28831, -29056,
    -29269, -29470, -29661, -29840, -30010, -30171, -30322, -30465, -30600, -30727, -30847,
    -30961, -31067, -31168, -31262, -31352, -31436, -31515, 4943, 2697, 582, -1408, -3281,
    -5044, -6703, -8264, -9732, -11113, -12413, -13635, -14784, -15865, -16881, -17837, -18735,
    -19580, -20375, -21121, -21823, -22483, -23103, -23686, -24234, -24749, -25233, -25688,
    -26116, -26518, -26895, -27250, -27584, -27897, -28192, -28468, -28728, -28973, -29202,
    -29418, -29621, -29811, -29990, -30158, -30316, -30464, -30604, -30735, -30858, -30973,
    -31082, -31184, -31280, -31370, -31455, -31534, -31609, -31679, -31745, -31807, -31865,
    -31920, -31971, -32020, -32065, -32107, -32147, -32185, -32220, -32254, -32285, -32314,
    -32341, -32367, -32392, -32414, -32436, -32456, -32475, -32493, -32509, -32525, -32540,
    -32554, -32567, -32579, -32590, -32601, -32611, -32621, -32630, -32638, -32646, -32653,
    -32660, -32667, -32673, -32679, -32684, -32689, -32694, -32698, -32703, -32707, -32710,
    -32714, -32717, -32720, -32723, -32726, -32728, -32731, -32733, -32735, -32737, -32739,
    -32741, -32742, -32744, -32745, -32747, -32748, -32749, -32750, -32751, -32752, -32753,
    -32754,
};
/* A[k] - A[k + 1] and B[k] - B[k + 1]. */
static const int16_t __attribute__((aligned(64))) rnnc_knots_slope[192] = {
    1024, 1022, 1017, 1012, 1004, 995, 983, 969, 955, 939, 922, 902, 882, 862, 839, 817, 794,
    770, 745, 722, 696, 673, 647, 623, 599, 575, 551, 528, 505, 483, 462, 440, 420, 400, 381,
    362, 345, 327, 311, 295, 279, 265, 251, 238, 225, 213, 201, 191, 179, 170, 161, 151, 143,
    135, 127, 120, 114, 106, 101, 94, 90, 84, 79, 75, 2246, 2115, 1990, 1873, 1763, 1659, 1561,
    1468, 1381, 1300, 1222, 1149, 1081, 1016, 956, 898, 845, 795, 746, 702, 660, 620, 583, 548,
    515, 484, 455, 428, 402, 377, 355, 334, 313, 295, 276, 260, 245, 229, 216, 203, 190, 179,
    168, 158, 148, 140, 131, 123, 115, 109, 102, 96, 90, 85, 79, 75, 70, 66, 62, 58, 55, 51, 49,
    45, 42, 40, 38, 35, 34, 31, 29, 27, 26, 25, 22, 22, 20, 19, 18, 16, 16, 15, 14, 13, 12, 11,
    11, 10, 10, 9, 8, 8, 7, 7, 7, 6, 6, 5, 5, 5, 4, 5, 4, 3, 4, 3, 3, 3, 3, 2, 3, 2, 2, 2, 2, 2,
    1, 2, 1, 2, 1, 1, 1, 1, 1, 1, 1, 1,
};
/* clang-format on */
/* end of the knots in halves */

/* Numbers that vectors are filled with, from memory: from a register of integers it takes longer, and gcc would. */
typedef struct {
    int32_t last_interval, end, one_interval, line, tail, half, sigmoid_add, tanh_add,
        sigmoid_shift, tanh_shift, one, most, low, byte;
} rnnc_avx512_numbers;
static const rnnc_avx512_numbers rnnc_avx512_filling = {
    RNNC_KNOTS - 1,                                   /* last_interval */
    RNNC_KNOTS << RNNC_STEP,                          /* end */
    1 << RNNC_STEP,                                   /* one_interval */
    (32768 << RNNC_STEP) + (1 << RNNC_STEP >> 1) - 1, /* line */
    RNNC_TAIL,                                        /* tail */
    16384,                                            /* half */
    32 << RNNC_STEP,                                  /* sigmoid_add */
    16 << RNNC_STEP,                                  /* tanh_add */
    RNNC_STEP + 6,                                    /* sigmoid_shift */
    RNNC_STEP + 5,                                    /* tanh_shift */
    32768,                                            /* one */
    32767,                                            /* most */
    65535,                                            /* low */
    255,                                              /* byte */
};

RNNC_VNNI_FUNCTION const rnnc_avx512_numbers *rnnc_avx512_number(void)
{
    const rnnc_avx512_numbers *numbers = &rnnc_avx512_filling;
    __asm__("" : "+r"(numbers));
    return numbers;
}
#define RNNC_AVX512_ALL(number) _mm512_set1_epi32(rnnc_avx512_number()->number)

/* table[k], k: 0 .. 191, int16. */
RNNC_VNNI_FUNCTION __m512i rnnc_avx512_picked(const int16_t *table, __m512i k)
{
    const __mmask32 second = _mm512_test_epi16_mask(k, _mm512_set1_epi16(64));
    const __mmask32 third = _mm512_test_epi16_mask(k, _mm512_set1_epi16(128));
    __m512i a =
        _mm512_permutex2var_epi16(_mm512_load_si512(table), k, _mm512_load_si512(table + 32));
    __m512i b =
        _mm512_permutex2var_epi16(_mm512_load_si512(table + 64), k, _mm512_load_si512(table + 96));
    __m512i c = _mm512_permutex2var_epi16(_mm512_load_si512(table + 128), k,
                                          _mm512_load_si512(table + 160));
    return _mm512_mask_mov_epi16(_mm512_mask_mov_epi16(a, second, b), third, c);
}

/* Of 16 arguments: the line as in rnnc_avx2_line, and which of them are before RNNC_TAIL. */
typedef struct {
    __m512i y;
    __mmask16 fine;
} rnnc_avx512_curve;

/* The interval of |x| = a, 12 fraction bits, the last but one for all beyond: its end is as high as the last. */
RNNC_VNNI_FUNCTION __m512i rnnc_avx512_interval(__m512i a)
{
    return _mm512_min_epu32(_mm512_srli_epi32(a, RNNC_STEP), RNNC_AVX512_ALL(last_interval));
}

/* line: slope and the line's begin less 32768 of each interval k. */
RNNC_VNNI_FUNCTION rnnc_avx512_curve rnnc_avx512_line(__m512i a, __m512i k, __m512i line)
{
    rnnc_avx512_curve c;
    __m512i end = _mm512_min_epu32(a, RNNC_AVX512_ALL(end));
    __m512i f = _mm512_sub_epi32(end, _mm512_slli_epi32(k, RNNC_STEP)); /* 0 .. 2^RNNC_STEP */
    __m512i by = _mm512_sub_epi32(RNNC_AVX512_ALL(one_interval), _mm512_slli_epi32(f, 16));
    __m512i half = RNNC_AVX512_ALL(line);
    c.fine = _mm512_cmplt_epu32_mask(k, RNNC_AVX512_ALL(tail));
    c.y = _mm512_dpwssd_epi32(half, line, by);
    c.y = _mm512_mask_slli_epi32(c.y, c.fine, c.y, 5);
    return c;
}

/* Sigmoid of p, tanh in the lanes of `tanh`, whose line is that of 2 |p|. */
RNNC_VNNI_FUNCTION __m512i rnnc_avx512_rounded(rnnc_avx512_curve c, __m512i p, __mmask16 tanh)
{
    const __m512i zero = _mm512_setzero_si512(), half = RNNC_AVX512_ALL(half);
    const __mmask16 below = _mm512_cmplt_epi32_mask(p, zero);
    __m512i add =
        _mm512_mask_mov_epi32(RNNC_AVX512_ALL(sigmoid_add), tanh, RNNC_AVX512_ALL(tanh_add));
    __m512i by =
        _mm512_mask_mov_epi32(RNNC_AVX512_ALL(sigmoid_shift), tanh, RNNC_AVX512_ALL(tanh_shift));
    __m512i one = _mm512_mask_mov_epi32(half, tanh, RNNC_AVX512_ALL(one)), y;
    add = _mm512_mask_mov_epi32(add, (__mmask16)(tanh & c.fine), zero);
    y = _mm512_sub_epi32(one, _mm512_srav_epi32(_mm512_add_epi32(c.y, add), by));
    y = _mm512_min_epi32(y, RNNC_AVX512_ALL(most));
    y = _mm512_mask_sub_epi32(y, below, zero, y);
    return _mm512_add_epi32(y, _mm512_mask_mov_epi32(half, tanh, zero));
}

/* What both functions are of: |p|, twice that in the lanes of `tanh`. */
RNNC_VNNI_FUNCTION __m512i rnnc_avx512_argument(__m512i p, __mmask16 tanh)
{
    __m512i a = _mm512_abs_epi32(p);
    return _mm512_mask_slli_epi32(a, tanh, a, 1);
}

/* p = sigmoid p, q = sigmoid q, tanh in the lanes of `tanh`. */
RNNC_VNNI_FUNCTION void rnnc_avx512_activate(__m512i *p, __m512i *q, __mmask16 tanh)
{
    __m512i a = rnnc_avx512_argument(*p, 0), b = rnnc_avx512_argument(*q, tanh);
    __m512i ka = rnnc_avx512_interval(a), kb = rnnc_avx512_interval(b);
    __m512i k = _mm512_packus_epi32(ka, kb), left = rnnc_avx512_picked(rnnc_knots_left, k);
    __m512i slope = rnnc_avx512_picked(rnnc_knots_slope, k);
    *p = rnnc_avx512_rounded(rnnc_avx512_line(a, ka, _mm512_unpacklo_epi16(left, slope)), *p, 0);
    *q = rnnc_avx512_rounded(rnnc_avx512_line(b, kb, _mm512_unpackhi_epi16(left, slope)), *q, tanh);
}

/* The same of p alone. */
RNNC_VNNI_FUNCTION __m512i rnnc_avx512_activated(__m512i p, __mmask16 tanh)
{
    __m512i a = rnnc_avx512_argument(p, tanh), k = rnnc_avx512_interval(a);
    __m512i left = rnnc_avx512_picked(rnnc_knots_left, k);
    __m512i slope = rnnc_avx512_picked(rnnc_knots_slope, k);
    __m512i line =
        _mm512_or_si512(_mm512_slli_epi32(slope, 16), _mm512_and_si512(left, RNNC_AVX512_ALL(low)));
    return rnnc_avx512_rounded(rnnc_avx512_line(a, k, line), p, tanh);
}

RNNC_VNNI_FUNCTION __m256i rnnc_avx512_tanh(__m256i p)
{
    __m512i y = rnnc_avx512_activated(_mm512_zextsi256_si512(p), 0xffff);
    return _mm512_castsi512_si256(y);
}

/* (a >> p) * m of scale words m << 16 | p. */
RNNC_VNNI_FUNCTION __m512i rnnc_avx512_scaled(__m512i a, const uint32_t *scale)
{
    __m512i s = _mm512_loadu_si512(scale);
    return _mm512_mullo_epi32(_mm512_srav_epi32(a, _mm512_and_si512(s, RNNC_AVX512_ALL(byte))),
                              _mm512_srli_epi32(s, 16));
}

/* The preactivations of two gates. */
RNNC_VNNI_FUNCTION __m512i rnnc_avx512_gates(const int32_t *bias, const uint32_t *x,
                                             const uint32_t *y, const int32_t *ax,
                                             const int32_t *ah)
{
    __m512i over_x = _mm512_add_epi32(_mm512_loadu_si512(ax), _mm512_loadu_si512(bias));
    __m512i over_h = _mm512_loadu_si512(ah);
    return _mm512_srai_epi32(
        _mm512_add_epi32(rnnc_avx512_scaled(over_x, x), rnnc_avx512_scaled(over_h, y)), 8);
}

/* The n lanes, which fit, as int16. */
RNNC_VNNI_FUNCTION void rnnc_avx512_store16(int16_t *h, __m256i v, __mmask8 lanes)
{
    _mm_mask_storeu_epi16(h, lanes, _mm256_cvtepi32_epi16(v));
}

RNNC_VNNI_FUNCTION void rnnc_avx512_lstm_units(const int32_t *b, const uint32_t *x,
                                               const uint32_t *y, const int32_t *ax,
                                               const int32_t *ah, int32_t *c, int16_t *h,
                                               uint16_t n)
{
    const __mmask8 lanes = (__mmask8)((1u << n) - 1u);
    __m512i io = rnnc_avx512_gates(b, x, y, ax, ah);
    __m512i fg = rnnc_avx512_gates(b + 16, x + 16, y + 16, ax + 16, ah + 16);
    __m256i i, o, f, g, cell;
    rnnc_avx512_activate(&io, &fg, 0xff00);
    i = _mm512_castsi512_si256(io);
    o = _mm512_extracti64x4_epi64(io, 1);
    f = _mm512_castsi512_si256(fg);
    g = _mm512_extracti64x4_epi64(fg, 1);
    cell = rnnc_avx2_mul15(f, _mm256_maskz_loadu_epi32(lanes, c));
    cell = _mm256_add_epi32(cell, rnnc_avx2_shift_round(_mm256_mullo_epi32(i, g), 7));
    cell = _mm256_max_epi32(_mm256_min_epi32(cell, _mm256_set1_epi32(1073741824)),
                            _mm256_set1_epi32(-1073741824));
    _mm256_mask_storeu_epi32(c, lanes, cell);
    o = _mm256_mullo_epi32(o, rnnc_avx512_tanh(rnnc_avx2_shift_round(cell, 11)));
    rnnc_avx512_store16(h, rnnc_avx2_shift_round(o, 15), lanes);
}

RNNC_VNNI_FUNCTION void rnnc_avx512_gru_units(const int32_t *b, const uint32_t *mx,
                                              const uint32_t *mh, const int32_t *ax,
                                              const int32_t *ah, int32_t *s, int16_t *h, uint16_t n,
                                              uint8_t activation)
{
    const __mmask8 lanes = (__mmask8)((1u << n) - 1u);
    __m512i zr = rnnc_avx512_activated(rnnc_avx512_gates(b, mx, mh, ax, ah), 0);
    __m256i extended = _mm256_maskz_loadu_epi32(lanes, s);
    __m256i z = _mm512_castsi512_si256(zr), r = _mm512_extracti64x4_epi64(zr, 1);
    __m256i value = rnnc_avx2_candidate(b, mx, mh, ax, ah, r);
    value = activation == RNNC_TANH ? rnnc_avx512_tanh(value) : rnnc_avx2_relu(value);
    extended = rnnc_avx2_towards(extended, z, value);
    _mm256_mask_storeu_epi32(s, lanes, extended);
    rnnc_avx512_store16(h, rnnc_avx2_shift_round(extended, 14), lanes);
}

#endif
