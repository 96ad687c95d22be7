/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_ISA_MVE_ROOT_H
#define RNNC_ISA_MVE_ROOT_H
/* Roots of four sums of squares: rnnc_sqrt and rnnc_scaled_root of ../functions.h, lane by lane. */
#include "../functions.h"
#include "../root.h"
#include "mve_vector.h"

#define RNNC_V_ROOT
typedef struct {
    rnnc_vector epsilon, m, p;
} rnnc_v_root;

RNNC_KERNEL rnnc_v_root rnnc_v_roots(const rnnc_root *r, size_t at, size_t step, size_t left)
{
    rnnc_v_root v;
    if (step == 0) {
        v.epsilon = vdupq_n_s32((int32_t)r[at].epsilon);
        v.m = vdupq_n_s32(r[at].m);
        v.p = vdupq_n_s32(r[at].p);
    } else {
        v.epsilon = rnnc_mve_field32(r, 2, at, offsetof(rnnc_root, epsilon), step, left);
        v.m = rnnc_mve_field16(r, 2, at, offsetof(rnnc_root, m), step, left);
        v.p = rnnc_mve_field8(r, 2, at, offsetof(rnnc_root, p), step, left);
    }
    return v;
}

static inline rnnc_vector rnnc_v_squares_and(rnnc_vector u, rnnc_vector v, rnnc_vector epsilon)
{
    return vaddq_s32(vaddq_s32(vmulq_s32(u, u), vmulq_s32(v, v)), epsilon);
}

/* Of m >= 2^30. */
static inline uint32x4_t rnnc_mve_sqrt(uint32x4_t m)
{
    const uint32x4_t most = vdupq_n_u32(65535);
    uint32x4_t upper = vshrq_n_u32(m, 16), r, s, square;
    int32x4_t error;
    r = vldrhq_gather_shifted_offset_u32(rnnc_rsqrt_table, vsubq_n_u32(vshrq_n_u32(m, 26), 16));
    square = vrshrq_n_u32(vmulq_u32(r, r), 16);
    error = vsubq_s32(vdupq_n_s32(1073741824), vreinterpretq_s32_u32(vmulq_u32(upper, square)));
    error = vmulq_s32(vreinterpretq_s32_u32(r), vshrq_n_s32(error, 14));
    r = vaddq_u32(r, vreinterpretq_u32_s32(vshrq_n_s32(error, 17)));
    s = vminq_u32(vshrq_n_u32(vmulq_u32(upper, r), 15), most);
    error = vreinterpretq_s32_u32(vsubq_u32(m, vmulq_u32(s, s)));
    error = vmulq_s32(vshrq_n_s32(error, 8), vreinterpretq_s32_u32(r));
    s = vminq_u32(vaddq_u32(s, vreinterpretq_u32_s32(vshrq_n_s32(error, 24))), most);
    square = vmulq_u32(s, s);
    s = vaddq_m_n_u32(s, s, 1, vcmphiq_u32(m, vaddq_u32(square, s)));
    square = vmulq_u32(s, s);
    return vsubq_m_n_u32(s, s, 1, vcmpcsq_u32(vsubq_u32(square, s), m));
}

/* 32 leading zeros are those of 0, of which the root of the least m is taken and then nothing. The largest shift, 30 + 16,
 * leaves nothing of what is below 2^31. */
static inline rnnc_vector rnnc_v_scaled_root(rnnc_vector squares, rnnc_vector m, rnnc_vector p)
{
    uint32x4_t v = vreinterpretq_u32_s32(squares), zeros = vclzq_u32(v), root;
    int32x4_t n = vreinterpretq_s32_u32(vbicq_u32(zeros, vdupq_n_u32(1)));
    root = rnnc_mve_sqrt(vmaxq_u32(vshlq_u32(v, n), vdupq_n_u32(0x40000000u)));
    root = vandq_u32(root, vsubq_n_u32(vshrq_n_u32(zeros, 5), 1));
    root = vmulq_u32(root, vreinterpretq_u32_s32(m));
    return vreinterpretq_s32_u32(vrshlq_u32(root, vnegq_s32(vaddq_s32(p, vshrq_n_s32(n, 1)))));
}

#endif
