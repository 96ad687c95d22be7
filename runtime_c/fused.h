/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_FUSED_H
#define RNNC_FUSED_H
/* What the loops of a package's own over elements take: rnnc writes one where several elementwise ops follow each other. */
#include <stdint.h>

/* The constants that differ by element, one array behind the other, [arrays][elements]. */
typedef struct {
    const int32_t *words;
    const int16_t *halves;
    const int8_t *bytes;
} rnnc_fused_params;

#endif
