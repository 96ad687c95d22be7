"""Two streams, one of them stepped in a signal handler that interrupts the other's step: each gives what it gives alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnnc.files import write_files
from tests.support.nets import draw_integers
from tests.support.packages import package, run

LAYERS = (("lstm", "dense"), ("conv", "gru_after"))
MAIN = r"""
#define _DEFAULT_SOURCE
#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include "net.h"

enum { WANTED = 100, MOST = 3000000 };

static net_t inner;
static volatile sig_atomic_t inside, interrupted;
static volatile long stepped;
static uint32_t inner_sum;

static uint32_t run_one(net_t *s, long t, uint32_t sum)
{
    XTYPE x[NET_X_LEN];
    YTYPE y[NET_Y_LEN];
    const unsigned char *bytes = (const unsigned char *)y;
    memset(y, 0, sizeof y);
    for (int i = 0; i < NET_X_LEN; i++) { x[i] = (XTYPE)((t * 31 + i * 7) % 97 * 100); }
    STEP
    for (size_t i = 0; i < sizeof y; i++) { sum = sum * 31u + bytes[i]; }
    return sum;
}

static void on_timer(int number)
{
    (void)number;
    interrupted += inside;
    inner_sum = run_one(&inner, stepped + 1000, inner_sum);
    stepped++;
}

int main(void)
{
    static net_t outer, again;
    const struct itimerval often = {{0, 200}, {0, 200}}, never = {{0, 0}, {0, 0}};
    uint32_t sum = 1, alone = 1;
    long steps = 0;
    inner_sum = 1;
    net_reset(&outer);
    net_reset(&inner);
    signal(SIGALRM, on_timer);
    setitimer(ITIMER_REAL, &often, 0);
    while (interrupted < WANTED && steps < MOST) {
        inside = 1;
        sum = run_one(&outer, steps, sum);
        inside = 0;
        steps++;
    }
    setitimer(ITIMER_REAL, &never, 0);
    signal(SIGALRM, SIG_IGN);
    if (interrupted < WANTED) { return 2; }
    net_reset(&again);
    for (long t = 0; t < steps; t++) { alone = run_one(&again, t, alone); }
    if (alone != sum || memcmp(&again, &outer, sizeof again)) { return 3; }
    net_reset(&again);
    alone = 1;
    for (long t = 0; t < stepped; t++) { alone = run_one(&again, t + 1000, alone); }
    return alone == inner_sum && !memcmp(&again, &inner, sizeof again) ? 0 : 4;
}
"""


@pytest.mark.parametrize("layers", LAYERS, ids=" ".join)
def test_a_stream_stepped_in_an_interrupt_disturbs_no_other(layers: tuple[str, ...], tmp_path: Path) -> None:
    program, files = package(draw_integers(5, layers), "net", steps=1)
    main = MAIN.replace("STEP", "(void)net_step(s, x, y);" if program.returns else "net_step(s, x, y);")
    main = main.replace("XTYPE", program.inputs[0].format.ctype).replace("YTYPE", program.outputs[0].format.ctype)
    write_files(tmp_path, {**files, "main.c": main})
    run(["gcc", "-std=c99", "-O2", "-Wall", "-Werror", "main.c", "net.c", "-o", "run"], tmp_path)
    run(["./run"], tmp_path)
