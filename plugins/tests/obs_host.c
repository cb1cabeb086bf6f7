/* Runs float samples from standard input through the plugin's filter in a real
   libobs, to standard output.

       obs_host plugin.so RATE_HZ CHANNELS MODEL LIMIT_DB BLOCK < x.f32 > y.f32

   Samples of channels alternate. OBS must have what it draws on, so that this
   runs under xvfb-run. The delay by which the filter has put the first
   timestamp back is written to standard error, in samples. */

#include <obs/obs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_MAX 8192
#define START_NS 1000000000000u

static uint32_t channels;
static uint64_t first_timestamp;

static const char *source_name(void *type) {
    (void)type;
    return "test";
}

static void *source_create(obs_data_t *settings, obs_source_t *source) {
    (void)settings;
    return source;
}

static void source_destroy(void *data) { (void)data; }

static struct obs_source_info source_info = {
    .id = "test_source",
    .type = OBS_SOURCE_TYPE_INPUT,
    .output_flags = OBS_SOURCE_AUDIO,
    .get_name = source_name,
    .create = source_create,
    .destroy = source_destroy,
};

static void captured(void *param, obs_source_t *source, const struct audio_data *audio, bool muted) {
    (void)param;
    (void)source;
    (void)muted;
    first_timestamp = first_timestamp ? first_timestamp : audio->timestamp;
    for (uint32_t i = 0; i < audio->frames; i++) {
        for (uint32_t c = 0; c < channels; c++) {
            fwrite((const float *)audio->data[c] + i, sizeof(float), 1, stdout);
        }
    }
}

static void quiet(int level, const char *format, va_list arguments, void *param) {
    (void)param;
    if (level <= LOG_WARNING) {
        vfprintf(stderr, format, arguments);
        fputc('\n', stderr);
    }
}

int main(int argc, char **argv) {
    static float x[BLOCK_MAX * 2];
    if (argc < 7) {
        return 2;
    }
    uint32_t rate_hz = (uint32_t)atoi(argv[2]), block = (uint32_t)atoi(argv[6]);
    channels = (uint32_t)atoi(argv[3]);
    base_set_log_handler(quiet, NULL);
    struct obs_audio_info audio = {rate_hz, channels == 2 ? SPEAKERS_STEREO : SPEAKERS_MONO};
    obs_module_t *module = NULL;
    if (!obs_startup("en-US", NULL, NULL) || !obs_reset_audio(&audio) ||
        obs_open_module(&module, argv[1], ".") != MODULE_SUCCESS || !obs_init_module(module)) {
        fprintf(stderr, "obs_host: OBS does not load it\n");
        return 1;
    }
    obs_register_source(&source_info);
    obs_data_t *settings = obs_data_create();
    obs_data_set_int(settings, "model", atoi(argv[4]));
    obs_data_set_double(settings, "attenuation_limit_db", 100.0);
    obs_source_t *source = obs_source_create("test_source", "test", NULL, NULL);
    obs_source_t *filter = obs_source_create("percepnet_filter", "filter", settings, NULL);
    obs_source_filter_add(source, filter);
    obs_data_set_double(settings, "attenuation_limit_db", atof(argv[5]));
    obs_source_update(filter, settings); /* as a slider that is moved */
    obs_properties_t *properties = obs_source_properties(filter);
    fprintf(stderr, "%s: limit %s, ", obs_source_get_display_name("percepnet_filter"),
            obs_properties_get(properties, "attenuation_limit_db") ? "there" : "missing");
    obs_properties_destroy(properties);
    obs_source_add_audio_capture_callback(source, captured, NULL);
    uint64_t done = 0;
    size_t frames;
    while ((frames = fread(x, sizeof(float) * channels, block, stdin)) > 0) {
        struct obs_source_audio chunk = {.frames = (uint32_t)frames,
                                         .speakers = audio.speakers,
                                         .format = AUDIO_FORMAT_FLOAT,
                                         .samples_per_sec = rate_hz,
                                         .timestamp = START_NS + done * 1000000000u / rate_hz};
        chunk.data[0] = (const uint8_t *)x;
        obs_source_output_audio(source, &chunk);
        done += frames;
    }
    fprintf(stderr, "delay %lu\n",
            (unsigned long)(((START_NS - first_timestamp) * rate_hz + 500000000u) / 1000000000u));
    obs_source_remove_audio_capture_callback(source, captured, NULL);
    obs_source_filter_remove(source, filter);
    obs_data_release(settings);
    obs_source_release(filter);
    obs_source_release(source);
    obs_shutdown();
    return fflush(stdout) != 0;
}
