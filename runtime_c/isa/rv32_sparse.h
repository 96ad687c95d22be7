/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_ISA_RV32_SPARSE_H
#define RNNC_ISA_RV32_SPARSE_H
/* Rows without their blocks of zeros for rv32.h.
 *
 * Of each four rows: a word, the bytes of the blocks that are kept in its lower half; then each block: a word, the bytes of
 * activations before it, and four words of weights, which words.h has of four columns. */
#include "rv32.h"

#define RNNC_PRODUCT_SPARSE

#if defined(__riscv_mul) && __riscv_xlen == 32 && !defined(__riscv_32e) && defined(__GNUC__)

/* A column; the correction, -128 sum of x, is that of the columns that are kept. */
#define RNNC_RV32_KEPT(x, word) RNNC_RV32_COLUMN(x, word) "sub a5, a5, t1\n"

/* acc[0 .. rows - 1].  Pushes 16 bytes.
 * a0, a3 where the sums go and their end; a1, ra weights and their end; a2, a4 activations and the first; t1 activation; t0 word;
 * t2, t5, t6 products; a6 a7 t3 t4 the sums; a5 the correction. */
__attribute__((naked, noinline, unused, aligned(4))) static const int8_t *
rnnc_rv32_sparse(RNNC_UNUSED int32_t *acc, RNNC_UNUSED const int8_t *w,
                 RNNC_UNUSED const int16_t *v, RNNC_UNUSED const int32_t *end)
{
    __asm__ volatile("addi sp, sp, -16\n sw ra, 0(sp)\n mv a4, a2\n"
                     "0: lhu ra, 0(a1)\n addi a1, a1, 4\n add ra, ra, a1\n"
                     " li a5, 0\n li a6, 0\n li a7, 0\n li t3, 0\n li t4, 0\n"
                     "1: lw a2, 0(a1)\n add a2, a2, a4\n" RNNC_RV32_KEPT("0", "4")
                         RNNC_RV32_KEPT("2", "8") RNNC_RV32_KEPT("4", "12") RNNC_RV32_KEPT(
                             "6", "16") " addi a1, a1, 20\n bne a1, ra, 1b\n"
                                        " slli a5, a5, 7\n" RNNC_RV32_APART4("a6", "a7", "t3", "t4")
                                            RNNC_RV32_ADD("a6", "a5") RNNC_RV32_ADD("a7", "a5")
                                                RNNC_RV32_ADD("t3", "a5") RNNC_RV32_STORE4
                     " addi a0, a0, 16\n bne a0, a3, 0b\n lw ra, 0(sp)\n addi sp, sp, 16\n"
                     " mv a0, a1\n ret\n");
}
#else
#include "sparse_words.h"

/* The same packing, a block at a time: as an operand of four columns for words.h. */
static inline const int8_t *rnnc_rv32_sparse(int32_t *acc, const int8_t *w, const int16_t *v,
                                             const int32_t *end)
{
    for (; acc != end; acc += 4) {
        uint32_t n = rnnc_sparse_blocks(w), r;
        memset(acc, 0, 4 * sizeof *acc);
        for (w += 4; n; n--, w += 20) {
            int32_t sum[4], four[3] = {0, 0, 0};
            memcpy(&four[1], (const int8_t *)v + rnnc_sparse_word(w), 8);
            (void)rnnc_words_rows(sum, w + 4, four, 4, 4);
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
    return rnnc_rv32_sparse(acc, w, (const int16_t *)((const int32_t *)v + 1), acc + rows);
}

#endif
