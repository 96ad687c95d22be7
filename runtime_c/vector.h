/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_VECTOR_H
#define RNNC_VECTOR_H
/* The steps of which elementwise kernels are made, on RNNC_VECTOR elements at a time: one here, and each step plain C. A target
 * with vectors replaces all of them together (isa/mve_vector.h).
 *
 * `at` is the first element and `step` the distance to the next, 0 for one that all share. `left` says how many elements remain,
 * at least 1: what lies beyond them is neither read nor written. Structs hold one vector for each field of the tables. */
#include <stddef.h>
#include <stdint.h>

#include "fixed.h"
#include "loops.h"

#ifndef RNNC_VECTOR
#define RNNC_VECTOR 1
#define RNNC_KEPT(pointer) (pointer)
typedef int32_t rnnc_vector;

static inline rnnc_vector rnnc_v_of(int32_t x)
{
    return x;
}

/* Elements of 8, 16 or 32 bits. */
RNNC_KERNEL rnnc_vector rnnc_v_get(const void *x, uint8_t bits, size_t at, size_t step, size_t left)
{
    (void)step;
    (void)left;
    return rnnc_read(x, bits, at);
}

/* x fits. */
RNNC_KERNEL void rnnc_v_put(void *y, uint8_t bits, size_t at, size_t step, rnnc_vector x,
                            size_t left)
{
    (void)step;
    (void)left;
    rnnc_put(y, bits, at, x);
}

/* Constants: weights of 8 or 16 bits, and of 32. */
RNNC_KERNEL rnnc_vector rnnc_v_weights(const void *w, uint8_t bits, size_t at, size_t step,
                                       size_t left)
{
    (void)step;
    (void)left;
    return bits == 8 ? rnnc_rom_i8((const int8_t *)w + at) : rnnc_rom_i16((const int16_t *)w + at);
}

RNNC_KERNEL rnnc_vector rnnc_v_constants(const int32_t *c, size_t at, size_t step, size_t left)
{
    (void)step;
    (void)left;
    return rnnc_rom_i32(c + at);
}

static inline rnnc_vector rnnc_v_add(rnnc_vector a, rnnc_vector b)
{
    return a + b;
}

static inline rnnc_vector rnnc_v_sub(rnnc_vector a, rnnc_vector b)
{
    return a - b;
}

static inline rnnc_vector rnnc_v_mul(rnnc_vector a, rnnc_vector b)
{
    return a * b;
}

/* rnnc_mul15(u, d), |u| < 2^15. */
#ifndef RNNC_V_MUL15
static inline rnnc_vector rnnc_v_mul15(rnnc_vector u, rnnc_vector d)
{
    return rnnc_mul15(u, d);
}
#endif

/* x >> n, and x / 2^n rounded half up, n: 0 .. 30. */
static inline rnnc_vector rnnc_v_shift(rnnc_vector x, rnnc_vector n)
{
    return x >> n;
}

static inline rnnc_vector rnnc_v_round(rnnc_vector x, rnnc_vector n)
{
    return (x + ((int32_t)1 << n >> 1)) >> n;
}

/* ((a >> p) m) >> 8. */
RNNC_KERNEL rnnc_vector rnnc_v_requantize1(rnnc_vector a, rnnc_vector m, rnnc_vector p)
{
    return ((a >> p) * m) >> 8;
}

/* rnnc_clip(x, lo, hi). */
static inline rnnc_vector rnnc_v_clip(rnnc_vector x, int32_t lo, int32_t hi)
{
    return rnnc_clip(x, lo, hi);
}

/* The larger and the smaller of a and b; a beyond what is left. */
static inline rnnc_vector rnnc_v_max(rnnc_vector a, rnnc_vector b, size_t left)
{
    (void)left;
    return a > b ? a : b;
}

static inline rnnc_vector rnnc_v_min(rnnc_vector a, rnnc_vector b, size_t left)
{
    (void)left;
    return a < b ? a : b;
}

/* Of all elements of a vector: the largest, the least, sum + their sum, and sum + that of their squares among what is left. */
static inline int32_t rnnc_v_most(rnnc_vector x)
{
    return x;
}

static inline int32_t rnnc_v_least(rnnc_vector x)
{
    return x;
}

static inline int32_t rnnc_v_total(int32_t sum, rnnc_vector x)
{
    return sum + x;
}

static inline uint32_t rnnc_v_squares(uint32_t sum, rnnc_vector x, size_t left)
{
    (void)left;
    return sum + (uint32_t)(x * x);
}

typedef struct {
    rnnc_vector m, p;
} rnnc_v_scale;

RNNC_KERNEL rnnc_v_scale rnnc_v_scales(const rnnc_scale1 *s, size_t at, size_t step, size_t left)
{
    rnnc_v_scale v;
    (void)step;
    (void)left;
    v.m = rnnc_rom_u16(&s[at].m);
    v.p = rnnc_rom_u8(&s[at].p);
    return v;
}

typedef struct {
    rnnc_vector offset, factor, shift;
} rnnc_v_line;

RNNC_KERNEL rnnc_v_line rnnc_v_lines(const rnnc_line *s, size_t at, size_t step, size_t left)
{
    rnnc_v_line v;
    (void)step;
    (void)left;
    v.offset = rnnc_rom_i32(&s[at].offset);
    v.factor = rnnc_rom_i16(&s[at].factor);
    v.shift = rnnc_rom_u8(&s[at].shift);
    return v;
}

typedef struct {
    rnnc_vector offset, factor_a, factor_b, shift;
} rnnc_v_sum;

RNNC_KERNEL rnnc_v_sum rnnc_v_sums(const rnnc_sum *s, size_t at, size_t step, size_t left)
{
    rnnc_v_sum v;
    (void)step;
    (void)left;
    v.offset = rnnc_rom_i32(&s[at].offset);
    v.factor_a = rnnc_rom_i16(&s[at].factor_a);
    v.factor_b = rnnc_rom_i16(&s[at].factor_b);
    v.shift = rnnc_rom_u8(&s[at].shift);
    return v;
}
#endif

/* x + n; a zero point is often 0. */
RNNC_KERNEL rnnc_vector rnnc_v_plus(rnnc_vector x, int32_t n)
{
    return n ? rnnc_v_add(x, rnnc_v_of(n)) : x;
}

/* How far a whole vector of elements that lie `step` apart reaches. */
#define RNNC_PAST(step) (RNNC_VECTOR * (step))

/* The address of an element, and that of the one behind a whole vector. */
RNNC_KERNEL const void *rnnc_v_from(const void *x, uint8_t bits, size_t at)
{
    return (const uint8_t *)x + at * ((size_t)bits / 8u);
}

RNNC_KERNEL const void *rnnc_v_next(const void *x, uint8_t bits, size_t step)
{
    return RNNC_KEPT((const uint8_t *)x + RNNC_PAST(step) * (bits / 8u));
}

RNNC_KERNEL void *rnnc_v_to(void *y, uint8_t bits, size_t at)
{
    return (uint8_t *)y + at * ((size_t)bits / 8u);
}

RNNC_KERNEL void *rnnc_v_behind(void *y, uint8_t bits)
{
    return RNNC_KEPT((uint8_t *)y + RNNC_PAST(bits / 8u));
}

/* Before a loop over elements: two in a turn, where they are not taken together anyway. */
#if RNNC_VECTOR > 1 || defined(__arm__) /* which steps an address in the load itself */
#define RNNC_BY_TWO
#else
#define RNNC_BY_TWO RNNC_TWICE
#endif

/* What remains of n elements at element k; a number of whole vectors needs no care at its end. */
#define RNNC_LEFT(n, k) ((n) % RNNC_VECTOR ? (size_t)((n) - (k)) : (size_t)RNNC_VECTOR)

/* As rnnc_on_line. */
static inline rnnc_vector rnnc_v_on_line(rnnc_v_line s, rnnc_vector x)
{
    return rnnc_v_shift(rnnc_v_add(rnnc_v_mul(x, s.factor), s.offset), s.shift);
}

#endif
