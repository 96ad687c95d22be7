/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_ISA_RV32_H
#define RNNC_ISA_RV32_H
/* RV32IM: a byte load, a multiplication and an addition a product.
 *
 * Four rows are a block, stored column by column, as int16 where they are wide. A prepared operand is int16, whatever it was. */
#include <stddef.h>
#include <stdint.h>

#define RNNC_GROUP 4
#define RNNC_CALL_ROWS 16
#define RNNC_LANES 2 /* two blocks at a time share the loads of activations */
#define RNNC_OPERAND_BYTES(columns, bits) (2 * (columns))

#ifndef RNNC_UNUSED
#define RNNC_UNUSED __attribute__((unused)) /* arguments of naked functions are in registers */
#endif

#if defined(__riscv_mul) && __riscv_xlen == 32 && !defined(__riscv_32e) && defined(__GNUC__)
#define RNNC_ALIGNED __attribute__((aligned(4)))

/* acc[0 .. 3] of one block; returns the address behind its weights.  The loop has 8 columns of 13 instructions; `skipped`
 * of them are passed over in the first turn, `bytes` of code. */
#define RNNC_RV32_ROW(offset, sum) \
    "lb t0, " offset "(a1)\n mul t0, t0, t1\n add " sum ", " sum ", t0\n"
#define RNNC_RV32_COLUMN(x, o0, o1, o2, o3)                                                      \
    "lh t1, " x "(a2)\n" RNNC_RV32_ROW(o0, "a6") RNNC_RV32_ROW(o1, "a7") RNNC_RV32_ROW(o2, "t3") \
        RNNC_RV32_ROW(o3, "t4")
#define RNNC_RV32_COLUMN_BYTES 52u
__attribute__((naked, noinline, unused)) static const int8_t *
rnnc_rv32_block(RNNC_UNUSED int32_t *acc, RNNC_UNUSED const int8_t *w, RNNC_UNUSED const int16_t *v,
                RNNC_UNUSED const int16_t *end, RNNC_UNUSED uint32_t skipped,
                RNNC_UNUSED uint32_t bytes)
{
    __asm__ volatile(
        ".option push\n.option norvc\n"
        " slli t0, a4, 1\n"
        " sub a2, a2, t0\n"
        " slli t0, a4, 2\n"
        " sub a1, a1, t0\n"
        " li a6, 0\n"
        " li a7, 0\n"
        " li t3, 0\n"
        " li t4, 0\n"
        " lla t0, 1f\n"
        " add t0, t0, a5\n"
        " jr t0\n"
        "1:\n" RNNC_RV32_COLUMN("0", "0", "1", "2", "3") RNNC_RV32_COLUMN("2", "4", "5", "6", "7")
            RNNC_RV32_COLUMN("4", "8", "9", "10", "11")
                RNNC_RV32_COLUMN("6", "12", "13", "14", "15")
                    RNNC_RV32_COLUMN("8", "16", "17", "18", "19")
                        RNNC_RV32_COLUMN("10", "20", "21", "22", "23")
                            RNNC_RV32_COLUMN("12", "24", "25", "26", "27")
                                RNNC_RV32_COLUMN("14", "28", "29", "30", "31") " addi a2, a2, 16\n"
                                                                               " addi a1, a1, 32\n"
                                                                               " bne a2, a3, 1b\n"
                                                                               " sw a6, 0(a0)\n"
                                                                               " sw a7, 4(a0)\n"
                                                                               " sw t3, 8(a0)\n"
                                                                               " sw t4, 12(a0)\n"
                                                                               " mv a0, a1\n"
                                                                               " ret\n"
                                                                               ".option pop\n");
}

/* acc[0 .. 7] of two blocks, one after the other in memory. */
#define RNNC_RV32_ROW_OF(w, offset, sum) \
    "lb t0, " offset "(" w ")\n mul t0, t0, t1\n add " sum ", " sum ", t0\n"
#define RNNC_RV32_COLUMN8(x, o0, o1, o2, o3)                                               \
    "lh t1, " x "(a2)\n" RNNC_RV32_ROW_OF("a1", o0, "a6") RNNC_RV32_ROW_OF("a1", o1, "a7") \
        RNNC_RV32_ROW_OF("a1", o2, "t3") RNNC_RV32_ROW_OF("a1", o3, "t4")                  \
            RNNC_RV32_ROW_OF("a4", o0, "t5") RNNC_RV32_ROW_OF("a4", o1, "t6")              \
                RNNC_RV32_ROW_OF("a4", o2, "t2") RNNC_RV32_ROW_OF("a4", o3, "a5")
#define RNNC_RV32_COLUMN8_BYTES 100u
__attribute__((naked, noinline, unused)) static const int8_t *
rnnc_rv32_blocks(RNNC_UNUSED int32_t *acc, RNNC_UNUSED const int8_t *w,
                 RNNC_UNUSED const int16_t *v, RNNC_UNUSED const int16_t *end,
                 RNNC_UNUSED uint32_t skipped, RNNC_UNUSED uint32_t bytes)
{
    __asm__ volatile(
        ".option push\n.option norvc\n"
        " sub t1, a3, a2\n"
        " slli t1, t1, 1\n"
        " slli t0, a4, 1\n"
        " sub a2, a2, t0\n"
        " slli t0, a4, 2\n"
        " sub a1, a1, t0\n"
        " add a4, a1, t1\n"
        " lla t0, 1f\n"
        " add t0, t0, a5\n"
        " li a5, 0\n"
        " li a6, 0\n"
        " li a7, 0\n"
        " li t2, 0\n"
        " li t3, 0\n"
        " li t4, 0\n"
        " li t5, 0\n"
        " li t6, 0\n"
        " jr t0\n"
        "1:\n" RNNC_RV32_COLUMN8("0", "0", "1", "2", "3") RNNC_RV32_COLUMN8("2", "4", "5", "6", "7")
            RNNC_RV32_COLUMN8("4", "8", "9", "10", "11")
                RNNC_RV32_COLUMN8("6", "12", "13", "14", "15")
                    RNNC_RV32_COLUMN8("8", "16", "17", "18", "19")
                        RNNC_RV32_COLUMN8("10", "20", "21", "22", "23")
                            RNNC_RV32_COLUMN8("12", "24", "25", "26", "27")
                                RNNC_RV32_COLUMN8("14", "28", "29", "30", "31") " addi a2, a2, 16\n"
                                                                                " addi a1, a1, 32\n"
                                                                                " addi a4, a4, 32\n"
                                                                                " bne a2, a3, 1b\n"
                                                                                " sw a6, 0(a0)\n"
                                                                                " sw a7, 4(a0)\n"
                                                                                " sw t3, 8(a0)\n"
                                                                                " sw t4, 12(a0)\n"
                                                                                " sw t5, 16(a0)\n"
                                                                                " sw t6, 20(a0)\n"
                                                                                " sw t2, 24(a0)\n"
                                                                                " sw a5, 28(a0)\n"
                                                                                " mv a0, a4\n"
                                                                                " ret\n"
                                                                                ".option pop\n");
}

/* Of wide rows, as rnnc_rv32_block and rnnc_rv32_blocks; four products at a time, so that none is waited for. */
#define RNNC_RV32_LOAD4(w, o0, o1, o2, o3, a, b, c, d)                                            \
    "lh " a ", " o0 "(" w ")\n lh " b ", " o1 "(" w ")\n lh " c ", " o2 "(" w ")\n lh " d ", " o3 \
    "(" w ")\n"
#define RNNC_RV32_MUL4(a, b, c, d) \
    "mul " a ", " a ", t1\n mul " b ", " b ", t1\n mul " c ", " c ", t1\n mul " d ", " d ", t1\n"
#define RNNC_RV32_ADD(sum, product) "add " sum ", " sum ", " product "\n"
#define RNNC_RV32_WIDE(x, o0, o1, o2, o3)                                                          \
    "lh t1, " x "(a2)\n" RNNC_RV32_LOAD4("a1", o0, o1, o2, o3, "t0", "t2", "t5", "t6")             \
        RNNC_RV32_MUL4("t0", "t2", "t5", "t6") RNNC_RV32_ADD("a6", "t0") RNNC_RV32_ADD("a7", "t2") \
            RNNC_RV32_ADD("t3", "t5") RNNC_RV32_ADD("t4", "t6")
#define RNNC_RV32_WIDE8(x, o0, o1, o2, o3)                                                         \
    "lh t1, " x "(a2)\n" RNNC_RV32_LOAD4("a1", o0, o1, o2, o3, "t0", "ra", "s0", "s1")             \
        RNNC_RV32_MUL4("t0", "ra", "s0", "s1")                                                     \
            RNNC_RV32_ADD("a6", "t0") "lh t0, " o0 "(a4)\n" RNNC_RV32_ADD(                         \
                "a7",                                                                              \
                "ra") "lh ra, " o1                                                                 \
                      "(a4)\n" RNNC_RV32_ADD("t3", "s0") "lh s0, " o2 "(a4)\n" RNNC_RV32_ADD(      \
                          "t4", "s1") "lh s1, " o3 "(a4)\n" RNNC_RV32_MUL4("t0", "ra", "s0", "s1") \
                          RNNC_RV32_ADD("t5", "t0") RNNC_RV32_ADD("t6", "ra")                      \
                              RNNC_RV32_ADD("t2", "s0") RNNC_RV32_ADD("a5", "s1")
#define RNNC_RV32_WIDE_TURN(column)                                                  \
    column("0", "0", "2", "4", "6") column("2", "8", "10", "12", "14")               \
        column("4", "16", "18", "20", "22") column("6", "24", "26", "28", "30")      \
            column("8", "32", "34", "36", "38") column("10", "40", "42", "44", "46") \
                column("12", "48", "50", "52", "54") column("14", "56", "58", "60", "62")
__attribute__((naked, noinline, unused)) static const int8_t *
rnnc_rv32_wide_block(RNNC_UNUSED int32_t *acc, RNNC_UNUSED const int8_t *w,
                     RNNC_UNUSED const int16_t *v, RNNC_UNUSED const int16_t *end,
                     RNNC_UNUSED uint32_t skipped, RNNC_UNUSED uint32_t bytes)
{
    __asm__ volatile(".option push\n.option norvc\n"
                     " slli t0, a4, 1\n"
                     " sub a2, a2, t0\n"
                     " slli t0, a4, 3\n"
                     " sub a1, a1, t0\n"
                     " li a6, 0\n"
                     " li a7, 0\n"
                     " li t3, 0\n"
                     " li t4, 0\n"
                     " lla t0, 1f\n"
                     " add t0, t0, a5\n"
                     " jr t0\n"
                     "1:\n" RNNC_RV32_WIDE_TURN(RNNC_RV32_WIDE) " addi a2, a2, 16\n"
                                                                " addi a1, a1, 64\n"
                                                                " bne a2, a3, 1b\n"
                                                                " sw a6, 0(a0)\n"
                                                                " sw a7, 4(a0)\n"
                                                                " sw t3, 8(a0)\n"
                                                                " sw t4, 12(a0)\n"
                                                                " mv a0, a1\n"
                                                                " ret\n"
                                                                ".option pop\n");
}

/* Pushes 16 bytes. */
__attribute__((naked, noinline, unused)) static const int8_t *
rnnc_rv32_wide_blocks(RNNC_UNUSED int32_t *acc, RNNC_UNUSED const int8_t *w,
                      RNNC_UNUSED const int16_t *v, RNNC_UNUSED const int16_t *end,
                      RNNC_UNUSED uint32_t skipped, RNNC_UNUSED uint32_t bytes)
{
    __asm__ volatile(".option push\n.option norvc\n"
                     " addi sp, sp, -16\n"
                     " sw ra, 0(sp)\n"
                     " sw s0, 4(sp)\n"
                     " sw s1, 8(sp)\n"
                     " sub t1, a3, a2\n"
                     " slli t1, t1, 2\n"
                     " slli t0, a4, 1\n"
                     " sub a2, a2, t0\n"
                     " slli t0, a4, 3\n"
                     " sub a1, a1, t0\n"
                     " add a4, a1, t1\n"
                     " lla t0, 1f\n"
                     " add t0, t0, a5\n"
                     " li a5, 0\n"
                     " li a6, 0\n"
                     " li a7, 0\n"
                     " li t2, 0\n"
                     " li t3, 0\n"
                     " li t4, 0\n"
                     " li t5, 0\n"
                     " li t6, 0\n"
                     " jr t0\n"
                     "1:\n" RNNC_RV32_WIDE_TURN(RNNC_RV32_WIDE8) " addi a2, a2, 16\n"
                                                                 " addi a1, a1, 64\n"
                                                                 " addi a4, a4, 64\n"
                                                                 " bne a2, a3, 1b\n"
                                                                 " sw a6, 0(a0)\n"
                                                                 " sw a7, 4(a0)\n"
                                                                 " sw t3, 8(a0)\n"
                                                                 " sw t4, 12(a0)\n"
                                                                 " sw t5, 16(a0)\n"
                                                                 " sw t6, 20(a0)\n"
                                                                 " sw t2, 24(a0)\n"
                                                                 " sw a5, 28(a0)\n"
                                                                 " mv a0, a4\n"
                                                                 " lw ra, 0(sp)\n"
                                                                 " lw s0, 4(sp)\n"
                                                                 " lw s1, 8(sp)\n"
                                                                 " addi sp, sp, 16\n"
                                                                 " ret\n"
                                                                 ".option pop\n");
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

static inline const int8_t *rnnc_rv32_rows(int32_t *acc, const int8_t *w, const int16_t *v,
                                           uint16_t columns, uint16_t rows)
{
    uint32_t skipped = (0u - columns) & 7u;
    for (; rows >= 8; rows = (uint16_t)(rows - 8), acc += 8) {
        w = rnnc_rv32_blocks(acc, w, v, v + columns, skipped, skipped * RNNC_RV32_COLUMN8_BYTES);
    }
    return rows ? rnnc_rv32_block(acc, w, v, v + columns, skipped, skipped * RNNC_RV32_COLUMN_BYTES)
                : w;
}

static inline const int8_t *rnnc_rv32_wide(int32_t *acc, const int8_t *w, const int16_t *v,
                                           uint16_t columns, uint16_t rows)
{
    const int16_t *end = v + columns;
    uint32_t skipped = (0u - columns) & 7u;
    for (; rows >= 8; rows = (uint16_t)(rows - 8), acc += 8) {
        w = rnnc_rv32_wide_blocks(acc, w, v, end, skipped, skipped * RNNC_RV32_COLUMN8_BYTES);
    }
    return rows ? rnnc_rv32_wide_block(acc, w, v, end, skipped, skipped * RNNC_RV32_COLUMN_BYTES)
                : w;
}

/* An element on its way: the loop over it is no memcpy, which is slow for short vectors. */
static inline int16_t rnnc_rv32_element(int32_t x)
{
    __asm__("" : "+r"(x));
    return (int16_t)x;
}
#else
#include "../rom.h"
#include "elsewhere.h"

static inline const int8_t *rnnc_rv32_rows(int32_t *acc, const int8_t *w, const int16_t *v,
                                           uint16_t columns, uint16_t rows)
{
    uint16_t j;
    for (; rows; rows = (uint16_t)(rows - 4), acc += 4) {
        acc[0] = acc[1] = acc[2] = acc[3] = 0;
        for (j = 0; j < columns; j++, w += 4) {
            acc[0] += w[0] * (int32_t)v[j];
            acc[1] += w[1] * (int32_t)v[j];
            acc[2] += w[2] * (int32_t)v[j];
            acc[3] += w[3] * (int32_t)v[j];
        }
    }
    return w;
}

static inline const int8_t *rnnc_rv32_wide(int32_t *acc, const int8_t *w, const int16_t *v,
                                           uint16_t columns, uint16_t rows)
{
    uint16_t j;
    for (; rows; rows = (uint16_t)(rows - 4), acc += 4) {
        acc[0] = acc[1] = acc[2] = acc[3] = 0;
        for (j = 0; j < columns; j++, w += 8) {
            acc[0] += rnnc_rom_wide(w) * (int32_t)v[j];
            acc[1] += rnnc_rom_wide(w + 2) * (int32_t)v[j];
            acc[2] += rnnc_rom_wide(w + 4) * (int32_t)v[j];
            acc[3] += rnnc_rom_wide(w + 6) * (int32_t)v[j];
        }
    }
    return w;
}

static inline int16_t rnnc_rv32_element(int32_t x)
{
    return (int16_t)x;
}
#endif

static inline void rnnc_prepare(void *operand, const void *x, uint8_t bits, uint16_t columns)
{
    int16_t *v = (int16_t *)operand;
    uint16_t j;
    for (j = 0; j < columns; j++) {
        v[j] = rnnc_rv32_element(bits == 8 ? ((const int8_t *)x)[j] : ((const int16_t *)x)[j]);
    }
}

static inline const int8_t *rnnc_product(int32_t *acc, const int8_t *w, const void *v, uint8_t bits,
                                         uint16_t columns, uint16_t rows)
{
    (void)bits;
    return rnnc_rv32_rows(acc, w, (const int16_t *)v, columns, rows);
}

static inline const int8_t *rnnc_product_wide(int32_t *acc, const int8_t *w, const void *v,
                                              uint8_t bits, uint16_t columns, uint16_t rows)
{
    (void)bits;
    return rnnc_rv32_wide(acc, w, (const int16_t *)v, columns, rows);
}

#endif
