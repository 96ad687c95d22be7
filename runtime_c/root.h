/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_ROOT_H
#define RNNC_ROOT_H
/* What a root of squares needs. */
#include <stdint.h>

typedef struct {
    uint32_t epsilon; /* added to the squares */
    uint16_t m;       /* the root times m / 2^p, m of 15 bits */
    uint8_t p;
} rnnc_root;

#endif
