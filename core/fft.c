/* A real transform is a complex one of half the length over pairs of samples; that one is Stockham's: decimation in
   frequency whose output is in order after the last stage, going to and fro between two halves of the work space. */

#include "fft.h"

#include <math.h>

static const double TWO_PI = 6.283185307179586476925;

static complex32 unit(double turns) {
    complex32 w = {(float)cos(TWO_PI * turns), (float)-sin(TWO_PI * turns)};
    return w;
}

static complex32 add(complex32 a, complex32 b) {
    complex32 c = {a.re + b.re, a.im + b.im};
    return c;
}

static complex32 sub(complex32 a, complex32 b) {
    complex32 c = {a.re - b.re, a.im - b.im};
    return c;
}

static complex32 mul(complex32 a, complex32 b) {
    complex32 c = {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
    return c;
}

static complex32 scaled(complex32 a, float s) {
    complex32 c = {a.re * s, a.im * s};
    return c;
}

/* a / i */
static complex32 by_minus_i(complex32 a) {
    complex32 c = {a.im, -a.re};
    return c;
}

void real_fft_init(real_fft *fft, int length, arena *a) {
    fft->length = length;
    fft->half = length / 2;
    fft->stages = 0;
    int twiddles = 0;
    for (int rest = fft->half; rest > 1;) {
        int radix = rest % 5 == 0 ? 5 : rest % 3 == 0 ? 3 : rest % 4 == 0 ? 4 : 2;
        fft->radix[fft->stages++] = radix;
        rest /= radix;
        twiddles += rest * (radix - 1);
    }
    fft->twiddles = ARENA_TAKE(a, complex32, twiddles);
    fft->split = ARENA_TAKE(a, complex32, fft->half + 1);
    if (!a->memory) {
        return;
    }
    complex32 *twiddle = fft->twiddles;
    int n = fft->half;
    for (int stage = 0; stage < fft->stages; stage++) {
        int radix = fft->radix[stage];
        for (int p = 0; p < n / radix; p++) {
            for (int k = 1; k < radix; k++) {
                *twiddle++ = unit((double)p * k / n);
            }
        }
        n /= radix;
    }
    for (int k = 0; k <= fft->half; k++) {
        fft->split[k] = unit((double)k / length);
    }
}

/* One stage on n / radix butterflies for each of `stride` interleaved transforms of length n. */
static void stage2(const complex32 *restrict x, complex32 *restrict y, const complex32 *w, int m, int stride) {
    for (int p = 0; p < m; p++, w++) {
        const complex32 *a = x + stride * p, *b = a + stride * m;
        complex32 *out = y + stride * 2 * p;
        for (int q = 0; q < stride; q++) {
            out[q] = add(a[q], b[q]);
            out[q + stride] = mul(sub(a[q], b[q]), w[0]);
        }
    }
}

static void stage3(const complex32 *restrict x, complex32 *restrict y, const complex32 *w, int m, int stride) {
    const float sin60 = 0.866025403784438647f;
    for (int p = 0; p < m; p++, w += 2) {
        const complex32 *a = x + stride * p, *b = a + stride * m, *c = b + stride * m;
        complex32 *out = y + stride * 3 * p;
        for (int q = 0; q < stride; q++) {
            complex32 sum = add(b[q], c[q]);
            complex32 even = sub(a[q], scaled(sum, 0.5f));
            complex32 odd = by_minus_i(scaled(sub(b[q], c[q]), sin60));
            out[q] = add(a[q], sum);
            out[q + stride] = mul(add(even, odd), w[0]);
            out[q + stride * 2] = mul(sub(even, odd), w[1]);
        }
    }
}

static void stage4(const complex32 *restrict x, complex32 *restrict y, const complex32 *w, int m, int stride) {
    for (int p = 0; p < m; p++, w += 3) {
        const complex32 *a = x + stride * p, *b = a + stride * m, *c = b + stride * m, *d = c + stride * m;
        complex32 *out = y + stride * 4 * p;
        for (int q = 0; q < stride; q++) {
            complex32 ac = add(a[q], c[q]), bd = add(b[q], d[q]);
            complex32 even = sub(a[q], c[q]), odd = by_minus_i(sub(b[q], d[q]));
            out[q] = add(ac, bd);
            out[q + stride] = mul(add(even, odd), w[0]);
            out[q + stride * 2] = mul(sub(ac, bd), w[1]);
            out[q + stride * 3] = mul(sub(even, odd), w[2]);
        }
    }
}

static void stage5(const complex32 *restrict x, complex32 *restrict y, const complex32 *w, int m, int stride) {
    const float cos72 = 0.309016994374947424f, cos144 = -0.809016994374947424f;
    const float sin72 = 0.951056516295153572f, sin144 = 0.587785252292473129f;
    for (int p = 0; p < m; p++, w += 4) {
        const complex32 *a = x + stride * p, *b = a + stride * m, *c = b + stride * m, *d = c + stride * m;
        const complex32 *e = d + stride * m;
        complex32 *out = y + stride * 5 * p;
        for (int q = 0; q < stride; q++) {
            complex32 be = add(b[q], e[q]), cd = add(c[q], d[q]);
            complex32 be_odd = sub(b[q], e[q]), cd_odd = sub(c[q], d[q]);
            complex32 even1 = add(a[q], add(scaled(be, cos72), scaled(cd, cos144)));
            complex32 even2 = add(a[q], add(scaled(be, cos144), scaled(cd, cos72)));
            complex32 odd1 = by_minus_i(add(scaled(be_odd, sin72), scaled(cd_odd, sin144)));
            complex32 odd2 = by_minus_i(sub(scaled(be_odd, sin144), scaled(cd_odd, sin72)));
            out[q] = add(a[q], add(be, cd));
            out[q + stride] = mul(add(even1, odd1), w[0]);
            out[q + stride * 2] = mul(add(even2, odd2), w[1]);
            out[q + stride * 3] = mul(sub(even2, odd2), w[2]);
            out[q + stride * 4] = mul(sub(even1, odd1), w[3]);
        }
    }
}

/* Transform the first half of `work`; the result is in the half that is returned. */
static complex32 *transform(const real_fft *fft, complex32 *work) {
    complex32 *x = work, *y = work + fft->half;
    const complex32 *twiddle = fft->twiddles;
    int m = fft->half, stride = 1;
    for (int stage = 0; stage < fft->stages; stage++) {
        int radix = fft->radix[stage];
        m /= radix;
        switch (radix) {
        case 2: stage2(x, y, twiddle, m, stride); break;
        case 3: stage3(x, y, twiddle, m, stride); break;
        case 4: stage4(x, y, twiddle, m, stride); break;
        default: stage5(x, y, twiddle, m, stride); break;
        }
        twiddle += m * (radix - 1);
        stride *= radix;
        complex32 *swap = x;
        x = y;
        y = swap;
    }
    return x;
}

void real_fft_forward(const real_fft *fft, const float *x, complex32 *spectrum, complex32 *work) {
    int half = fft->half;
    for (int n = 0; n < half; n++) {
        work[n].re = x[2 * n];
        work[n].im = x[2 * n + 1];
    }
    const complex32 *z = transform(fft, work);
    spectrum[0].re = z[0].re + z[0].im;
    spectrum[half].re = z[0].re - z[0].im;
    spectrum[0].im = spectrum[half].im = 0.0f;
    for (int k = 1; k <= half / 2; k++) {
        complex32 mirrored = {z[half - k].re, -z[half - k].im};
        complex32 even = scaled(add(z[k], mirrored), 0.5f);
        complex32 odd = mul(by_minus_i(scaled(sub(z[k], mirrored), 0.5f)), fft->split[k]);
        complex32 low = add(even, odd), high = sub(even, odd);
        spectrum[half - k].re = high.re;
        spectrum[half - k].im = -high.im;
        spectrum[k] = low;
    }
}

void real_fft_inverse(const real_fft *fft, const complex32 *spectrum, float *x, complex32 *work) {
    /* Real and imaginary parts change places on the way in and on the way out, which inverts the transform. */
    int half = fft->half;
    float scale = 1.0f / (float)fft->length;
    work[0].im = (spectrum[0].re + spectrum[half].re) * scale;
    work[0].re = (spectrum[0].re - spectrum[half].re) * scale;
    for (int k = 1; k <= half / 2; k++) {
        complex32 mirrored = {spectrum[half - k].re, -spectrum[half - k].im};
        complex32 turn = {fft->split[k].re, -fft->split[k].im};
        complex32 even = scaled(add(spectrum[k], mirrored), scale);
        complex32 odd = mul(scaled(sub(spectrum[k], mirrored), scale), turn);
        work[k].im = even.re - odd.im;
        work[k].re = even.im + odd.re;
        work[half - k].im = even.re + odd.im;
        work[half - k].re = odd.re - even.im;
    }
    const complex32 *z = transform(fft, work);
    for (int n = 0; n < half; n++) {
        x[2 * n] = z[n].im;
        x[2 * n + 1] = z[n].re;
    }
}
