/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_ISA_MVE_VECTOR_H
#define RNNC_ISA_MVE_VECTOR_H
/* The steps of elementwise kernels (../vector.h) on four elements at a time. */
#include <arm_mve.h>
#include <stddef.h>

#include "../fixed.h"
#include "../loops.h"
#include "mve_gates.h"

#define RNNC_VECTOR 4
typedef int32x4_t rnnc_vector;

/* A pointer in a register of its own: loads that step it on are one instruction each. */
#define RNNC_KEPT(pointer)                         \
    __extension__({                                \
        __typeof__(pointer) rnnc_kept = (pointer); \
        __asm__("" : "+r"(rnnc_kept));             \
        rnnc_kept;                                 \
    })

/* Which of four elements are among those left; where the compiler knows that all are, nothing is asked. */
#define RNNC_MVE_ALL(left) (__builtin_constant_p(left) && (left) >= 4)

static inline rnnc_vector rnnc_v_of(int32_t x)
{
    return vdupq_n_s32(x);
}

/* 0, step, 2 step, 3 step. */
RNNC_KERNEL uint32x4_t rnnc_mve_steps(size_t step)
{
    return vmulq_n_u32(vidupq_n_u32(0, 1), (uint32_t)step);
}

RNNC_KERNEL int32x4_t rnnc_mve_bytes(const int8_t *x, size_t step, size_t left)
{
    if (step == 1) {
        return RNNC_MVE_ALL(left) ? vldrbq_s32(x) : vldrbq_z_s32(x, vctp32q((uint32_t)left));
    }
    return RNNC_MVE_ALL(left)
               ? vldrbq_gather_offset_s32(x, rnnc_mve_steps(step))
               : vldrbq_gather_offset_z_s32(x, rnnc_mve_steps(step), vctp32q((uint32_t)left));
}

RNNC_KERNEL int32x4_t rnnc_mve_halfwords(const int16_t *x, size_t step, size_t left)
{
    if (step == 1) {
        return RNNC_MVE_ALL(left) ? vldrhq_s32(x) : vldrhq_z_s32(x, vctp32q((uint32_t)left));
    }
    return RNNC_MVE_ALL(left) ? vldrhq_gather_shifted_offset_s32(x, rnnc_mve_steps(step))
                              : vldrhq_gather_shifted_offset_z_s32(x, rnnc_mve_steps(step),
                                                                   vctp32q((uint32_t)left));
}

RNNC_KERNEL int32x4_t rnnc_mve_words(const int32_t *x, size_t step, size_t left)
{
    if (step == 1) {
        return RNNC_MVE_ALL(left) ? vldrwq_s32(x) : vldrwq_z_s32(x, vctp32q((uint32_t)left));
    }
    return RNNC_MVE_ALL(left) ? vldrwq_gather_shifted_offset_s32(x, rnnc_mve_steps(step))
                              : vldrwq_gather_shifted_offset_z_s32(x, rnnc_mve_steps(step),
                                                                   vctp32q((uint32_t)left));
}

RNNC_KERNEL rnnc_vector rnnc_v_get(const void *x, uint8_t bits, size_t at, size_t step, size_t left)
{
    if (step == 0) {
        return vdupq_n_s32(rnnc_read(x, bits, at));
    }
    return bits == 8    ? rnnc_mve_bytes((const int8_t *)x + at, step, left)
           : bits == 16 ? rnnc_mve_halfwords((const int16_t *)x + at, step, left)
                        : rnnc_mve_words((const int32_t *)x + at, step, left);
}

RNNC_KERNEL void rnnc_v_put(void *y, uint8_t bits, size_t at, size_t step, rnnc_vector x,
                            size_t left)
{
    mve_pred16_t here = RNNC_MVE_ALL(left) ? 0 : vctp32q((uint32_t)left);
    uint32x4_t steps = rnnc_mve_steps(step);
    if (bits == 8) {
        int8_t *to = (int8_t *)y + at;
        if (step != 1) {
            RNNC_MVE_ALL(left) ? vstrbq_scatter_offset_s32(to, steps, x)
                               : vstrbq_scatter_offset_p_s32(to, steps, x, here);
        } else {
            RNNC_MVE_ALL(left) ? vstrbq_s32(to, x) : vstrbq_p_s32(to, x, here);
        }
    } else if (bits == 16) {
        int16_t *to = (int16_t *)y + at;
        if (step != 1) {
            RNNC_MVE_ALL(left) ? vstrhq_scatter_shifted_offset_s32(to, steps, x)
                               : vstrhq_scatter_shifted_offset_p_s32(to, steps, x, here);
        } else {
            RNNC_MVE_ALL(left) ? vstrhq_s32(to, x) : vstrhq_p_s32(to, x, here);
        }
    } else {
        int32_t *to = (int32_t *)y + at;
        if (step != 1) {
            RNNC_MVE_ALL(left) ? vstrwq_scatter_shifted_offset_s32(to, steps, x)
                               : vstrwq_scatter_shifted_offset_p_s32(to, steps, x, here);
        } else {
            RNNC_MVE_ALL(left) ? vstrwq_s32(to, x) : vstrwq_p_s32(to, x, here);
        }
    }
}

RNNC_KERNEL rnnc_vector rnnc_v_weights(const void *w, uint8_t bits, size_t at, size_t step,
                                       size_t left)
{
    return rnnc_v_get(w, bits, at, step, left);
}

RNNC_KERNEL rnnc_vector rnnc_v_constants(const int32_t *c, size_t at, size_t step, size_t left)
{
    return rnnc_v_get(c, 32, at, step, left);
}

static inline rnnc_vector rnnc_v_add(rnnc_vector a, rnnc_vector b)
{
    return vaddq_s32(a, b);
}

static inline rnnc_vector rnnc_v_sub(rnnc_vector a, rnnc_vector b)
{
    return vsubq_s32(a, b);
}

static inline rnnc_vector rnnc_v_mul(rnnc_vector a, rnnc_vector b)
{
    return vmulq_s32(a, b);
}

/* (2 * 2^16 u d + 2^31) >> 32. */
static inline rnnc_vector rnnc_v_mul15(rnnc_vector u, rnnc_vector d)
{
    return vqrdmulhq_s32(vshlq_n_s32(u, 16), d);
}

/* Shifts to the left by less than nothing. */
static inline rnnc_vector rnnc_v_shift(rnnc_vector x, rnnc_vector n)
{
    return vshlq_s32(x, vnegq_s32(n));
}

static inline rnnc_vector rnnc_v_round(rnnc_vector x, rnnc_vector n)
{
    return vrshlq_s32(x, vnegq_s32(n));
}

static inline rnnc_vector rnnc_v_requantize1(rnnc_vector a, rnnc_vector m, rnnc_vector p)
{
    return vshrq_n_s32(vmulq_s32(rnnc_v_shift(a, p), m), 8);
}

static inline rnnc_vector rnnc_v_clip(rnnc_vector x, int32_t lo, int32_t hi)
{
    return vminq_s32(vmaxq_s32(x, vdupq_n_s32(lo)), vdupq_n_s32(hi));
}

RNNC_KERNEL rnnc_vector rnnc_v_max(rnnc_vector a, rnnc_vector b, size_t left)
{
    return RNNC_MVE_ALL(left) ? vmaxq_s32(a, b) : vmaxq_m_s32(a, a, b, vctp32q((uint32_t)left));
}

RNNC_KERNEL rnnc_vector rnnc_v_min(rnnc_vector a, rnnc_vector b, size_t left)
{
    return RNNC_MVE_ALL(left) ? vminq_s32(a, b) : vminq_m_s32(a, a, b, vctp32q((uint32_t)left));
}

static inline int32_t rnnc_v_most(rnnc_vector x)
{
    return vmaxvq_s32(-2147483647 - 1, x);
}

static inline int32_t rnnc_v_least(rnnc_vector x)
{
    return vminvq_s32(2147483647, x);
}

static inline int32_t rnnc_v_total(int32_t sum, rnnc_vector x)
{
    return vaddvaq_s32(sum, x);
}

RNNC_KERNEL uint32_t rnnc_v_squares(uint32_t sum, rnnc_vector x, size_t left)
{
    return (uint32_t)(RNNC_MVE_ALL(left)
                          ? vmladavaq_s32((int32_t)sum, x, x)
                          : vmladavaq_p_s32((int32_t)sum, x, x, vctp32q((uint32_t)left)));
}

/* Field of tables of structs of `words` words: at byte `offset`, of 8, 16 or 32 bits; unsigned where it has 8. */
RNNC_KERNEL int32x4_t rnnc_mve_field8(const void *table, size_t words, size_t at, size_t offset,
                                      size_t step, size_t left)
{
    const uint8_t *from = (const uint8_t *)table + 4 * words * at + offset;
    uint32x4_t steps = rnnc_mve_steps(4 * words * step);
    return vreinterpretq_s32_u32(
        RNNC_MVE_ALL(left) ? vldrbq_gather_offset_u32(from, steps)
                           : vldrbq_gather_offset_z_u32(from, steps, vctp32q((uint32_t)left)));
}

RNNC_KERNEL int32x4_t rnnc_mve_field16(const void *table, size_t words, size_t at, size_t offset,
                                       size_t step, size_t left)
{
    const uint8_t *from = (const uint8_t *)table + 4 * words * at + offset;
    return rnnc_mve_halfwords((const int16_t *)(const void *)from, 2 * words * step, left);
}

RNNC_KERNEL int32x4_t rnnc_mve_field32(const void *table, size_t words, size_t at, size_t offset,
                                       size_t step, size_t left)
{
    const uint8_t *from = (const uint8_t *)table + 4 * words * at + offset;
    return rnnc_mve_words((const int32_t *)(const void *)from, words * step, left);
}

typedef struct {
    rnnc_vector m, p;
} rnnc_v_scale;

/* Both fields come in one word, m below p. */
RNNC_KERNEL rnnc_v_scale rnnc_v_scales(const rnnc_scale1 *s, size_t at, size_t step, size_t left)
{
    rnnc_v_scale v;
    if (step == 0) {
        v.m = vdupq_n_s32(s[at].m);
        v.p = vdupq_n_s32(s[at].p);
    } else {
        int32x4_t both = rnnc_mve_field32(s, 1, at, 0, step, left);
        v.m = vandq_s32(both, vdupq_n_s32(65535));
        v.p = vshrq_n_s32(both, 16);
    }
    return v;
}

typedef struct {
    rnnc_vector offset, factor, shift;
} rnnc_v_line;

RNNC_KERNEL rnnc_v_line rnnc_v_lines(const rnnc_line *s, size_t at, size_t step, size_t left)
{
    rnnc_v_line v;
    if (step == 0) {
        v.offset = vdupq_n_s32(s[at].offset);
        v.factor = vdupq_n_s32(s[at].factor);
        v.shift = vdupq_n_s32(s[at].shift);
    } else {
        v.offset = rnnc_mve_field32(s, 2, at, offsetof(rnnc_line, offset), step, left);
        v.factor = rnnc_mve_field16(s, 2, at, offsetof(rnnc_line, factor), step, left);
        v.shift = rnnc_mve_field8(s, 2, at, offsetof(rnnc_line, shift), step, left);
    }
    return v;
}

typedef struct {
    rnnc_vector offset, factor_a, factor_b, shift;
} rnnc_v_sum;

RNNC_KERNEL rnnc_v_sum rnnc_v_sums(const rnnc_sum *s, size_t at, size_t step, size_t left)
{
    rnnc_v_sum v;
    if (step == 0) {
        v.offset = vdupq_n_s32(s[at].offset);
        v.factor_a = vdupq_n_s32(s[at].factor_a);
        v.factor_b = vdupq_n_s32(s[at].factor_b);
        v.shift = vdupq_n_s32(s[at].shift);
    } else {
        v.offset = rnnc_mve_field32(s, 3, at, offsetof(rnnc_sum, offset), step, left);
        v.factor_a = rnnc_mve_field16(s, 3, at, offsetof(rnnc_sum, factor_a), step, left);
        v.factor_b = rnnc_mve_field16(s, 3, at, offsetof(rnnc_sum, factor_b), step, left);
        v.shift = rnnc_mve_field8(s, 3, at, offsetof(rnnc_sum, shift), step, left);
    }
    return v;
}

/* rnnc_activate of lut.h. */
#define RNNC_V_ACTIVATE
RNNC_KERNEL rnnc_vector rnnc_v_activate(uint8_t activation, rnnc_vector p)
{
    if (activation == RNNC_TANH) {
        return rnnc_mve_tanh(p);
    }
    p = activation == RNNC_SIGMOID ? rnnc_mve_sigmoid(p) : p;
    return rnnc_v_clip(p, 0, 32767);
}

#endif
