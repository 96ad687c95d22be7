/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_ISA_ELSEWHERE_H
#define RNNC_ISA_ELSEWHERE_H
/* A target's header includes this where its instructions are not. Plain C stands in for them on computers, where firmware is
 * tested, and wherever RNNC_PLAIN is defined; every other core is told which target it takes. */
#include "core.h"

#if defined(RNNC_PLAIN) || defined(__x86_64__) || defined(__i386__) || defined(__aarch64__) || \
    defined(_M_X64) || defined(_M_IX86) || defined(_M_ARM64)
#elif !defined(__GNUC__)
#error \
    "Compiled by rnnc for a core whose kernels are GNU inline assembly, which this compiler lacks. Take rnnc --target portable, or define RNNC_PLAIN for slow plain C."
#elif defined(RNNC_CORE_AVR)
#error \
    "Compiled by rnnc for another core, and this is an AVR. Take rnnc --target avr, or define RNNC_PLAIN for slow plain C."
#elif defined(RNNC_CORE_RV32IM)
#error \
    "Compiled by rnnc for another core, and this is RV32IM. Take rnnc --target rv32imc, or define RNNC_PLAIN for slow plain C."
#elif defined(RNNC_CORE_XTENSA)
#error \
    "Compiled by rnnc for another core, and this is an Xtensa. Take rnnc --target xtensa, or define RNNC_PLAIN for slow plain C."
#elif defined(RNNC_CORE_MVE)
#error \
    "Compiled by rnnc for another core, and this one has MVE (Helium). Take rnnc --target cortex-m55, or define RNNC_PLAIN for slow plain C."
#elif defined(RNNC_CORE_DSP) && __ARM_ARCH >= 8
#error \
    "Compiled by rnnc for another core, and this one has the DSP extension, but no MVE, or the flags hide it. Take rnnc --target cortex-m33, or define RNNC_PLAIN for slow plain C."
#elif defined(RNNC_CORE_DSP)
#error \
    "Compiled by rnnc for another core, and this one has the DSP extension. Take rnnc --target cortex-m4 or cortex-m7, or define RNNC_PLAIN for slow plain C."
#elif defined(RNNC_CORE_THUMB2)
#error \
    "Compiled by rnnc for another core, and this one has Thumb-2, but no DSP extension, or the flags hide it. Take rnnc --target cortex-m3, or define RNNC_PLAIN for slow plain C."
#elif defined(RNNC_CORE_THUMB)
#error \
    "Compiled by rnnc for another core, and this one has Thumb, but no Thumb-2. Take rnnc --target cortex-m0, or define RNNC_PLAIN for slow plain C."
#else
#error \
    "Compiled by rnnc for another core, and there is no target for this one. Take rnnc --target portable, or define RNNC_PLAIN for slow plain C."
#endif

#endif
