/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_ISA_DSP_LSTM_H
#define RNNC_ISA_DSP_LSTM_H
/* The loop of lstm.h over units for dsp.h, of int8 rows alone: sums, preactivations and gates of a unit stay in registers. */
#include <stdint.h>
#include <string.h>

#include "../fixed.h"
#include "dsp_curves.h"

/* Of the units that are left, as the assembly reads it. */
typedef struct {
    const int8_t *weights;         /* [units] rows i o f g over x, then over h */
    const int32_t *bias;           /* [units][4] */
    const uint32_t *scale_x;       /* [units][4], m << 16 | p */
    const uint32_t *scale_h;       /* the same */
    uint32_t units;                /* at least 1 */
    int32_t *cell;                 /* [units], LSB 2^-23 */
    int16_t *h;                    /* [units], LSB 2^-15: the new one */
    const int32_t *sigmoid, *tanh; /* lines, at 0 */
    const uint16_t *slope;         /* at 0 */
    const int32_t *vx, *vh;        /* operands */
} rnnc_dsp_lstm_frame;

/* Rows times the operand whose begin, skip and end are at sp + `at`. */
#define RNNC_DSP_ROWS(at, end)                                            \
    " ldrd r12, r6, [sp, #" at "]\n" RNNC_DSP_START " ldr r8, [sp, #" end \
    "]\n cmp r12, r8\n bne.w 1b\n" RNNC_DSP_FINISH
/* (sum >> p) m of a row, added to what is there. */
#define RNNC_DSP_SCALED(sum, scale) \
    " asr " sum ", " sum ", " scale "\n lsr " scale ", " scale ", #16\n"
#define RNNC_DSP_OVER_X(sum, scale) RNNC_DSP_SCALED(sum, scale) " mul " sum ", " sum ", " scale "\n"
#define RNNC_DSP_OVER_H(sum, scale, x) \
    RNNC_DSP_SCALED(sum, scale) " mla " sum ", " sum ", " scale ", " x "\n"
/* A look-up at 2^-8 of p: `index` bits are below an interval's number, `rest` is what is left of p. */
#define RNNC_DSP_LOOK_UP(p, index, rest, line, shift)                                      \
    " ssat r1, #9, " p ", asr #" index "\n " rest "\n ldr r4, [" line                      \
    ", r1, lsl #2]\n ldrh r1, [r9, r1, lsl #1]\n mla " p ", " p ", r1, r4\n asr " p ", " p \
    ", #" shift "\n"
#define RNNC_DSP_SIGMOID(p) RNNC_DSP_LOOK_UP(p, "16", "ubfx " p ", " p ", #8, #8", "r8", "14")

/* Pushes 112 bytes, of which the last 76 are, from sp on: begin, skip and end of x; the same of h; bias, scale_x, scale_h; units;
 * cell, h; what is over x, i o f g; sigmoid, slope, tanh. lr weights.
 * Sums and preactivations i o f g in r0 r2 r3 r5; then r1 r4 r11 scratch, r6 r7 cell and h, r8 r9 r10 tables. */
__attribute__((naked, noinline, unused)) static void
rnnc_dsp_lstm_units(RNNC_UNUSED const rnnc_dsp_lstm_frame *frame)
{
    __asm__ volatile(
        ".syntax unified\n"
        " push {r4-r11, lr}\n"
        " sub sp, #76\n"
        " ldmia r0!, {r1-r7}\n"
        " mov lr, r1\n"
        " strd r2, r3, [sp, #24]\n strd r4, r5, [sp, #32]\n strd r6, r7, [sp, #40]\n"
        " ldmia r0, {r1-r5}\n"
        " strd r1, r3, [sp, #64]\n str r2, [sp, #72]\n"
        " ldmia r4!, {r6, r7}\n add r7, r7, r4\n strd r4, r6, [sp]\n str r7, [sp, #8]\n"
        " ldmia r5!, {r6, r7}\n add r7, r7, r5\n strd r5, r6, [sp, #12]\n str r7, [sp, #20]\n"
        "0:\n" RNNC_DSP_ROWS(
            "0",
            "8") " ldrd r6, r7, [sp, #24]\n ldmia r6!, {r8-r11}\n"
                 " add r0, r0, r8\n add r2, r2, r9\n add r3, r3, r10\n add r5, r5, r11\n"
                 " ldmia r7!, {r8-r11}\n strd r6, r7, [sp, #24]\n" RNNC_DSP_OVER_X(
                     "r0", "r8") RNNC_DSP_OVER_X("r2", "r9") RNNC_DSP_OVER_X("r3", "r10")
                     RNNC_DSP_OVER_X("r5", "r11") " strd r0, r2, [sp, #48]\n strd r3, r5, [sp, "
                                                  "#56]\n" RNNC_DSP_ROWS(
                                                      "12",
                                                      "20") " ldr r7, [sp, #32]\n ldmia r7!, "
                                                            "{r8-r11}\n str r7, [sp, #32]\n"
                                                            " ldrd r1, r4, [sp, #48]\n ldrd r6, "
                                                            "r7, [sp, #56]\n" RNNC_DSP_OVER_H(
                                                                "r0", "r8",
                                                                "r1") RNNC_DSP_OVER_H("r2", "r9",
                                                                                      "r4")
                                                                RNNC_DSP_OVER_H("r3", "r10", "r6")
                                                                    RNNC_DSP_OVER_H(
                                                                        "r5", "r11",
                                                                        "r7") " ldrd r8, r9, [sp, "
                                                                              "#64]\n ldr r10, "
                                                                              "[sp, #72]\n ldrd "
                                                                              "r6, r7, [sp, "
                                                                              "#40]"
                                                                              "\n" RNNC_DSP_SIGMOID("r0")
                                                                                  RNNC_DSP_LOOK_UP(
                                                                                      "r5", "15",
                                                                                      "ubfx r5, "
                                                                                      "r5, #8, "
                                                                                      "#7\n lsl "
                                                                                      "r5, r5, #1",
                                                                                      "r10",
                                                                                      "13") " mul "
                                                                                            "r0, "
                                                                                            "r0, "
                                                                                            "r5\n "
                                                                                            "add "
                                                                                            "r0, "
                                                                                            "r0, "
                                                                                            "#64\n" /* i g, |i g| <= 2^30 */
        RNNC_DSP_SIGMOID(
            "r3") " ldr r4, [r6]\n smull r1, r5, r3, r4\n" /* f c */
                  " adds r1, r1, #16384\n adc r5, r5, #0\n"
                  " lsr r1, r1, #15\n orr r1, r1, r5, lsl #17\n"
                  " add r1, r1, r0, asr #7\n"
                  " ssat r11, #31, r1\n cmp r1, #0x40000000\n it ge\n movge r11, #0x40000000\n"
                  " str r11, [r6], #4\n" /* the cell, within +-2^30 */
        RNNC_DSP_SIGMOID("r2") " add r11, r11, #1024\n" RNNC_DSP_LOOK_UP(
            "r11", "18", "ubfx r11, r11, #11, #7\n lsl r11, r11, #1", "r10",
            "13") " mul r2, r2, r11\n add r2, r2, #16384\n asr r2, r2, #15\n"
                  " strh r2, [r7], #2\n strd r6, r7, [sp, #40]\n"
                  " ldr r0, [sp, #36]\n subs r0, r0, #1\n str r0, [sp, #36]\n bne.w 0b\n"
                  " add sp, #76\n pop {r4-r11, pc}\n");
}

/* All units. An h of 8 bits is made of an int16 one. out: [units], or 0. */
static inline void rnnc_dsp_lstm(rnnc_dsp_lstm_frame *frame, void *h, uint8_t bits, int16_t *out)
{
    uint16_t u, units = (uint16_t)frame->units;
    if (bits == 16) {
        frame->h = (int16_t *)h;
        rnnc_dsp_lstm_units(frame);
        if (out) {
            memcpy(out, h, units * sizeof *out);
        }
        return;
    }
    frame->units = 1;
    for (u = 0; u < units; u++) {
        int16_t value;
        frame->h = &value;
        rnnc_dsp_lstm_units(frame);
        rnnc_put_units(h, bits, out, u, &value, 1);
        frame->weights +=
            2 * (frame->vx[1] + frame->vh[1]); /* 4 rows; an operand has 2 bytes a column */
        frame->bias += 4;
        frame->scale_x += 4;
        frame->scale_h += 4;
        frame->cell++;
    }
}

#define RNNC_LSTM
#define rnnc_lstm(p, x, state, c, operand_x, operand_h, out)                                 \
    do {                                                                                     \
        rnnc_dsp_lstm_frame frame_ = {                                                       \
            (p)->weights,      (p)->bias,      (p)->scale_x, (p)->scale_h, (p)->units, c, 0, \
            rnnc_sigmoid_line, rnnc_tanh_line, rnnc_slope,   operand_x,    operand_h};       \
        rnnc_prepare(operand_x, x, (p)->x_bits, (p)->columns);                               \
        rnnc_prepare(operand_h, state, (p)->h_bits, (p)->units);                             \
        rnnc_dsp_lstm(&frame_, state, (p)->h_bits, out);                                     \
    } while (0)

#endif
