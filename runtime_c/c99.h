/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_C99_H
#define RNNC_C99_H
/* The first line of each file of C: an older standard is named, before what it does not know. */
#if !defined(__cplusplus) && !defined(_MSC_VER) && \
    (!defined(__STDC_VERSION__) || __STDC_VERSION__ < 199901L)
#error "rnnc's C is C99, and this compiler is told an older one. Compile it with -std=c99 or later."
#endif

#endif
