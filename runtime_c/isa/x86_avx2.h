/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_ISA_X86_AVX2_H
#define RNNC_ISA_X86_AVX2_H
/* Whether and how AVX2 is used. */
#include <immintrin.h>

#define RNNC_AVX2 1
#define RNNC_AVX2_FUNCTION __attribute__((target("avx2"), always_inline, unused)) static inline

/* RNNC_NO_AVX2: plain C, as on a processor that has no more. */
static inline int rnnc_avx2(void)
{
#if defined(RNNC_NO_AVX2)
    return 0;
#elif defined(__AVX2__)
    return 1;
#else
    return __builtin_cpu_supports("avx2");
#endif
}

#endif
