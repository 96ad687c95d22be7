/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_ISA_MVE_SPARSE_H
#define RNNC_ISA_MVE_SPARSE_H
/* Rows without their blocks of zeros for mve.h.
 *
 * Of each four rows: a word, how many turns they take, at least 0; then each turn: the numbers of eight columns, a byte each where
 * no row has more than 256 columns, else two; and of each row their weights. */
#include "mve.h"

#define RNNC_PRODUCT_SPARSE

#if defined(__ARM_FEATURE_MVE) && defined(__GNUC__)

/* acc[0 .. rows - 1]; `number` loads the numbers of columns into q0, `gather` the activations into q1.
 * r4, r6, r8, r10 sums; r1 weights; r2 activations; r3 rows.  Pushes 24 bytes. */
#define RNNC_MVE_SPARSE(number, gather)                                                            \
    "push {r4, r6, r8, r10, r11, lr}\n"                                                            \
    "1: ldr lr, [r1], #4\n"                                                                        \
    " movs r4, #0\n movs r6, #0\n mov.w r8, #0\n mov.w r10, #0\n"                                  \
    " wls lr, lr, 3f\n"                                                                            \
    "2: " number "\n " gather "\n" RNNC_MVE_KEPT("r4", "q2") RNNC_MVE_KEPT("r6", "q3")             \
        RNNC_MVE_KEPT("r8", "q2")                                                                  \
            RNNC_MVE_KEPT("r10", "q3") " le lr, 2b\n"                                              \
                                       "3: strd r4, r6, [r0], #8\n strd r8, r10, [r0], #8\n subs " \
                                       "r3, r3, #4\n bne 1b\n mov r0, r1\n"                        \
                                       " pop {r4, r6, r8, r10, r11, pc}\n"
#define RNNC_MVE_KEPT(sum, w) "vldrb.s16 " w ", [r1], #8\n vmladava.s16 " sum ", q1, " w "\n"

__attribute__((naked, noinline, unused)) static const int8_t *
rnnc_mve_short_sparse8(RNNC_UNUSED int32_t *acc, RNNC_UNUSED const int8_t *w,
                       RNNC_UNUSED const void *v, RNNC_UNUSED uint32_t rows)
{
    __asm__ volatile(RNNC_MVE_SPARSE("vldrb.u16 q0, [r1], #8", "vldrb.s16 q1, [r2, q0]"));
}

__attribute__((naked, noinline, unused)) static const int8_t *
rnnc_mve_short_sparse16(RNNC_UNUSED int32_t *acc, RNNC_UNUSED const int8_t *w,
                        RNNC_UNUSED const void *v, RNNC_UNUSED uint32_t rows)
{
    __asm__ volatile(RNNC_MVE_SPARSE("vldrb.u16 q0, [r1], #8", "vldrh.u16 q1, [r2, q0, uxtw #1]"));
}

__attribute__((naked, noinline, unused)) static const int8_t *
rnnc_mve_sparse8(RNNC_UNUSED int32_t *acc, RNNC_UNUSED const int8_t *w, RNNC_UNUSED const void *v,
                 RNNC_UNUSED uint32_t rows)
{
    __asm__ volatile(RNNC_MVE_SPARSE("vldrh.u16 q0, [r1], #16", "vldrb.s16 q1, [r2, q0]"));
}

__attribute__((naked, noinline, unused)) static const int8_t *
rnnc_mve_sparse16(RNNC_UNUSED int32_t *acc, RNNC_UNUSED const int8_t *w, RNNC_UNUSED const void *v,
                  RNNC_UNUSED uint32_t rows)
{
    __asm__ volatile(RNNC_MVE_SPARSE("vldrh.u16 q0, [r1], #16", "vldrh.u16 q1, [r2, q0, uxtw #1]"));
}

static inline const int8_t *rnnc_mve_sparse(int32_t *acc, const int8_t *w, const void *v,
                                            uint8_t bits, uint16_t columns, uint16_t rows)
{
    if (columns <= 256) {
        return bits == 8 ? rnnc_mve_short_sparse8(acc, w, v, rows)
                         : rnnc_mve_short_sparse16(acc, w, v, rows);
    }
    return bits == 8 ? rnnc_mve_sparse8(acc, w, v, rows) : rnnc_mve_sparse16(acc, w, v, rows);
}
#else

/* The same packing, read plainly. */
static inline const int8_t *rnnc_mve_sparse(int32_t *acc, const int8_t *w, const void *v,
                                            uint8_t bits, uint16_t columns, uint16_t rows)
{
    size_t bytes = columns <= 256 ? 1 : 2;
    for (; rows; rows = (uint16_t)(rows - 4), acc += 4) {
        const uint8_t *head = (const uint8_t *)w;
        uint32_t turns = head[0] | (uint32_t)head[1] << 8, k, r;
        memset(acc, 0, 4 * sizeof *acc);
        for (w += 4; turns; turns--, w += 32) {
            const uint8_t *number = (const uint8_t *)w;
            w += 8 * bytes;
            for (k = 0; k < 8; k++, number += bytes) {
                size_t j = bytes == 1 ? number[0] : number[0] | (size_t)number[1] << 8;
                int32_t x = bits == 8 ? ((const int8_t *)v)[j] : ((const int16_t *)v)[j];
                for (r = 0; r < 4; r++) {
                    acc[r] += w[8 * r + k] * x;
                }
            }
        }
    }
    return w;
}
#endif

/* As rnnc_product, of rows without their blocks of zeros; columns is a multiple of four. */
static inline const int8_t *rnnc_product_sparse(int32_t *acc, const int8_t *w, const void *v,
                                                uint8_t bits, uint16_t columns, uint16_t rows)
{
    return rnnc_mve_sparse(acc, w, v, bits, columns, rows);
}

#endif
