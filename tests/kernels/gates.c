/* SPDX-License-Identifier: 0BSD */
/* The gates of an instruction set against those of portable C, on random rows; returns how many units differ. */
#include <stdint.h>
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

int main(void)
{
    int round, wrong = 0;
    for (round = 0; round < 20000; round++) {
        int32_t state[2][LANES];
        int16_t h[2][LANES];
        uint16_t n = (uint16_t)(1 + draw() % LANES), k;
        int gru = round % 2;
        memset(h, 0, sizeof h);
        rows();
        for (k = 0; k < LANES; k++) {
            /* a cell reaches 2^30, a GRU's state 32767 * 2^14 */
            state[0][k] = gru           ? number(29) % 536854529
                          : draw() % 16 ? number(30)
                          : draw() % 2  ? 1073741824
                                        : -1073741824;
            state[1][k] = state[0][k];
        }
        if (gru) {
            uint8_t activation = draw() % 4 ? RNNC_TANH : RNNC_RELU;
            rnnc_gru_units(bias, scale_x, scale_h, ax, ah, state[0], h[0], LANES, n, activation);
            rnnc_gru_each(bias, scale_x, scale_h, ax, ah, state[1], h[1], LANES, n, activation);
        } else {
            rnnc_lstm_units(bias, scale_x, scale_h, ax, ah, state[0], h[0], LANES, n);
            rnnc_lstm_each(bias, scale_x, scale_h, ax, ah, state[1], h[1], LANES, n);
        }
        wrong += memcmp(state[0], state[1], sizeof state[0]) != 0 ||
                 memcmp(h[0], h[1], sizeof h[0]) != 0;
    }
    return wrong > 100 ? 100 : wrong;
}
