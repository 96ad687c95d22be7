/* A robot that must remember: lamps at the start of a corridor show on which side the exit will be at its end.
 *
 *   rnnc compile policy.onnx --calib calib.npz --input-format x=q3.12
 *   cc -std=c99 -I.. -Ipolicy main.c policy/policy.c      and the board's board_put
 *
 * The maze is simulated here, in integers, as maze.py does it: observe() stands where a robot would read its sensors, act()
 * where it would drive its wheels.  The policy is one call between them, and its memory is in policy_t. */
#include <stdint.h>

#include "board.h"
#include "heldout.h"
#include "policy.h"

enum { FORWARD, LEFT, RIGHT };

#define ON (1 << POLICY_X_FRAC) /* a lamp that is on, a wall that is there, eight cells of sonar */
#define SHORTEST 8
#define LENGTHS 9
#define CUE_CELLS 6
#define SONAR_CELLS 8
#define MOST_STEPS 40

static policy_t net;

static struct {
    uint32_t random; /* never 0 */
    int side;        /* LEFT or RIGHT: where the exit is */
    int length;      /* 8..16: where the junction is */
    int position;    /* 0..length */
    int turned;      /* FORWARD until the robot has turned at the junction */
} maze;

/* Marsaglia's xorshift. */
static uint32_t random_bits(void)
{
    maze.random ^= maze.random << 13;
    maze.random ^= maze.random >> 17;
    maze.random ^= maze.random << 5;
    return maze.random;
}

static void enter_maze(uint32_t number)
{
    uint32_t r;
    maze.random = (number * 2654435761u + 1u) | 1u;
    r = random_bits();
    maze.side = (r >> 16) & 1u ? RIGHT : LEFT;
    maze.length = SHORTEST + (int)((r >> 20) % LENGTHS);
    maze.position = 0;
    maze.turned = FORWARD;
}

/* x: lamps left and right, walls left and right, sonar, Q3.12 */
static void observe(int16_t x[POLICY_X_LEN])
{
    const uint32_t r = random_bits();
    const int glare = (r & 3u) == 0;
    const int shown = glare ? LEFT + RIGHT - maze.side : maze.side;
    const int cue = maze.position < CUE_CELLS;
    const int wall = maze.position < maze.length;
    const int ahead = maze.length - maze.position;

    x[0] = (cue ? shown == LEFT : glare) ? ON : 0;
    x[1] = (cue ? shown == RIGHT : glare) ? ON : 0;
    x[2] = wall ? ON : 0;
    x[3] = x[2];
    x[4] = (int16_t)((ahead < SONAR_CELLS ? ahead : SONAR_CELLS) * (ON / SONAR_CELLS) +
                     (int)((r >> 8) & 255u));
}

static void act(int action)
{
    const int at_junction = maze.position == maze.length;
    if (action != FORWARD && at_junction) {
        maze.turned = action;
    } else if (action == FORWARD && !at_junction &&
               (random_bits() & 7u) != 0) { /* else the wheels slip */
        maze.position++;
    }
}

static int largest(const int16_t logits[POLICY_LOGITS_LEN])
{
    int best = 0;
    int i;
    for (i = 1; i < POLICY_LOGITS_LEN; i++) {
        best = logits[i] > logits[best] ? i : best;
    }
    return best;
}

/* Returns whether the robot finds the exit. */
static int walk(uint32_t number)
{
    int16_t x[POLICY_X_LEN];
    int16_t logits[POLICY_LOGITS_LEN];
    int steps;

    enter_maze(number);
    policy_reset(&net);
    for (steps = 0; steps < MOST_STEPS && maze.turned == FORWARD; steps++) {
        observe(x);
        policy_step(&net, x, logits);
        act(largest(logits));
    }
    return maze.turned == maze.side;
}

int main(void)
{
    uint32_t found = 0;
    uint32_t number;
    for (number = 0; number < MAZES; number++) {
        found += (uint32_t)walk(FIRST_MAZE + number);
    }
    say("exits found ");
    say_number(found);
    say(" of ");
    say_number(MAZES);
    say("\n");
    return 0;
}
