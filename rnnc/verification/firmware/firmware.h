/* SPDX-License-Identifier: 0BSD */
#ifndef FIRMWARE_H
#define FIRMWARE_H
/* What the measured program needs beside its board. */
#include <stdint.h>

#include "board.h"

/* The stack that a step uses: what is below the caller's frame is painted before and looked at after. Both are inlined, so
 * that nothing of their own lies there. board_ram_end: of what is not stack. */
#ifndef STACK_MOST
#define STACK_MOST 8192 /* bytes painted, where there is so much; 0 on RTL, where painting takes long and fills caches */
#endif
#define STACK_COLOUR 0xA5u
extern uint8_t board_ram_end[];
extern uint16_t stack_most;

/* Where the caller's frame ends and that of what it calls begins: below this address nothing is in use. */
#if defined(__riscv)
#define board_frame(p) __asm__ volatile("mv %0, sp" : "=r"(p))
#elif defined(__XTENSA__)
#define board_frame(p) __asm__ volatile("mov %0, a1" : "=r"(p))
#elif defined(__arm__)
#define board_frame(p) __asm__ volatile("mov %0, sp" : "=r"(p))
#elif defined(__AVR__)
#include <avr/io.h>
#define board_frame(p) ((p) = (volatile uint8_t *)(SP + 1)) /* SP is where the next byte goes */
#else
#define board_frame(p) ((p) = board_ram_end) /* under an operating system the stack is not measured */
#endif

static inline __attribute__((always_inline)) volatile uint8_t *stack_floor(volatile uint8_t *frame)
{
    uintptr_t room = (uintptr_t)frame - (uintptr_t)board_ram_end;
    return frame - (room < STACK_MOST ? room : STACK_MOST);
}

static inline __attribute__((always_inline)) void stack_paint(volatile uint8_t *frame)
{
    volatile uint8_t *p;
    for (p = stack_floor(frame); p < frame; p++) {
        *p = STACK_COLOUR;
    }
}

static inline __attribute__((always_inline)) void stack_look(volatile uint8_t *frame)
{
    volatile uint8_t *p = stack_floor(frame);
    while (p < frame && *p == STACK_COLOUR) {
        p++;
    }
    if ((uint16_t)(frame - p) > stack_most) {
        stack_most = (uint16_t)(frame - p);
    }
}

/* A step runs between these two; the emulator counts the instructions from the one's first to the other's first. RTL knows no
 * addresses of instructions: there they store to MARKS (rtl/simulator.cpp), which counts the cycles in between. */
void count_begin(void);
void count_end(void);
#ifdef MARKS
#define board_mark(offset) (*(volatile uint32_t *)(MARKS + (offset)) = 1)
#else
#define board_mark(offset) ((void)0)
#endif

#endif
