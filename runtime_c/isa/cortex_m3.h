/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_ISA_CORTEX_M3_H
#define RNNC_ISA_CORTEX_M3_H
/* Cortex-M3 and later cores without the DSP extension: 31 instructions for 4 rows by 4 columns, 27 where
 * they are wide. */
#include <stdint.h>

#define RNNC_TELESCOPE_COLUMNS 4
#define RNNC_TELESCOPE_TURN 8
#define RNNC_TELESCOPE_BYTES 124

#if defined(__thumb2__) && defined(__GNUC__) && !defined(__ARM_BIG_ENDIAN)
#define RNNC_ALIGNED __attribute__((aligned(4)))

#ifndef RNNC_UNUSED
#define RNNC_UNUSED __attribute__((unused)) /* arguments of naked functions are in registers */
#endif

/* acc[0 .. 3] of one block; returns the address behind its weights.  Pushes 44 bytes.
 * r0 .. r3 sums; r4, r5 activations; r6 .. r9 weights; r10, r11 their addresses; lr the end. */
#define RNNC_M3_WORD(w, x)                                                                 \
    "mla r0, " w ", " x ", r0\n asr r12, " w ", #8\n mla r1, r12, " x ", r1\n asr r12, " w \
    ", #16\n mla r2, r12, " x ", r2\n asr.w " w ", " w ", #24\n mla r3, " w ", " x ", r3\n"
#define RNNC_M3_COL4                                                              \
    "ldmia r11!, {r6-r9}\n ldmia r10!, {r4-r5}\n" RNNC_M3_WORD("r6", "r4")        \
        RNNC_M3_WORD("r7", "r5") "ldmia r10!, {r4-r5}\n" RNNC_M3_WORD("r8", "r4") \
            RNNC_M3_WORD("r9", "r5")
#define RNNC_TELESCOPE_BLOCK
__attribute__((naked, noinline, unused)) static const int8_t *
rnnc_telescope_block(RNNC_UNUSED int32_t *acc, RNNC_UNUSED const int8_t *w,
                     RNNC_UNUSED const int32_t *v)
{
    __asm__ volatile(".syntax unified\n"
                     " push {r0, r2, r4-r11, lr}\n"
                     " mov r11, r1\n"
                     " mov r10, r2\n"
                     " ldmia r10!, {r4, r5, lr}\n"
                     " add lr, lr, r10\n"
                     " movs r0, #0\n"
                     " movs r1, #0\n"
                     " movs r2, #0\n"
                     " movs r3, #0\n"
                     " add pc, r4\n"
                     " nop\n"
                     "1:\n" RNNC_M3_COL4 RNNC_M3_COL4 " cmp r10, lr\n"
                     " bne.w 1b\n"
                     " ldr r4, [sp, #4]\n"
                     " ldr r4, [r4, #4]\n"
                     " sub r0, r0, r1, lsl #8\n"
                     " sub r1, r1, r2, lsl #8\n"
                     " sub r2, r2, r3, lsl #8\n"
                     " sub r0, r0, r4\n"
                     " sub r1, r1, r4\n"
                     " sub r2, r2, r4\n"
                     " pop {r4, r5}\n"
                     " stmia r4, {r0-r3}\n"
                     " mov r0, r11\n"
                     " pop {r4-r11, pc}\n");
}

/* Of wide rows.  Pushes 48 bytes.
 * r0 .. r3 sums; r4, r5, r12, lr activations; r6 .. r9 weights; r10, r11 their addresses. */
#define RNNC_M3_WIDE(w, x, lo, hi)                                                               \
    "mla " lo ", " w ", " x ", " lo "\n asr.w " w ", " w ", #16\n mla " hi ", " w ", " x ", " hi \
    "\n"
#define RNNC_M3_WIDE_COL2(x, y)                                                                 \
    "ldmia r11!, {r6-r9}\n" RNNC_M3_WIDE("r6", x, "r0", "r1") RNNC_M3_WIDE("r7", x, "r2", "r3") \
        RNNC_M3_WIDE("r8", y, "r0", "r1") RNNC_M3_WIDE("r9", y, "r2", "r3")
#define RNNC_M3_WIDE_COL4 \
    "ldmia r10!, {r4, r5, r12, lr}\n" RNNC_M3_WIDE_COL2("r4", "r5") RNNC_M3_WIDE_COL2("r12", "lr")
__attribute__((naked, noinline, unused)) static const int8_t *
rnnc_telescope_wide(RNNC_UNUSED int32_t *acc, RNNC_UNUSED const int8_t *w,
                    RNNC_UNUSED const int32_t *v)
{
    __asm__ volatile(".syntax unified\n"
                     " push {r0, r2, r4-r11, lr}\n"
                     " mov r11, r1\n"
                     " mov r10, r2\n"
                     " ldmia r10!, {r4, r5, r6}\n"
                     " add r6, r6, r10\n"
                     " push {r6}\n"
                     " movs r0, #0\n"
                     " movs r1, #0\n"
                     " movs r2, #0\n"
                     " movs r3, #0\n"
                     " cmp r4, #0\n"
                     " bne.w 2f\n"
                     "1:\n" RNNC_M3_WIDE_COL4 "2:\n" RNNC_M3_WIDE_COL4 " ldr r4, [sp]\n"
                     " cmp r10, r4\n"
                     " bne.w 1b\n"
                     " ldr r4, [sp, #8]\n"
                     " ldr r4, [r4, #4]\n"
                     " sub r0, r0, r1, lsl #16\n"
                     " sub r2, r2, r3, lsl #16\n"
                     " sub r0, r0, r4, lsl #8\n"
                     " sub r2, r2, r4, lsl #8\n"
                     " ldr r4, [sp, #4]\n"
                     " stmia r4, {r0-r3}\n"
                     " mov r0, r11\n"
                     " add sp, #12\n"
                     " pop {r4-r11, pc}\n");
}

/* x >> s by the lowest byte of s. */
#define RNNC_SHIFT
static inline int32_t rnnc_shift(int32_t x, uint32_t s)
{
    int32_t y;
    __asm__("asr %0, %1, %2" : "=r"(y) : "r"(x), "r"(s));
    return y;
}
#else
#include "elsewhere.h"
#endif

#include "telescope.h"

#endif
