/* Which exercise is the wearer doing?  One call of the generated code for each frame of the motion
 * sensor.
 *
 *   rnnc compile gesture.onnx --calib calib.npz     writes gesture/gesture.h, gesture.c and rnnc/
 *   cc -std=c99 -Igesture main.c gesture/gesture.c  and the board's imu_read and show_exercise
 */
#include <stddef.h>
#include <stdint.h>

#include "gesture.h"

#define FRAMES_TO_AGREE 12 /* about one second at 12.5 frames a second */

#if defined(__GNUC__)
#define WEAK __attribute__((weak)) /* the board's function replaces the one below */
#else
#define WEAK
#endif

/* Waits for the next frame: ax ay az wx wy wz, the mean of 80 ms, in the units stated in gesture.h.
 * Returns 0 when there are no more frames, 1 else. */
int imu_read(int16_t frame[GESTURE_X_LEN]);

/* Called when the verdict changes. */
void show_exercise(const char *name);

static const char *const exercises[GESTURE_LOGITS_LEN] = {
    "pendulum",
    "abduction",
    "forward elevation",
    "internal rotation",
    "external rotation",
    "trapezius extension",
    "row",
};

/* The whole memory of the stream, in static storage: the linker accounts for it. */
static gesture_t net;

static size_t argmax(const int16_t logits[GESTURE_LOGITS_LEN])
{
    size_t best = 0;
    for (size_t i = 1; i < GESTURE_LOGITS_LEN; i++) {
        if (logits[i] > logits[best]) {
            best = i;
        }
    }
    return best;
}

int main(void)
{
    int16_t frame[GESTURE_X_LEN];
    int16_t logits[GESTURE_LOGITS_LEN];
    size_t shown = GESTURE_LOGITS_LEN; /* none yet */
    size_t candidate = GESTURE_LOGITS_LEN;
    unsigned agreed = 0; /* 0..FRAMES_TO_AGREE: frames in a row that said candidate */

    gesture_reset(&net);
    while (imu_read(frame)) {
        gesture_step(&net, frame, logits);

        const size_t verdict = argmax(logits);
        if (verdict != candidate) {
            candidate = verdict;
            agreed = 0;
        }
        if (agreed < FRAMES_TO_AGREE) {
            agreed++;
        }
        if (agreed == FRAMES_TO_AGREE && candidate != shown) {
            shown = candidate;
            show_exercise(exercises[shown]);
        }
    }
    return 0;
}

/* Stand-ins, so that this file links before there is a board. */
WEAK int imu_read(int16_t frame[GESTURE_X_LEN])
{
    (void)frame;
    return 0;
}

WEAK void show_exercise(const char *name)
{
    (void)name;
}
