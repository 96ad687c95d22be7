/* SPDX-License-Identifier: 0BSD */
#ifndef SHIM_ARM_MVE_H
#define SHIM_ARM_MVE_H
/* The Helium intrinsics that runtime_c/isa/mve_gates.h uses, lane by lane in plain C, for any host. */
#include <stdint.h>

typedef struct {
    int32_t lane[4];
} int32x4_t;
typedef struct {
    uint32_t lane[4];
} uint32x4_t;
typedef uint16_t mve_pred16_t; /* four bits a lane */

#define SHIM_EACH for (k = 0; k < 4; k++)
#define SHIM_HERE(p) (((p) >> (4 * k)) & 1u)
#define SHIM_LANES(name, arguments, expression) \
    static inline int32x4_t name arguments      \
    {                                           \
        int32x4_t y;                            \
        int k;                                  \
        SHIM_EACH                               \
        {                                       \
            y.lane[k] = (int32_t)(expression);  \
        }                                       \
        return y;                               \
    }

static inline mve_pred16_t vctp32q(uint32_t n)
{
    return (mve_pred16_t)(n >= 4 ? 0xffffu : (1u << (4 * n)) - 1u);
}

SHIM_LANES(vdupq_n_s32, (int32_t x), x)
SHIM_LANES(vldrwq_s32, (const int32_t *p), p[k])
SHIM_LANES(vldrwq_z_s32, (const int32_t *p, mve_pred16_t m), SHIM_HERE(m) ? p[k] : 0)
SHIM_LANES(vldrhq_z_s32, (const int16_t *p, mve_pred16_t m), SHIM_HERE(m) ? p[k] : 0)
SHIM_LANES(vldrwq_gather_shifted_offset_s32, (const int32_t *p, uint32x4_t i),
           p[(int32_t)i.lane[k]])
SHIM_LANES(vaddq_s32, (int32x4_t a, int32x4_t b), (uint32_t)a.lane[k] + (uint32_t)b.lane[k])
SHIM_LANES(vsubq_s32, (int32x4_t a, int32x4_t b), (uint32_t)a.lane[k] - (uint32_t)b.lane[k])
SHIM_LANES(vmulq_s32, (int32x4_t a, int32x4_t b), (uint32_t)a.lane[k] * (uint32_t)b.lane[k])
SHIM_LANES(vandq_s32, (int32x4_t a, int32x4_t b), a.lane[k] & b.lane[k])
SHIM_LANES(vminq_s32, (int32x4_t a, int32x4_t b), a.lane[k] < b.lane[k] ? a.lane[k] : b.lane[k])
SHIM_LANES(vmaxq_s32, (int32x4_t a, int32x4_t b), a.lane[k] > b.lane[k] ? a.lane[k] : b.lane[k])
SHIM_LANES(vnegq_s32, (int32x4_t a), 0u - (uint32_t)a.lane[k])
SHIM_LANES(vabsq_s32, (int32x4_t a), a.lane[k] < 0 ? 0u - (uint32_t)a.lane[k] : (uint32_t)a.lane[k])
SHIM_LANES(vshlq_n_s32, (int32x4_t a, int n), (uint32_t)a.lane[k] << n)
SHIM_LANES(vqshlq_n_s32, (int32x4_t a, int n),
           a.lane[k] >= 1 << (31 - n)     ? INT32_MAX
           : a.lane[k] < -(1 << (31 - n)) ? INT32_MIN
                                          : a.lane[k] * (1 << n))
SHIM_LANES(vshrq_n_s32, (int32x4_t a, int n), a.lane[k] >> n)
SHIM_LANES(vrshrq_n_s32, (int32x4_t a, int n), ((int64_t)a.lane[k] + (1 << (n - 1))) >> n)
SHIM_LANES(vnegq_m_s32, (int32x4_t off, int32x4_t a, mve_pred16_t m),
           SHIM_HERE(m) ? 0u - (uint32_t)a.lane[k] : (uint32_t)off.lane[k])
/* 2 a b / 2^32, rounded; only -2^31 by itself would saturate. */
SHIM_LANES(vqrdmulhq_s32, (int32x4_t a, int32x4_t b),
           ((int64_t)a.lane[k] * b.lane[k] + (1 << 30)) >> 31)

/* By the lowest byte of b: to the left, or to the right where it is negative. */
static inline int32x4_t vshlq_s32(int32x4_t a, int32x4_t b)
{
    int32x4_t y;
    int k;
    SHIM_EACH
    {
        int by = (int8_t)(b.lane[k] & 255);
        y.lane[k] = by < 0 ? a.lane[k] >> -by : (int32_t)((uint32_t)a.lane[k] << by);
    }
    return y;
}

static inline mve_pred16_t vcmpltq_n_s32(int32x4_t a, int32_t b)
{
    unsigned p = 0;
    int k;
    SHIM_EACH
    {
        p |= a.lane[k] < b ? 15u << (4 * k) : 0u;
    }
    return (mve_pred16_t)p;
}

static inline uint32x4_t vshrq_n_u32(uint32x4_t a, int n)
{
    int k;
    SHIM_EACH
    {
        a.lane[k] >>= n;
    }
    return a;
}

static inline uint32x4_t vldrhq_gather_shifted_offset_u32(const uint16_t *p, uint32x4_t i)
{
    int k;
    SHIM_EACH
    {
        i.lane[k] = p[(int32_t)i.lane[k]];
    }
    return i;
}

static inline uint32x4_t vreinterpretq_u32_s32(int32x4_t a)
{
    uint32x4_t y;
    int k;
    SHIM_EACH
    {
        y.lane[k] = (uint32_t)a.lane[k];
    }
    return y;
}

static inline int32x4_t vreinterpretq_s32_u32(uint32x4_t a)
{
    int32x4_t y;
    int k;
    SHIM_EACH
    {
        y.lane[k] = (int32_t)a.lane[k];
    }
    return y;
}

#define SHIM_STORE(name, type)                                    \
    static inline void name(type *p, int32x4_t a, mve_pred16_t m) \
    {                                                             \
        int k;                                                    \
        SHIM_EACH                                                 \
        {                                                         \
            if (SHIM_HERE(m)) {                                   \
                p[k] = (type)a.lane[k];                           \
            }                                                     \
        }                                                         \
    }
SHIM_STORE(vstrwq_p_s32, int32_t)
SHIM_STORE(vstrhq_p_s32, int16_t)
SHIM_STORE(vstrbq_p_s32, int8_t)

#endif
