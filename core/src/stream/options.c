#include <string.h>

#include "error.h"
#include "stream/stream.h"

#define RATE_MIN_HZ 8000
#define RATE_MAX_HZ 192000

void percepnet_options_init(percepnet_options *options) {
    memset(options, 0, sizeof *options);
    options->sample_rate_hz = 48000;
    options->channels = 1;
    options->link_channels = 1;
    options->comb_filter = 1;
    options->attenuation_limit_db = PERCEPNET_NO_LIMIT;
}

static int in_range(const char *name, int32_t value, int32_t low, int32_t high, percepnet_error *error) {
    if (value < low || value > high) {
        error_say(error, "%s is %ld: give %ld to %ld", name, (long)value, (long)low, (long)high);
        return 0;
    }
    return 1;
}

static int is_switch(const char *name, int32_t value, percepnet_error *error) {
    if (value != 0 && value != 1) {
        error_say(error, "%s is %ld: give 0 or 1", name, (long)value);
        return 0;
    }
    return 1;
}

int options_fit(const percepnet_options *o, percepnet_error *error) {
    if (!in_range("sample_rate_hz", o->sample_rate_hz, RATE_MIN_HZ, RATE_MAX_HZ, error) ||
        !in_range("channels", o->channels, 1, CHANNELS_MAX, error) ||
        !is_switch("link_channels", o->link_channels, error) || !is_switch("interleaved", o->interleaved, error) ||
        !is_switch("comb_filter", o->comb_filter, error) || !is_switch("post_filter", o->post_filter, error) ||
        !is_switch("one_window", o->one_window, error) || !is_switch("bypass", o->bypass, error) ||
        !in_range("far_end", o->far_end, 0, FAR_ENDS, error)) {
        return 0;
    }
    if (!(o->attenuation_limit_db >= 0.0f || o->attenuation_limit_db == PERCEPNET_NO_LIMIT)) {
        error_say(error, "attenuation_limit_db is %g: give 0 or more, or PERCEPNET_NO_LIMIT, which is %g",
                  (double)o->attenuation_limit_db, (double)PERCEPNET_NO_LIMIT);
        return 0;
    }
    if (o->block_samples < 0) {
        error_say(error, "block_samples is %ld: give 0 or more", (long)o->block_samples);
        return 0;
    }
    return 1;
}
