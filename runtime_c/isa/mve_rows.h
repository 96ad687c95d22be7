/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_ISA_MVE_ROWS_H
#define RNNC_ISA_MVE_ROWS_H
/* Rows times a vector for mve.h. */
#include <arm_mve.h>
#include <stddef.h>

#include "mve_held.h"

/* acc[0 .. 4 blocks - 1]; returns the address behind the weights.  wide: groups of 16 columns; half: 1 where 8 are left.
 * r4, r6, r8, r10 sums; r2 activations; r12 their begin; r5 blocks, r7 wide, r3 half.  Pushes 28 bytes. */
#define RNNC_MVE_BLOCKS(turn, left)                     \
    "push {r4-r8, r10, lr}\n"                           \
    " mov r7, r3\n"                                     \
    " ldrd r3, r5, [sp, #28]\n"                         \
    " mov r12, r2\n"                                    \
    "1: mov r2, r12\n"                                  \
    " movs r4, #0\n"                                    \
    " movs r6, #0\n"                                    \
    " mov.w r8, #0\n"                                   \
    " mov.w r10, #0\n"                                  \
    " wls lr, r7, 3f\n"                                 \
    "2:\n" turn " le lr, 2b\n"                          \
    "3: cbz r3, 4f\n" left "4: strd r4, r6, [r0], #8\n" \
    " strd r8, r10, [r0], #8\n"                         \
    " subs r5, r5, #1\n"                                \
    " bne 1b\n"                                         \
    " mov r0, r1\n"                                     \
    " pop {r4-r8, r10, pc}\n"

#define RNNC_MVE_ROW8(sum, w) "vldrb.u8 " w ", [r1], #16\n vmladava.s8 " sum ", q0, " w "\n"
#define RNNC_MVE_ROW16(sum)                      \
    "vldrb.s16 q2, [r1], #8\n vmladava.s16 " sum \
    ", q0, q2\n vldrb.s16 q3, [r1], #8\n vmladava.s16 " sum ", q1, q3\n"
#define RNNC_MVE_LEFT(sum, w) "vldrb.s16 " w ", [r1], #8\n vmladava.s16 " sum ", q0, " w "\n"
#define RNNC_MVE_LEFT4        \
    RNNC_MVE_LEFT("r4", "q1") \
    RNNC_MVE_LEFT("r6", "q2") RNNC_MVE_LEFT("r8", "q3") RNNC_MVE_LEFT("r10", "q1")

#ifndef RNNC_UNUSED
#define RNNC_UNUSED __attribute__((unused)) /* arguments of naked functions are in registers */
#endif

__attribute__((naked, noinline, unused)) static const int8_t *
rnnc_mve_blocks8(RNNC_UNUSED int32_t *acc, RNNC_UNUSED const int8_t *w, RNNC_UNUSED const int8_t *v,
                 RNNC_UNUSED uint32_t wide, RNNC_UNUSED uint32_t half, RNNC_UNUSED uint32_t blocks)
{
    __asm__ volatile(RNNC_MVE_BLOCKS("vldrb.u8 q0, [r2], #16\n" RNNC_MVE_ROW8("r4", "q1")
                                         RNNC_MVE_ROW8("r6", "q2") RNNC_MVE_ROW8("r8", "q3")
                                             RNNC_MVE_ROW8("r10", "q1"),
                                     "vldrb.s16 q0, [r2]\n" RNNC_MVE_LEFT4));
}

__attribute__((naked, noinline, unused)) static const int8_t *
rnnc_mve_blocks16(RNNC_UNUSED int32_t *acc, RNNC_UNUSED const int8_t *w,
                  RNNC_UNUSED const int16_t *v, RNNC_UNUSED uint32_t wide,
                  RNNC_UNUSED uint32_t half, RNNC_UNUSED uint32_t blocks)
{
    __asm__ volatile(
        RNNC_MVE_BLOCKS("vldrh.u16 q0, [r2], #16\n vldrh.u16 q1, [r2], #16\n" RNNC_MVE_ROW16("r4")
                            RNNC_MVE_ROW16("r6") RNNC_MVE_ROW16("r8") RNNC_MVE_ROW16("r10"),
                        "vldrh.u16 q0, [r2]\n" RNNC_MVE_LEFT4));
}

/* Of wide rows, of operands of 8 and of 16 bits. */
#define RNNC_MVE_WIDE(sum, w) "vldrh.u16 " w ", [r1], #16\n vmladava.s16 " sum ", q0, " w "\n"
#define RNNC_MVE_WIDE4(x)                                                           \
    x RNNC_MVE_WIDE("r4", "q1") RNNC_MVE_WIDE("r6", "q2") RNNC_MVE_WIDE("r8", "q3") \
        RNNC_MVE_WIDE("r10", "q1")
#define RNNC_MVE_WIDE8 RNNC_MVE_WIDE4("vldrb.s16 q0, [r2], #8\n")
#define RNNC_MVE_WIDE16 RNNC_MVE_WIDE4("vldrh.u16 q0, [r2], #16\n")

__attribute__((naked, noinline, unused)) static const int8_t *
rnnc_mve_wide8(RNNC_UNUSED int32_t *acc, RNNC_UNUSED const int8_t *w, RNNC_UNUSED const int8_t *v,
               RNNC_UNUSED uint32_t wide, RNNC_UNUSED uint32_t half, RNNC_UNUSED uint32_t blocks)
{
    __asm__ volatile(RNNC_MVE_BLOCKS(RNNC_MVE_WIDE8 RNNC_MVE_WIDE8, RNNC_MVE_WIDE8));
}

__attribute__((naked, noinline, unused)) static const int8_t *
rnnc_mve_wide16(RNNC_UNUSED int32_t *acc, RNNC_UNUSED const int8_t *w, RNNC_UNUSED const int16_t *v,
                RNNC_UNUSED uint32_t wide, RNNC_UNUSED uint32_t half, RNNC_UNUSED uint32_t blocks)
{
    __asm__ volatile(RNNC_MVE_BLOCKS(RNNC_MVE_WIDE16 RNNC_MVE_WIDE16, RNNC_MVE_WIDE16));
}

/* The vector of a row, padded with zeros. */
static inline void rnnc_prepare(void *v, const void *x, uint8_t bits, uint16_t columns)
{
    const int8_t *from = (const int8_t *)x;
    int8_t *to = (int8_t *)v;
    size_t bytes = (size_t)columns * (bits / 8u);
    for (; bytes >= 16; bytes -= 16, from += 16, to += 16) {
        vstrbq_s8(to, vldrbq_s8(from));
    }
    if (bytes > 8 || (bytes && bits == 16)) {
        vstrbq_s8(to, vldrbq_z_s8(from, vctp8q((uint32_t)bytes)));
    } else if (bytes) {
        vstrbq_s16(to, vldrbq_z_s16(from, vctp16q((uint32_t)bytes)));
    }
}

/* Whole eights are read where they lie. */
#define RNNC_PREPARED
static inline const void *rnnc_prepared(void *v, const void *x, uint8_t bits, uint16_t columns)
{
    if (columns % 8u == 0) {
        return x;
    }
    rnnc_prepare(v, x, bits, columns);
    return v;
}

/* Whether the compiler knows n, the eights of columns, and they are few. */
#if defined(__clang__) || !defined(__OPTIMIZE__)
#define RNNC_MVE_SHORT(n, most) 0
#else
#define RNNC_MVE_SHORT(n, most) (__builtin_constant_p(n) && (n) >= 1 && (n) <= (most))
#endif

/* Each layer has a kernel that knows its lengths, but where the least code is asked for. */
#ifndef __OPTIMIZE_SIZE__
#define RNNC_CELL RNNC_KERNEL
#endif

RNNC_KERNEL const int8_t *rnnc_product(int32_t *acc, const int8_t *w, const void *v, uint8_t bits,
                                       uint16_t columns, uint16_t rows)
{
    uint32_t n = (columns + 7u) / 8u;
    if (RNNC_MVE_SHORT(n * bits, RNNC_MVE_HELD_BYTES)) {
        return bits == 8 ? rnnc_mve_held8(acc, w, (const int8_t *)v, n, rows / 4u)
                         : rnnc_mve_held16(acc, w, (const int16_t *)v, n, rows / 4u);
    }
    return bits == 8 ? rnnc_mve_blocks8(acc, w, (const int8_t *)v, n / 2, n % 2, rows / 4u)
                     : rnnc_mve_blocks16(acc, w, (const int16_t *)v, n / 2, n % 2, rows / 4u);
}

RNNC_KERNEL const int8_t *rnnc_product_wide(int32_t *acc, const int8_t *w, const void *v,
                                            uint8_t bits, uint16_t columns, uint16_t rows)
{
    uint32_t n = (columns + 7u) / 8u;
    if (RNNC_MVE_SHORT(n, RNNC_MVE_HELD_WIDE)) {
        return bits == 8 ? rnnc_mve_held_wide8(acc, w, (const int8_t *)v, n, rows / 4u)
                         : rnnc_mve_held_wide16(acc, w, (const int16_t *)v, n, rows / 4u);
    }
    return bits == 8 ? rnnc_mve_wide8(acc, w, (const int8_t *)v, n / 2, n % 2, rows / 4u)
                     : rnnc_mve_wide16(acc, w, (const int16_t *)v, n / 2, n % 2, rows / 4u);
}

#endif
