/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_FIXED_H
#define RNNC_FIXED_H
/* Fixed-point arithmetic in 32 bits. `>>` of a negative number must round towards minus infinity. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "rom.h"

typedef char rnnc_needs_arithmetic_shift[(-1 >> 1) == -1 ? 1 : -1];

#define RNNC_GATE_LIMIT 65535 /* a stored preactivation, 12 fraction bits, is clipped to +-16 */

/* The requantization of a row over one operand: y = ((a >> p) * m) >> 8. */
typedef struct {
    uint16_t m; /* 1 .. 65535, at most 8 significant bits */
    uint8_t p;  /* 0 .. 24 */
} rnnc_scale1;

/* x >> n, n known to the compiler. */
#ifndef RNNC_RIGHT
#define rnnc_right(x, n) ((x) >> (n))
#endif

#ifndef RNNC_CLIP
static inline int32_t rnnc_clip(int32_t x, int32_t lo, int32_t hi)
{
    return x < lo ? lo : x > hi ? hi : x;
}
#endif

#ifndef RNNC_MUL15
/* u d / 2^15, rounded.  |u| <= 32768, |d| <= 2^30: each product <= 2^30 + 2^14, the sum <= 2^30 + 2^15. */
static inline int32_t rnnc_mul15(int32_t u, int32_t d)
{
    return u * (d >> 15) + ((u * (d & 32767) + 16384) >> 15);
}
#endif

/* |a| <= worst of certificate "accumulator"; the product fits 31 bits by certificate "product". */
static inline int32_t rnnc_requantize1(int32_t a, const rnnc_scale1 *s)
{
    return ((a >> rnnc_rom_u8(&s->p)) * (int32_t)rnnc_rom_u16(&s->m)) >> 8;
}

#ifndef RNNC_SHIFT
/* x >> (s & 255), where the lowest byte of s is 0 .. 24. */
static inline int32_t rnnc_shift(int32_t x, uint32_t s)
{
    return x >> (s & 31);
}
#endif

#ifndef RNNC_SCALED
/* A multiplier and a shift in one word, m << 16 | p: (a >> p) * m, as in rnnc_scale1. m: 1 .. 65535, p: 0 .. 24. */
static inline int32_t rnnc_scaled(int32_t a, uint32_t scale)
{
    return rnnc_shift(a, scale) * (int32_t)(scale >> 16);
}
#endif

/* The preactivation of a row, ax over x and ah over h: ((ax + bias >> px) * mx + (ah >> ph) * mh) >> 8.
 * Both products and their sum fit 31 bits by certificate "sum". */
static inline int32_t rnnc_gate(const int32_t *bias, const uint32_t *scale_x,
                                const uint32_t *scale_h, int32_t ax, int32_t ah)
{
    return (rnnc_scaled(ax + rnnc_rom_i32(bias), rnnc_rom_u32(scale_x)) +
            rnnc_scaled(ah, rnnc_rom_u32(scale_h))) >>
           8;
}

/* As rnnc_gate with another final shift, 0 .. 7, for rows that could leave 32 bits. */
static inline int32_t rnnc_gate_by(const int32_t *bias, const uint32_t *scale_x,
                                   const uint32_t *scale_h, int32_t ax, int32_t ah, uint8_t shift)
{
    return (rnnc_scaled(ax + rnnc_rom_i32(bias), rnnc_rom_u32(scale_x)) +
            rnnc_scaled(ah, rnnc_rom_u32(scale_h))) >>
           shift;
}

/* The preactivation of a row over one operand: ((a + bias >> p) * m) >> shift. */
static inline int32_t rnnc_row(const int32_t *bias, const uint32_t *scale, int32_t a, uint8_t shift)
{
    return rnnc_scaled(a + rnnc_rom_i32(bias), rnnc_rom_u32(scale)) >> shift;
}

/* int16 to its upper 8 bits, rounded half up, saturated: 128 alone is beyond. No branch: the time does not depend on h. */
static inline int8_t rnnc_narrow(int32_t h)
{
    int32_t upper = (h + 128) >> 8;
    return (int8_t)(upper + ((127 - upper) >> 31));
}

/* A state with 14 more fraction bits than int16, |s| <= 32767 * 2^14, to int16. */
static inline int16_t rnnc_upper(int32_t s)
{
    return (int16_t)rnnc_clip((s + 8192) >> 14, -32767, 32767);
}

/* Whether there was one left to count. */
static inline int rnnc_count_down(uint16_t *left)
{
    if (*left == 0) {
        return 0;
    }
    --*left;
    return 1;
}

#ifndef RNNC_COPY
/* memcpy. */
static inline void rnnc_copy(void *to, const void *from, size_t bytes)
{
    (void)memcpy(to, from, bytes);
}
#endif

/* Element i of a vector of 8 or 16-bit integers. */
RNNC_KERNEL int32_t rnnc_get(const void *v, uint8_t bits, size_t i)
{
    return bits == 8 ? ((const int8_t *)v)[i] : ((const int16_t *)v)[i];
}

/* The same of 8, 16 or 32 bits. */
RNNC_KERNEL int32_t rnnc_read(const void *v, uint8_t bits, size_t i)
{
    return bits == 32 ? ((const int32_t *)v)[i] : rnnc_get(v, bits, i);
}

/* Store an int16 h as a recurrent operand of 16 or 8 bits. */
static inline void rnnc_put_hidden(void *v, uint8_t bits, uint16_t i, int32_t h)
{
    if (bits == 8) {
        ((int8_t *)v)[i] = rnnc_narrow(h);
    } else {
        ((int16_t *)v)[i] = (int16_t)h;
    }
}

/* Where units' int16 values from h[u] on are computed: there, or in `narrow` where the operand has 8 bits. */
static inline int16_t *rnnc_units_at(void *h, uint8_t bits, uint16_t u, int16_t *narrow)
{
    return bits == 8 ? narrow : (int16_t *)h + u;
}

#ifndef RNNC_PUT_UNITS
/* Store what was computed there as operands from h[u] on, and from y[u] on unless y is 0. */
static inline void rnnc_put_units(void *h, uint8_t bits, int16_t *y, uint16_t u,
                                  const int16_t *value, uint16_t n)
{
    for (; (bits == 8 || y) && n; n--, u++) {
        int16_t x = *value++;
        if (bits == 8) {
            ((int8_t *)h)[u] = rnnc_narrow(x);
        }
        if (y != NULL) {
            y[u] = x;
        }
    }
}
#endif

/* Store x, which fits, in 8, 16 or 32 bits. */
RNNC_KERNEL void rnnc_put(void *v, uint8_t bits, size_t i, int32_t x)
{
    if (bits == 8) {
        ((int8_t *)v)[i] = (int8_t)x;
    } else if (bits == 16) {
        ((int16_t *)v)[i] = (int16_t)x;
    } else {
        ((int32_t *)v)[i] = x;
    }
}

#endif
