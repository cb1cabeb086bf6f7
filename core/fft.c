/* A real transform is a complex one of half the length over pairs of samples; that one is Stockham's: decimation in
   frequency whose output is in order after the last stage, going to and fro between two halves of the work space. In
   there, real and imaginary parts lie apart, so that the compiler makes vectors of all loops. */

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
        /* the first ones make the runs of the later ones long enough for vectors */
        int radix = rest % 4 == 0 ? 4 : rest % 5 == 0 ? 5 : rest % 3 == 0 ? 3 : 2;
        fft->radix[fft->stages++] = radix;
        rest /= radix;
        twiddles += rest * (radix - 1);
    }
    fft->twiddles = ARENA_TAKE(a, float, 2 * twiddles);
    fft->split = ARENA_TAKE(a, complex32, fft->half + 1);
    if (!a->memory) {
        return;
    }
    float *twiddle = fft->twiddles;
    int n = fft->half;
    for (int stage = 0; stage < fft->stages; stage++) {
        int radix = fft->radix[stage], m = n / radix;
        for (int k = 1; k < radix; k++, twiddle += 2 * m) {
            for (int p = 0; p < m; p++) {
                complex32 w = unit((double)p * k / n);
                twiddle[p] = w.re;
                twiddle[m + p] = w.im;
            }
        }
        n = m;
    }
    for (int k = 0; k <= fft->half; k++) {
        fft->split[k] = unit((double)k / length);
    }
}

/* Complex numbers whose real and imaginary parts lie apart. */
typedef struct split {
    float *re, *im;
} split;

#ifdef __GNUC__
#define INLINE static inline __attribute__((always_inline))
#else
#define INLINE static inline
#endif

INLINE complex32 at(const float *re, const float *im, int i) {
    complex32 c = {re[i], im[i]};
    return c;
}

/* The k-th factor of butterfly p. */
INLINE complex32 twiddle_at(const float *w, int m, int k, int p) {
    complex32 c = {w[2 * m * (k - 1) + p], w[2 * m * (k - 1) + m + p]};
    return c;
}

INLINE void put(float *re, float *im, int i, complex32 c) {
    re[i] = c.re;
    im[i] = c.im;
}

/* One stage on n / radix butterflies for each of `stride` interleaved transforms of length n = radix * m. */
INLINE void stage2(const float *restrict xr, const float *restrict xi, float *restrict yr, float *restrict yi,
                   const float *restrict w, int m, int stride) {
    for (int p = 0; p < m; p++) {
        complex32 w1 = twiddle_at(w, m, 1, p);
        for (int q = 0; q < stride; q++) {
            int from = stride * p + q, to = stride * 2 * p + q;
            complex32 a = at(xr, xi, from), b = at(xr, xi, from + stride * m);
            put(yr, yi, to, add(a, b));
            put(yr, yi, to + stride, mul(sub(a, b), w1));
        }
    }
}

INLINE void stage3(const float *restrict xr, const float *restrict xi, float *restrict yr, float *restrict yi,
                   const float *restrict w, int m, int stride) {
    const float sin60 = 0.866025403784438647f;
    for (int p = 0; p < m; p++) {
        complex32 w1 = twiddle_at(w, m, 1, p), w2 = twiddle_at(w, m, 2, p);
        for (int q = 0; q < stride; q++) {
            int from = stride * p + q, to = stride * 3 * p + q;
            complex32 a = at(xr, xi, from), b = at(xr, xi, from + stride * m), c = at(xr, xi, from + 2 * stride * m);
            complex32 sum = add(b, c);
            complex32 even = sub(a, scaled(sum, 0.5f));
            complex32 odd = by_minus_i(scaled(sub(b, c), sin60));
            put(yr, yi, to, add(a, sum));
            put(yr, yi, to + stride, mul(add(even, odd), w1));
            put(yr, yi, to + stride * 2, mul(sub(even, odd), w2));
        }
    }
}

INLINE void stage4(const float *restrict xr, const float *restrict xi, float *restrict yr, float *restrict yi,
                   const float *restrict w, int m, int stride) {
    for (int p = 0; p < m; p++) {
        complex32 w1 = twiddle_at(w, m, 1, p), w2 = twiddle_at(w, m, 2, p), w3 = twiddle_at(w, m, 3, p);
        for (int q = 0; q < stride; q++) {
            int from = stride * p + q, to = stride * 4 * p + q;
            complex32 a = at(xr, xi, from), b = at(xr, xi, from + stride * m);
            complex32 c = at(xr, xi, from + 2 * stride * m), d = at(xr, xi, from + 3 * stride * m);
            complex32 ac = add(a, c), bd = add(b, d);
            complex32 even = sub(a, c), odd = by_minus_i(sub(b, d));
            put(yr, yi, to, add(ac, bd));
            put(yr, yi, to + stride, mul(add(even, odd), w1));
            put(yr, yi, to + stride * 2, mul(sub(ac, bd), w2));
            put(yr, yi, to + stride * 3, mul(sub(even, odd), w3));
        }
    }
}

INLINE void stage5(const float *restrict xr, const float *restrict xi, float *restrict yr, float *restrict yi,
                   const float *restrict w, int m, int stride) {
    const float cos72 = 0.309016994374947424f, cos144 = -0.809016994374947424f;
    const float sin72 = 0.951056516295153572f, sin144 = 0.587785252292473129f;
    for (int p = 0; p < m; p++) {
        complex32 w1 = twiddle_at(w, m, 1, p), w2 = twiddle_at(w, m, 2, p);
        complex32 w3 = twiddle_at(w, m, 3, p), w4 = twiddle_at(w, m, 4, p);
        for (int q = 0; q < stride; q++) {
            int from = stride * p + q, to = stride * 5 * p + q;
            complex32 a = at(xr, xi, from), b = at(xr, xi, from + stride * m);
            complex32 c = at(xr, xi, from + 2 * stride * m), d = at(xr, xi, from + 3 * stride * m);
            complex32 e = at(xr, xi, from + 4 * stride * m);
            complex32 be = add(b, e), cd = add(c, d);
            complex32 be_odd = sub(b, e), cd_odd = sub(c, d);
            complex32 even1 = add(a, add(scaled(be, cos72), scaled(cd, cos144)));
            complex32 even2 = add(a, add(scaled(be, cos144), scaled(cd, cos72)));
            complex32 odd1 = by_minus_i(add(scaled(be_odd, sin72), scaled(cd_odd, sin144)));
            complex32 odd2 = by_minus_i(sub(scaled(be_odd, sin144), scaled(cd_odd, sin72)));
            put(yr, yi, to, add(a, add(be, cd)));
            put(yr, yi, to + stride, mul(add(even1, odd1), w1));
            put(yr, yi, to + stride * 2, mul(add(even2, odd2), w2));
            put(yr, yi, to + stride * 3, mul(sub(even2, odd2), w3));
            put(yr, yi, to + stride * 4, mul(sub(even1, odd1), w4));
        }
    }
}

static void stage(int radix, const split *x, const split *y, const float *w, int m, int stride) {
    if (radix == 4 && stride == 1) { /* constants that the compiler makes vectors of the other loop for */
        stage4(x->re, x->im, y->re, y->im, w, m, 1);
    } else if (radix == 4 && stride == 4) {
        stage4(x->re, x->im, y->re, y->im, w, m, 4);
    } else if (radix == 4) {
        stage4(x->re, x->im, y->re, y->im, w, m, stride);
    } else if (radix == 5) {
        stage5(x->re, x->im, y->re, y->im, w, m, stride);
    } else if (radix == 3) {
        stage3(x->re, x->im, y->re, y->im, w, m, stride);
    } else {
        stage2(x->re, x->im, y->re, y->im, w, m, stride);
    }
}

/* The two halves of the work space. */
static split half_of(const real_fft *fft, complex32 *work, int which) {
    float *start = &work->re + (size_t)(2 * which) * (size_t)fft->half;
    split s = {start, start + fft->half};
    return s;
}

/* Transform the first half of `work`; the result is in the half that is returned. */
static split transform(const real_fft *fft, complex32 *work) {
    split x = half_of(fft, work, 0), y = half_of(fft, work, 1);
    const float *twiddle = fft->twiddles;
    int m = fft->half, stride = 1;
    for (int i = 0; i < fft->stages; i++) {
        int radix = fft->radix[i];
        m /= radix;
        stage(radix, &x, &y, twiddle, m, stride);
        twiddle += 2 * m * (radix - 1);
        stride *= radix;
        split swap = x;
        x = y;
        y = swap;
    }
    return x;
}

void real_fft_forward(const real_fft *fft, const float *x, complex32 *spectrum, complex32 *work) {
    int half = fft->half;
    split in = half_of(fft, work, 0);
    for (int n = 0; n < half; n++) {
        in.re[n] = x[2 * n];
        in.im[n] = x[2 * n + 1];
    }
    split z = transform(fft, work);
    spectrum[0].re = z.re[0] + z.im[0];
    spectrum[half].re = z.re[0] - z.im[0];
    spectrum[0].im = spectrum[half].im = 0.0f;
    for (int k = 1; k <= half / 2; k++) {
        complex32 here = at(z.re, z.im, k), mirrored = {z.re[half - k], -z.im[half - k]};
        complex32 even = scaled(add(here, mirrored), 0.5f);
        complex32 odd = mul(by_minus_i(scaled(sub(here, mirrored), 0.5f)), fft->split[k]);
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
    split in = half_of(fft, work, 0);
    in.im[0] = (spectrum[0].re + spectrum[half].re) * scale;
    in.re[0] = (spectrum[0].re - spectrum[half].re) * scale;
    for (int k = 1; k <= half / 2; k++) {
        complex32 mirrored = {spectrum[half - k].re, -spectrum[half - k].im};
        complex32 turn = {fft->split[k].re, -fft->split[k].im};
        complex32 even = scaled(add(spectrum[k], mirrored), scale);
        complex32 odd = mul(scaled(sub(spectrum[k], mirrored), scale), turn);
        in.im[k] = even.re - odd.im;
        in.re[k] = even.im + odd.re;
        in.im[half - k] = even.re + odd.im;
        in.re[half - k] = odd.re - even.im;
    }
    split z = transform(fft, work);
    for (int n = 0; n < half; n++) {
        x[2 * n] = z.im[n];
        x[2 * n + 1] = z.re[n];
    }
}
