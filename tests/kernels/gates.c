/* SPDX-License-Identifier: 0BSD */
/* The cells of an instruction set against those of portable C, on random rows; returns how many batches differ, and says
 * of which cell and in which of its gates. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include GATES
#include "gru.h"
#include "lstm.h"

static uint32_t seed = 1;

static uint32_t draw(void)
{
    seed = seed * 1664525u + 1013904223u;
    return seed >> 8;
}

/* |x| < 2^bits, often small. */
static int32_t number(uint32_t bits)
{
    int32_t x = (int32_t)(((draw() << 12) ^ draw()) & ((1u << (1 + draw() % bits)) - 1u));
    return draw() % 2 ? x : -x;
}

static int32_t bias[4 * LANES], ax[4 * LANES], ah[4 * LANES];
static uint32_t scale_x[4 * LANES], scale_h[4 * LANES];

/* Products below 2^30, so that the sum of both fits 31 bits. */
static void rows(void)
{
    int i;
    for (i = 0; i < 4 * LANES; i++) {
        uint32_t px = draw() % 9, ph = draw() % 9;
        scale_x[i] = (128u + draw() % 128u) << 16 | px;
        scale_h[i] = (128u + draw() % 128u) << 16 | ph;
        ax[i] = number(20 + px);
        ah[i] = number(20 + ph);
        bias[i] = number(i < 3 * LANES ? 20 + px : 20); /* a GRU's last is scaled as another row */
    }
}

enum { FULL = 1 << 20, SOME = 1 << 12, ONE = 1 << 30, TOLD = 8 };

/* Makes the x part of a gate's rows, or its h part with the bias at [at], the number b times half. */
static void fix(int32_t *sum, uint32_t *scale, int gate, int at, int32_t b)
{
    int k;
    for (k = 0; k < LANES; k++) {
        sum[gate * LANES + k] = 0;
        bias[at * LANES + k] = b;
        scale[gate * LANES + k] = 128u << 16;
    }
}

/* Makes the whole of a gate that: FULL and -FULL saturate it. */
static void force(int gate, int32_t b)
{
    int k;
    fix(ax, scale_x, gate, gate, b);
    for (k = 0; k < LANES; k++) {
        ah[gate * LANES + k] = 0;
    }
}

/* Both from the same state; whether the states, or what comes out as h, differ. */
static int differ(int gru, int32_t *from, uint16_t n, uint8_t activation, int h_alone)
{
    int32_t state[2][LANES];
    int16_t h[2][LANES];
    memset(h, 0, sizeof h);
    memcpy(state[0], from, sizeof state[0]);
    memcpy(state[1], from, sizeof state[1]);
    if (gru) {
        rnnc_gru_units(bias, scale_x, scale_h, ax, ah, state[0], h[0], LANES, n, activation);
        rnnc_gru_each(bias, scale_x, scale_h, ax, ah, state[1], h[1], LANES, n, activation);
    } else {
        rnnc_lstm_units(bias, scale_x, scale_h, ax, ah, state[0], h[0], LANES, n);
        rnnc_lstm_each(bias, scale_x, scale_h, ax, ah, state[1], h[1], LANES, n);
    }
    return h_alone ? memcmp(h[0], h[1], sizeof h[0]) != 0
                   : memcmp(state[0], state[1], sizeof state[0]) != 0;
}

/* Lets one gate alone pass through to the state, or to h; whether it differs. */
static int lstm_gate(char gate, uint16_t n)
{
    int32_t from[LANES];
    int k;
    for (k = 0; k < LANES; k++) {
        from[k] = gate == 'f' || gate == 'o' ? ONE : 0;
    }
    if (gate == 'i' || gate == 'g') {
        force(gate == 'i' ? 3 : 0, FULL);
    } else {
        force(3, 0);
    }
    if (gate == 'o') {
        force(2, FULL);
    }
    return differ(0, from, n, 0, gate == 'o');
}

/* The same; x and h: the candidate's two parts. */
static int gru_gate(char gate, uint16_t n, uint8_t activation)
{
    int32_t from[LANES] = {0};
    if (gate != 'z') {
        force(0, -FULL);
    }
    if (gate == 'x' || gate == 'h') {
        force(1, gate == 'h' ? FULL : -FULL);
    }
    if (gate != 'x') {
        fix(ax, scale_x, 2, 2, gate == 'z' ? FULL : 0);
    }
    if (gate == 'r' || gate == 'z') {
        fix(ah, scale_h, 2, 3, gate == 'r' ? SOME : 0);
    }
    return differ(1, from, n, activation, 0);
}

/* Which gates of the cell differ on these rows. Two that are multiplied, or mix their rows, are both named where one is
 * wrong even when saturated. */
static void tell(int gru, uint16_t n, uint8_t activation)
{
    int32_t rows[3][4 * LANES];
    uint32_t scales[2][4 * LANES];
    const char *gate;
    memcpy(rows[0], bias, sizeof bias);
    memcpy(rows[1], ax, sizeof ax);
    memcpy(rows[2], ah, sizeof ah);
    memcpy(scales[0], scale_x, sizeof scale_x);
    memcpy(scales[1], scale_h, sizeof scale_h);
    printf("cell %s, gates", gru ? "gru" : "lstm");
    for (gate = gru ? "zrxh" : "iofg"; *gate; gate++) {
        if (gru ? gru_gate(*gate, n, activation) : lstm_gate(*gate, n)) {
            printf(gru && (*gate == 'x' || *gate == 'h') ? " n over %c" : " %c", *gate);
        }
        memcpy(bias, rows[0], sizeof bias);
        memcpy(ax, rows[1], sizeof ax);
        memcpy(ah, rows[2], sizeof ah);
        memcpy(scale_x, scales[0], sizeof scale_x);
        memcpy(scale_h, scales[1], sizeof scale_h);
    }
    printf("; where none is named, what joins them\n");
}

int main(void)
{
    int round, wrong = 0;
    for (round = 0; round < 20000; round++) {
        int32_t from[LANES] = {0};
        uint16_t n = (uint16_t)(1 + draw() % LANES), k;
        int gru = round % 2;
        uint8_t activation;
        rows();
        for (k = 0; k < LANES; k++) {
            /* a cell reaches 2^30, a GRU's state 32767 * 2^14 */
            from[k] = gru           ? number(29) % 536854529
                      : draw() % 16 ? number(30)
                      : draw() % 2  ? ONE
                                    : -ONE;
        }
        activation = !gru || draw() % 4 ? RNNC_TANH : RNNC_RELU;
        if (differ(gru, from, n, activation, 0) || differ(gru, from, n, activation, 1)) {
            if (wrong++ < TOLD) {
                tell(gru, n, activation);
            }
        }
    }
    return wrong > 100 ? 100 : wrong;
}
