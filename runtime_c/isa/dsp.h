/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_ISA_DSP_H
#define RNNC_ISA_DSP_H
/* Cortex-M4, M7, M33: the DSP extension.
 *
 * Four rows are a block. A halfword holds two of them, 256 * w[hi][c] + w[lo][c] (|w| <= 127: it fits), a word two columns:
 *     word 2 k of a block: rows 0 (hi) and 1 (lo), columns 2 k and 2 k + 1;  word 2 k + 1: rows 2 and 3
 * SMLALD of a word and two activations adds 256 * A_hi + A_lo in 64 bits, SMLAD of its SXTB16 adds A_lo alone, and
 * A_hi = (raw >> 8) - (A_lo >> 8): three instructions for four multiplications.
 *
 * Of wide rows a word is a row's weights of two columns, row by row: SMLAD adds both products.
 *
 * A prepared operand: [0] bytes to skip in the first turn of the unrolled loop less 2, [1] bytes of activations, then these, int16,
 * padded with zeros to a multiple of four. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define RNNC_GROUP 4
#define RNNC_CALL_ROWS 16
#define RNNC_LANES 1
#define RNNC_OPERAND_BYTES(columns, bits) (4 * (2 + ((columns) + 3) / 4 * 2))
#define RNNC_DSP_COL4_BYTES 56 /* of the code for four columns */

#if defined(__ARM_FEATURE_DSP) && defined(__thumb2__) && defined(__GNUC__) && \
    !defined(__ARM_BIG_ENDIAN)
#define RNNC_ALIGNED __attribute__((aligned(4)))

#ifndef RNNC_UNUSED
#define RNNC_UNUSED __attribute__((unused)) /* arguments of naked functions are in registers */
#endif

/* acc[0 .. 3] of one block; returns the address behind its weights.  Pushes 44 bytes.
 * r0:r1, r3:r4 raw sums; r2, r5 low sums; r6, r7 activations; r8 .. r11 weights; r12, lr their addresses. */
#define RNNC_DSP_PAIR(w, x, raw, high, low)                                                   \
    "smlald " raw ", " high ", " w ", " x "\n sxtb16 " w ", " w "\n smlad " low ", " w ", " x \
    ", " low "\n"
#define RNNC_DSP_COL4                                                                            \
    "ldmia r12!, {r6-r7}\n ldmia lr!, {r8-r11}\n" RNNC_DSP_PAIR("r8", "r6", "r0", "r1", "r2")    \
        RNNC_DSP_PAIR("r9", "r6", "r3", "r4", "r5") RNNC_DSP_PAIR("r10", "r7", "r0", "r1", "r2") \
            RNNC_DSP_PAIR("r11", "r7", "r3", "r4", "r5")
/* The sums cleared, then columns by fours, the first time from where r6 says. */
#define RNNC_DSP_CLEAR                                                            \
    " mov.w r0, #0\n mov.w r1, #0\n mov.w r2, #0\n mov.w r3, #0\n mov.w r4, #0\n" \
    " mov.w r5, #0\n add pc, r6\n"
#define RNNC_DSP_START RNNC_DSP_CLEAR "1:\n" RNNC_DSP_COL4 RNNC_DSP_COL4 RNNC_DSP_COL4 RNNC_DSP_COL4
/* Rows 0, 1, 2 and 3 in r0, r2, r3 and r5. */
#define RNNC_DSP_FINISH                                                      \
    " lsr.w r0, r0, #8\n orr r0, r0, r1, lsl #24\n sub r0, r0, r2, asr #8\n" \
    " lsr.w r3, r3, #8\n orr r3, r3, r4, lsl #24\n sub r3, r3, r5, asr #8\n"
__attribute__((naked, noinline, unused)) static const int8_t *
rnnc_dsp_block(RNNC_UNUSED int32_t *acc, RNNC_UNUSED const int8_t *w, RNNC_UNUSED const int32_t *v)
{
    __asm__ volatile(".syntax unified\n"
                     " push {r0, r4-r11, lr}\n"
                     " mov lr, r1\n"
                     " mov r12, r2\n"
                     " ldmia r12!, {r6, r8}\n"
                     " add r8, r8, r12\n"
                     " push {r8}\n" RNNC_DSP_START " ldr r8, [sp]\n"
                     " cmp r12, r8\n"
                     " bne.w 1b\n" RNNC_DSP_FINISH " ldr r12, [sp, #4]\n"
                     " stmia r12, {r0, r2, r3, r5}\n"
                     " mov r0, lr\n"
                     " add sp, #8\n"
                     " pop {r4-r11, pc}\n");
}

/* Of several blocks, one after the other: `rows` rows.  Pushes 56 bytes, of which the last 20 are, from sp on: where the sums go,
 * their end, the first activation, what to skip, the end of the activations.  Registers as above. */
__attribute__((naked, noinline, unused)) static const int8_t *
rnnc_dsp_blocks(RNNC_UNUSED int32_t *acc, RNNC_UNUSED const int8_t *w, RNNC_UNUSED const int32_t *v,
                RNNC_UNUSED uint32_t rows)
{
    __asm__ volatile(".syntax unified\n"
                     " push {r4-r11, lr}\n"
                     " mov lr, r1\n"
                     " add r1, r0, r3, lsl #2\n"
                     " ldmia r2!, {r6, r8}\n"
                     " add r8, r8, r2\n"
                     " push {r0, r1, r2, r6, r8}\n"
                     "0: ldrd r12, r6, [sp, #8]\n" RNNC_DSP_START " ldr r8, [sp, #16]\n"
                     " cmp r12, r8\n"
                     " bne.w 1b\n" RNNC_DSP_FINISH " ldrd r12, r8, [sp]\n"
                     " stmia r12!, {r0, r2, r3, r5}\n"
                     " cmp r12, r8\n"
                     " str r12, [sp]\n"
                     " bne.w 0b\n"
                     " mov r0, lr\n"
                     " add sp, #20\n"
                     " pop {r4-r11, pc}\n");
}

/* Of wide rows.  Pushes 36 bytes.  The loop has 16 columns, of 44 bytes of code for four, of which it passes over in the first
 * turn those that are not there.
 * r3, r10, r12, lr sums; r4, r5 activations; r6 .. r9 weights; r2, r1 their addresses; r11 the end; r0 acc. */
#define RNNC_DSP_WIDE(x)                                                                           \
    "ldmia r1!, {r6-r9}\n smlad r3, r6, " x ", r3\n smlad r10, r7, " x ", r10\n smlad r12, r8, " x \
    ", r12\n smlad lr, r9, " x ", lr\n"
#define RNNC_DSP_WIDE_COL4 "ldmia.w r2!, {r4-r5}\n" RNNC_DSP_WIDE("r4") RNNC_DSP_WIDE("r5")
__attribute__((naked, noinline, unused)) static const int8_t *
rnnc_dsp_wide(RNNC_UNUSED int32_t *acc, RNNC_UNUSED const int8_t *w, RNNC_UNUSED const int32_t *v)
{
    __asm__ volatile(
        ".syntax unified\n"
        " push {r4-r11, lr}\n"
        " ldmia r2!, {r6, r7}\n"
        " add r11, r7, r2\n"
        " rsb r7, r7, #0\n"
        " ubfx r7, r7, #3, #2\n" /* groups of 4 columns that are not there */
        " movs r6, #44\n"
        " mul r6, r6, r7\n"
        " mov.w r3, #0\n"
        " mov.w r10, #0\n"
        " mov.w r12, #0\n"
        " mov.w lr, #0\n"
        " add pc, r6\n"
        " nop\n"
        "1:\n" RNNC_DSP_WIDE_COL4 RNNC_DSP_WIDE_COL4 RNNC_DSP_WIDE_COL4 RNNC_DSP_WIDE_COL4
        " cmp r2, r11\n"
        " bne.w 1b\n"
        " stmia.w r0, {r3, r10, r12, lr}\n"
        " mov r0, r1\n"
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

/* (2^16 u 2 d + 2^31) >> 32, |u| < 2^15.  Saturated 2 d of d = 2^30 is 1 too small, and the result is the same: u / 2^16 < 1 / 2. */
#define RNNC_V_MUL15
static inline int32_t rnnc_v_mul15(int32_t u, int32_t d)
{
    int32_t y;
    __asm__("qadd %0, %1, %1" : "=r"(y) : "r"(d));
    __asm__("smmulr %0, %1, %2" : "=r"(y) : "r"(y), "r"((int32_t)((uint32_t)u << 16)));
    return y;
}

/* (u d + 2^14) >> 15 of the product in 64 bits. */
#define RNNC_MUL15
static inline int32_t rnnc_mul15(int32_t u, int32_t d)
{
    int32_t low, high;
    __asm__("smull %0, %1, %2, %3" : "=&r"(low), "=&r"(high) : "r"(u), "r"(d));
    __asm__("adds %0, #16384\n adc %1, %1, #0" : "+r"(low), "+r"(high) : : "cc");
    return (int32_t)((uint32_t)high << 17 | (uint32_t)low >> 15);
}

/* Saturation to int16, or to 17 bits, is an instruction; without it where the compiler knows that x fits. */
#define RNNC_CLIP
static inline __attribute__((always_inline)) int32_t rnnc_clip(int32_t x, int32_t lo, int32_t hi)
{
    if (__builtin_constant_p(lo) && __builtin_constant_p(hi) && hi == 65535 && lo >= -65536) {
        __asm__("ssat %0, #17, %0" : "+r"(x));
        if (lo == -hi) {
            x--;
            __asm__("ssat %0, #17, %0" : "+r"(x));
            return x + 1;
        }
        return x < lo ? lo : x;
    }
    if (__builtin_constant_p(lo) && __builtin_constant_p(hi) && hi == 32767 && lo >= -32768 &&
        (!__builtin_constant_p(x > 32767) || !__builtin_constant_p(x < -32768))) {
        __asm__("ssat %0, #16, %0" : "+r"(x));
        return x < lo ? lo : x;
    }
    if (__builtin_constant_p(lo) && __builtin_constant_p(hi) && hi == 1073741824 && lo == -hi) {
        int32_t y;
        __asm__("ssat %0, #31, %1\n cmp %1, #0x40000000\n it ge\n movge %0, #0x40000000"
                : "=&r"(y)
                : "r"(x)
                : "cc");
        return y;
    }
    return x < lo ? lo : x > hi ? hi : x;
}

/* Eight words at a time where both ends are words'. */
#define RNNC_COPY
static inline void rnnc_copy(void *to, const void *from, size_t bytes)
{
    if (bytes >= 64 && (((uintptr_t)to | (uintptr_t)from) & 3u) == 0) {
        size_t end = bytes / 32;
        __asm__ volatile("1: ldmia %1!, {r3-r6, r8, r10, r12, lr}\n"
                         " subs %2, #1\n"
                         " stmia %0!, {r3-r6, r8, r10, r12, lr}\n"
                         " bne 1b\n"
                         : "+r"(to), "+r"(from), "+r"(end)
                         :
                         : "r3", "r4", "r5", "r6", "r8", "r10", "r12", "lr", "cc", "memory");
        bytes %= 32;
    }
    memcpy(to, from, bytes);
}

#include "dsp_cells.h"
#else
#include "../rom.h"
#include "elsewhere.h"

/* The same packing, read by bytes. */
static inline int32_t rnnc_dsp_at(const int32_t *v, int32_t c)
{
    int32_t both = v[2 + c / 2];
    return c % 2 ? both >> 16 : (both & 65535) - 2 * (both & 32768);
}

static inline const int8_t *rnnc_dsp_block(int32_t *acc, const int8_t *w, const int32_t *v)
{
    int32_t c, columns = v[1] / 2;
    acc[0] = acc[1] = acc[2] = acc[3] = 0;
    for (c = 0; c < columns; c++) {
        int32_t x = rnnc_dsp_at(v, c);
        const int8_t *at = w + c / 2 * 8 + c % 2 * 2;
        acc[1] += at[0] * x;
        acc[0] += (at[1] + (at[0] < 0)) * x;
        acc[3] += at[4] * x;
        acc[2] += (at[5] + (at[4] < 0)) * x;
    }
    return w + columns * 4;
}

static inline const int8_t *rnnc_dsp_blocks(int32_t *acc, const int8_t *w, const int32_t *v,
                                            uint32_t rows)
{
    for (; rows; rows -= 4, acc += 4) {
        w = rnnc_dsp_block(acc, w, v);
    }
    return w;
}

static inline const int8_t *rnnc_dsp_wide(int32_t *acc, const int8_t *w, const int32_t *v)
{
    int32_t c, r, columns = v[1] / 2;
    acc[0] = acc[1] = acc[2] = acc[3] = 0;
    for (c = 0; c < columns; c += 2) {
        for (r = 0; r < 4; r++, w += 4) {
            acc[r] += rnnc_rom_wide(w) * rnnc_dsp_at(v, c);
            acc[r] += rnnc_rom_wide(w + 2) * rnnc_dsp_at(v, c + 1);
        }
    }
    return w;
}
#endif

static inline void rnnc_prepare(void *operand, const void *x, uint8_t bits, uint16_t columns)
{
    int32_t *v = (int32_t *)operand;
    uint16_t turns = (uint16_t)((columns + 3) / 4), j;
    v[0] = (int32_t)((4u - turns % 4u) % 4u * RNNC_DSP_COL4_BYTES) - 2;
    v[1] = turns * 8;
    v += 2;
    v[2 * turns - 1] = 0;
    v[2 * turns - 2] = 0;
    if (bits == 8) {
        const int8_t *p = (const int8_t *)x;
        for (j = 0; j + 1 < columns; j = (uint16_t)(j + 2), p += 2) {
            *v++ = (int32_t)(((uint32_t)p[1] << 16) | ((uint32_t)p[0] & 65535u));
        }
        if (j < columns) {
            *v = p[0] & 65535;
        }
    } else {
        const int16_t *p = (const int16_t *)x;
        for (j = 0; j + 1 < columns; j = (uint16_t)(j + 2), p += 2) {
            *v++ = (int32_t)(((uint32_t)p[1] << 16) | ((uint32_t)p[0] & 65535u));
        }
        if (j < columns) {
            *v = p[0] & 65535;
        }
    }
}

#ifdef __GNUC__
#define RNNC_DSP_IS_BLOCK(rows) (__builtin_constant_p(rows) && (rows) == 4)
#else
#define RNNC_DSP_IS_BLOCK(rows) 0
#endif

static inline const int8_t *rnnc_product(int32_t *acc, const int8_t *w, const void *v, uint8_t bits,
                                         uint16_t columns, uint16_t rows)
{
    (void)bits;
    (void)columns;
    return RNNC_DSP_IS_BLOCK(rows) ? rnnc_dsp_block(acc, w, (const int32_t *)v)
                                   : rnnc_dsp_blocks(acc, w, (const int32_t *)v, rows);
}

static inline const int8_t *rnnc_product_wide(int32_t *acc, const int8_t *w, const void *v,
                                              uint8_t bits, uint16_t columns, uint16_t rows)
{
    uint16_t r;
    (void)bits;
    (void)columns;
    for (r = 0; r < rows; r = (uint16_t)(r + 4)) {
        w = rnnc_dsp_wide(&acc[r], w, (const int32_t *)v);
    }
    return w;
}

#endif
