/* A board for main.c to run on in an emulator: its motion sensor plays the held-out recordings (python -m examples.firmware
 * gesture writes heldout.h), and at the end of each it compares what is on display with what the exercise was. */
#include "board.h"

#include <string.h>

#include "gesture.h"
#include "heldout.h"

int imu_read(int16_t frame[GESTURE_X_LEN]);
void show_exercise(const char *name);

static const char *const names[GESTURE_LOGITS_LEN] = {
    "pendulum",
    "abduction",
    "forward elevation",
    "internal rotation",
    "external rotation",
    "trapezius extension",
    "row",
};
static const char *display = "";
static uint16_t next_frame, recording, right;

int imu_read(int16_t frame[GESTURE_X_LEN])
{
    if (next_frame == heldout_ends[recording]) {
        right = (uint16_t)(right + !strcmp(display, names[heldout_labels[recording]]));
        recording++;
    }
    if (next_frame == FRAMES) {
        say("recordings ");
        say_number(RECORDINGS);
        say("\nright at the end ");
        say_number(right);
        say("\n");
        return 0;
    }
    memcpy(frame, heldout_frames[next_frame++], GESTURE_X_LEN * sizeof frame[0]);
    return 1;
}

void show_exercise(const char *name)
{
    display = name;
}
