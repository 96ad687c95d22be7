/* Sounds an alarm at an extra heartbeat, while it happens.
 *
 *   rnnc compile heartbeat.onnx --calib calib.npz --input-format x=q12.3
 *   cc -std=c99 -I.. -Iheartbeat main.c heartbeat/heartbeat.c      and the board's board_put
 *
 * heldout.h (python -m examples.firmware heartbeat) holds recordings; on a board the converter gives the counts: 125 samples a
 * second, 200 counts a millivolt, five samples a call. */
#include <stdint.h>

#include "board.h"
#include "heartbeat.h"
#include "heldout.h"

#define AGREE 2 /* frames in a row that make an alarm */
#define LATEST \
    15 /* frames (600 ms) after the peak of an extra beat until which an alarm is about it */
#define FRAME_MILLISECONDS 40

static heartbeat_t net;
static uint8_t agreed; /* frames in a row that said yes, up to AGREE + 1 */

static struct {
    uint16_t found, false_alarms, frames_late;
} result;

/* Returns 1 in the frame in which the alarm begins. */
static int is_alarm(const int16_t frame[HEARTBEAT_X_LEN])
{
    int16_t x[HEARTBEAT_X_LEN];
    int16_t y[HEARTBEAT_Y_LEN];
    uint8_t i;
    for (i = 0; i < HEARTBEAT_X_LEN; i++) {
        x[i] = (int16_t)(frame[i] * (1 << HEARTBEAT_X_FRAC)); /* counts are within 2048: Q12.3 */
    }
    heartbeat_step(&net, x, y);
    if (y[0] <= 0) {
        agreed = 0;
    } else if (agreed <= AGREE) {
        agreed++;
    }
    return agreed == AGREE;
}

/* next: the extra beat to look out for, up to end; found: whether an alarm has told of it. Returns the next one's number. */
static uint16_t judge(uint16_t frame, uint16_t next, uint16_t end, uint8_t *found)
{
    while (next < end && frame > heldout_extra[next] + LATEST) {
        next++;
        *found = 0;
    }
    if (next == end || frame <= heldout_extra[next]) {
        result.false_alarms++;
    } else if (!*found) {
        *found = 1;
        result.found++;
        result.frames_late = (uint16_t)(result.frames_late + frame - heldout_extra[next]);
    }
    return next;
}

static void monitor(uint16_t recording)
{
    uint16_t next = heldout_first[recording];
    uint16_t frame;
    uint8_t found = 0;
    heartbeat_reset(&net);
    agreed = 0;
    for (frame = 0; frame < FRAMES; frame++) {
        if (is_alarm(heldout_counts[recording][frame])) {
            next = judge(frame, next, heldout_first[recording + 1], &found);
        }
    }
}

int main(void)
{
    uint16_t recording;
    for (recording = 0; recording < RECORDINGS; recording++) {
        monitor(recording);
    }
    say("beats ");
    say_number(BEATS);
    say("\nextra beats found ");
    say_number(result.found);
    say(" of ");
    say_number(heldout_first[RECORDINGS]);
    say("\nfalse alarms ");
    say_number(result.false_alarms);
    say("\nalarm after ");
    say_number((uint32_t)result.frames_late * FRAME_MILLISECONDS /
               (result.found ? result.found : 1u));
    say(" ms\n");
    return 0;
}
