/* DC and infrasound are taken away in front of everything, and the phase that this costs is given back at the end.

   A Butterworth filter of fourth order as two sections, each by the bilinear transform. */

#include "signal/highpass.h"

#include <math.h>
#include <string.h>

#include "signal/circle.h"
#include "signal/constants.h"

static void section_init(highpass_section *s, double corner_hz, double damping) {
    double warped = CIRCLE_PI * corner_hz / SAMPLE_RATE_HZ, k = circle_sin(warped) / circle_cos(warped);
    double scale = 1.0 / (1.0 + damping * k + k * k);
    s->b0 = scale;
    s->b1 = -2.0 * scale;
    s->b2 = scale;
    s->a1 = 2.0 * (k * k - 1.0) * scale;
    s->a2 = (1.0 - damping * k + k * k) * scale;
}

/* e^-i times the angle of the filter's response at a frequency, by the polynomials of each section. */
static complex32 undo_at(const highpass *h, double radians) {
    double re = 1.0, im = 0.0;
    for (int i = 0; i < HIGHPASS_SECTIONS; i++) {
        const highpass_section *s = &h->sections[i];
        double c1 = circle_cos(radians), s1 = circle_sin(radians);
        double c2 = circle_cos(2.0 * radians), s2 = circle_sin(2.0 * radians);
        double up_re = s->b0 + s->b1 * c1 + s->b2 * c2, up_im = -s->b1 * s1 - s->b2 * s2;
        double down_re = 1.0 + s->a1 * c1 + s->a2 * c2, down_im = -s->a1 * s1 - s->a2 * s2;
        double of_re = up_re * down_re + up_im * down_im, of_im = up_im * down_re - up_re * down_im;
        double next = re * of_re - im * of_im;
        im = re * of_im + im * of_re;
        re = next;
    }
    double size = sqrt(re * re + im * im);
    return (complex32){(float)(re / size), (float)(-im / size)};
}

void highpass_init(highpass *h, double corner_hz, arena *a) {
    h->is_on = corner_hz > 0.0;
    h->undo = ARENA_TAKE(a, complex32, BINS);
    for (int i = 0; i < HIGHPASS_SECTIONS && h->is_on; i++) {
        section_init(&h->sections[i], corner_hz, 2.0 * circle_sin(CIRCLE_PI * (2 * i + 1) / (4.0 * HIGHPASS_SECTIONS)));
    }
    for (int k = 0; k < BINS && a->memory; k++) {
        h->undo[k] = (complex32){1.0f, 0.0f};
    }
    if (h->is_on && a->memory) {
        for (int k = 2; k < BINS - 1; k++) {
            h->undo[k] = undo_at(h, 2.0 * CIRCLE_PI * k / WINDOW_SAMPLES);
        }
        /* what is left at 0 and 50 Hz is the skirt of what lies above: it turns as that does */
        h->undo[1] = h->undo[2];
    }
}

void highpass_begin(double state[HIGHPASS_STATE], const float *x) {
    state[0] = state[1] = x[0];
    for (int i = 2; i < HIGHPASS_STATE; i++) {
        state[i] = 0.0;
    }
}

/* In direct form: each section waits for one product and one difference of its own last output, and both sections run at
   once. */
void highpass_hop(const highpass *h, double state[HIGHPASS_STATE], float *x) {
    const double pb = h->sections[0].b0, pa1 = h->sections[0].a1, pa2 = h->sections[0].a2;
    const double qb = h->sections[1].b0, qa1 = h->sections[1].a1, qa2 = h->sections[1].a2;
    double x1 = state[0], x2 = state[1], y1 = state[2], y2 = state[3], z1 = state[4], z2 = state[5];
    for (int n = 0; n < HOP_SAMPLES; n++) {
        double x0 = x[n];
        double y0 = (pb * ((x0 - x1) - (x1 - x2)) - pa2 * y2) - pa1 * y1;
        double z0 = (qb * ((y0 - y1) - (y1 - y2)) - qa2 * z2) - qa1 * z1;
        x2 = x1, x1 = x0, y2 = y1, y1 = y0, z2 = z1, z1 = z0;
        x[n] = (float)z0;
    }
    const double after[HIGHPASS_STATE] = {x1, x2, y1, y2, z1, z2};
    for (int i = 0; i < HIGHPASS_STATE; i++) {
        /* it would decay for ever, where the processor does not take such numbers as zero */
        state[i] = fabs(after[i]) < 1e-30 ? 0.0 : after[i];
    }
}

void highpass_undo_phase(const highpass *h, const complex32 *spectrum, complex32 *out) {
    if (!h->is_on) {
        memcpy(out, spectrum, sizeof(complex32) * BINS);
        return;
    }
    for (int k = 0; k < BINS; k++) {
        complex32 x = spectrum[k], u = h->undo[k];
        out[k].re = x.re * u.re - x.im * u.im;
        out[k].im = x.re * u.im + x.im * u.re;
    }
}
