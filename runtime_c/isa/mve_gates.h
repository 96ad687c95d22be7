/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_ISA_MVE_GATES_H
#define RNNC_ISA_MVE_GATES_H
/* The gates of four units for mve.h: the arithmetic of lut.h, lstm.h and gru.h, lane by lane. */
#include <arm_mve.h>

#include "mve_curves.h"

#include "../lut.h"

/* gcc takes each predicate through a core register, three instructions each time; here it stays where it is made. */
#if defined(__ARM_FEATURE_MVE) && !defined(__clang__)
/* Lanes 0 .. n - 1 of p; the others are 0. */
static inline int32x4_t rnnc_mve_first(const int32_t *p, uint32_t n)
{
    int32x4_t y;
    mve_pred16_t here;
    __asm__("vctp.32 %2\n vpst\n vldrwt.u32 %q0, [%3]"
            : "=&w"(y), "=Up"(here)
            : "r"(n), "r"(p), "m"(*(const int32_t (*)[4])p));
    return y;
}

/* c = cell, h = out: lanes 0 .. n - 1. */
static inline void rnnc_mve_put(int32_t *c, int32x4_t cell, int16_t *h, int32x4_t out, uint32_t n)
{
    mve_pred16_t here;
    __asm__ volatile("vctp.32 %5\n vpstt\n vstrwt.32 %q2, [%1]\n vstrht.32 %q4, [%3]"
                     : "=Up"(here)
                     : "r"(c), "w"(cell), "l"(h), "w"(out), "r"(n)
                     : "memory");
}

#else
static inline int32x4_t rnnc_mve_first(const int32_t *p, uint32_t n)
{
    return vldrwq_z_s32(p, vctp32q(n));
}

static inline void rnnc_mve_put(int32_t *c, int32x4_t cell, int16_t *h, int32x4_t out, uint32_t n)
{
    vstrwq_p_s32(c, cell, vctp32q(n));
    vstrhq_p_s32(h, out, vctp32q(n));
}
#endif

/* In a register of its own: an array on the stack has no other short address. */
#define RNNC_MVE_KEPT(pointer) __asm__("" : "+r"(pointer))

/* (a >> p) * m of scale words m << 16 | p: a shift to the left by the lowest byte, negated. */
static inline int32x4_t rnnc_mve_scaled(int32x4_t a, const uint32_t *scale)
{
    int32x4_t s = vldrwq_s32((const int32_t *)scale);
    return vmulq_s32(vshlq_s32(a, vnegq_s32(s)),
                     vreinterpretq_s32_u32(vshrq_n_u32(vreinterpretq_u32_s32(s), 16)));
}

static inline int32x4_t rnnc_mve_gate(const int32_t *bias, const uint32_t *x, const uint32_t *y,
                                      const int32_t *ax, const int32_t *ah)
{
    int32x4_t over_x = rnnc_mve_scaled(vaddq_s32(vldrwq_s32(ax), vldrwq_s32(bias)), x);
    return vshrq_n_s32(vaddq_s32(over_x, rnnc_mve_scaled(vldrwq_s32(ah), y)), 8);
}

/* The line at q of the interval k. */
static inline int32x4_t rnnc_mve_line(const int32_t *table, int32x4_t k, int32x4_t q)
{
    uint32x4_t at = vreinterpretq_u32_s32(vshrq_n_s32(k, RNNC_STEP + 15));
    int32x4_t slope = vreinterpretq_s32_u32(vldrhq_gather_shifted_offset_u32(rnnc_slope, at));
    return vaddq_s32(vldrwq_gather_shifted_offset_s32(table, at), vmulq_s32(slope, q));
}

/* The shift saturates: the ends of the tables are what is beyond. */
static inline int32x4_t rnnc_mve_sigmoid(int32x4_t p)
{
    return vshrq_n_s32(rnnc_mve_line(rnnc_sigmoid_line, vqshlq_n_s32(p, 15), p), RNNC_STEP + 6);
}

static inline int32x4_t rnnc_mve_tanh(int32x4_t p)
{
    return vshrq_n_s32(rnnc_mve_line(rnnc_tanh_line, vqshlq_n_s32(p, 16), vshlq_n_s32(p, 1)),
                       RNNC_STEP + 5);
}

/* rnnc_mul15(u, d), given -u and -d: (2^16 u d + 2^30) >> 31. */
static inline int32x4_t rnnc_mve_mul15(int32x4_t minus_u, int32x4_t minus_d)
{
    return vqrdmulhq_s32(vshlq_n_s32(minus_u, 16), minus_d);
}

/* Loads stay on their side: gcc would begin all gates at once and spill what it cannot hold. */
#define RNNC_MVE_APART __asm__ volatile("" ::: "memory")

#define RNNC_LSTM_UNITS
static inline void rnnc_lstm_units(const int32_t *b, const uint32_t *x, const uint32_t *y,
                                   const int32_t *ax, const int32_t *ah, int32_t *c, int16_t *h,
                                   uint16_t batch, uint16_t n)
{
    int32x4_t i, g, f, o, cell;
    (void)batch;
    RNNC_MVE_KEPT(ax);
    RNNC_MVE_KEPT(ah);
    i = rnnc_mve_sigmoid(rnnc_mve_gate(b, x, y, ax, ah));
    RNNC_MVE_APART;
    g = rnnc_mve_tanh(rnnc_mve_gate(b + 12, x + 12, y + 12, ax + 12, ah + 12));
    i = vrshrq_n_s32(vmulq_s32(i, g), 7);
    RNNC_MVE_APART;
    f = vnegq_s32(rnnc_mve_sigmoid(rnnc_mve_gate(b + 8, x + 8, y + 8, ax + 8, ah + 8)));
    cell = vaddq_s32(rnnc_mve_mul15(f, vnegq_s32(rnnc_mve_first(c, n))), i);
    RNNC_MVE_APART;
    o = rnnc_mve_sigmoid(rnnc_mve_gate(b + 4, x + 4, y + 4, ax + 4, ah + 4));
    RNNC_MVE_APART;
    cell = vmaxq_s32(vminq_s32(cell, vdupq_n_s32(1073741824)), vdupq_n_s32(-1073741824));
    o = vrshrq_n_s32(vmulq_s32(o, rnnc_mve_tanh(vrshrq_n_s32(cell, 11))), 15);
    rnnc_mve_put(c, cell, h, o, n);
}

#define RNNC_PUT_UNITS
static inline void rnnc_put_units(void *h, uint8_t bits, int16_t *y, uint16_t u,
                                  const int16_t *value, uint16_t n)
{
    mve_pred16_t here = vctp32q(n);
    int32x4_t v = vldrhq_z_s32(value, here);
    if (bits == 8) {
        vstrbq_p_s32((int8_t *)h + u, vminq_s32(vrshrq_n_s32(v, 8), vdupq_n_s32(127)), here);
    }
    if (y) {
        vstrhq_p_s32(y + u, v, here);
    }
}

#define RNNC_GRU_UNITS
static inline void rnnc_gru_units(const int32_t *b, const uint32_t *mx, const uint32_t *mh,
                                  const int32_t *ax, const int32_t *ah, int32_t *s, int16_t *h,
                                  uint16_t batch, uint16_t n, uint8_t activation)
{
    int32x4_t z, r, nx, nh, extended, value;
    (void)batch;
    RNNC_MVE_KEPT(ax);
    RNNC_MVE_KEPT(ah);
    r = rnnc_mve_sigmoid(rnnc_mve_gate(b + 4, mx + 4, mh + 4, ax + 4, ah + 4));
    RNNC_MVE_APART;
    nx = vshrq_n_s32(rnnc_mve_scaled(vaddq_s32(vldrwq_s32(ax + 8), vldrwq_s32(b + 8)), mx + 8), 8);
    nh = vshrq_n_s32(rnnc_mve_scaled(vaddq_s32(vldrwq_s32(ah + 8), vldrwq_s32(b + 12)), mh + 8), 8);
    RNNC_MVE_APART;
    nh = vmaxq_s32(vminq_s32(nh, vdupq_n_s32(65535)), vdupq_n_s32(-65535));
    value = vaddq_s32(nx, vrshrq_n_s32(vmulq_s32(r, nh), 15));
    if (activation == RNNC_TANH) {
        value = rnnc_mve_tanh(value);
    } else {
        value = vminq_s32(vmaxq_s32(value, vdupq_n_s32(0)), vdupq_n_s32(32767));
    }
    RNNC_MVE_APART;
    z = rnnc_mve_sigmoid(rnnc_mve_gate(b, mx, mh, ax, ah));
    extended = rnnc_mve_first(s, n);
    z = vsubq_s32(z, vdupq_n_s32(32768));
    extended = vaddq_s32(extended, rnnc_mve_mul15(z, vsubq_s32(extended, vshlq_n_s32(value, 14))));
    rnnc_mve_put(s, extended, h, vrshrq_n_s32(extended, 14), n);
}

#endif
