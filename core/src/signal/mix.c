/* From decisions to a spectrum: mix noisy and comb-filtered speech band by band, then give each band its magnitude. */

#include "signal/mix.h"

#include <math.h>
#include <string.h>

#include "kernels/kernels.h"
#include "signal/postfilter.h"

void mix_init(mix *m, int bands, int channels, int windows, arena *a) {
    m->mixed_energy = ARENA_TAKE(a, float, bands * channels * windows);
    m->noisy_energy = ARENA_TAKE(a, float, bands * channels * windows);
    m->mixed_heard = ARENA_TAKE(a, float, bands * channels);
    m->noisy_heard = ARENA_TAKE(a, float, bands * channels);
    m->total_mixed = ARENA_TAKE(a, float, bands);
    m->total_noisy = ARENA_TAKE(a, float, bands);
    m->gains = ARENA_TAKE(a, float, bands);
    m->wanted = ARENA_TAKE(a, float, bands);
    m->filtered = ARENA_TAKE(a, float, bands);
}

/* What brings the mixture back to the level of the noisy band, up to 12 dB. */
static float rescale(float energy_noisy, float energy_mixed) {
    return fminf(sqrtf((energy_noisy + TINY) / (energy_mixed + TINY)), RESCALE_MAX);
}

static void total(const float *energy, int bands, int channels, float *sum) {
    for (int band = 0; band < bands; band++) {
        sum[band] = 0.0f;
        for (int channel = 0; channel < channels; channel++) {
            sum[band] += energy[channel * bands + band];
        }
    }
}

void mix_scale(const kernel *k, int count, const float *of_bins, complex32 *spectra) {
    for (int i = 0; i < count; i++) {
        k->scale_bins(of_bins, BINS, spectra + i * BINS);
    }
}

/* The lowest bands, those centred at up to MIX_HEARD_TO_BIN, have the levels of the frame; if it is given out alone,
   all have. */
static int lowest(const bands *b, const windows *w) {
    int low = w->count == 1 ? b->count : 0;
    while (low < b->count && b->edges[low] <= MIX_HEARD_TO_BIN) {
        low++;
    }
    return low;
}

/* Energies of the lowest bands alone. */
static void low_energy(const bands *b, int low, const complex32 *x, float *energy) {
    if (low == b->count) {
        bands_energy(b, x, energy);
        return;
    }
    memset(energy, 0, sizeof(float) * (size_t)low);
    for (int band = 0; band < low; band++) {
        for (int k = b->edges[band]; k < b->edges[band + 1]; k++) {
            float power = x[k].re * x[k].re + x[k].im * x[k].im;
            energy[band] += b->to_lower[k] * power;
            if (band + 1 < low) {
                energy[band + 1] += b->to_upper[k] * power;
            }
        }
    }
}

static void hear(mix *m, const bands *b, int low, int channels, const complex32 *noisy, const complex32 *comb,
                 const float *strengths) {
    complex32 mixed[BINS];
    int bins = low < b->count ? b->edges[low] : BINS;
    for (int channel = 0; channel < channels; channel++, noisy += BINS, comb += BINS) {
        for (int k = 0; k < bins; k++) {
            mixed[k].re = noisy[k].re + strengths[k] * (comb[k].re - noisy[k].re);
            mixed[k].im = noisy[k].im + strengths[k] * (comb[k].im - noisy[k].im);
        }
        low_energy(b, low, noisy, m->noisy_heard + channel * b->count);
        low_energy(b, low, mixed, m->mixed_heard + channel * b->count);
    }
}

/* It judges what is still noisy after the comb filter: by the gain that the mixture needs. */
static void filter_gains(mix *m, const float *noisy_energy, const float *mixed_energy, int bands, int channels,
                         const float *gains) {
    total(noisy_energy, bands, channels, m->total_noisy);
    total(mixed_energy, bands, channels, m->total_mixed);
    for (int band = 0; band < bands; band++) {
        m->wanted[band] = gains[band] * rescale(m->total_noisy[band], m->total_mixed[band]);
    }
    postfilter(m->wanted, m->total_mixed, m->filtered, bands);
    for (int band = 0; band < bands; band++) {
        m->gains[band] = gains[band] * (m->filtered[band] / (m->wanted[band] + TINY));
    }
}

static void scale_window(mix *m, const analysis_tables *tables, int window, int channels, const float *gains,
                         const float *of_bins, int post_filter, complex32 *out) {
    int count = tables->bands.count;
    float scale[BINS], bins[BINS], all[BINS];
    const float *noisy_energy = m->noisy_energy + window * channels * count;
    const float *mixed_energy = m->mixed_energy + window * channels * count;
    memcpy(m->gains, gains, sizeof(float) * (size_t)count);
    if (post_filter) {
        filter_gains(m, noisy_energy, mixed_energy, count, channels, gains);
    }
    for (int channel = 0; channel < channels; channel++) {
        for (int band = 0; band < count; band++) {
            int at = channel * count + band;
            scale[band] = m->gains[band] * rescale(noisy_energy[at], mixed_energy[at]);
        }
        bands_to_bins(&tables->bands, scale, bins);
        tables->kernel->multiply(bins, of_bins, BINS, all);
        mix_scale(tables->kernel, 1, all, out + (window * channels + channel) * BINS);
    }
}

void mix_spectrum(mix *m, const analysis_tables *tables, const windows *w, int channels, const mix_spectra *of,
                  const float *gains, const float *strengths, const float *of_bins, int post_filter, complex32 *out) {
    const bands *b = &tables->bands;
    int low = lowest(b, w), windows = w->count;
    float strengths_of_bins[BINS], noisy_power[BINS], mixed_power[BINS];
    size_t heard = sizeof(float) * (size_t)low;
    bands_to_bins(b, strengths, strengths_of_bins);
    hear(m, b, low, channels, of->noisy, of->combs + w->own * channels * BINS, strengths_of_bins);
    for (int i = 0; i < windows * channels; i++) {
        float *noisy_energy = m->noisy_energy + i * b->count, *mixed_energy = m->mixed_energy + i * b->count;
        tables->kernel->mix(of->unturned + i * BINS, of->combs + i * BINS, tables->highpass.undo, strengths_of_bins,
                            BINS, out + i * BINS, noisy_power, mixed_power);
        if (low < b->count) {
            bands_sums(b, noisy_power, noisy_energy);
            bands_sums(b, mixed_power, mixed_energy);
        }
        memcpy(noisy_energy, m->noisy_heard + i % channels * b->count, heard);
        memcpy(mixed_energy, m->mixed_heard + i % channels * b->count, heard);
    }
    for (int window = 0; window < windows; window++) {
        scale_window(m, tables, window, channels, gains, of_bins, post_filter, out);
    }
}
