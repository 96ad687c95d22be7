/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_FUNCTIONS_H
#define RNNC_FUNCTIONS_H
/* Functions of one number in 32 bits, of which norms, softmax, magnitudes and powers are made. */
#include <stdint.h>

#include "rom.h"

/* generated: the tables of functions of one number, by make golden */
/* clang-format off */
#define RNNC_CHORD_BITS 10 /* of an argument's 16 fraction bits, those within a chord */

/* [0 .. 64] 2^16 2^-(k/64), lowered by half the largest error of a chord. */
static const uint16_t RNNC_ROM rnnc_exp2_table[65] = {
    65535, 64830, 64131, 63440, 62757, 62081, 61412, 60751, 60096, 59449, 58809, 58175, 57548,
    56929, 56315, 55709, 55109, 54515, 53928, 53347, 52772, 52204, 51641, 51085, 50535, 49990,
    49452, 48919, 48392, 47871, 47355, 46845, 46341, 45841, 45348, 44859, 44376, 43898, 43425,
    42957, 42495, 42037, 41584, 41136, 40693, 40255, 39821, 39392, 38968, 38548, 38133, 37722,
    37316, 36914, 36516, 36123, 35733, 35349, 34968, 34591, 34219, 33850, 33485, 33125, 32768,
};

/* [0 .. 64] 2^19 (log2(1 + k/64) - k/64), raised by half the largest error of a chord. */
static const uint16_t RNNC_ROM rnnc_log2_table[65] = {
    12, 3546, 6902, 10084, 13098, 15948, 18639, 21176, 23563, 25804, 27903, 29863, 31690, 33385,
    34953, 36396, 37718, 38922, 40011, 40988, 41854, 42613, 43268, 43820, 44273, 44627, 44887,
    45052, 45127, 45112, 45010, 44822, 44550, 44196, 43762, 43249, 42659, 41993, 41253, 40440,
    39557, 38603, 37580, 36490, 35335, 34114, 32829, 31483, 30074, 28606, 27078, 25492, 23849,
    22149, 20395, 18586, 16723, 14808, 12842, 10824, 8757, 6640, 4475, 2262, 3,
};

/* [0 .. 47] 2^16 / sqrt((k + 16.5) / 16). */
static const uint16_t RNNC_ROM rnnc_rsqrt_table[48] = {
    64535, 62664, 60947, 59364, 57898, 56535, 55265, 54076, 52961, 51912, 50923, 49989, 49104,
    48265, 47467, 46707, 45983, 45292, 44630, 43997, 43390, 42808, 42248, 41710, 41192, 40693,
    40211, 39746, 39297, 38863, 38443, 38036, 37642, 37260, 36889, 36529, 36179, 35840, 35509,
    35188, 34875, 34571, 34274, 33985, 33703, 33427, 33159, 32897,
};
/* clang-format on */
/* end of the tables of functions of one number */

/* Zero bits above the highest one; 31 for 0. */
static inline uint8_t rnnc_leading_zeros(uint32_t v)
{
#if defined(__GNUC__) && (defined(__ARM_FEATURE_CLZ) || defined(__x86_64__))
    return (uint8_t)(v ? __builtin_clz(v) : 31);
#else
    uint8_t n = 0;
    if (v < (uint32_t)1 << 16) {
        n = 16;
        v <<= 16;
    }
    if (v < (uint32_t)1 << 24) {
        n = (uint8_t)(n + 8);
        v <<= 8;
    }
    if (v < (uint32_t)1 << 28) {
        n = (uint8_t)(n + 4);
        v <<= 4;
    }
    if (v < (uint32_t)1 << 30) {
        n = (uint8_t)(n + 2);
        v <<= 2;
    }
    return (uint8_t)(n + (v < (uint32_t)1 << 31));
#endif
}

/* 2^31 / sqrt(m) for m >= 2^30: 32768 .. 65535, relative error < 2^-14.7.
 * x: Q14 in [1, 4].  error: Q30, |error| <= 2^26.  |r error / 2^14| <= 2^28. */
static inline uint32_t rnnc_rsqrt(uint32_t m)
{
    uint32_t x = (m >> 16) + ((m >> 15) & 1u);
    uint32_t r = rnnc_rom_u16(&rnnc_rsqrt_table[(m >> 26) - 16]);
    int step;
    for (step = 0; step < 2; step++) {
        uint32_t square = (r * r + 32768u) >> 16;
        int32_t error = (int32_t)1073741824 - (int32_t)(x * square);
        r += (uint32_t)(((int32_t)r * ((error + 8192) >> 14) + 65536) >> 17);
        if (r > 65535u) {
            r = 65535u;
        }
    }
    return r;
}

/* The square root of 0, or of m >= 2^30, rounded to nearest: 0, 32768 .. 65536.
 * A step from the table to r = 2^31 / sqrt(m), relative error < 2^-11.5; with it s = m r / 2^31, a step to within 1 of the root, and
 * its neighbours.  |m - s^2| < 2^22; s <= 65535: s^2 + s < 2^32. */
#ifndef RNNC_SQRT
static inline uint32_t rnnc_sqrt(uint32_t m)
{
    uint32_t r, s;
    int32_t error;
    if (m == 0) {
        return 0;
    }
    r = rnnc_rom_u16(&rnnc_rsqrt_table[(m >> 26) - 16]);
    error = (int32_t)1073741824 - (int32_t)((m >> 16) * ((r * r + 32768u) >> 16));
    r += (uint32_t)(((int32_t)r * (error >> 14)) >> 17);
    s = ((m >> 16) * r) >> 15;
    s = s > 65535u ? 65535u : s;
    error = (int32_t)(m - s * s);
    s += (uint32_t)(((error >> 8) * (int32_t)r) >> 24);
    s = s > 65535u ? 65535u : s;
    s += m > s * s + s;
    return s - (m <= s * s - s);
}
#endif

/* Of e^-d, d with 12 fraction bits. */
#define RNNC_LOG2_E 47274u /* round(2^15 log2 e) */
#define RNNC_FARTHEST \
    65536u /* 16 with 12 fraction bits: what is farther below the maximum counts as 0 */

/* 2^16 2^-(t/65536), t: 0 .. 65535: 32768 .. 65535, error <= 1.5 LSB. */
static inline uint32_t rnnc_exp2(uint32_t t)
{
    const uint16_t *knot = &rnnc_exp2_table[t >> RNNC_CHORD_BITS];
    uint32_t left = rnnc_rom_u16(knot), right = rnnc_rom_u16(knot + 1);
    uint32_t within = t & (((uint32_t)1 << RNNC_CHORD_BITS) - 1u);
    return left -
           (((left - right) * within + ((uint32_t)1 << RNNC_CHORD_BITS >> 1)) >> RNNC_CHORD_BITS);
}

/* 2^(t / 65536), rounded, saturated at 32767.  |t| < 2^30. */
static inline int32_t rnnc_power_of_two(int32_t t)
{
    uint32_t u = (0u - (uint32_t)t) & 65535u, y;
    int32_t shift = 16 - ((t + (int32_t)u) >> 16);
    if (shift < 1) {
        return 32767;
    }
    if (shift > 31) {
        return 0;
    }
    y = (rnnc_exp2(u) + ((uint32_t)1 << shift >> 1)) >> shift;
    return y > 32767u ? 32767 : (int32_t)y;
}

/* sqrt(squares) 2^doublings m / 2^p, rounded: 0 .. 2^31 - 1, saturated.  m < 2^15: the product < 2^31. */
static inline int32_t rnnc_scaled_root(uint32_t squares, uint8_t doublings, uint16_t m, uint8_t p)
{
    uint8_t n = rnnc_leading_zeros(squares) & 0xfeu;
    uint32_t product = rnnc_sqrt(squares << n) * m;
    int shift = p + n / 2 - doublings;
    if (shift > 31) {
        return 0;
    }
    if (shift >= 0) {
        return (int32_t)((product + ((uint32_t)1 << shift >> 1)) >> shift);
    }
    shift = -shift;
    return shift > 31 || product > 0x7fffffffu >> shift ? 0x7fffffff : (int32_t)(product << shift);
}

/* 2^16 log2(v), v >= 1: 0 .. 2^21, error < 3.5 LSB. */
static inline int32_t rnnc_log2(uint32_t v)
{
    uint8_t n = rnnc_leading_zeros(v);
    int32_t f = (int32_t)(((v << n) >> 15) & 65535u);
    const uint16_t *knot = &rnnc_log2_table[f >> RNNC_CHORD_BITS];
    int32_t left = rnnc_rom_u16(knot), right = rnnc_rom_u16(knot + 1);
    int32_t within = f & (((int32_t)1 << RNNC_CHORD_BITS) - 1);
    left += ((right - left) * within + ((int32_t)1 << RNNC_CHORD_BITS >> 1)) >> RNNC_CHORD_BITS;
    return (int32_t)(31 - n) * 65536 + f + ((left + 4) >> 3);
}

#endif
