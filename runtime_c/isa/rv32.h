/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_ISA_RV32_H
#define RNNC_ISA_RV32_H
/* RV32IM: words of words.h are taken apart by shifts, as loads are dear, and no product is used before two other instructions have
 * passed. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifndef RNNC_UNUSED
#define RNNC_UNUSED __attribute__((unused)) /* arguments of naked functions are in registers */
#endif

#if defined(__riscv_mul) && __riscv_xlen == 32 && !defined(__riscv_32e) && defined(__GNUC__)
#define RNNC_WORDS_ROWS
#define RNNC_ALIGNED __attribute__((aligned(4)))

/* acc[0 .. rows - 1] of one block; returns the address behind its weights.  The loop has 8 columns; `skipped` bytes of its code are
 * passed over in the first turn: w and v are as many columns before the first.  correction: -128 sum of x.
 * a0 acc; a1 weights; a2, a3 activations and their end; t1 activation; t0, ra words; a0, a4 products; of eight rows
 * a6 a7 t3 t4 t5 t6 t2 a5 the sums, of four a6 a7 t3 t4, where t2 t5 t6 are products. Those of eight push 16 bytes. */
#define RNNC_RV32_BLOCK(name)                                                       \
    __attribute__((naked, noinline, unused, aligned(4))) static const int8_t *name( \
        RNNC_UNUSED int32_t *acc, RNNC_UNUSED uintptr_t w, RNNC_UNUSED uintptr_t v, \
        RNNC_UNUSED const int16_t *end, RNNC_UNUSED uint32_t correction,            \
        RNNC_UNUSED uint32_t skipped)
#define RNNC_RV32_LOAD(x, word) "lw t0, " word "(a1)\n lh t1, " x "(a2)\n"
#define RNNC_RV32_ADD(sum, product) "add " sum ", " sum ", " product "\n"
#define RNNC_RV32_MUL(to, word) "mul " to ", " word ", t1\n"
#define RNNC_RV32_SHIFT(to, from, bits) "srai " to ", " from ", " bits "\n"
/* Of a turn: columns of `bytes` (8, 16 or 4) of weights. */
#define RNNC_RV32_TURN4(column)                                                            \
    column("0", "0") column("2", "4") column("4", "8") column("6", "12") column("8", "16") \
        column("10", "20") column("12", "24") column("14", "28")
#define RNNC_RV32_TURN8(column)                                                                  \
    column("0", "0", "4") column("2", "8", "12") column("4", "16", "20") column("6", "24", "28") \
        column("8", "32", "36") column("10", "40", "44") column("12", "48", "52")                \
            column("14", "56", "60")
#define RNNC_RV32_TURN16(column)                                                     \
    column("0", "0", "4", "8", "12") column("2", "16", "20", "24", "28")             \
        column("4", "32", "36", "40", "44") column("6", "48", "52", "56", "60")      \
            column("8", "64", "68", "72", "76") column("10", "80", "84", "88", "92") \
                column("12", "96", "100", "104", "108") column("14", "112", "116", "120", "124")
#define RNNC_RV32_BEGIN ".option push\n.option norvc\n lla t0, 1f\n add t0, t0, a5\n"
#define RNNC_RV32_AGAIN(bytes) "addi a2, a2, 16\n addi a1, a1, " bytes "\n bne a2, a3, 1b\n"
#define RNNC_RV32_PUSH "addi sp, sp, -16\n sw ra, 0(sp)\n sw a0, 4(sp)\n"
#define RNNC_RV32_POP "lw a0, 4(sp)\n lw ra, 0(sp)\n addi sp, sp, 16\n"
#define RNNC_RV32_STORE4 "sw a6, 0(a0)\n sw a7, 4(a0)\n sw t3, 8(a0)\n sw t4, 12(a0)\n"
#define RNNC_RV32_STORE8 \
    RNNC_RV32_STORE4 "sw t5, 16(a0)\n sw t6, 20(a0)\n sw t2, 24(a0)\n sw a5, 28(a0)\n"
#define RNNC_RV32_END "mv a0, a1\n ret\n.option pop\n"
/* The sums that t_0 to t_3 begin with: A_k = t_k - 256 t_(k+1) has the correction then. */
#define RNNC_RV32_START \
    "mv t3, a4\n slli t1, a4, 8\n add a7, a4, t1\n slli t1, a7, 8\n add a6, a4, t1\n li t4, 0\n"
#define RNNC_RV32_APART(low, high, bits) "slli t0, " high ", " bits "\n sub " low ", " low ", t0\n"
#define RNNC_RV32_APART4(t0, t1, t2, t3) \
    RNNC_RV32_APART(t0, t1, "8") RNNC_RV32_APART(t1, t2, "8") RNNC_RV32_APART(t2, t3, "8")

#define RNNC_RV32_COLUMN(x, word)     \
    RNNC_RV32_LOAD(x, word)           \
    RNNC_RV32_SHIFT("t2", "t0", "8")  \
    RNNC_RV32_MUL("t5", "t0")         \
    RNNC_RV32_SHIFT("t0", "t0", "16") \
    RNNC_RV32_MUL("t2", "t2")         \
    RNNC_RV32_MUL("t6", "t0")         \
    RNNC_RV32_SHIFT("t0", "t0", "8")  \
    RNNC_RV32_ADD("a6", "t5")         \
    RNNC_RV32_MUL("t0", "t0")         \
    RNNC_RV32_ADD("a7", "t2") RNNC_RV32_ADD("t3", "t6") RNNC_RV32_ADD("t4", "t0")
#define RNNC_RV32_COLUMN_BYTES 52u
RNNC_RV32_BLOCK(rnnc_rv32_block)
{
    __asm__ volatile(RNNC_RV32_BEGIN RNNC_RV32_START "jr t0\n1:\n" RNNC_RV32_TURN4(RNNC_RV32_COLUMN)
                         RNNC_RV32_AGAIN("32") RNNC_RV32_APART4("a6", "a7", "t3", "t4")
                             RNNC_RV32_STORE4 RNNC_RV32_END);
}

#define RNNC_RV32_COLUMN8(x, word0, word1)                                                       \
    RNNC_RV32_LOAD(x, word0)                                                                     \
    "lw ra, " word1 "(a1)\n" RNNC_RV32_MUL("a0", "t0") RNNC_RV32_SHIFT("a4", "t0", "8")          \
        RNNC_RV32_SHIFT("t0", "t0", "16") RNNC_RV32_MUL("a4", "a4") RNNC_RV32_ADD("a6", "a0")    \
            RNNC_RV32_MUL("a0", "t0") RNNC_RV32_SHIFT("t0", "t0", "8") RNNC_RV32_ADD("a7", "a4") \
                RNNC_RV32_MUL("t0", "t0") RNNC_RV32_MUL("a4", "ra") RNNC_RV32_ADD("t3", "a0")    \
                    RNNC_RV32_SHIFT("a0", "ra", "8") RNNC_RV32_SHIFT("ra", "ra", "16")           \
                        RNNC_RV32_ADD("t4", "t0") RNNC_RV32_MUL("a0", "a0")                      \
                            RNNC_RV32_MUL("t0", "ra") RNNC_RV32_SHIFT("ra", "ra", "8")           \
                                RNNC_RV32_ADD("t5", "a4") RNNC_RV32_MUL("ra", "ra")              \
                                    RNNC_RV32_ADD("t6", "a0") RNNC_RV32_ADD("t2", "t0")          \
                                        RNNC_RV32_ADD("a5", "ra")
#define RNNC_RV32_COLUMN8_BYTES 100u
RNNC_RV32_BLOCK(rnnc_rv32_blocks)
{
    __asm__ volatile(RNNC_RV32_BEGIN RNNC_RV32_PUSH RNNC_RV32_START
                     "mv t5, a6\n mv t6, a7\n mv t2, t3\n li a5, 0\n jr t0\n"
                     "1:\n" RNNC_RV32_TURN8(RNNC_RV32_COLUMN8) RNNC_RV32_AGAIN("64")
                         RNNC_RV32_APART4("a6", "a7", "t3", "t4")
                             RNNC_RV32_APART4("t5", "t6", "t2", "a5")
                                 RNNC_RV32_POP RNNC_RV32_STORE8 RNNC_RV32_END);
}

#define RNNC_RV32_WIDE(x, word0, word1)                                                       \
    RNNC_RV32_LOAD(x, word0)                                                                  \
    "lw t2, " word1 "(a1)\n" RNNC_RV32_MUL("t5", "t0") RNNC_RV32_SHIFT("t0", "t0", "16")      \
        RNNC_RV32_MUL("t6", "t2") RNNC_RV32_MUL("t0", "t0") RNNC_RV32_SHIFT("t2", "t2", "16") \
            RNNC_RV32_ADD("a6", "t5") RNNC_RV32_MUL("t2", "t2") RNNC_RV32_ADD("t3", "t6")     \
                RNNC_RV32_ADD("a7", "t0") RNNC_RV32_ADD("t4", "t2")
RNNC_RV32_BLOCK(rnnc_rv32_wide_block)
{
    __asm__ volatile(RNNC_RV32_BEGIN "slli a6, a4, 8\n mv t3, a6\n li a7, 0\n li t4, 0\n jr t0\n"
                                     "1:\n" RNNC_RV32_TURN8(RNNC_RV32_WIDE) RNNC_RV32_AGAIN("64")
                                         RNNC_RV32_APART("a6", "a7", "16")
                                             RNNC_RV32_APART("t3", "t4", "16")
                                                 RNNC_RV32_STORE4 RNNC_RV32_END);
}

#define RNNC_RV32_WIDE8(x, word0, word1, word2, word3)                                           \
    RNNC_RV32_LOAD(x, word0)                                                                     \
    "lw ra, " word1 "(a1)\n" RNNC_RV32_MUL("a0", "t0") RNNC_RV32_SHIFT("t0", "t0", "16")         \
        RNNC_RV32_MUL("a4", "ra") RNNC_RV32_MUL("t0", "t0") RNNC_RV32_ADD("a6", "a0")            \
            RNNC_RV32_SHIFT("ra", "ra", "16") "lw a0, " word2 "(a1)\n" RNNC_RV32_ADD("t3", "a4") \
                RNNC_RV32_MUL("ra", "ra")                                                        \
                    RNNC_RV32_ADD("a7", "t0") "lw t0, " word3 "(a1)\n" RNNC_RV32_MUL("a4", "a0") \
                        RNNC_RV32_ADD("t4", "ra") RNNC_RV32_SHIFT("a0", "a0", "16")              \
                            RNNC_RV32_MUL("ra", "t0") RNNC_RV32_MUL("a0", "a0")                  \
                                RNNC_RV32_SHIFT("t0", "t0", "16") RNNC_RV32_ADD("t5", "a4")      \
                                    RNNC_RV32_MUL("t0", "t0") RNNC_RV32_ADD("t2", "ra")          \
                                        RNNC_RV32_ADD("t6", "a0") RNNC_RV32_ADD("a5", "t0")
RNNC_RV32_BLOCK(rnnc_rv32_wide_blocks)
{
    __asm__ volatile(RNNC_RV32_BEGIN RNNC_RV32_PUSH
                     "slli a6, a4, 8\n mv t3, a6\n mv t5, a6\n mv t2, a6\n"
                     " li a7, 0\n li t4, 0\n li t6, 0\n li a5, 0\n jr t0\n"
                     "1:\n" RNNC_RV32_TURN16(RNNC_RV32_WIDE8) RNNC_RV32_AGAIN("128")
                         RNNC_RV32_APART("a6", "a7", "16") RNNC_RV32_APART("t3", "t4", "16")
                             RNNC_RV32_APART("t5", "t6", "16") RNNC_RV32_APART("t2", "a5", "16")
                                 RNNC_RV32_POP RNNC_RV32_STORE8 RNNC_RV32_END);
}

/* Words where both ends are words', else halfwords: eight or four at a time. */
#define RNNC_RV32_MOVED4(load, store, o0, o1, o2, o3)                                             \
    load " t0, " o0 "(%1)\n " load " t1, " o1 "(%1)\n " load " t2, " o2 "(%1)\n " load " t3, " o3 \
         "(%1)\n " store " t0, " o0 "(%0)\n " store " t1, " o1 "(%0)\n " store " t2, " o2         \
         "(%0)\n " store " t3, " o3 "(%0)\n"
#define RNNC_RV32_MOVE(to, from, bytes, turn, moved)                                           \
    do {                                                                                       \
        const uint8_t *rnnc_end = (const uint8_t *)(from) + (bytes) / (turn) * (turn);         \
        if ((bytes) >= (turn)) {                                                               \
            __asm__ volatile("1:\n" moved " addi %1, %1, " #turn "\n addi %0, %0, " #turn "\n" \
                             " bne %1, %2, 1b\n"                                               \
                             : "+r"(to), "+r"(from)                                            \
                             : "r"(rnnc_end)                                                   \
                             : "t0", "t1", "t2", "t3", "memory");                              \
            (bytes) %= (turn);                                                                 \
        }                                                                                      \
    } while (0)
#define RNNC_COPY
static inline void rnnc_copy(void *to, const void *from, size_t bytes)
{
    uint32_t both = (uint32_t)to | (uint32_t)from;
    if ((both & 3u) == 0) {
        RNNC_RV32_MOVE(to, from, bytes, 32,
                       RNNC_RV32_MOVED4("lw", "sw", "0", "4", "8", "12")
                           RNNC_RV32_MOVED4("lw", "sw", "16", "20", "24", "28"));
        RNNC_RV32_MOVE(to, from, bytes, 4, "lw t0, 0(%1)\n sw t0, 0(%0)\n");
    } else if ((both & 1u) == 0) {
        RNNC_RV32_MOVE(to, from, bytes, 8, RNNC_RV32_MOVED4("lh", "sh", "0", "2", "4", "6"));
        RNNC_RV32_MOVE(to, from, bytes, 2, "lh t0, 0(%1)\n sh t0, 0(%0)\n");
    }
    RNNC_RV32_MOVE(to, from, bytes, 1, "lb t0, 0(%1)\n sb t0, 0(%0)\n");
}

static inline const int8_t *rnnc_words_rows(int32_t *acc, const int8_t *w, const int32_t *v,
                                            uint16_t columns, uint16_t rows)
{
    const int16_t *x = (const int16_t *)(v + 1), *end = x + columns;
    uint32_t skipped = (0u - columns) & 7u, correction = (uint32_t)v[0];
    uintptr_t first = (uintptr_t)x - 2 * skipped;
    for (; rows >= 8; rows = (uint16_t)(rows - 8), acc += 8) {
        w = rnnc_rv32_blocks(acc, (uintptr_t)w - 8 * skipped, first, end, correction,
                             RNNC_RV32_COLUMN8_BYTES * skipped);
    }
    return rows ? rnnc_rv32_block(acc, (uintptr_t)w - 4 * skipped, first, end, correction,
                                  RNNC_RV32_COLUMN_BYTES * skipped)
                : w;
}

static inline const int8_t *rnnc_words_wide(int32_t *acc, const int8_t *w, const int32_t *v,
                                            uint16_t columns, uint16_t rows)
{
    const int16_t *x = (const int16_t *)(v + 1), *end = x + columns;
    uint32_t skipped = (0u - columns) & 7u, correction = (uint32_t)v[0];
    uintptr_t first = (uintptr_t)x - 2 * skipped;
    for (; rows >= 8; rows = (uint16_t)(rows - 8), acc += 8) {
        w = rnnc_rv32_wide_blocks(acc, (uintptr_t)w - 16 * skipped, first, end, correction,
                                  RNNC_RV32_COLUMN8_BYTES * skipped);
    }
    return rows ? rnnc_rv32_wide_block(acc, (uintptr_t)w - 8 * skipped, first, end, correction,
                                       RNNC_RV32_COLUMN_BYTES * skipped)
                : w;
}

#define RNNC_WORDS_ELEMENT
/* An element on its way: the loop over it is no memcpy, which is slow for short vectors. */
static inline int16_t rnnc_words_element(int32_t x)
{
    __asm__("" : "+r"(x));
    return (int16_t)x;
}
#endif

#include "words.h"

#endif
