/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_ISA_DSP_SPARSE_H
#define RNNC_ISA_DSP_SPARSE_H
/* Rows without their blocks of zeros for dsp.h.
 *
 * Of each four rows: a word, the bytes of the blocks that are kept | how many of these lack to a multiple of four << 16; then each
 * block: a word, the bytes of activations before it, and four words of weights, which dsp.h has of four columns. */
#include "dsp.h"

#define RNNC_PRODUCT_SPARSE

#if defined(__ARM_FEATURE_DSP) && defined(__thumb2__) && defined(__GNUC__) && \
    !defined(__ARM_BIG_ENDIAN)

/* Four columns, of 60 bytes of code. */
#define RNNC_DSP_KEPT                                                                         \
    "ldmia.w lr!, {r6, r8-r10, r12}\n add.w r6, r6, r11\n ldrd r6, r7, [r6]\n" RNNC_DSP_PAIR( \
        "r8", "r6", "r0", "r1", "r2") RNNC_DSP_PAIR("r9", "r6", "r3", "r4", "r5")             \
        RNNC_DSP_PAIR("r10", "r7", "r0", "r1", "r2") RNNC_DSP_PAIR("r12", "r7", "r3", "r4", "r5")

/* acc[0 .. rows - 1].  Pushes 48 bytes, of which the last 12 are, from sp on: where the sums go, their end, the end of the blocks.
 * r0:r1, r3:r4 raw sums; r2, r5 low sums; r6, r7 activations; r8, r9, r10, r12 weights; lr their address; r11 the first
 * activation. */
__attribute__((naked, noinline, unused)) static const int8_t *
rnnc_dsp_sparse(RNNC_UNUSED int32_t *acc, RNNC_UNUSED const int8_t *w, RNNC_UNUSED const int32_t *v,
                RNNC_UNUSED uint32_t rows)
{
    __asm__ volatile(".syntax unified\n"
                     " push {r4-r11, lr}\n"
                     " mov lr, r1\n"
                     " add.w r11, r2, #8\n"
                     " add r1, r0, r3, lsl #2\n"
                     " push {r0, r1, r2}\n"
                     "0: ldr r6, [lr], #4\n"
                     " uxth r8, r6\n"
                     " add r8, r8, lr\n"
                     " str r8, [sp, #8]\n"
                     " lsr r6, r6, #16\n"
                     " rsb r6, r6, r6, lsl #4\n" /* 15 times, of 4 bytes */
                     " lsl r6, r6, #2\n"
                     " sub r6, r6, #2\n" RNNC_DSP_CLEAR
                     "1:\n" RNNC_DSP_KEPT RNNC_DSP_KEPT RNNC_DSP_KEPT RNNC_DSP_KEPT
                     " ldr r8, [sp, #8]\n"
                     " cmp lr, r8\n"
                     " bne.w 1b\n" RNNC_DSP_FINISH " ldrd r12, r8, [sp]\n"
                     " stmia r12!, {r0, r2, r3, r5}\n"
                     " cmp r12, r8\n"
                     " str r12, [sp]\n"
                     " bne.w 0b\n"
                     " mov r0, lr\n"
                     " add sp, #12\n"
                     " pop {r4-r11, pc}\n");
}
#else
#include "sparse_words.h"

/* The same packing, a block at a time: as an operand of four columns for dsp.h. */
static inline const int8_t *rnnc_dsp_sparse(int32_t *acc, const int8_t *w, const int32_t *v,
                                            uint32_t rows)
{
    for (; rows; rows -= 4, acc += 4) {
        uint32_t n = rnnc_sparse_blocks(w), r;
        memset(acc, 0, 4 * sizeof *acc);
        for (w += 4; n; n--, w += 20) {
            int32_t sum[4], four[4] = {0, 8, 0, 0};
            memcpy(&four[2], (const int8_t *)&v[2] + rnnc_sparse_word(w), 8);
            (void)rnnc_dsp_block(sum, w + 4, four);
            for (r = 0; r < 4; r++) {
                acc[r] += sum[r];
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
    (void)bits;
    (void)columns;
    return rnnc_dsp_sparse(acc, w, (const int32_t *)v, rows);
}

#endif
