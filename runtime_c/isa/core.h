/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_ISA_CORE_H
#define RNNC_ISA_CORE_H
/* Which kernels this core has, one of RNNC_CORE_...; none where it has no target of its own, or the compiler no GNU inline
 * assembly. */
#if !defined(__GNUC__)
#elif defined(__AVR__)
#define RNNC_CORE_AVR
#elif defined(__riscv)
#if __riscv_xlen == 32 && defined(__riscv_mul) && !defined(__riscv_32e)
#define RNNC_CORE_RV32IM
#endif
#elif defined(__XTENSA_EL__)
#define RNNC_CORE_XTENSA
#elif defined(__x86_64__)
#define RNNC_CORE_X86
#elif defined(__aarch64__) && !defined(__AARCH64EB__)
#define RNNC_CORE_AARCH64
#elif defined(__ARM_ARCH_PROFILE) && __ARM_ARCH_PROFILE == 'M' && !defined(__ARM_BIG_ENDIAN)
#if defined(__ARM_FEATURE_MVE)
#define RNNC_CORE_MVE
#elif defined(__ARM_FEATURE_DSP)
#define RNNC_CORE_DSP
#elif defined(__thumb2__)
#define RNNC_CORE_THUMB2
#else
#define RNNC_CORE_THUMB
#endif
#endif

#endif
