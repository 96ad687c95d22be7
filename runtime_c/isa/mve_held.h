/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_ISA_MVE_HELD_H
#define RNNC_ISA_MVE_HELD_H
/* Rows times a short vector for mve.h, where the compiler knows its length: the vector stays in registers from block to block,
 * no column is counted, and no function called. What is beyond q5 is loaded anew for each block.
 *
 * r4, r6, r8, r10 sums of four rows; q0 .. q5 the vector; q6, q7 weights; lr blocks. n: eights of columns. */
#include <stdint.h>

#include "../rom.h"

#define RNNC_MVE_HELD_BYTES 128u /* of the vector: 128 columns of 8 bits, 64 of 16 */
#define RNNC_MVE_HELD_WIDE 8u    /* eights of columns of wide rows */

#define RNNC_MVE_IF(condition, text) ".if %c[n] " condition "\n" text ".endif\n"
#define RNNC_MVE_TIMES(load, step, mac, x, q, sum) \
    load " " q ", [%[w]], #" step "\n " mac " " sum ", " x ", " q "\n"
#define RNNC_MVE_FOUR(load, step, mac, x, a, b) \
    RNNC_MVE_TIMES(load, step, mac, x, a, "r4") \
    RNNC_MVE_TIMES(load, step, mac, x, b, "r6") \
    RNNC_MVE_TIMES(load, step, mac, x, a, "r8") \
    RNNC_MVE_TIMES(load, step, mac, x, b, "r10")
#define RNNC_MVE_EIGHT(mac, x) RNNC_MVE_FOUR("vldrb.s16", "8", mac ".s16", x, "q6", "q7")

/* One after another: the vector, then of each block its rows. */
#define RNNC_MVE_HELD(vector, rows)                                                             \
    __asm__ volatile(vector "dls lr, %[blocks]\n1:\n" rows                                      \
                            "strd r4, r6, [%[acc]], #8\n strd r8, r10, [%[acc]], #8\n"          \
                            " le lr, 1b\n"                                                      \
                     : [acc] "+&r"(acc), [w] "+&l"(w)                                           \
                     : [v] "l"(v), [n] "i"(n), [blocks] "r"(blocks)                             \
                     : "r4", "r6", "r8", "r10", "lr", "q0", "q1", "q2", "q3", "q4", "q5", "q6", \
                       "q7", "memory")

/* int8 times int8: 16 columns in q<k>, or the 8 that are left, from byte `at` on. */
#define RNNC_MVE_GET8(two, one, q, at)                          \
    RNNC_MVE_IF(">= " two, "vldrb.u8 " q ", [%[v], #" at "]\n") \
    RNNC_MVE_IF("== " one, "vldrb.s16 " q ", [%[v], #" at "]\n")
#define RNNC_MVE_SUM8(two, one, mac, q, a, b)                                   \
    RNNC_MVE_IF(">= " two, RNNC_MVE_FOUR("vldrb.u8", "16", mac ".s8", q, a, b)) \
    RNNC_MVE_IF("== " one, RNNC_MVE_FOUR("vldrb.s16", "8", mac ".s16", q, a, b))

/* int8 times int16: 16 columns in two registers, or the 8 that are left in the first. */
#define RNNC_MVE_GET16(two, one, q, p, at, behind)               \
    RNNC_MVE_IF(">= " one, "vldrh.u16 " q ", [%[v], #" at "]\n") \
    RNNC_MVE_IF(">= " two, "vldrh.u16 " p ", [%[v], #" behind "]\n")
#define RNNC_MVE_BOTH16(mac, q, p, sum)                        \
    RNNC_MVE_TIMES("vldrb.s16", "8", mac ".s16", q, "q6", sum) \
    RNNC_MVE_TIMES("vldrb.s16", "8", "vmladava.s16", p, "q7", sum)
#define RNNC_MVE_SUM16(two, one, mac, q, p)                                                        \
    RNNC_MVE_IF(">= " two, RNNC_MVE_BOTH16(mac, q, p, "r4") RNNC_MVE_BOTH16(mac, q, p, "r6")       \
                               RNNC_MVE_BOTH16(mac, q, p, "r8") RNNC_MVE_BOTH16(mac, q, p, "r10")) \
    RNNC_MVE_IF("== " one, RNNC_MVE_EIGHT(mac, q))

/* int16: 8 columns in q<k>; `get` loads them from byte `at` on. */
#define RNNC_MVE_GET(least, get, q, at) RNNC_MVE_IF(">= " least, get " " q ", [%[v], #" at "]\n")
#define RNNC_MVE_SUM(least, mac, q, a, b) \
    RNNC_MVE_IF(">= " least, RNNC_MVE_FOUR("vldrh.u16", "16", mac ".s16", q, a, b))

/* acc[0 .. 4 blocks - 1] of n >= 1 eights of columns; returns the address behind the weights. */
RNNC_KERNEL const int8_t *rnnc_mve_held8(int32_t *acc, const int8_t *w, const int8_t *v, uint32_t n,
                                         uint32_t blocks)
{
    RNNC_MVE_HELD(
        RNNC_MVE_GET8("2", "1", "q0", "0") RNNC_MVE_GET8("4", "3", "q1", "16")
            RNNC_MVE_GET8("6", "5", "q2", "32") RNNC_MVE_GET8("8", "7", "q3", "48")
                RNNC_MVE_GET8("10", "9", "q4", "64") RNNC_MVE_GET8("12", "11", "q5", "80"),
        RNNC_MVE_SUM8("2", "1", "vmladav", "q0", "q6", "q7") RNNC_MVE_SUM8("4", "3", "vmladava",
                                                                           "q1", "q6", "q7")
            RNNC_MVE_SUM8("6", "5", "vmladava", "q2", "q6", "q7")
                RNNC_MVE_SUM8("8", "7", "vmladava", "q3", "q6", "q7")
                    RNNC_MVE_SUM8("10", "9", "vmladava", "q4", "q6", "q7")
                        RNNC_MVE_SUM8("12", "11", "vmladava", "q5", "q6", "q7")
                            RNNC_MVE_GET8("14", "13", "q6", "96")
                                RNNC_MVE_SUM8("14", "13", "vmladava", "q6", "q7", "q7")
                                    RNNC_MVE_GET8("16", "15", "q6", "112")
                                        RNNC_MVE_SUM8("16", "15", "vmladava", "q6", "q7", "q7"));
    return w;
}

RNNC_KERNEL const int8_t *rnnc_mve_held16(int32_t *acc, const int8_t *w, const int16_t *v,
                                          uint32_t n, uint32_t blocks)
{
    RNNC_MVE_HELD(RNNC_MVE_GET16("2", "1", "q0", "q1", "0", "16")
                      RNNC_MVE_GET16("4", "3", "q2", "q3", "32", "48")
                          RNNC_MVE_IF("<= 6", RNNC_MVE_GET16("6", "5", "q4", "q5", "64", "80")),
                  RNNC_MVE_SUM16("2", "1", "vmladav", "q0", "q1")
                      RNNC_MVE_SUM16("4", "3", "vmladava", "q2", "q3")
                          RNNC_MVE_IF("> 6", RNNC_MVE_GET16("6", "5", "q4", "q5", "64", "80"))
                              RNNC_MVE_SUM16("6", "5", "vmladava", "q4", "q5")
                                  RNNC_MVE_GET16("8", "7", "q4", "q5", "96", "112")
                                      RNNC_MVE_SUM16("8", "7", "vmladava", "q4", "q5"));
    return w;
}

/* Of wide rows, of operands of 8 and of 16 bits. */
#define RNNC_MVE_HELD_WIDE_ROWS(get, a1, a2, a3, a4, a5, a6, a7)                                \
    RNNC_MVE_HELD(RNNC_MVE_GET("1", get, "q0", "0") RNNC_MVE_GET("2", get, "q1", a1)            \
                      RNNC_MVE_GET("3", get, "q2", a2) RNNC_MVE_GET("4", get, "q3", a3)         \
                          RNNC_MVE_GET("5", get, "q4", a4) RNNC_MVE_GET("6", get, "q5", a5),    \
                  RNNC_MVE_SUM("1", "vmladav", "q0", "q6", "q7") RNNC_MVE_SUM("2", "vmladava",  \
                                                                              "q1", "q6", "q7") \
                      RNNC_MVE_SUM("3", "vmladava", "q2", "q6", "q7")                           \
                          RNNC_MVE_SUM("4", "vmladava", "q3", "q6", "q7")                       \
                              RNNC_MVE_SUM("5", "vmladava", "q4", "q6", "q7")                   \
                                  RNNC_MVE_SUM("6", "vmladava", "q5", "q6", "q7")               \
                                      RNNC_MVE_GET("7", get, "q6", a6)                          \
                                          RNNC_MVE_SUM("7", "vmladava", "q6", "q7", "q7")       \
                                              RNNC_MVE_GET("8", get, "q6", a7)                  \
                                                  RNNC_MVE_SUM("8", "vmladava", "q6", "q7", "q7"))

RNNC_KERNEL const int8_t *rnnc_mve_held_wide8(int32_t *acc, const int8_t *w, const int8_t *v,
                                              uint32_t n, uint32_t blocks)
{
    RNNC_MVE_HELD_WIDE_ROWS("vldrb.s16", "8", "16", "24", "32", "40", "48", "56");
    return w;
}

RNNC_KERNEL const int8_t *rnnc_mve_held_wide16(int32_t *acc, const int8_t *w, const int16_t *v,
                                               uint32_t n, uint32_t blocks)
{
    RNNC_MVE_HELD_WIDE_ROWS("vldrh.u16", "16", "32", "48", "64", "80", "96", "112");
    return w;
}

#endif
