/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_ISA_X86_CELLS_H
#define RNNC_ISA_X86_CELLS_H
/* Whole layers for x86.h where there is AVX-512 VNNI: nothing is called for each batch of units, and sums stay in registers. */
#include "../cell.h"
#include "x86_avx512_gates.h"

/* acc [8 eights]: the rows of a batch over an operand of 8 or 16 bits. */
RNNC_VNNI_FUNCTION const int8_t *rnnc_vnni_inline(int32_t *acc, const int8_t *w, const void *v,
                                                  uint8_t bits, size_t columns, int eights)
{
    const size_t quads = (columns + 3) / 4;
    return bits == 8 ? rnnc_vnni_quads(acc, w, (const int16_t *)v, quads, eights, 8)
                     : rnnc_vnni_quads(acc, w, (const int16_t *)v, quads, eights, 16);
}

/* As lstm.h and gru.h, of 4 and 3 gates: the layers' own functions below know which. */
RNNC_VNNI_FUNCTION void rnnc_vnni_cell(const rnnc_cell_params *p, const void *x, void *h,
                                       int32_t *s, void *vx, void *vh, int16_t *out,
                                       uint8_t activation, int gates)
{
    enum { batch = 8 };
    const int8_t *w = p->weights;
    uint16_t u;
    rnnc_vnni_prepare((int16_t *)vx, x, p->x_bits, p->columns);
    rnnc_vnni_prepare((int16_t *)vh, h, p->h_bits, p->units);
    for (u = 0; u < p->units; u = (uint16_t)(u + batch)) {
        int32_t ax[4 * batch], ah[4 * batch];
        int16_t narrow[batch], *value = rnnc_units_at(h, p->h_bits, u, narrow);
        uint16_t n = rnnc_batch(batch, (uint16_t)(p->units - u));
        const uint32_t *mx = &p->scale_x[gates * u], *mh = &p->scale_h[gates * u];
        w = rnnc_vnni_inline(ax, w, vx, p->x_bits, p->columns, gates);
        w = rnnc_vnni_inline(ah, w, vh, p->h_bits, p->units, gates);
        if (gates == 4) {
            rnnc_avx512_lstm_units(&p->bias[4 * u], mx, mh, ax, ah, &s[u], value, n);
        } else {
            rnnc_avx512_gru_units(&p->bias[4 * u], mx, mh, ax, ah, &s[u], value, n, activation);
        }
        rnnc_put_units(h, p->h_bits, out, u, value, n);
    }
}

__attribute__((RNNC_VNNI_TARGET, noinline, unused)) static void
rnnc_vnni_lstm(const rnnc_cell_params *p, const void *x, void *h, int32_t *c, void *vx, void *vh,
               int16_t *out)
{
    rnnc_vnni_cell(p, x, h, c, vx, vh, out, RNNC_TANH, 4);
}

__attribute__((RNNC_VNNI_TARGET, noinline, unused)) static void
rnnc_vnni_gru(const rnnc_cell_params *p, const void *x, void *h, int32_t *s, void *vx, void *vh,
              int16_t *out, uint8_t activation)
{
    rnnc_vnni_cell(p, x, h, s, vx, vh, out, activation, 3);
}

#define rnnc_lstm(p, x, h, c, vx, vh, out)                 \
    (rnnc_vnni() ? rnnc_vnni_lstm(p, x, h, c, vx, vh, out) \
                 : rnnc_lstm_generic(p, x, h, c, vx, vh, out))
#define rnnc_gru_after(p, x, h, s, vx, vh, out, activation)           \
    (rnnc_vnni() ? rnnc_vnni_gru(p, x, h, s, vx, vh, out, activation) \
                 : rnnc_gru_after_generic(p, x, h, s, vx, vh, out, activation))

#endif
