/* OBS Studio: an audio filter at OBS's rate, with one to eight channels.
   Timestamps are put back by the delay, so that sound and picture stay
   together. */

#include <obs/obs-module.h>
#include <pthread.h>

#include "common/door.h"

OBS_DECLARE_MODULE()
OBS_MODULE_USE_DEFAULT_LOCALE("percepnet", "en-US")

#define LIMIT "attenuation_limit_db"
#define MODEL "model"
#define POST_FILTER "post_filter"
#define UNLINKED "unlinked"

typedef struct filter {
    pthread_mutex_t lock; /* settings come from another thread than sound */
    door *door;
} filter;

static const char *name(void *type) {
    (void)type;
    return obs_module_text("Name");
}

static void free_door(door *d) {
    if (d) {
        door_close(d);
        bfree(d);
    }
}

static void update(void *data, obs_data_t *settings) {
    filter *f = data;
    door_choice choice = {
        .model = (int)obs_data_get_int(settings, MODEL),
        .post_filter = obs_data_get_bool(settings, POST_FILTER),
        .unlinked = obs_data_get_bool(settings, UNLINKED),
    };
    choice.model = model_number((float)choice.model);
    float limit_db = (float)obs_data_get_double(settings, LIMIT);
    door *before = f->door; /* only this thread changes it */
    if (before && before->choice.model == choice.model && before->choice.post_filter == choice.post_filter &&
        before->choice.unlinked == choice.unlinked) {
        pthread_mutex_lock(&f->lock);
        door_control(before, limit_db, 0);
        pthread_mutex_unlock(&f->lock);
        return;
    }
    audio_t *audio = obs_get_audio();
    size_t channels = audio ? audio_output_get_channels(audio) : 1;
    door *fresh = bzalloc(sizeof *fresh);
    door_init(fresh, audio ? (int32_t)audio_output_get_sample_rate(audio) : 48000,
              channels < DOOR_CHANNELS_MAX ? (int)channels : DOOR_CHANNELS_MAX, 0);
    door_control(fresh, limit_db, 0);
    door_open(fresh, choice); /* takes its time, while the sound goes on with the one before */
    pthread_mutex_lock(&f->lock);
    f->door = fresh;
    pthread_mutex_unlock(&f->lock);
    free_door(before);
}

static void *create(obs_data_t *settings, obs_source_t *source) {
    (void)source;
    filter *f = bzalloc(sizeof *f);
    pthread_mutex_init(&f->lock, NULL);
    update(f, settings);
    return f;
}

static void destroy(void *data) {
    filter *f = data;
    free_door(f->door);
    pthread_mutex_destroy(&f->lock);
    bfree(f);
}

static struct obs_audio_data *filter_audio(void *data, struct obs_audio_data *audio) {
    filter *f = data;
    pthread_mutex_lock(&f->lock);
    float **samples = (float **)audio->data;
    door_run(f->door, (const float *const *)samples, NULL, samples, audio->frames);
    uint64_t late_ns = (uint64_t)door_latency(f->door) * 1000000000u / (uint64_t)f->door->rate_hz;
    audio->timestamp -= late_ns < audio->timestamp ? late_ns : audio->timestamp;
    pthread_mutex_unlock(&f->lock);
    return audio;
}

static void defaults(obs_data_t *settings) {
    obs_data_set_default_double(settings, LIMIT, DOOR_LIMIT_MAX_DB);
    obs_data_set_default_int(settings, MODEL, MODEL_DEFAULT);
    obs_data_set_default_bool(settings, POST_FILTER, false);
    obs_data_set_default_bool(settings, UNLINKED, false);
}

static obs_properties_t *properties(void *data) {
    (void)data;
    obs_properties_t *all = obs_properties_create();
    obs_property_t *limit =
        obs_properties_add_float_slider(all, LIMIT, obs_module_text("Limit"), 0.0, DOOR_LIMIT_MAX_DB, 1.0);
    obs_property_float_set_suffix(limit, " dB");
    obs_property_t *model =
        obs_properties_add_list(all, MODEL, obs_module_text("Model"), OBS_COMBO_TYPE_LIST, OBS_COMBO_FORMAT_INT);
    obs_property_list_add_int(model, obs_module_text("ModelDefault"), MODEL_DEFAULT);
    obs_property_list_add_int(model, obs_module_text("ModelSmall"), MODEL_SMALL);
    obs_property_list_add_int(model, obs_module_text("ModelOwn"), MODEL_OWN);
    obs_properties_add_bool(all, POST_FILTER, obs_module_text("PostFilter"));
    obs_properties_add_bool(all, UNLINKED, obs_module_text("Unlinked"));
    return all;
}

static struct obs_source_info info = {
    .id = "percepnet_filter",
    .type = OBS_SOURCE_TYPE_FILTER,
    .output_flags = OBS_SOURCE_AUDIO,
    .get_name = name,
    .create = create,
    .destroy = destroy,
    .update = update,
    .filter_audio = filter_audio,
    .get_defaults = defaults,
    .get_properties = properties,
};

bool obs_module_load(void) {
    obs_register_source(&info);
    return true;
}
