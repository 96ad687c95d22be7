/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_ISA_CORTEX_M0_H
#define RNNC_ISA_CORTEX_M0_H
/* Cortex-M0, M0+, M1, M23: 24 instructions for 4 rows by 2 columns, 23 where they are wide. */
#include <stdint.h>

#define RNNC_TELESCOPE_COLUMNS 2
#define RNNC_TELESCOPE_TURN 8
#define RNNC_TELESCOPE_BYTES 48

#if defined(__thumb__) && defined(__GNUC__) && !defined(__ARM_BIG_ENDIAN)
#define RNNC_ALIGNED __attribute__((aligned(4)))

#ifndef RNNC_UNUSED
#define RNNC_UNUSED __attribute__((unused)) /* arguments of naked functions are in registers */
#endif

/* acc[0 .. 3] of one block; returns the address behind its weights.  Pushes 44 bytes.
 * r8 .. r11 sums; r4, r5 activations; r0, r1 weights; r6, r7 their addresses; r12 the end. */
#define RNNC_M0_WORD(w, x)                                                                 \
    "asrs r3, " w ", #8\n muls r3, " x "\n add r9, r3\n asrs r3, " w ", #16\n muls r3, " x \
    "\n add r10, r3\n asrs r3, " w ", #24\n muls r3, " x "\n add r11, r3\n muls " w ", " x \
    "\n add r8, " w "\n"
#define RNNC_M0_COL2 \
    "ldmia r6!, {r0-r1}\n ldmia r7!, {r4-r5}\n" RNNC_M0_WORD("r0", "r4") RNNC_M0_WORD("r1", "r5")
#define RNNC_TELESCOPE_BLOCK
__attribute__((naked, noinline, unused)) static const int8_t *
rnnc_telescope_block(RNNC_UNUSED int32_t *acc, RNNC_UNUSED const int8_t *w,
                     RNNC_UNUSED const int32_t *v)
{
    __asm__ volatile(".syntax unified\n"
                     " push {r0, r2, r4-r7, lr}\n"
                     " mov r4, r8\n"
                     " mov r5, r9\n"
                     " mov r6, r10\n"
                     " mov r7, r11\n"
                     " push {r4-r7}\n"
                     " mov r6, r1\n"
                     " mov r7, r2\n"
                     " ldmia r7!, {r3, r4, r5}\n"
                     " adds r5, r5, r7\n"
                     " mov r12, r5\n"
                     " movs r4, #0\n"
                     " mov r8, r4\n"
                     " mov r9, r4\n"
                     " mov r10, r4\n"
                     " mov r11, r4\n"
                     " add pc, r3\n"
                     " nop\n"
                     "1:\n" RNNC_M0_COL2 RNNC_M0_COL2 RNNC_M0_COL2 RNNC_M0_COL2 " cmp r7, r12\n"
                     " bne 1b\n"
                     " ldr r4, [sp, #20]\n"
                     " ldr r5, [r4, #4]\n"
                     " mov r0, r8\n"
                     " mov r1, r9\n"
                     " mov r2, r10\n"
                     " mov r3, r11\n"
                     " lsls r4, r1, #8\n"
                     " subs r0, r0, r4\n"
                     " subs r0, r0, r5\n"
                     " lsls r4, r2, #8\n"
                     " subs r1, r1, r4\n"
                     " subs r1, r1, r5\n"
                     " lsls r4, r3, #8\n"
                     " subs r2, r2, r4\n"
                     " subs r2, r2, r5\n"
                     " ldr r4, [sp, #16]\n"
                     " stmia r4!, {r0-r3}\n"
                     " mov r0, r6\n"
                     " pop {r4-r7}\n"
                     " mov r8, r4\n"
                     " mov r9, r5\n"
                     " mov r10, r6\n"
                     " mov r11, r7\n"
                     " pop {r1, r2, r4-r7, pc}\n");
}

/* Of wide rows.  Pushes 44 bytes.  The same registers; the loop has 8 columns, of 46 bytes of code for two, of which it passes
 * over in the first turn those that are not there. */
#define RNNC_M0_WIDE(w, x, lo, hi)                                                               \
    "asrs r3, " w ", #16\n muls r3, " x "\n add " hi ", r3\n muls " w ", " x "\n add " lo ", " w \
    "\n"
#define RNNC_M0_WIDE_COL(x) \
    "ldmia r6!, {r0-r1}\n" RNNC_M0_WIDE("r0", x, "r8", "r9") RNNC_M0_WIDE("r1", x, "r10", "r11")
#define RNNC_M0_WIDE_COL2 "ldmia r7!, {r4-r5}\n" RNNC_M0_WIDE_COL("r4") RNNC_M0_WIDE_COL("r5")
__attribute__((naked, noinline, unused)) static const int8_t *
rnnc_telescope_wide(RNNC_UNUSED int32_t *acc, RNNC_UNUSED const int8_t *w,
                    RNNC_UNUSED const int32_t *v)
{
    __asm__ volatile(".syntax unified\n"
                     " push {r0, r2, r4-r7, lr}\n"
                     " mov r4, r8\n"
                     " mov r5, r9\n"
                     " mov r6, r10\n"
                     " mov r7, r11\n"
                     " push {r4-r7}\n"
                     " mov r6, r1\n"
                     " mov r7, r2\n"
                     " ldmia r7!, {r3, r4, r5}\n"
                     " adds r4, r5, r7\n"
                     " mov r12, r4\n"
                     " negs r5, r5\n"
                     " lsls r5, r5, #27\n"
                     " lsrs r5, r5, #30\n" /* pairs of columns that are not there */
                     " movs r4, #46\n"
                     " muls r5, r4\n"
                     " movs r4, #0\n"
                     " mov r8, r4\n"
                     " mov r9, r4\n"
                     " mov r10, r4\n"
                     " mov r11, r4\n"
                     " add pc, r5\n"
                     " nop\n"
                     "1:\n" RNNC_M0_WIDE_COL2 RNNC_M0_WIDE_COL2 RNNC_M0_WIDE_COL2 RNNC_M0_WIDE_COL2
                     " cmp r7, r12\n"
                     " bne 1b\n"
                     " ldr r4, [sp, #20]\n"
                     " ldr r5, [r4, #4]\n"
                     " lsls r5, r5, #8\n"
                     " mov r0, r8\n"
                     " mov r1, r9\n"
                     " mov r2, r10\n"
                     " mov r3, r11\n"
                     " lsls r4, r1, #16\n"
                     " subs r0, r0, r4\n"
                     " subs r0, r0, r5\n"
                     " lsls r4, r3, #16\n"
                     " subs r2, r2, r4\n"
                     " subs r2, r2, r5\n"
                     " ldr r4, [sp, #16]\n"
                     " stmia r4!, {r0-r3}\n"
                     " mov r0, r6\n"
                     " pop {r4-r7}\n"
                     " mov r8, r4\n"
                     " mov r9, r5\n"
                     " mov r10, r6\n"
                     " mov r11, r7\n"
                     " pop {r1, r2, r4-r7, pc}\n");
}

/* x >> s by the lowest byte of s. */
#define RNNC_SHIFT
static inline int32_t rnnc_shift(int32_t x, uint32_t s)
{
    __asm__(".syntax unified\n asrs %0, %1" : "+l"(x) : "l"(s) : "cc");
    return x;
}

#define RNNC_LUT_INDEX
/* generated: the index without a branch, by make golden */
/* min(a >> 8, 192) without a branch: the time of a step does not depend on the data. */
static inline uint32_t rnnc_lut_index(uint32_t a)
{
    int32_t over = (int32_t)(a >> 8) - 192;
    return (uint32_t)(192 + (over & (over >> 31)));
}
/* end of the index without a branch */
#else
#include "elsewhere.h"
#endif

#include "telescope.h"

#endif
