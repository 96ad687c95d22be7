/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_ISA_DSP_CELLS_H
#define RNNC_ISA_DSP_CELLS_H
/* The loops of lstm.h and gru.h over units for dsp.h: rows, rescaling and gates are one piece of assembly. Some are of int8 rows
 * alone, others of rows of both widths. */
#include <stdint.h>
#include <string.h>

#include "../fixed.h"
#include "dsp_curves.h"

/* Of the units that are left, as the assembly reads it. */
typedef struct {
    const int8_t *weights;   /* of each batch the rows over x, then over h */
    const int32_t *bias;     /* [batch][4][units of a batch] */
    const uint32_t *scale_x; /* [batch][rows of a unit][units of a batch], m << 16 | p */
    const uint32_t *scale_h; /* the same */
    uint32_t units;          /* at least 1 */
    int32_t *state;          /* [units]: the cell, LSB 2^-23, or h, LSB 2^-29 */
    int16_t *h;              /* [units], LSB 2^-15: the new one */
    const int32_t *sigmoid;  /* lines, at 0 */
    const uint16_t *slope;   /* at 0 */
    const int32_t *tanh;     /* lines, at 0 */
    const int32_t *vx, *vh;  /* operands */
} rnnc_dsp_frame;

/* The same with rows of both widths, of so many blocks a batch at most. */
#define RNNC_DSP_MIXED(blocks)                                                                 \
    struct {                                                                                   \
        rnnc_dsp_frame frame;                                                                  \
        int32_t skip[blocks][4];            /* what to skip over x and over h, then nothing */ \
        int32_t pre[(blocks) > 1 ? 16 : 1]; /* scratch: preactivations of a batch of units */  \
    }

/* clang-format off */
/* Begin, skip and end of the operands r4 and r5 to sp on. */
#define RNNC_DSP_OPERANDS \
    " ldmia r4!, {r6, r7}\n add r7, r7, r4\n strd r4, r6, [sp]\n str r7, [sp, #8]\n" \
    " ldmia r5!, {r6, r7}\n add r7, r7, r5\n strd r5, r6, [sp, #12]\n str r7, [sp, #20]\n"
/* Rows times the operand whose begin, skip and end are at sp + `at`. */
#define RNNC_DSP_ROWS(at, end) \
    " ldrd r12, r6, [sp, #" at "]\n" RNNC_DSP_START \
    " ldr r8, [sp, #" end "]\n cmp r12, r8\n bne.w 1b\n" RNNC_DSP_FINISH
/* Rows of either width times the operand at r12 that ends at sp + `end`: r6, from rnnc_dsp_skip, says where to begin. */
#define RNNC_DSP_WIDE2(x)                                                        \
    " ldmia.w lr!, {r8-r11}\n smlad r0, r8, " x ", r0\n smlad r2, r9, " x ", r2\n" \
    " smlad r3, r10, " x ", r3\n smlad r5, r11, " x ", r5\n"
#define RNNC_DSP_WIDE4 " ldmia.w r12!, {r6-r7}\n" RNNC_DSP_WIDE2("r6") RNNC_DSP_WIDE2("r7")
#define RNNC_DSP_EITHER(wide, narrow, done, end) \
    RNNC_DSP_CLEAR wide ":\n" RNNC_DSP_WIDE4 RNNC_DSP_WIDE4 RNNC_DSP_WIDE4 RNNC_DSP_WIDE4 \
    " ldr.w r8, [sp, #" end "]\n cmp r12, r8\n bne.w " wide "b\n b.w " done "f\n" narrow ":\n" \
    RNNC_DSP_COL4 RNNC_DSP_COL4 RNNC_DSP_COL4 RNNC_DSP_COL4 \
    " ldr r8, [sp, #" end "]\n cmp r12, r8\n bne.w " narrow "b\n" RNNC_DSP_FINISH done ":\n"
#define RNNC_DSP_WIDE_COL4_BYTES 44  /* of the code for four columns */
#define RNNC_DSP_WIDE_BYTES (4 * RNNC_DSP_WIDE_COL4_BYTES + 14) /* of the wide loop, which lies before the narrow one */
/* Constants of the four rows added to their sums. */
#define RNNC_DSP_ADD(a, b, c, d) \
    " add r0, r0, " a "\n add r2, r2, " b "\n add r3, r3, " c "\n add r5, r5, " d "\n"
/* (sum >> p) m of a row. */
#define RNNC_DSP_SCALED(sum, scale) \
    " asr " sum ", " sum ", " scale "\n lsr " scale ", " scale ", #16\n mul " sum ", " sum ", " scale "\n"
/* The same added to what is there. */
#define RNNC_DSP_SCALED_TO(sum, scale, x) \
    " asr " sum ", " sum ", " scale "\n lsr " scale ", " scale ", #16\n mla " sum ", " sum ", " scale ", " x "\n"
/* Of the four rows by r8 .. r11. */
#define RNNC_DSP_FOUR \
    RNNC_DSP_SCALED("r0", "r8") RNNC_DSP_SCALED("r2", "r9") \
    RNNC_DSP_SCALED("r3", "r10") RNNC_DSP_SCALED("r5", "r11")
#define RNNC_DSP_FOUR_TO(a, b, c, d) \
    RNNC_DSP_SCALED_TO("r0", "r8", a) RNNC_DSP_SCALED_TO("r2", "r9", b) \
    RNNC_DSP_SCALED_TO("r3", "r10", c) RNNC_DSP_SCALED_TO("r5", "r11", d)
/* Four rows over x, rescaled; bias and scale_x are at sp + `at`. */
#define RNNC_DSP_BIASED(at) \
    " ldrd r6, r7, [sp, #" at "]\n ldmia r6!, {r8-r11}\n" RNNC_DSP_ADD("r8", "r9", "r10", "r11") \
    " ldmia r7!, {r8-r11}\n strd r6, r7, [sp, #" at "]\n" RNNC_DSP_FOUR
#define RNNC_DSP_OVER_X RNNC_DSP_ROWS("0", "8") RNNC_DSP_BIASED("24")
/* Four rows over h, and their scales, from scale_h at sp + `at`. */
#define RNNC_DSP_SCALES(at) " ldr r7, [sp, #" at "]\n ldmia r7!, {r8-r11}\n str r7, [sp, #" at "]\n"
#define RNNC_DSP_OVER_H RNNC_DSP_ROWS("12", "20") RNNC_DSP_SCALES("32")
/* A look-up: `index` bits are below an interval's number, `rest` is what is left of p in 2^-RNNC_STEP of it; of |p| < 2^16 the
 * table has all intervals. */
#define RNNC_DSP_LOOK_UP(p, index, rest, line, shift) \
    " ssat r1, #17-" RNNC_DSP_STEP ", " p ", asr #" index "\n " rest "\n ldr r4, [" line ", r1, lsl #2]\n" \
    " ldrh r1, [r9, r1, lsl #1]\n mla " p ", " p ", r1, r4\n asr " p ", " p ", #" RNNC_DSP_STEP "+" shift "\n"
/* Of a preactivation before its shift by 8. */
#define RNNC_DSP_SIGMOID(p) \
    RNNC_DSP_LOOK_UP(p, "8+" RNNC_DSP_STEP, "ubfx " p ", " p ", #8, #" RNNC_DSP_STEP, "r8", "6")
/* Of a number with `bits` more fraction bits than 12. */
#define RNNC_DSP_TANH(p, bits) \
    RNNC_DSP_LOOK_UP(p, bits "-1+" RNNC_DSP_STEP, \
                     "ubfx " p ", " p ", #" bits ", #" RNNC_DSP_STEP "-1\n lsl " p ", " p ", #1", "r10", "5")
/* i, f, o in r0, r3, `out`; g in r5: by instructions that fetch i and g, f, and o. */
#define RNNC_DSP_LSTM_GATES(fetch_ig, fetch_f, fetch_o, out) \
    fetch_ig RNNC_DSP_SIGMOID("r0") RNNC_DSP_TANH("r5", "8") \
    " mul r0, r0, r5\n add r0, r0, #64\n" \
    fetch_f RNNC_DSP_SIGMOID("r3") \
    " ldr r4, [r6]\n smull r1, r5, r3, r4\n adds r1, r1, #16384\n adc r5, r5, #0\n" \
    " lsr r1, r1, #15\n orr r1, r1, r5, lsl #17\n add r1, r1, r0, asr #7\n" \
    " ssat r11, #31, r1\n cmp r1, #0x40000000\n it ge\n movge r11, #0x40000000\n str r11, [r6], #4\n" \
    fetch_o RNNC_DSP_SIGMOID(out) \
    " add r11, r11, #1024\n" RNNC_DSP_TANH("r11", "11") \
    " mul " out ", " out ", r11\n add " out ", " out ", #16384\n asr " out ", " out ", #15\n strh " out ", [r7], #2\n"
/* r; n over h within +-65535, less 1; the candidate; z; (z - 1) (state - candidate), whose factor is below 2^30. */
#define RNNC_DSP_GRU_GATES \
    " ldr r0, [r12, #16]\n" RNNC_DSP_SIGMOID("r0") \
    " ldr r3, [r12, #48]\n ssat r3, #17, r3, asr #8\n sub r3, r3, #1\n ssat r3, #17, r3\n" \
    " add r1, r0, #16384\n mla r3, r3, r0, r1\n asr r3, r3, #15\n" \
    " ldr r5, [r12, #32]\n add r5, r3, r5, asr #8\n" RNNC_DSP_TANH("r5", "0") \
    " ldr r0, [r12], #4\n" RNNC_DSP_SIGMOID("r0") \
    " ldr r4, [r6]\n sub r5, r4, r5, lsl #14\n lsl r5, r5, #1\n" \
    " sub r0, r0, #32768\n lsl r0, r0, #16\n smmulr r0, r0, r5\n add r0, r0, r4\n str r0, [r6], #4\n" \
    " add r0, r0, #8192\n asr r0, r0, #14\n strh r0, [r7], #2\n"
/* Of a unit at a time: the loop over units, whose operands are laid out by `operands`. */
#define RNNC_DSP_LSTM(operands, over_x, over_h) \
    ".syntax unified\n push {r4-r11, lr}\n sub sp, #76\n" \
    " ldmia r0!, {r1-r7}\n mov lr, r1\n strd r2, r3, [sp, #24]\n strd r4, r5, [sp, #32]\n strd r6, r7, [sp, #40]\n" \
    " ldmia r0, {r1-r5}\n strd r1, r2, [sp, #64]\n str r3, [sp, #72]\n" operands \
    "0:\n" over_x " strd r0, r2, [sp, #48]\n strd r3, r5, [sp, #56]\n" \
    over_h " ldrd r1, r4, [sp, #48]\n ldrd r6, r7, [sp, #56]\n" RNNC_DSP_FOUR_TO("r1", "r4", "r6", "r7") \
    " ldrd r8, r9, [sp, #64]\n ldr r10, [sp, #72]\n ldrd r6, r7, [sp, #40]\n" RNNC_DSP_LSTM_GATES("", "", "", "r2") \
    " strd r6, r7, [sp, #40]\n ldr r0, [sp, #36]\n subs r0, r0, #1\n str r0, [sp, #36]\n bne.w 0b\n" \
    " add sp, #76\n pop {r4-r11, pc}\n"
/* What to skip over x and h of the one block of a unit. */
#define RNNC_DSP_SKIPS " ldrd r6, r7, [r0, #20]\n str r6, [sp, #4]\n str r7, [sp, #16]\n"

/* Of a batch of units at a time, with all and the last of the blocks over h that go to the same preactivations as those over x at so
 * many bytes of these. The frame, see rnnc_dsp_lstm_twos; the blocks over x; those over h, with place and scales in r6 to r11. */
#define RNNC_DSP_MIXED_BEGIN(all, last) \
    ".syntax unified\n push {r4-r11, lr}\n sub sp, #68\n" \
    " ldmia r0!, {r1-r10}\n mov lr, r1\n strd r2, r3, [sp, #32]\n add r1, sp, #44\n stmia r1, {r5-r10}\n" \
    " ldmia r0!, {r2, r5}\n ldmia r2!, {r6, r7}\n add r7, r7, r2\n ldmia r5!, {r6, r8}\n add r8, r8, r5\n" \
    " add r3, r0, #64\n add r6, r3, #" all "\n strd r2, r3, [sp]\n strd r6, r7, [sp, #8]\n" \
    " strd r5, r3, [sp, #16]\n strd r4, r8, [sp, #24]\n" last
#define RNNC_DSP_MIXED_X \
    "0: ldrd r12, r4, [sp]\n ldr r6, [r4, #-64]\n" RNNC_DSP_EITHER("11", "12", "13", "12") RNNC_DSP_BIASED("32") \
    " ldrd r6, r7, [sp, #4]\n stmia r6!, {r0, r2, r3, r5}\n str r6, [sp, #4]\n cmp r6, r7\n bne.w 0b\n"
#define RNNC_DSP_MIXED_H \
    "3: ldrd r12, r4, [sp, #16]\n ldr r6, [r4, #-60]\n" RNNC_DSP_EITHER("14", "15", "16", "28") \
    " ldrd r6, r7, [sp, #20]\n ldmia r7!, {r8-r11}\n"
#define RNNC_DSP_MIXED_TO \
    " add r6, r6, #16\n strd r6, r7, [sp, #20]\n ldmdb r6, {r1, r4, r7, r12}\n" \
    RNNC_DSP_FOUR_TO("r1", "r4", "r7", "r12") " stmdb r6, {r0, r2, r3, r5}\n"
/* State, h and tables; the end of the preactivations of a batch of `units` units, or of those that are left. r12 is their begin,
 * with which the next batch begins again. */
#define RNNC_DSP_MIXED_UNITS(units, bytes) \
    " str r12, [sp, #4]\n str r12, [sp, #20]\n add r1, sp, #44\n ldmia r1, {r5-r10}\n" \
    " subs r5, r5, #" units "\n str r5, [sp, #44]\n add r2, r12, #" bytes "\n blt.w 6f\n5:\n"
#define RNNC_DSP_MIXED_END \
    " cmp r12, r2\n bne.w 5b\n strd r6, r7, [sp, #48]\n ldr r0, [sp, #44]\n cmp r0, #0\n bgt.w 0b\n" \
    " add sp, #68\n pop {r4-r11, pc}\n6: add r2, r2, r5, lsl #2\n b.w 5b\n"
/* An LSTM of `units` units a batch; `o`, `f`, `g`: the places of their preactivations behind i's, less 4. */
#define RNNC_DSP_LSTM_MIXED(units, bytes, all, o, f, g) \
    RNNC_DSP_MIXED_BEGIN(all, "") RNNC_DSP_MIXED_X RNNC_DSP_MIXED_H RNNC_DSP_MIXED_TO \
    " ldr r7, [sp, #8]\n cmp r6, r7\n bne.w 3b\n sub r12, r6, #" all "\n" RNNC_DSP_MIXED_UNITS(units, bytes) \
    RNNC_DSP_LSTM_GATES(" ldr r0, [r12], #4\n ldr r5, [r12, #" g "]\n", " ldr r3, [r12, #" f "]\n", " ldr r3, [r12, #" o "]\n", "r3") \
    RNNC_DSP_MIXED_END
/* clang-format on */

/* Pushes 112 bytes, of which the last 76 are, from sp on: begin, skip and end of x; the same of h; bias, scale_x, scale_h; units;
 * state, h; what is over x, i o f g; sigmoid, slope, tanh. lr weights.
 * Sums and preactivations i o f g in r0 r2 r3 r5; then r1 r4 r11 scratch, r6 r7 state and h, r8 r9 r10 tables. */
__attribute__((naked, noinline, unused)) static void
rnnc_dsp_lstm_units(RNNC_UNUSED const rnnc_dsp_frame *frame)
{
    __asm__ volatile(RNNC_DSP_LSTM(RNNC_DSP_OPERANDS, RNNC_DSP_OVER_X, RNNC_DSP_OVER_H));
}

/* The same of an RNNC_DSP_MIXED whose rows over an operand are of one width. */
__attribute__((naked, noinline, unused)) static void
rnnc_dsp_lstm_ones(RNNC_UNUSED const rnnc_dsp_frame *frame)
{
    __asm__ volatile(RNNC_DSP_LSTM(
        RNNC_DSP_OPERANDS RNNC_DSP_SKIPS,
        " ldrd r12, r6, [sp]\n" RNNC_DSP_EITHER("11", "12", "13", "8") RNNC_DSP_BIASED("24"),
        " ldrd r12, r6, [sp, #12]\n" RNNC_DSP_EITHER("14", "15", "16", "20")
            RNNC_DSP_SCALES("32")));
}

/* Of an RNNC_DSP_MIXED. Pushes 104 bytes, of which the last 68 are, from sp on: begin of x, place and end of preactivations, end
 * of x; begin of h, place of preactivations, scale_h, end of h; bias, scale_x; where a GRU's n over h lies, less 16; units; state,
 * h; sigmoid, slope, tanh. lr weights.
 * Sums of a block in r0 r2 r3 r5; in the loop over units r0 r1 r3 r4 r5 r11 scratch, r2 r12 end and place of preactivations, r6 r7
 * state and h, r8 r9 r10 tables. */
__attribute__((naked, noinline, unused)) static void
rnnc_dsp_lstm_twos(RNNC_UNUSED const rnnc_dsp_frame *frame)
{
    __asm__ volatile(RNNC_DSP_LSTM_MIXED("2", "8", "32", "4", "12", "20"));
}

/* The same of batches of four units. */
__attribute__((naked, noinline, unused)) static void
rnnc_dsp_lstm_fours(RNNC_UNUSED const rnnc_dsp_frame *frame)
{
    __asm__ volatile(RNNC_DSP_LSTM_MIXED("4", "16", "64", "12", "28", "44"));
}

/* The same of a GRU; n over h lies behind the preactivations. */
__attribute__((naked, noinline, unused)) static void
rnnc_dsp_gru_fours(RNNC_UNUSED const rnnc_dsp_frame *frame)
{
    __asm__ volatile(RNNC_DSP_MIXED_BEGIN("48", " add r6, r3, #32\n str r6, [sp, #40]\n")
                         RNNC_DSP_MIXED_X RNNC_DSP_MIXED_H
                     " ldr r1, [sp, #40]\n cmp r6, r1\n beq 4f\n" RNNC_DSP_MIXED_TO " b.w 3b\n"
                     "4: str r7, [sp, #24]\n ldr r6, [sp, #32]\n ldmia r6!, {r1, r4, r7, r12}\n "
                     "str r6, [sp, #32]\n" RNNC_DSP_ADD("r1", "r4", "r7", "r12") RNNC_DSP_FOUR
                     " ldr r12, [sp, #20]\n add r6, r12, #16\n stmia r6, {r0, r2, r3, r5}\n sub "
                     "r12, r12, #32\n" RNNC_DSP_MIXED_UNITS("4", "16")
                         RNNC_DSP_GRU_GATES RNNC_DSP_MIXED_END);
}

/* Pushes 164 bytes, of which the last 128 are, from sp on: begin, skip and end of x; the same of h; bias, scale_x, scale_h; units;
 * state, h; sigmoid, slope, tanh; where preactivations go; those of z, r and n of four units, [64 .. 111]; n over h, [112 .. 127].
 * lr weights. Sums of a row's four units in r0 r2 r3 r5; in the loop over units r0 r1 r3 r4 r5 scratch, r2 r12 end and place of
 * preactivations, r6 r7 state and h, r8 r9 r10 tables. */
__attribute__((naked, noinline, unused)) static void
rnnc_dsp_gru_units(RNNC_UNUSED const rnnc_dsp_frame *frame)
{
    __asm__ volatile(
        ".syntax unified\n"
        " push {r4-r11, lr}\n"
        " sub sp, #128\n"
        " ldmia r0!, {r1-r7}\n"
        " mov lr, r1\n"
        " strd r2, r3, [sp, #24]\n"
        " strd r4, r5, [sp, #32]\n"
        " strd r6, r7, [sp, #40]\n"
        " ldmia r0, {r1-r5}\n"
        " strd r1, r2, [sp, #48]\n"
        " str r3, [sp, #56]\n" RNNC_DSP_OPERANDS "0: add r0, sp, #64\n"
        " str r0, [sp, #60]\n"
        "2:\n" RNNC_DSP_OVER_X " ldr r6, [sp, #60]\n"
        " stmia r6!, {r0, r2, r3, r5}\n"
        " str r6, [sp, #60]\n"
        " add r7, sp, #112\n"
        " cmp r6, r7\n"
        " bne.w 2b\n"
        " add r0, sp, #64\n"
        " str r0, [sp, #60]\n"
        "3:\n" RNNC_DSP_OVER_H " ldr r6, [sp, #60]\n"
        " add r7, sp, #96\n"
        " cmp r6, r7\n"
        " beq 4f\n"
        " ldmia r6, {r1, r4, r7, r12}\n" RNNC_DSP_FOUR_TO(
            "r1", "r4", "r7", "r12") " stmia r6!, {r0, r2, r3, r5}\n"
                                     " str r6, [sp, #60]\n"
                                     " b.w 3b\n"
                                     "4: ldr r6, [sp, #24]\n"
                                     " ldmia r6!, {r1, r4, r7, r12}\n"
                                     " str r6, [sp, #24]\n" RNNC_DSP_ADD("r1", "r4", "r7", "r12")
                                         RNNC_DSP_FOUR
        " add r6, sp, #112\n stmia r6, {r0, r2, r3, r5}\n"
        " ldrd r8, r9, [sp, #48]\n ldr r10, [sp, #56]\n ldrd r6, r7, [sp, #40]\n"
        " ldr r1, [sp, #36]\n mov r0, r1\n cmp r0, #4\n it hs\n movhs r0, #4\n"
        " sub r1, r1, r0\n str r1, [sp, #36]\n add r12, sp, #64\n add r2, r12, r0, lsl #2\n"
        "5:\n" RNNC_DSP_GRU_GATES " cmp r12, r2\n"
        " bne.w 5b\n"
        " strd r6, r7, [sp, #40]\n"
        " ldr r0, [sp, #36]\n"
        " cmp r0, #0\n"
        " bne.w 0b\n"
        " add sp, #128\n pop {r4-r11, pc}\n");
}

#define RNNC_DSP_NARROW 8 /* units whose h is made int8 together: whole batches */

/* All units, of so many rows each; rows_x and rows_h count those of int16 twice. An h of 8 bits is made of an int16 one. out: [units], or 0. */
static inline __attribute__((always_inline)) void
rnnc_dsp_cell(rnnc_dsp_frame *frame, void (*run)(const rnnc_dsp_frame *), uint16_t rows_x,
              uint16_t rows_h, uint16_t rows, void *h, uint8_t bits, int16_t *out)
{
    uint16_t u, units = (uint16_t)frame->units;
    if (bits == 16) {
        frame->h = (int16_t *)h;
        run(frame);
        if (out) {
            rnnc_copy(out, h, units * sizeof *out);
        }
        return;
    }
    for (u = 0; u < units; u = (uint16_t)(u + RNNC_DSP_NARROW)) {
        int16_t narrow[RNNC_DSP_NARROW];
        uint16_t left = (uint16_t)(units - u), n = left < RNNC_DSP_NARROW ? left : RNNC_DSP_NARROW;
        frame->h = narrow;
        frame->units = n;
        run(frame);
        rnnc_put_units(h, bits, out, u, narrow, n);
        /* a byte a row and column; an operand has 2 a column */
        frame->weights += RNNC_DSP_NARROW / 2 * (rows_x * frame->vx[1] + rows_h * frame->vh[1]);
        frame->bias += 4 * RNNC_DSP_NARROW;
        frame->scale_x += rows * RNNC_DSP_NARROW;
        frame->scale_h += rows * RNNC_DSP_NARROW;
        frame->state += RNNC_DSP_NARROW;
    }
}

#define RNNC_DSP_CELL(run, rows, p, x, hidden, kept, operand_x, operand_h, out)               \
    do {                                                                                      \
        rnnc_dsp_frame frame_ = {                                                             \
            (p)->weights,      (p)->bias,  (p)->scale_x,   (p)->scale_h, (p)->units, kept, 0, \
            rnnc_sigmoid_line, rnnc_slope, rnnc_tanh_line, operand_x,    operand_h};          \
        rnnc_prepare(operand_x, x, (p)->x_bits, (p)->columns);                                \
        rnnc_prepare(operand_h, hidden, (p)->h_bits, (p)->units);                             \
        rnnc_dsp_cell(&frame_, run, rows, rows, rows, hidden, (p)->h_bits, out);              \
    } while (0)

/* Bytes to skip from the begin of RNNC_DSP_EITHER, less 2. */
static inline __attribute__((always_inline)) int32_t rnnc_dsp_skip(const int32_t *v, uint32_t wide)
{
    return wide ? (int32_t)((0u - (uint32_t)v[1]) >> 3 & 3u) * RNNC_DSP_WIDE_COL4_BYTES - 2
                : v[0] + RNNC_DSP_WIDE_BYTES;
}

/* Of a block of four rows, from row `first` of a unit on; bit r of wide_x, wide_h: its row r has int16 weights. */
static inline __attribute__((always_inline)) void rnnc_dsp_skips(int32_t *skip,
                                                                 const rnnc_dsp_frame *frame,
                                                                 uint32_t first, uint32_t wide_x,
                                                                 uint32_t wide_h)
{
    skip[0] = rnnc_dsp_skip(frame->vx, wide_x >> first & 1u);
    skip[1] = rnnc_dsp_skip(frame->vh, wide_h >> first & 1u);
}

/* How many of a unit's rows, those of int16 twice. */
#define RNNC_DSP_BYTES(rows, wide) \
    ((uint16_t)((rows) + ((wide) & 1) + ((wide) >> 1 & 1) + ((wide) >> 2 & 1) + ((wide) >> 3 & 1)))
#define RNNC_DSP_MIXED_CELL(run, rows, p, x, hidden, kept, operand_x, operand_h, out, batch,     \
                            wide_x, wide_h)                                                      \
    do {                                                                                         \
        RNNC_DSP_MIXED((batch) == 1 ? 1 : 4) mixed_;                                             \
        mixed_.frame = (rnnc_dsp_frame){                                                         \
            (p)->weights,      (p)->bias,  (p)->scale_x,   (p)->scale_h, (p)->units, kept, 0,    \
            rnnc_sigmoid_line, rnnc_slope, rnnc_tanh_line, operand_x,    operand_h};             \
        rnnc_prepare(operand_x, x, (p)->x_bits, (p)->columns);                                   \
        rnnc_prepare(operand_h, hidden, (p)->h_bits, (p)->units);                                \
        rnnc_dsp_skips(mixed_.skip[0], &mixed_.frame, 0, wide_x, wide_h);                        \
        if ((batch) == 2) {                                                                      \
            rnnc_dsp_skips(mixed_.skip[(batch) == 1 ? 0 : 1], &mixed_.frame, 2, wide_x, wide_h); \
        } else if ((batch) == 4) {                                                               \
            rnnc_dsp_skips(mixed_.skip[(batch) == 1 ? 0 : 1], &mixed_.frame, 1, wide_x, wide_h); \
            rnnc_dsp_skips(mixed_.skip[(batch) == 1 ? 0 : 2], &mixed_.frame, 2, wide_x, wide_h); \
            rnnc_dsp_skips(mixed_.skip[(batch) == 1 ? 0 : 3], &mixed_.frame, 3, wide_x, wide_h); \
        }                                                                                        \
        rnnc_dsp_cell(&mixed_.frame, run, RNNC_DSP_BYTES(rows, wide_x),                          \
                      RNNC_DSP_BYTES(rows, wide_h), rows, hidden, (p)->h_bits, out);             \
    } while (0)
#define RNNC_LSTM_WIDE(p, x, h, c, vx, vh, out, batch, wide_x, wide_h) \
    RNNC_DSP_MIXED_CELL((batch) == 1   ? rnnc_dsp_lstm_ones            \
                        : (batch) == 2 ? rnnc_dsp_lstm_twos            \
                                       : rnnc_dsp_lstm_fours,          \
                        4, p, x, h, c, vx, vh, out, batch, wide_x, wide_h)
#define RNNC_GRU_WIDE(p, x, h, s, vx, vh, out, batch, wide_x, wide_h) \
    RNNC_DSP_MIXED_CELL(rnnc_dsp_gru_fours, 3, p, x, h, s, vx, vh, out, batch, wide_x, wide_h)
#define rnnc_lstm(p, x, h, c, vx, vh, out) \
    RNNC_DSP_CELL(rnnc_dsp_lstm_units, 4, p, x, h, c, vx, vh, out)
#define rnnc_gru_after(p, x, h, s, vx, vh, out, activation)                \
    do {                                                                   \
        if ((activation) == 0) { /* RNNC_TANH */                           \
            RNNC_DSP_CELL(rnnc_dsp_gru_units, 3, p, x, h, s, vx, vh, out); \
        } else {                                                           \
            rnnc_gru_after_generic(p, x, h, s, vx, vh, out, activation);   \
        }                                                                  \
    } while (0)

#endif
