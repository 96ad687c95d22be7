/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_ISA_MVE_SOFTMAX_H
#define RNNC_ISA_MVE_SOFTMAX_H
/* A softmax of elements side by side, for mve.h: the arithmetic of ../softmax.h, four elements at a time. */
#include "../functions.h"
#include "mve_vector.h"

/* rnnc_term. What is farther than RNNC_FARTHEST gives 0. */
static inline uint32x4_t rnnc_mve_term(uint32x4_t d, int32x4_t up)
{
    const mve_pred16_t near_ = vcmphiq_u32(vdupq_n_u32(RNNC_FARTHEST), d);
    uint32x4_t t = vaddq_n_u32(vmulq_n_u32(d, RNNC_LOG2_E), 1024u), u, k, left, right;
    t = vshrq_n_u32(t, 11);
    u = vandq_u32(t, vdupq_n_u32(65535u));
    k = vshrq_n_u32(u, RNNC_CHORD_BITS);
    left = vldrhq_gather_shifted_offset_u32(rnnc_exp2_table, k);
    right = vldrhq_gather_shifted_offset_u32(rnnc_exp2_table + 1, k);
    u = vmulq_u32(vsubq_u32(left, right), vandq_u32(u, vdupq_n_u32((1u << RNNC_CHORD_BITS) - 1u)));
    u = vshlq_u32(vsubq_u32(left, vrshrq_n_u32(u, RNNC_CHORD_BITS)), up);
    u = vrshlq_u32(u, vnegq_s32(vreinterpretq_s32_u32(vshrq_n_u32(t, 16))));
    return vpselq_u32(u, vdupq_n_u32(0), near_);
}

/* The rows of rnnc_softmax whose elements lie side by side: x, y [n]. */
#define RNNC_SOFTMAX_ROW
static inline void rnnc_softmax_row(const int32_t *x, int16_t *y, size_t n, uint8_t term_bits)
{
    const int32x4_t up = vdupq_n_s32(term_bits - 16);
    uint32x4_t largest;
    uint32_t sum = 0, divisor, reciprocal;
    int32_t most = x[0], shift;
    size_t j;
    for (j = 0; j < n; j += RNNC_VECTOR) {
        mve_pred16_t here = vctp32q((uint32_t)(n - j));
        most = vmaxvq_p_s32(most, vldrwq_z_s32(x + j, here), here);
    }
    largest = vdupq_n_u32((uint32_t)most);
    for (j = 0; j < n; j += RNNC_VECTOR) {
        mve_pred16_t here = vctp32q((uint32_t)(n - j));
        uint32x4_t d = vsubq_u32(largest, vreinterpretq_u32_s32(vldrwq_z_s32(x + j, here)));
        sum = vaddvaq_p_u32(sum, rnnc_mve_term(d, up), here);
    }
    shift = rnnc_leading_zeros(sum);
    divisor = (sum << shift) >> 16;
    reciprocal = (0x80000000u + (divisor >> 1)) / divisor;
    for (j = 0; j < n; j += RNNC_VECTOR) {
        mve_pred16_t here = vctp32q((uint32_t)(n - j));
        uint32x4_t d = vsubq_u32(largest, vreinterpretq_u32_s32(vldrwq_z_s32(x + j, here)));
        uint32x4_t share = vshlq_u32(rnnc_mve_term(d, up), vdupq_n_s32(shift));
        share = vrshrq_n_u32(vmulq_n_u32(vrshrq_n_u32(share, 16), reciprocal), 16);
        share = vminq_u32(share, vdupq_n_u32(32767u));
        vstrhq_p_s32(y + j, vreinterpretq_s32_u32(share), here);
    }
}

#endif
