/* SPDX-License-Identifier: 0BSD */
/* Runs an image on a core's RTL: simulator OUT MOST_CYCLES, in the folder that holds image.hex, the memory's words from 0x80000000 on.
 *
 * The module `top` of each core tells what is stored outside its memory: characters at 0x10000000, the end of the program at
 * 0x100000 (as on QEMU's machine virt), and the marks of count_begin and count_end (firmware.h). OUT gets "C n" for each pass
 * between the marks: clock cycles. Ends with 98 where the program does not end within MOST_CYCLES. */
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "Vtop.h"
#include "verilated.h"

static const uint32_t UART = 0x10000000u, BEGIN = 0x10000004u, END = 0x10000008u, EXIT = 0x100000u;
static const unsigned RESET_CYCLES = 10;

int main(int argc, char **argv)
{
    if (argc != 3) {
        return 2;
    }
    const unsigned long long most = strtoull(argv[2], nullptr, 0);
    FILE *out = fopen(argv[1], "w");
    if (!out) {
        return 2;
    }
    VerilatedContext context;
    Vtop top(&context);
    unsigned long long begin = 0;
    int code = 98;
    bool ended = false;
    for (unsigned long long cycle = 0; cycle < most && !ended; cycle++) {
        top.rst_n = cycle >= RESET_CYCLES;
        top.clk = 0;
        top.eval();
        if (top.store && top.rst_n) {
            if (top.store_address == UART) {
                putchar(static_cast<int>(top.store_data & 0xFFu));
            } else if (top.store_address == BEGIN) {
                begin = cycle;
            } else if (top.store_address == END) {
                fprintf(out, "C %llu\n", cycle - begin);
            } else if (top.store_address == EXIT) {
                code = top.store_data == 0x5555u ? 0 : static_cast<int>(top.store_data >> 16);
                ended = true;
            }
        }
        top.clk = 1;
        top.eval();
    }
    top.final();
    fclose(out);
    fflush(stdout);
    return code;
}
