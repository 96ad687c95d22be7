/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_ISA_X86_AVX2_H
#define RNNC_ISA_X86_AVX2_H
/* Whether and how AVX2 is used. */
#include <immintrin.h>

#define RNNC_AVX2 1
#define RNNC_AVX2_FUNCTION __attribute__((target("avx2"), always_inline, unused)) static inline

static inline int rnnc_avx2(void)
{
#ifdef __AVX2__
    return 1;
#else
    return __builtin_cpu_supports("avx2");
#endif
}

#endif
