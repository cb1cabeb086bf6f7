/* From decisions to a spectrum: mix noisy and comb-filtered speech band by band, then give each band its magnitude. */

#include "signal/mix.h"

#include <math.h>

#include "signal/postfilter.h"

void mix_init(mix *m, int bands, int channels, arena *a) {
    m->mixed_energy = ARENA_TAKE(a, float, bands * channels);
    m->noisy_energy = ARENA_TAKE(a, float, bands * channels);
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

void mix_scale(int channels, const float *of_bins, complex32 *spectra) {
    for (int channel = 0; channel < channels; channel++, spectra += BINS) {
        for (int k = 0; k < BINS; k++) {
            spectra[k].re *= of_bins[k];
            spectra[k].im *= of_bins[k];
        }
    }
}

static void mixture(const complex32 *y, const complex32 *p, const float *strengths, complex32 *z) {
    for (int k = 0; k < BINS; k++) {
        z[k].re = y[k].re + strengths[k] * (p[k].re - y[k].re);
        z[k].im = y[k].im + strengths[k] * (p[k].im - y[k].im);
    }
}

void mix_spectrum(mix *m, const bands *b, const highpass *h, int channels, const mix_spectra *of, const float *gains,
                  const float *strengths, int post_filter, complex32 *out) {
    int count = b->count;
    float bins[BINS], strengths_of_bins[BINS];
    complex32 comb[BINS];
    bands_to_bins(b, strengths, strengths_of_bins);
    for (int channel = 0; channel < channels; channel++) {
        const complex32 *noisy = of->noisy + channel * BINS;
        complex32 *z = out + channel * BINS;
        bands_energy(b, noisy, m->noisy_energy + channel * count);
        mixture(noisy, of->comb + channel * BINS, strengths_of_bins, z);
        bands_energy(b, z, m->mixed_energy + channel * count);
    }
    for (int band = 0; band < count; band++) {
        m->gains[band] = gains[band];
    }
    if (post_filter) {
        /* It judges what is still noisy after the comb filter: by the gain that the mixture needs. */
        total(m->noisy_energy, count, channels, m->total_noisy);
        total(m->mixed_energy, count, channels, m->total_mixed);
        for (int band = 0; band < count; band++) {
            m->wanted[band] = gains[band] * rescale(m->total_noisy[band], m->total_mixed[band]);
        }
        postfilter(m->wanted, m->total_mixed, m->filtered, count);
        for (int band = 0; band < count; band++) {
            m->gains[band] *= m->filtered[band] / (m->wanted[band] + TINY);
        }
    }
    for (int channel = 0; channel < channels; channel++) {
        const float *energy_noisy = m->noisy_energy + channel * count;
        const float *energy_mixed = m->mixed_energy + channel * count;
        float *scale = m->filtered;
        for (int band = 0; band < count; band++) {
            scale[band] = m->gains[band] * rescale(energy_noisy[band], energy_mixed[band]);
        }
        bands_to_bins(b, scale, bins);
        highpass_undo_phase(h, of->comb + channel * BINS, comb);
        mixture(of->unturned + channel * BINS, comb, strengths_of_bins, out + channel * BINS);
        mix_scale(1, bins, out + channel * BINS);
    }
}
