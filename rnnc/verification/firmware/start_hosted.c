/* SPDX-License-Identifier: 0BSD */
/* Output and exit where there is an operating system. */
#include <stdio.h>
#include <stdlib.h>

#include "firmware.h"

uint8_t board_ram_end[1];

void board_print(const char *text)
{
    (void)fputs(text, stdout);
}

void board_exit(int code)
{
    exit(code);
}
