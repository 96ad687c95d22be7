/* SPDX-License-Identifier: 0BSD */
/* Runs an AVR program in simavr: avr_runner PROGRAM.elf BEGIN END OUT MOST_CYCLES
 *
 * GPIOR0 is standard output, a write to GPIOR1 ends the run with that exit code. OUT gets "R n" for each pass from byte
 * address BEGIN to END: instructions, the first of BEGIN left out, and "C n": clock cycles, that instruction included. */
#include <simavr/avr_ioport.h>
#include <simavr/sim_avr.h>
#include <simavr/sim_elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int finished, code;

static void print(avr_t *avr, avr_io_addr_t address, uint8_t value, void *user)
{
    (void)avr;
    (void)address;
    (void)user;
    putchar(value);
}

static void end(avr_t *avr, avr_io_addr_t address, uint8_t value, void *user)
{
    (void)avr;
    (void)address;
    (void)user;
    finished = 1;
    code = value;
}

int main(int argc, char **argv)
{
    elf_firmware_t firmware;
    unsigned long begin_address, end_address, long_most;
    unsigned long long counted = 0, begun = 0;
    int counting = 0, state = cpu_Running;
    avr_t *avr;
    FILE *out;
    if (argc != 6) {
        return 2;
    }
    begin_address = strtoul(argv[2], NULL, 0);
    end_address = strtoul(argv[3], NULL, 0);
    long_most = strtoul(argv[5], NULL, 0);
    memset(&firmware, 0, sizeof firmware);
    if (elf_read_firmware(argv[1], &firmware) != 0) {
        return 2;
    }
    avr = avr_make_mcu_by_name("atmega1284p");
    out = fopen(argv[4], "w");
    if (!avr || !out) {
        return 2;
    }
    avr_init(avr);
    avr->log = LOG_ERROR;
    firmware.frequency = 16000000;
    avr_load_firmware(avr, &firmware);
    avr_register_io_write(avr, 0x3E, print, NULL); /* GPIOR0 */
    avr_register_io_write(avr, 0x4A, end, NULL);   /* GPIOR1 */
    while (!finished && state != cpu_Done && state != cpu_Crashed && avr->cycle < long_most) {
        if (avr->pc == begin_address) {
            counting = 1;
            counted = 0;
            begun = avr->cycle;
        } else if (avr->pc == end_address && counting) {
            counting = 0;
            fprintf(out, "R %llu\nC %llu\n", counted, (unsigned long long)avr->cycle - begun);
        } else {
            counted++;
        }
        state = avr_run(avr);
    }
    fclose(out);
    fflush(stdout);
    return finished ? code : 98;
}
