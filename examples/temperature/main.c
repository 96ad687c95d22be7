/* How will the temperature change over the next twelve hours?  One forecast each hour, from the last 24.
 *
 *   rnnc compile temperature_lstm.onnx --calib calib.npz --name temperature
 *   cc -std=c99 -I.. -Itemperature main.c temperature/temperature.c      and the board's board_put
 *
 * The hours come from heldout.h (python -m examples.firmware temperature); on a board they come from a sensor and a clock.
 * The network has been trained on 24 hours from a fresh start.  So the last 24 frames are kept, and each forecast steps
 * over them again: 24 steps an hour cost nothing, and no error can build up over the years. */
#include <stdint.h>
#include <string.h>

#include "board.h"
#include "heldout.h"
#include "temperature.h"

#define HOURS_IN 24
#define FORECASTS (sizeof heldout_truth / sizeof heldout_truth[0])

/* All memory is in static storage: the linker accounts for it. */
static temperature_t net;
static int16_t past[HOURS_IN][TEMPERATURE_X_LEN]; /* ring */
static uint8_t oldest;                            /* 0..23: where the next hour goes */

static void take_hour(const int16_t frame[TEMPERATURE_X_LEN])
{
    memcpy(past[oldest], frame, sizeof past[oldest]);
    oldest = (uint8_t)(oldest + 1 < HOURS_IN ? oldest + 1 : 0);
}

/* change [0..11]: how much warmer than the last reading it will be 1..12 hours from now. */
static void forecast(int16_t change[TEMPERATURE_Y_LEN])
{
    uint8_t i;
    temperature_reset(&net);
    for (i = 0; i < HOURS_IN; i++) {
        temperature_step(&net, past[(oldest + i) % HOURS_IN], change);
    }
}

/* Sum of the absolute errors of one forecast, in LSB: at most 12 * 65534. */
static uint32_t error_of(const int16_t change[TEMPERATURE_Y_LEN],
                         const int16_t truth[TEMPERATURE_Y_LEN])
{
    uint32_t sum = 0;
    uint8_t i;
    for (i = 0; i < TEMPERATURE_Y_LEN; i++) {
        const int32_t difference = (int32_t)change[i] - truth[i];
        sum += (uint32_t)(difference < 0 ? -difference : difference);
    }
    return sum;
}

int main(void)
{
    int16_t change[TEMPERATURE_Y_LEN];
    uint32_t error = 0; /* LSB, below 2^32 for 5,461 forecasts */
    uint32_t mean;
    uint16_t hour;

    for (hour = 0; hour < HELDOUT_HOURS; hour++) {
        take_hour(heldout_hours[hour]);
        if (hour + 1 >= HOURS_IN) {
            forecast(change);
            error += error_of(change, heldout_truth[hour + 1 - HOURS_IN]);
        }
    }
    mean = error / (uint32_t)(FORECASTS * TEMPERATURE_Y_LEN);

    say("forecasts ");
    say_number((uint32_t)FORECASTS);
    say("\nmean error ");
    say_thousandths((mean * LSB_NANODEGREES + 500000u) /
                    1000000u); /* mean below 4 degrees: product below 2^32 */
    say(" degrees\n");
    return 0;
}
