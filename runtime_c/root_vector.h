/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_ROOT_VECTOR_H
#define RNNC_ROOT_VECTOR_H
/* Roots of RNNC_VECTOR sums of squares, which are unsigned in vectors of signed elements (vector.h). */
#include "functions.h"
#include "root.h"
#include "vector.h"

#ifndef RNNC_V_ROOT
typedef struct {
    rnnc_vector epsilon, m, p;
} rnnc_v_root;

RNNC_KERNEL rnnc_v_root rnnc_v_roots(const rnnc_root *r, size_t at, size_t step, size_t left)
{
    rnnc_v_root v;
    (void)step;
    (void)left;
    v.epsilon = (int32_t)rnnc_rom_u32(&r[at].epsilon);
    v.m = rnnc_rom_u16(&r[at].m);
    v.p = rnnc_rom_u8(&r[at].p);
    return v;
}

/* u^2 + v^2 + epsilon < 2^32. */
static inline rnnc_vector rnnc_v_squares_and(rnnc_vector u, rnnc_vector v, rnnc_vector epsilon)
{
    return (int32_t)((uint32_t)epsilon + (uint32_t)(u * u) + (uint32_t)(v * v));
}

/* rnnc_scaled_root(squares, 0, m, p). */
static inline rnnc_vector rnnc_v_scaled_root(rnnc_vector squares, rnnc_vector m, rnnc_vector p)
{
    return rnnc_scaled_root((uint32_t)squares, 0, (uint16_t)m, (uint8_t)p);
}
#endif

#endif
