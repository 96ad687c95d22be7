/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_ISA_X86_UNITS_H
#define RNNC_ISA_X86_UNITS_H
/* Which gates x86.h takes. */
#include "x86_gates.h"

#include "x86_avx512_gates.h"

__attribute__((RNNC_VNNI_TARGET, noinline, unused)) static void
rnnc_vnni_lstm_units(const int32_t *b, const uint32_t *x, const uint32_t *y, const int32_t *ax,
                     const int32_t *ah, int32_t *c, int16_t *h, uint16_t n)
{
    rnnc_avx512_lstm_units(b, x, y, ax, ah, c, h, n);
}

__attribute__((RNNC_VNNI_TARGET, noinline, unused)) static void
rnnc_vnni_gru_units(const int32_t *b, const uint32_t *mx, const uint32_t *mh, const int32_t *ax,
                    const int32_t *ah, int32_t *s, int16_t *h, uint16_t n, uint8_t activation)
{
    rnnc_avx512_gru_units(b, mx, mh, ax, ah, s, h, n, activation);
}

#define RNNC_LSTM_UNITS
#define rnnc_lstm_units(b, x, y, ax, ah, c, h, batch, n)            \
    (rnnc_vnni()   ? rnnc_vnni_lstm_units(b, x, y, ax, ah, c, h, n) \
     : rnnc_avx2() ? rnnc_avx2_lstm_units(b, x, y, ax, ah, c, h, n) \
                   : rnnc_lstm_each(b, x, y, ax, ah, c, h, batch, n))

#define RNNC_GRU_UNITS
#define rnnc_gru_units(b, mx, mh, ax, ah, s, h, batch, n, activation)            \
    (rnnc_vnni()   ? rnnc_vnni_gru_units(b, mx, mh, ax, ah, s, h, n, activation) \
     : rnnc_avx2() ? rnnc_avx2_gru_units(b, mx, mh, ax, ah, s, h, n, activation) \
                   : rnnc_gru_each(b, mx, mh, ax, ah, s, h, batch, n, activation))

#endif
