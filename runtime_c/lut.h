/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_LUT_H
#define RNNC_LUT_H
/* Sigmoid and tanh by tables of t(x) = sigma(-x), lowered by half the chord's error, interpolated; 12 fraction bits in, 15
 * out. The tables hold the lines of what is added to 1/2 for sigmoid, and to 0 for tanh: they rise. The rounding to 2^16 or
 * 2^21 and then to 2^15 (sigmoid) or 2^16 (tanh) is part of them: one shift ends the look-up. */
#include <stdint.h>

#include "rom.h"

#define RNNC_TANH 0
#define RNNC_RELU 1
#define RNNC_SIGMOID 2

/* generated: the knots of sigmoid and tanh, by make golden */
/* x = k/16. With A[k] = round(2^16 t(k/16)) and B[k] = round(2^21 t(k/16)), an interval's line is
 *     k < 64:  32 (256 A[k] - f (A[k] - A[k + 1]))      64 <= k < 192:  256 B[k] - f (B[k] - B[k + 1])
 * in units of 2^-29 at x = (k + f / 256) / 16.
 * The error of sigmoid is at most 1.6 LSB of Q0.15, that of tanh 2.2. */
#define RNNC_KNOTS 192 /* the last interval: constant */
#define RNNC_TAIL 64   /* the first interval of B */
#define RNNC_STEP 8    /* 2^8 arguments of 12 fraction bits lie in an interval */
/* end of the knots of sigmoid and tanh */

#ifndef RNNC_LUT_INDEX
/* The interval of |x|: a has 12 fraction bits. */
static inline uint32_t rnnc_lut_index(uint32_t a)
{
    uint32_t k = a >> RNNC_STEP;
    return k > RNNC_KNOTS ? RNNC_KNOTS : k;
}
#endif

#ifndef RNNC_LINES /* a target's own tables, with rnnc_sigmoid_start and rnnc_tanh_start */
/* generated: the lines of sigmoid and tanh, by make golden */
/* clang-format off */
/* 2^28 + 2^14 - 1 less  k < 64: 32 (256 A[k] + 127 + 256);  k >= 64: 256 B[k] + 127 + 32 * 256. */
static const int32_t RNNC_ROM rnnc_sigmoid_line[] = {
    4127, 8392735, 16764959, 25096223, 33386527, 41611295, 49762335, 57815071, 65753119,
    73576479, 81268767, 88821791, 96210975, 103436319, 110497823, 117370911, 124063775,
    130568223, 136876063, 142979103, 148893727, 154595359, 160108575, 165408799, 170512415,
    175419423, 180129823, 184643615, 188968991, 193105951, 197062687, 200847391, 204451871,
    207892511, 211169311, 214290463, 217255967, 220082207, 222760991, 225308703, 227725343,
    230010911, 232181791, 234237983, 236187679, 238030879, 239775775, 241422367, 242987039,
    244453407, 245846047, 247164959, 248401951, 249573407, 250679327, 251719711, 252702751,
    253636639, 254504991, 255332383, 256102431, 256839711, 257527839, 258175007, 258789504,
    259364480, 259905920, 260415360, 260894848, 261346176, 261770880, 262170496, 262546304,
    262899840, 263232640, 263545472, 263839616, 264116352, 264376448, 264621184, 264851072,
    265067392, 265270912, 265461888, 265641600, 265810560, 265969280, 266118528, 266258816,
    266390656, 266514560, 266631040, 266740608, 266843520, 266940032, 267030912, 267116416,
    267196544, 267272064, 267342720, 267409280, 267472000, 267530624, 267585920, 267637888,
    267686528, 267732352, 267775360, 267815808, 267853696, 267889536, 267923072, 267954560,
    267984000, 268011904, 268038016, 268062592, 268085632, 268107392, 268127616, 268146816,
    268164736, 268181632, 268197504, 268212352, 268226432, 268239488, 268252032, 268263552,
    268274304, 268284544, 268294272, 268303232, 268311936, 268319872, 268327296, 268334208,
    268340864, 268347264, 268352896, 268358528, 268363648, 268368512, 268373120, 268377216,
    268381312, 268385152, 268388736, 268392064, 268395136, 268397952, 268400768, 268403328,
    268405888, 268408192, 268410240, 268412288, 268414080, 268415872, 268417664, 268419200,
    268420736, 268422016, 268423296, 268424576, 268425600, 268426880, 268427904, 268428672,
    268429696, 268430464, 268431232, 268432000, 268432768, 268433280, 268434048, 268434560,
    268435072, 268435584, 268436096, 268436608, 268436864, 268437376, 268437632, 268438144,
    268438400, 268438656, 268438912, 268439168, 268439424, 268439680, 268439936, 268440192,
};

/* 2^28 + 2^13 - 1 less  k < 64: 32 (256 A[k] + 127);  k < 189: 256 B[k] + 127 + 16 * 256;  k >= 189: tanh is 32767. */
static const int32_t RNNC_ROM rnnc_tanh_line[] = {
    4127, 8392735, 16764959, 25096223, 33386527, 41611295, 49762335, 57815071, 65753119,
    73576479, 81268767, 88821791, 96210975, 103436319, 110497823, 117370911, 124063775,
    130568223, 136876063, 142979103, 148893727, 154595359, 160108575, 165408799, 170512415,
    175419423, 180129823, 184643615, 188968991, 193105951, 197062687, 200847391, 204451871,
    207892511, 211169311, 214290463, 217255967, 220082207, 222760991, 225308703, 227725343,
    230010911, 232181791, 234237983, 236187679, 238030879, 239775775, 241422367, 242987039,
    244453407, 245846047, 247164959, 248401951, 249573407, 250679327, 251719711, 252702751,
    253636639, 254504991, 255332383, 256102431, 256839711, 257527839, 258175007, 258785408,
    259360384, 259901824, 260411264, 260890752, 261342080, 261766784, 262166400, 262542208,
    262895744, 263228544, 263541376, 263835520, 264112256, 264372352, 264617088, 264846976,
    265063296, 265266816, 265457792, 265637504, 265806464, 265965184, 266114432, 266254720,
    266386560, 266510464, 266626944, 266736512, 266839424, 266935936, 267026816, 267112320,
    267192448, 267267968, 267338624, 267405184, 267467904, 267526528, 267581824, 267633792,
    267682432, 267728256, 267771264, 267811712, 267849600, 267885440, 267918976, 267950464,
    267979904, 268007808, 268033920, 268058496, 268081536, 268103296, 268123520, 268142720,
    268160640, 268177536, 268193408, 268208256, 268222336, 268235392, 268247936, 268259456,
    268270208, 268280448, 268290176, 268299136, 268307840, 268315776, 268323200, 268330112,
    268336768, 268343168, 268348800, 268354432, 268359552, 268364416, 268369024, 268373120,
    268377216, 268381056, 268384640, 268387968, 268391040, 268393856, 268396672, 268399232,
    268401792, 268404096, 268406144, 268408192, 268409984, 268411776, 268413568, 268415104,
    268416640, 268417920, 268419200, 268420480, 268421504, 268422784, 268423808, 268424576,
    268425600, 268426368, 268427136, 268427904, 268428672, 268429184, 268429952, 268430464,
    268430976, 268431488, 268432000, 268432512, 268432768, 268433280, 268433536, 268434048,
    268434304, 268434560, 268434816, 268435072, 268434944, 268434944, 268434944, 268434944,
};

/* k < 64: 32 (A[k] - A[k + 1]);  k < 192: B[k] - B[k + 1]. */
static const uint16_t RNNC_ROM rnnc_slope[] = {
    32768, 32704, 32544, 32384, 32128, 31840, 31456, 31008, 30560, 30048, 29504, 28864, 28224,
    27584, 26848, 26144, 25408, 24640, 23840, 23104, 22272, 21536, 20704, 19936, 19168, 18400,
    17632, 16896, 16160, 15456, 14784, 14080, 13440, 12800, 12192, 11584, 11040, 10464, 9952,
    9440, 8928, 8480, 8032, 7616, 7200, 6816, 6432, 6112, 5728, 5440, 5152, 4832, 4576, 4320,
    4064, 3840, 3648, 3392, 3232, 3008, 2880, 2688, 2528, 2400, 2246, 2115, 1990, 1873, 1763,
    1659, 1561, 1468, 1381, 1300, 1222, 1149, 1081, 1016, 956, 898, 845, 795, 746, 702, 660,
    620, 583, 548, 515, 484, 455, 428, 402, 377, 355, 334, 313, 295, 276, 260, 245, 229, 216,
    203, 190, 179, 168, 158, 148, 140, 131, 123, 115, 109, 102, 96, 90, 85, 79, 75, 70, 66, 62,
    58, 55, 51, 49, 45, 42, 40, 38, 35, 34, 31, 29, 27, 26, 25, 22, 22, 20, 19, 18, 16, 16, 15,
    14, 13, 12, 11, 11, 10, 10, 9, 8, 8, 7, 7, 7, 6, 6, 5, 5, 5, 4, 5, 4, 3, 4, 3, 3, 3, 3, 2,
    3, 2, 2, 2, 2, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 1, 1, 1, 0,
};
/* clang-format on */
/* end of the lines of sigmoid and tanh */
/* Where a line begins. */
static inline int32_t rnnc_sigmoid_start(uint32_t k)
{
    return rnnc_rom_i32(&rnnc_sigmoid_line[k]);
}

static inline int32_t rnnc_tanh_start(uint32_t k)
{
    return rnnc_rom_i32(&rnnc_tanh_line[k]);
}
#endif

#ifndef RNNC_CURVES
/* Logistic function of p, |p| < 2^31: 0 .. 32768. */
static inline int32_t rnnc_sigmoid(int32_t p)
{
    int32_t s = p >> 31;
    uint32_t a = (uint32_t)(p ^ s) - (uint32_t)s, k = rnnc_lut_index(a);
    int32_t y = rnnc_rom_i32(&rnnc_sigmoid_line[k]) +
                (int32_t)rnnc_rom_u16(&rnnc_slope[k]) * (int32_t)(a & ((1u << RNNC_STEP) - 1u));
    return (((y >> (RNNC_STEP + 6)) ^ s) - s) + 16384;
}

/* tanh of p, |p| < 2^30: Q0.15, -32767 .. 32767. */
static inline int32_t rnnc_tanh(int32_t p)
{
    int32_t s = p >> 31;
    uint32_t a = ((uint32_t)(p ^ s) - (uint32_t)s) * 2u, k = rnnc_lut_index(a);
    int32_t y = rnnc_rom_i32(&rnnc_tanh_line[k]) +
                (int32_t)rnnc_rom_u16(&rnnc_slope[k]) * (int32_t)(a & ((1u << RNNC_STEP) - 1u));
    return ((y >> (RNNC_STEP + 5)) ^ s) - s;
}
#else /* a target's own rnnc_sigmoid_by and rnnc_tanh_by, which take the tables */
#if RNNC_CURVES != RNNC_KNOTS
#error "the target's own look-up is of tables with another number of intervals"
#endif
static inline int32_t rnnc_sigmoid(int32_t p)
{
    return rnnc_sigmoid_by(p, rnnc_sigmoid_line, rnnc_slope);
}

static inline int32_t rnnc_tanh(int32_t p)
{
    return rnnc_tanh_by(p, rnnc_tanh_line, rnnc_slope);
}
#endif

#define RNNC_FINER 3 /* further fraction bits of a preactivation of the finer form */

/* slope f / 2^RNNC_FINER rounded up, at |x| = a, 15 fraction bits. A product is < 2^26. */
static inline int32_t rnnc_fine_rise(uint32_t a, uint32_t k)
{
    int32_t f = (int32_t)(a & ((1u << (RNNC_STEP + RNNC_FINER)) - 1u));
    return ((int32_t)rnnc_rom_u16(&rnnc_slope[k]) * f + (1 << RNNC_FINER) - 1) >> RNNC_FINER;
}

/* rnnc_sigmoid of p with 15 fraction bits. */
static inline int32_t rnnc_sigmoid_fine(int32_t p)
{
    int32_t s = p >> 31;
    uint32_t a = (uint32_t)(p ^ s) - (uint32_t)s, k = rnnc_lut_index(a >> RNNC_FINER);
    int32_t y = rnnc_sigmoid_start(k) + rnnc_fine_rise(a, k);
    return (((y >> (RNNC_STEP + 6)) ^ s) - s) + 16384;
}

/* rnnc_tanh of p with 15 fraction bits, |p| < 2^30. */
static inline int32_t rnnc_tanh_fine(int32_t p)
{
    int32_t s = p >> 31;
    uint32_t a = ((uint32_t)(p ^ s) - (uint32_t)s) * 2u, k = rnnc_lut_index(a >> RNNC_FINER);
    int32_t y = rnnc_tanh_start(k) + rnnc_fine_rise(a, k);
    return ((y >> (RNNC_STEP + 5)) ^ s) - s;
}

/* A layer's output activation: int16 of a preactivation of 12 fraction bits, or of the output's own LSB for ReLU. */
static inline int32_t rnnc_activate(uint8_t activation, int32_t p)
{
    int32_t y;
    if (activation == RNNC_TANH) {
        return rnnc_tanh(p);
    }
    y = activation == RNNC_SIGMOID ? rnnc_sigmoid(p) : p < 0 ? 0 : p;
    return y > 32767 ? 32767 : y;
}

#endif
