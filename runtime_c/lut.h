/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_LUT_H
#define RNNC_LUT_H
/* Sigmoid and tanh by one table of sigma(-k/16), interpolated; 12 fraction bits in, 15 out. */
#include <stdint.h>

#include "rom.h"

#define RNNC_TANH 0
#define RNNC_RELU 1
#define RNNC_SIGMOID 2

/* [0 .. 64] 2^16 t(k/16), then [65 .. 193] 2^21 t(4 + k/16): t is sigma(-x) lowered by half the chord's error. */
static const uint16_t RNNC_ROM rnnc_sigma[194] = {
    32768, 31744, 30722, 29705, 28693, 27689, 26694, 25711, 24742, 23787, 22848, 21926, 21024,
    20142, 19280, 18441, 17624, 16830, 16060, 15315, 14593, 13897, 13224, 12577, 11954, 11355,
    10780, 10229, 9701, 9196, 8713, 8251, 7811, 7391, 6991, 6610, 6248, 5903, 5576,
    5265, 4970, 4691, 4426, 4175, 3937, 3712, 3499, 3298, 3107, 2928, 2758, 2597,
    2446, 2303, 2168, 2041, 1921, 1807, 1701, 1600, 1506, 1416, 1332, 1253, 1178,
    37711, 35465, 33350, 31360, 29487, 27724, 26065, 24504, 23036, 21655, 20355, 19133, 17984,
    16903, 15887, 14931, 14033, 13188, 12393, 11647, 10945, 10285, 9665, 9082, 8534, 8019,
    7535, 7080, 6652, 6250, 5873, 5518, 5184, 4871, 4576, 4300, 4040, 3795, 3566,
    3350, 3147, 2957, 2778, 2610, 2452, 2304, 2164, 2033, 1910, 1795, 1686, 1584,
    1488, 1398, 1313, 1234, 1159, 1089, 1023, 961, 903, 848, 797, 748, 703,
    661, 621, 583, 548, 514, 483, 454, 427, 401, 376, 354, 332, 312,
    293, 275, 259, 243, 228, 214, 201, 189, 178, 167, 157, 147, 138,
    130, 122, 115, 108, 101, 95, 89, 84, 79, 74, 70, 65, 61,
    58, 54, 51, 48, 45, 42, 40, 37, 35, 33, 31, 29, 27,
    26, 24, 23, 21, 20, 19, 18, 17, 16, 15, 14, 13,
};

/* sigma(-a) for a >= 0: 2^16 sigma below 4 (returns *tail = 0), 2^21 sigma up to 12 (*tail = 1), 0 beyond. */
static inline int32_t rnnc_sigma_lookup(uint32_t a, int *tail)
{
    uint32_t k = a >> 8;
    int32_t left, right;
    *tail = k >= 64;
    if (k >= 192) {
        return 0;
    }
    k += (uint32_t)*tail;
    left = rnnc_rom_u16(&rnnc_sigma[k]);
    right = rnnc_rom_u16(&rnnc_sigma[k + 1]);
    return left - (((left - right) * (int32_t)(a & 255) + 128) >> 8);
}

/* Logistic function of p, |p| < 2^31: 0 .. 32768, error <= 1.6 LSB of Q15. */
static inline int32_t rnnc_sigmoid(int32_t p)
{
    int tail;
    int32_t y = rnnc_sigma_lookup(p < 0 ? 0u - (uint32_t)p : (uint32_t)p, &tail);
    y = tail ? (y + 32) >> 6 : (y + 1) >> 1;
    return p < 0 ? y : 32768 - y;
}

/* tanh of p, |p| < 2^30: Q0.15, -32767 .. 32767, error <= 2.2 LSB. */
static inline int32_t rnnc_tanh(int32_t p)
{
    int tail;
    int32_t y = rnnc_sigma_lookup((p < 0 ? 0u - (uint32_t)p : (uint32_t)p) * 2u, &tail);
    y = 32768 - (tail ? (y + 16) >> 5 : y);
    if (y > 32767) {
        y = 32767;
    }
    return p < 0 ? -y : y;
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
