/* SPDX-License-Identifier: 0BSD */
/* QEMU TCG plugin (API 1): guest instructions between count_begin and count_end, call by call.
 *
 * Use: -plugin ./count.so,begin=ADDRESS,end=ADDRESS,out=FILE[,costs=FILE][,within=FIRST-END]...
 * FILE: "R n" for each region in order, then "B address instructions executions" for each block over all regions, and
 * for blocks within the ranges "S last n": the address of the block's last instruction, and how many instructions it
 * and the blocks outside that ran before the next one within had.
 * Of costs, each line is "address cycles taken": what an instruction takes, and what it takes more where it is not the
 * one behind it that comes next; addresses rise; then FILE has "C n" for each region, its cycles.
 * A block is entered at its head and left at its end, so that counting blocks counts instructions exactly. The few
 * prototypes of the API that are used are declared here, as distributions do not ship its header. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_info;
typedef void (*translate_callback)(plugin_id id, struct qemu_plugin_tb *tb);
typedef void (*execute_callback)(unsigned cpu, void *user);
typedef void (*exit_callback)(plugin_id id, void *user);
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id, translate_callback callback);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, execute_callback callback,
                                          int flags, void *user);
void qemu_plugin_register_atexit_cb(plugin_id id, exit_callback callback, void *user);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn;
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);

#define EXPORT __attribute__((visibility("default")))
EXPORT int qemu_plugin_version = 1;

struct block {
    uint64_t address, last, instructions, executions, below, behind, cycles, taken;
    bool within;
    struct block *next;
};

#define MOST_RANGES 8
static struct block *blocks, *site;
static uint64_t first[MOST_RANGES], after[MOST_RANGES];
static size_t range_count;
static uint64_t begin_address, end_address, counted, *regions;
static size_t region_count;
static uint64_t *cycles, spent, behind, taken;
static struct cost {
    uint64_t address, cycles, taken;
} *costs;
static size_t cost_count;
static bool counting;
static const char *out_path = "count.out";

static void executed(unsigned cpu, void *user)
{
    struct block *b = user;
    (void)cpu;
    if (counting && b->address != behind) {
        spent += taken;
    }
    if (b->address == begin_address) {
        counting = true;
        counted = spent = taken = 0;
        site = NULL;
    } else if (b->address == end_address && counting) {
        counting = false;
        regions = realloc(regions, (region_count + 1) * sizeof *regions);
        cycles = realloc(cycles, (region_count + 1) * sizeof *cycles);
        cycles[region_count] = spent;
        regions[region_count++] = counted;
    } else if (counting) {
        counted += b->instructions;
        spent += b->cycles;
        b->executions++;
        site = b->within ? b : site;
        if (site) {
            site->below += b->instructions;
        }
    }
    behind = b->behind;
    taken = b->taken;
}

/* What the instruction at an address costs, NULL where no line says so; the lines are in order. */
static const struct cost *find_cost(uint64_t address)
{
    size_t low = 0, high = cost_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (costs[middle].address < address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < cost_count && costs[low].address == address ? &costs[low] : NULL;
}

static void read_costs(const char *path)
{
    FILE *f = fopen(path, "r");
    unsigned long long address, each, more;
    while (f && fscanf(f, "%llx %llu %llu", &address, &each, &more) == 3) {
        if (cost_count % 1024 == 0) {
            costs = realloc(costs, (cost_count + 1024) * sizeof *costs);
        }
        costs[cost_count++] = (struct cost){address, each, more};
    }
    if (f) {
        fclose(f);
    }
}

static void translated(plugin_id id, struct qemu_plugin_tb *tb)
{
    struct block *b = calloc(1, sizeof *b);
    size_t i;
    (void)id;
    b->address = qemu_plugin_tb_vaddr(tb);
    b->instructions = qemu_plugin_tb_n_insns(tb);
    b->last = qemu_plugin_insn_vaddr(qemu_plugin_tb_get_insn(tb, b->instructions - 1));
    for (i = 0; i < b->instructions; i++) {
        const struct cost *c = find_cost(qemu_plugin_insn_vaddr(qemu_plugin_tb_get_insn(tb, i)));
        b->cycles += c ? c->cycles : 1;
        b->taken = c ? c->taken : 0;
    }
    b->behind = b->last + qemu_plugin_insn_size(qemu_plugin_tb_get_insn(tb, b->instructions - 1));
    for (i = 0; i < range_count; i++) {
        b->within = b->within || (first[i] <= b->address && b->address < after[i]);
    }
    b->next = blocks;
    blocks = b;
    qemu_plugin_register_vcpu_tb_exec_cb(tb, executed, 0, b);
}

static void finished(plugin_id id, void *user)
{
    FILE *f = fopen(out_path, "w");
    const struct block *b;
    size_t i;
    (void)id;
    (void)user;
    if (!f) {
        return;
    }
    for (i = 0; i < region_count; i++) {
        fprintf(f, "R %llu\n", (unsigned long long)regions[i]);
    }
    for (i = 0; i < region_count && cost_count; i++) {
        fprintf(f, "C %llu\n", (unsigned long long)cycles[i]);
    }
    for (b = blocks; b; b = b->next) {
        if (b->executions) {
            fprintf(f, "B %llx %llu %llu\n", (unsigned long long)b->address,
                    (unsigned long long)b->instructions, (unsigned long long)b->executions);
        }
        if (b->below) {
            fprintf(f, "S %llx %llu\n", (unsigned long long)b->last, (unsigned long long)b->below);
        }
    }
    fclose(f);
}

EXPORT int qemu_plugin_install(plugin_id id, const struct qemu_info *info, int argc, char **argv)
{
    int i;
    char *rest;
    (void)info;
    for (i = 0; i < argc; i++) {
        if (!strncmp(argv[i], "begin=", 6)) {
            begin_address = strtoull(argv[i] + 6, NULL, 0);
        } else if (!strncmp(argv[i], "end=", 4)) {
            end_address = strtoull(argv[i] + 4, NULL, 0);
        } else if (!strncmp(argv[i], "out=", 4)) {
            out_path = strdup(argv[i] + 4);
        } else if (!strncmp(argv[i], "costs=", 6)) {
            read_costs(argv[i] + 6);
        } else if (!strncmp(argv[i], "within=", 7) && range_count < MOST_RANGES) {
            first[range_count] = strtoull(argv[i] + 7, &rest, 0);
            after[range_count++] = strtoull(rest + 1, NULL, 0);
        }
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, finished, NULL);
    return 0;
}
