/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_ISA_X86_UNITS_H
#define RNNC_ISA_X86_UNITS_H
/* Which gates x86.h takes. */
#include "x86_gates.h"

#include "x86_avx512_gates.h"

#define RNNC_LSTM_UNITS
#define rnnc_lstm_units(b, x, y, ax, ah, c, h, batch, n)              \
    (rnnc_vnni()   ? rnnc_avx512_lstm_units(b, x, y, ax, ah, c, h, n) \
     : rnnc_avx2() ? rnnc_avx2_lstm_units(b, x, y, ax, ah, c, h, n)   \
                   : rnnc_lstm_each(b, x, y, ax, ah, c, h, batch, n))

#define RNNC_GRU_UNITS
#define rnnc_gru_units(b, mx, mh, ax, ah, s, h, batch, n, activation)              \
    (rnnc_vnni()   ? rnnc_avx512_gru_units(b, mx, mh, ax, ah, s, h, n, activation) \
     : rnnc_avx2() ? rnnc_avx2_gru_units(b, mx, mh, ax, ah, s, h, n, activation)   \
                   : rnnc_gru_each(b, mx, mh, ax, ah, s, h, batch, n, activation))

#endif
