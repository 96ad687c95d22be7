/* SPDX-License-Identifier: 0BSD */
#ifndef STRING_H
#define STRING_H
/* What networks take of the C library, for a compiler that comes without one; start.c has it. */
#include <stddef.h>

void *memcpy(void *to, const void *from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int byte, size_t n);
int memcmp(const void *a, const void *b, size_t n);

#endif
