/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_ISA_AARCH64_ROWS_H
#define RNNC_ISA_AARCH64_ROWS_H
/* Rows times a vector for aarch64.h. */
#include <arm_neon.h>

#ifdef __ARM_FEATURE_DOTPROD
#define RNNC_DOT_TARGET
static inline int rnnc_dot(void)
{
    return 1;
}
#elif defined(__linux__)
#include <sys/auxv.h>
#define RNNC_DOT_TARGET target("arch=armv8.2-a+dotprod"),
#define RNNC_DOT_BIT (1u << 20) /* HWCAP_ASIMDDP */
static inline int rnnc_dot(void)
{
    return (getauxval(AT_HWCAP) & RNNC_DOT_BIT) != 0;
}
#endif

static inline void rnnc_prepare(void *operand, const void *x, uint8_t bits, uint16_t columns)
{
    int16_t *v = (int16_t *)operand;
    const size_t n = columns, padded = (n + 3) / 4 * 4;
    int8_t *h = (int8_t *)(v + padded), *l = h + padded;
    size_t j = 0;
    if (bits == 8) {
        const int8_t *from = (const int8_t *)x;
        for (; j + 16 <= n; j += 16) {
            int8x16_t all = vld1q_s8(from + j);
            vst1q_s8(h + j, all);
            vst1q_s16(v + j, vmovl_s8(vget_low_s8(all)));
            vst1q_s16(v + j + 8, vmovl_high_s8(all));
        }
        rnnc_prepare_from(operand, x, bits, n, j);
        return;
    }
    for (; j + 16 <= n; j += 16) {
        const int8_t *from = (const int8_t *)x + 2 * j;
        int8x16x2_t apart = vld2q_s8(from);
        vst1q_s8(h + j, apart.val[1]);
        vst1q_s8(l + j, veorq_s8(apart.val[0], vdupq_n_s8(-128)));
        vst1q_s8((int8_t *)(v + j), vld1q_s8(from));
        vst1q_s8((int8_t *)(v + j) + 16, vld1q_s8(from + 16));
    }
    rnnc_prepare_from(operand, x, bits, n, j);
}

/* Four rows of a block, the k-th four: their products with four columns, which lie in a lane of the operand. */
#define RNNC_DOT_FOUR(k, lane, q)              \
    h##k = vdotq_laneq_s32(h##k, q, xh, lane); \
    l##k = two ? vdotq_laneq_s32(l##k, q, xl, lane) : l##k;
#define RNNC_DOT_COLUMNS(lane)                \
    if (fours == 4) {                         \
        const int8x16x4_t q = vld1q_s8_x4(w); \
        RNNC_DOT_FOUR(0, lane, q.val[0])      \
        RNNC_DOT_FOUR(1, lane, q.val[1])      \
        RNNC_DOT_FOUR(2, lane, q.val[2])      \
        RNNC_DOT_FOUR(3, lane, q.val[3])      \
    } else if (fours == 3) {                  \
        const int8x16x3_t q = vld1q_s8_x3(w); \
        RNNC_DOT_FOUR(0, lane, q.val[0])      \
        RNNC_DOT_FOUR(1, lane, q.val[1])      \
        RNNC_DOT_FOUR(2, lane, q.val[2])      \
    } else if (fours == 2) {                  \
        const int8x16x2_t q = vld1q_s8_x2(w); \
        RNNC_DOT_FOUR(0, lane, q.val[0])      \
        RNNC_DOT_FOUR(1, lane, q.val[1])      \
    } else {                                  \
        RNNC_DOT_FOUR(0, lane, vld1q_s8(w))   \
    }                                         \
    w += 16 * fours;

#ifdef RNNC_DOT_TARGET
static inline int8x16_t rnnc_neon_columns(const int8_t *x)
{
    int32_t all;
    memcpy(&all, x, sizeof all);
    return vreinterpretq_s8_s32(vdupq_n_s32(all));
}

/* acc of 4 fours rows.  two: the operand is h and l, of int16, not h alone. */
__attribute__((RNNC_DOT_TARGET always_inline, unused)) static inline const int8_t *
rnnc_dot_block(int32_t *acc, const int8_t *w, const int8_t *h, const int8_t *l, size_t quads,
               int fours, int two)
{
    const int32x4_t zero = vdupq_n_s32(0);
    int32x4_t h0 = zero, h1 = zero, h2 = zero, h3 = zero;
    int32x4_t l0 = vreinterpretq_s32_s8(vld1q_s8(w)),
              l1 = fours > 1 ? vreinterpretq_s32_s8(vld1q_s8(w + 16)) : zero,
              l2 = fours > 2 ? vreinterpretq_s32_s8(vld1q_s8(w + 32)) : zero,
              l3 = fours > 3 ? vreinterpretq_s32_s8(vld1q_s8(w + 48)) : zero;
    w += 16 * fours;
    for (; quads >= 4; quads -= 4, h += 16, l += 16) {
        int8x16_t xh = vld1q_s8(h), xl = two ? vld1q_s8(l) : xh;
        RNNC_DOT_COLUMNS(0)
        RNNC_DOT_COLUMNS(1)
        RNNC_DOT_COLUMNS(2)
        RNNC_DOT_COLUMNS(3)
    }
    for (; quads; quads--, h += 4, l += 4) {
        int8x16_t xh = rnnc_neon_columns(h), xl = two ? rnnc_neon_columns(l) : xh;
        RNNC_DOT_COLUMNS(0)
    }
    vst1q_s32(acc, two ? vaddq_s32(vshlq_n_s32(h0, 8), l0) : h0);
    if (fours > 1) {
        vst1q_s32(acc + 4, two ? vaddq_s32(vshlq_n_s32(h1, 8), l1) : h1);
    }
    if (fours > 2) {
        vst1q_s32(acc + 8, two ? vaddq_s32(vshlq_n_s32(h2, 8), l2) : h2);
    }
    if (fours > 3) {
        vst1q_s32(acc + 12, two ? vaddq_s32(vshlq_n_s32(h3, 8), l3) : h3);
    }
    return w;
}

#define RNNC_DOT_ROWS(name, two)                                                       \
    __attribute__((RNNC_DOT_TARGET noinline, unused)) static const int8_t *name(       \
        int32_t *acc, const int8_t *w, const int8_t *h, const int8_t *l, size_t quads, \
        uint16_t rows)                                                                 \
    {                                                                                  \
        return rows == 16   ? rnnc_dot_block(acc, w, h, l, quads, 4, two)              \
               : rows == 12 ? rnnc_dot_block(acc, w, h, l, quads, 3, two)              \
               : rows == 8  ? rnnc_dot_block(acc, w, h, l, quads, 2, two)              \
                            : rnnc_dot_block(acc, w, h, l, quads, 1, two);             \
    }
RNNC_DOT_ROWS(rnnc_dot_rows8, 0)
RNNC_DOT_ROWS(rnnc_dot_rows16, 1)
#endif

/* Without SDOT: four rows at a time, each row's products in four lanes until the end. */
__attribute__((noinline, unused)) static const int8_t *
rnnc_neon_rows(int32_t *acc, const int8_t *w, const int16_t *x, size_t quads, uint16_t rows)
{
    const size_t stride = 4u * rows;
    uint16_t r;
    w += stride;
    for (r = 0; r < rows; r = (uint16_t)(r + 4)) {
        const int8_t *at = w + 4u * r;
        int32x4_t a = vdupq_n_s32(0), b = a, c = a, d = a;
        size_t j;
        for (j = 0; j < quads; j++, at += stride) {
            int8x16_t all = vld1q_s8(at);
            int16x8_t ab = vmovl_s8(vget_low_s8(all)), cd = vmovl_high_s8(all);
            int16x4_t v = vld1_s16(x + 4 * j);
            a = vmlal_s16(a, vget_low_s16(ab), v);
            b = vmlal_high_s16(b, ab, vcombine_s16(v, v));
            c = vmlal_s16(c, vget_low_s16(cd), v);
            d = vmlal_high_s16(d, cd, vcombine_s16(v, v));
        }
        vst1q_s32(acc + r, vpaddq_s32(vpaddq_s32(a, b), vpaddq_s32(c, d)));
    }
    return w + stride * quads;
}

__attribute__((noinline, unused)) static const int8_t *
rnnc_neon_wide(int32_t *acc, const int8_t *w, const int16_t *x, size_t quads, uint16_t rows)
{
    const size_t stride = 2u * rows;
    uint16_t r;
    for (r = 0; r < rows; r = (uint16_t)(r + 4)) {
        const int8_t *at = w + 2u * r;
        int32x4_t a = vdupq_n_s32(0);
        size_t j;
        for (j = 0; j < quads; j++, at += 4 * stride) {
            int16x4_t v = vld1_s16(x + 4 * j);
            a = vmlal_lane_s16(a, vreinterpret_s16_s8(vld1_s8(at)), v, 0);
            a = vmlal_lane_s16(a, vreinterpret_s16_s8(vld1_s8(at + stride)), v, 1);
            a = vmlal_lane_s16(a, vreinterpret_s16_s8(vld1_s8(at + 2 * stride)), v, 2);
            a = vmlal_lane_s16(a, vreinterpret_s16_s8(vld1_s8(at + 3 * stride)), v, 3);
        }
        vst1q_s32(acc + r, a);
    }
    return w + 4 * stride * quads;
}

static inline const int8_t *rnnc_product(int32_t *acc, const int8_t *w, const void *v, uint8_t bits,
                                         uint16_t columns, uint16_t rows)
{
    const size_t quads = ((size_t)columns + 3) / 4;
    const int16_t *x = (const int16_t *)v;
#ifdef RNNC_DOT_TARGET
    if (rnnc_dot()) {
        const int8_t *h = (const int8_t *)(x + 4 * quads), *l = h + 4 * quads;
        return bits == 8 ? rnnc_dot_rows8(acc, w, h, h, quads, rows)
                         : rnnc_dot_rows16(acc, w, h, l, quads, rows);
    }
#endif
    (void)bits;
    return rnnc_neon_rows(acc, w, x, quads, rows);
}

static inline const int8_t *rnnc_product_wide(int32_t *acc, const int8_t *w, const void *v,
                                              uint8_t bits, uint16_t columns, uint16_t rows)
{
    (void)bits;
    return rnnc_neon_wide(acc, w, (const int16_t *)v, ((size_t)columns + 3) / 4, rows);
}

#endif
