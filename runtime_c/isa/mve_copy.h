/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_ISA_MVE_COPY_H
#define RNNC_ISA_MVE_COPY_H
/* Sixteen bytes at a time. */
#include <arm_mve.h>
#include <stddef.h>
#include <stdint.h>

#define RNNC_COPY
static inline void rnnc_copy(void *to, const void *from, size_t bytes)
{
    const uint8_t *source = (const uint8_t *)from;
    uint8_t *at = (uint8_t *)to;
    for (; bytes >= 16; bytes -= 16, source += 16, at += 16) {
        vstrbq_u8(at, vldrbq_u8(source));
    }
    if (bytes) {
        mve_pred16_t here = vctp8q((uint32_t)bytes);
        vstrbq_p_u8(at, vldrbq_z_u8(source, here), here);
    }
}

#endif
