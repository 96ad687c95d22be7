/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_ISA_SPARSE_WORDS_H
#define RNNC_ISA_SPARSE_WORDS_H
/* What is in front of the weights of dsp_sparse.h and rv32_sparse.h, read plainly. */
#include <stdint.h>

/* A word, the low byte first. */
static inline uint32_t rnnc_sparse_word(const int8_t *w)
{
    const uint8_t *b = (const uint8_t *)w;
    return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

/* How many blocks of 20 bytes four rows have. */
static inline uint32_t rnnc_sparse_blocks(const int8_t *w)
{
    return (rnnc_sparse_word(w) & 65535u) / 20u;
}

#endif
