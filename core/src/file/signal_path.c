/* What of a model file belongs to the signal path. */

#include "file/model_reader.h"
#include "signal/feature_blocks.h"

static int read_edges(model_reader *r, const char *where, json edges) {
    model_description *d = r->d;
    json_walk walk = {edges, NULL};
    json item;
    char shown[JSON_SHOWN];
    d->bands = 0;
    while (json_is_array(edges) && json_next(&walk, NULL, &item)) {
        int64_t edge, least = d->bands ? d->band_edges[d->bands - 1] + 1 : 0;
        if (!json_integer(item, &edge)) {
            error_say(r->error, "%s.band_edges: expected a list of integers, found %s", where, json_shown(item, shown));
            return 0;
        }
        if (edge < least || edge >= BINS || (!d->bands && edge != 0)) {
            d->bands = 0;
            break;
        }
        d->band_edges[d->bands++] = (int32_t)edge;
    }
    if (d->bands < 2) {
        error_say(r->error, "%s.band_edges: expected numbers that increase from 0 to at most %d, found %s", where,
                  BINS - 1, json_shown(edges, shown));
        return 0;
    }
    return 1;
}

int model_read_signal(model_reader *r, const char *where, json signal) {
    char shown[JSON_SHOWN];
    json lookahead = json_member(signal, "lookahead_frames"), corner = json_member(signal, "highpass_hz");
    int64_t frames;
    double highpass_hz = 0.0;
    if (!json_is_object(signal)) {
        error_say(r->error, "%s: expected an object, found %s", where, json_shown(signal, shown));
        return 0;
    }
    if (!read_edges(r, where, json_member(signal, "band_edges"))) {
        return 0;
    }
    if (!json_integer(lookahead, &frames) || frames < 0 || frames > LOOKAHEAD_FRAMES_MAX) {
        error_say(r->error, "%s.lookahead_frames: expected an integer from 0 to %d, found %s", where,
                  LOOKAHEAD_FRAMES_MAX, json_shown(lookahead, shown));
        return 0;
    }
    int is_number = !corner.start || json_number(corner, &highpass_hz);
    if (!is_number || !(highpass_hz == 0.0 || (highpass_hz >= 1.0 && highpass_hz <= HIGHPASS_MAX_HZ))) {
        error_say(r->error, "%s.highpass_hz: expected 0, or 1 to %g, found %s", where, (double)HIGHPASS_MAX_HZ,
                  json_shown(corner, shown));
        return 0;
    }
    r->d->lookahead_frames = (int)frames;
    r->d->highpass_hz = (float)highpass_hz;
    return 1;
}

int model_read_features(model_reader *r, json features) {
    model_description *d = r->d;
    json_walk walk = {features, NULL};
    json item;
    char name[32], shown[JSON_SHOWN];
    unsigned seen = 0;
    while (json_is_array(features) && json_next(&walk, NULL, &item)) {
        int block = json_text(item, name, sizeof name) < 0 ? -1 : feature_block_of(name);
        if (block < 0 || (seen & 1u << block)) {
            error_say(r->error, "features: expected known blocks, each once, found %s", json_shown(item, shown));
            return 0;
        }
        seen |= 1u << block;
        d->feature_blocks[d->feature_block_count++] = (unsigned)block;
    }
    if (!d->feature_block_count) {
        error_say(r->error, "features: expected at least one block, found %s", json_shown(features, shown));
    }
    return d->feature_block_count > 0;
}
