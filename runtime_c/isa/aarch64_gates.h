/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_ISA_AARCH64_GATES_H
#define RNNC_ISA_AARCH64_GATES_H
/* The gates of four units for aarch64.h: the arithmetic of lut.h, lstm.h and gru.h, lane by lane. */
#include <arm_neon.h>
#include <string.h>

#include "../lut.h"
#include "knots.h"

/* (a >> p) * m of scale words m << 16 | p: a shift to the left by the lowest byte, negated. */
static inline int32x4_t rnnc_neon_scaled(int32x4_t a, const uint32_t *scale)
{
    uint32x4_t s = vld1q_u32(scale);
    return vmulq_s32(vshlq_s32(a, vnegq_s32(vreinterpretq_s32_u32(s))),
                     vreinterpretq_s32_u32(vshrq_n_u32(s, 16)));
}

static inline int32x4_t rnnc_neon_gate(const int32_t *bias, const uint32_t *x, const uint32_t *y,
                                       const int32_t *ax, const int32_t *ah)
{
    int32x4_t over_x = rnnc_neon_scaled(vaddq_s32(vld1q_s32(ax), vld1q_s32(bias)), x);
    return vshrq_n_s32(vaddq_s32(over_x, rnnc_neon_scaled(vld1q_s32(ah), y)), 8);
}

/* 2^(21 + RNNC_STEP) t(a), rounded to 2^16 before RNNC_TAIL (fine), to 2^21 else; a has 12 fraction bits. */
static inline int32x4_t rnnc_neon_line(int32x4_t a, uint32x4_t *fine)
{
    uint32x4_t k =
        vminq_u32(vshrq_n_u32(vreinterpretq_u32_s32(a), RNNC_STEP), vdupq_n_u32(RNNC_KNOTS));
    int32x4_t word = vld1q_dup_s32(&rnnc_knots_in_words[vgetq_lane_u32(k, 0)]), left, y;
    word = vld1q_lane_s32(&rnnc_knots_in_words[vgetq_lane_u32(k, 1)], word, 1);
    word = vld1q_lane_s32(&rnnc_knots_in_words[vgetq_lane_u32(k, 2)], word, 2);
    word = vld1q_lane_s32(&rnnc_knots_in_words[vgetq_lane_u32(k, 3)], word, 3);
    left =
        vreinterpretq_s32_u32(vshlq_n_u32(vshrq_n_u32(vreinterpretq_u32_s32(word), 16), RNNC_STEP));
    y = vmlsq_s32(vaddq_s32(left, vdupq_n_s32((1 << RNNC_STEP >> 1) - 1)),
                  vandq_s32(word, vdupq_n_s32(65535)),
                  vandq_s32(a, vdupq_n_s32((1 << RNNC_STEP) - 1)));
    *fine = vcltq_u32(k, vdupq_n_u32(RNNC_TAIL));
    return vshlq_s32(y, vandq_s32(vreinterpretq_s32_u32(*fine), vdupq_n_s32(5)));
}

/* y with the sign of p. */
static inline int32x4_t rnnc_neon_sign(int32x4_t y, int32x4_t p)
{
    int32x4_t below = vshrq_n_s32(p, 31);
    return vsubq_s32(veorq_s32(y, below), below);
}

static inline int32x4_t rnnc_neon_sigmoid(int32x4_t p)
{
    uint32x4_t fine;
    int32x4_t half = vdupq_n_s32(16384), y = rnnc_neon_line(vabsq_s32(p), &fine);
    y = vsubq_s32(half, vshrq_n_s32(vaddq_s32(y, vdupq_n_s32(32 << RNNC_STEP)), RNNC_STEP + 6));
    return vaddq_s32(rnnc_neon_sign(y, p), half);
}

static inline int32x4_t rnnc_neon_tanh(int32x4_t p)
{
    uint32x4_t fine;
    int32x4_t y = rnnc_neon_line(vshlq_n_s32(vabsq_s32(p), 1), &fine);
    y = vaddq_s32(y, vbicq_s32(vdupq_n_s32(16 << RNNC_STEP), vreinterpretq_s32_u32(fine)));
    y = vsubq_s32(vdupq_n_s32(32768), vshrq_n_s32(y, RNNC_STEP + 5));
    return rnnc_neon_sign(vminq_s32(y, vdupq_n_s32(32767)), p);
}

static inline int32x4_t rnnc_neon_mul15(int32x4_t u, int32x4_t d)
{
    int32x4_t low = vmulq_s32(u, vandq_s32(d, vdupq_n_s32(32767)));
    return vmlaq_s32(vrshrq_n_s32(low, 15), u, vshrq_n_s32(d, 15));
}

/* n <= 4 elements; the other lanes are 0. */
static inline int32x4_t rnnc_neon_first(const int32_t *p, uint16_t n)
{
    int32_t all[4] = {0};
    if (n == 4) {
        return vld1q_s32(p);
    }
    memcpy(all, p, n * sizeof *p);
    return vld1q_s32(all);
}

/* c = state, h = out, which fits: lanes 0 .. n - 1. */
static inline void rnnc_neon_put(int32_t *c, int32x4_t state, int16_t *h, int32x4_t out, uint16_t n)
{
    int32_t states[4];
    int16_t outs[4];
    vst1q_s32(n == 4 ? c : states, state);
    vst1_s16(n == 4 ? h : outs, vmovn_s32(out));
    if (n != 4) {
        memcpy(c, states, n * sizeof *c);
        memcpy(h, outs, n * sizeof *h);
    }
}

static inline void rnnc_neon_lstm_units(const int32_t *b, const uint32_t *x, const uint32_t *y,
                                        const int32_t *ax, const int32_t *ah, int32_t *c,
                                        int16_t *h, uint16_t n)
{
    int32x4_t i = rnnc_neon_sigmoid(rnnc_neon_gate(b, x, y, ax, ah));
    int32x4_t o = rnnc_neon_sigmoid(rnnc_neon_gate(b + 4, x + 4, y + 4, ax + 4, ah + 4));
    int32x4_t f = rnnc_neon_sigmoid(rnnc_neon_gate(b + 8, x + 8, y + 8, ax + 8, ah + 8));
    int32x4_t g = rnnc_neon_tanh(rnnc_neon_gate(b + 12, x + 12, y + 12, ax + 12, ah + 12));
    int32x4_t cell = rnnc_neon_mul15(f, rnnc_neon_first(c, n));
    cell = vaddq_s32(cell, vrshrq_n_s32(vmulq_s32(i, g), 7));
    cell = vmaxq_s32(vminq_s32(cell, vdupq_n_s32(1073741824)), vdupq_n_s32(-1073741824));
    o = vmulq_s32(o, rnnc_neon_tanh(vrshrq_n_s32(cell, 11)));
    rnnc_neon_put(c, cell, h, vrshrq_n_s32(o, 15), n);
}

static inline void rnnc_neon_gru_units(const int32_t *b, const uint32_t *mx, const uint32_t *mh,
                                       const int32_t *ax, const int32_t *ah, int32_t *s, int16_t *h,
                                       uint16_t n, uint8_t activation)
{
    int32x4_t extended = rnnc_neon_first(s, n);
    int32x4_t z = rnnc_neon_sigmoid(rnnc_neon_gate(b, mx, mh, ax, ah));
    int32x4_t r = rnnc_neon_sigmoid(rnnc_neon_gate(b + 4, mx + 4, mh + 4, ax + 4, ah + 4));
    int32x4_t nx = vaddq_s32(vld1q_s32(ax + 8), vld1q_s32(b + 8));
    int32x4_t nh = vaddq_s32(vld1q_s32(ah + 8), vld1q_s32(b + 12)), value;
    nx = vshrq_n_s32(rnnc_neon_scaled(nx, mx + 8), 8);
    nh = vshrq_n_s32(rnnc_neon_scaled(nh, mh + 8), 8);
    nh = vmaxq_s32(vminq_s32(nh, vdupq_n_s32(65535)), vdupq_n_s32(-65535));
    value = vaddq_s32(nx, vrshrq_n_s32(vmulq_s32(r, nh), 15));
    if (activation == RNNC_TANH) {
        value = rnnc_neon_tanh(value);
    } else {
        value = vminq_s32(vmaxq_s32(value, vdupq_n_s32(0)), vdupq_n_s32(32767));
    }
    z = vsubq_s32(vdupq_n_s32(32768), z);
    value = vsubq_s32(vshlq_n_s32(value, 14), extended);
    extended = vaddq_s32(extended, rnnc_neon_mul15(z, value));
    rnnc_neon_put(s, extended, h, vrshrq_n_s32(extended, 14), n);
}

#define RNNC_LSTM_UNITS
#define rnnc_lstm_units(b, x, y, ax, ah, c, h, batch, n) \
    rnnc_neon_lstm_units(b, x, y, ax, ah, c, h, n)

#define RNNC_GRU_UNITS
#define rnnc_gru_units(b, mx, mh, ax, ah, s, h, batch, n, activation) \
    rnnc_neon_gru_units(b, mx, mh, ax, ah, s, h, n, activation)

#endif
