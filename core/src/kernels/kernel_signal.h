/* The inner loops of the signal path, which each source file that includes this one, after kernel_body.h, compiles for
   its instruction set. No sum depends on how wide a register is, so that all of them give the same bits. */

#include "signal/constants.h"
#include "signal/pitch.h"
#include "signal/whitening.h"

TARGET INLINE void store(lanes x, float *to) { memcpy(to, &x, sizeof x); }

TARGET static void multiply(const float *restrict x, const float *restrict factors, int count, float *restrict y) {
    for (int i = 0; i < count; i++) {
        y[i] = x[i] * factors[i];
    }
}

TARGET static void add_multiplied(const float *restrict x, const float *restrict factors, int count,
                                  float *restrict sum) {
    for (int i = 0; i < count; i++) {
        sum[i] += x[i] * factors[i];
    }
}

TARGET static void mix(const complex32 *restrict y, const complex32 *restrict p, const complex32 *restrict turn,
                       const float *restrict share, int count, complex32 *restrict z, float *restrict power_y,
                       float *restrict power_z) {
    for (int k = 0; k < count; k++) {
        float re = p[k].re * turn[k].re - p[k].im * turn[k].im, im = p[k].re * turn[k].im + p[k].im * turn[k].re;
        re = y[k].re + share[k] * (re - y[k].re);
        im = y[k].im + share[k] * (im - y[k].im);
        z[k].re = re;
        z[k].im = im;
        power_y[k] = y[k].re * y[k].re + y[k].im * y[k].im;
        power_z[k] = re * re + im * im;
    }
}

TARGET static void scale_bins(const float *restrict factors, int count, complex32 *restrict x) {
    for (int k = 0; k < count; k++) {
        x[k].re *= factors[k];
        x[k].im *= factors[k];
    }
}

TARGET static void add_scaled_run(const float *restrict x, float factor, int count, float *restrict sum) {
    for (int i = 0; i < count; i++) {
        sum[i] += factor * x[i];
    }
}

#define AT_ONCE (4 * LANES) /* numbers of four registers, so that no sum waits for itself */

TARGET static void interpolate(const float *restrict x, const float *restrict taps, int count, float *restrict sum) {
    for (int n = 0; n < count; n += AT_ONCE, x += AT_ONCE) {
        lanes a = lanes_at(x) * taps[0], b = lanes_at(x + LANES) * taps[0];
        lanes c = lanes_at(x + 2 * LANES) * taps[0], d = lanes_at(x + 3 * LANES) * taps[0];
        for (int tap = 1; tap < 2 * COMB_REACH; tap++) {
            a += lanes_at(x + tap) * taps[tap];
            b += lanes_at(x + LANES + tap) * taps[tap];
            c += lanes_at(x + 2 * LANES + tap) * taps[tap];
            d += lanes_at(x + 3 * LANES + tap) * taps[tap];
        }
        store(lanes_at(sum + n) + a, sum + n);
        store(lanes_at(sum + n + LANES) + b, sum + n + LANES);
        store(lanes_at(sum + n + 2 * LANES) + c, sum + n + 2 * LANES);
        store(lanes_at(sum + n + 3 * LANES) + d, sum + n + 3 * LANES);
    }
}

#define PHASE_SAMPLES (PITCH_INPUT_SAMPLES / PITCH_DECIMATION)

TARGET static void low_pass(const float *restrict x, float *restrict low) {
    /* Every fourth sample by itself, so that neighbouring sums read neighbouring numbers. */
    float phases[PITCH_DECIMATION][PHASE_SAMPLES];
    for (int i = 0; i < PHASE_SAMPLES; i++) {
        phases[0][i] = x[4 * i];
        phases[1][i] = x[4 * i + 1];
        phases[2][i] = x[4 * i + 2];
        phases[3][i] = x[4 * i + 3];
    }
    for (int v = 0; v < PITCH_HOP; v += AT_ONCE) {
        int first = v + AT_ONCE <= PITCH_HOP ? v : PITCH_HOP - AT_ONCE;
        lanes a = {0.0f}, b = a, c = a, d = a;
        for (int tap = 0; tap < PITCH_LOW_PASS_TAPS; tap++) {
            const float *from = phases[tap % PITCH_DECIMATION] + first + tap / PITCH_DECIMATION;
            a += lanes_at(from) * PITCH_LOW_PASS[tap];
            b += lanes_at(from + LANES) * PITCH_LOW_PASS[tap];
            c += lanes_at(from + 2 * LANES) * PITCH_LOW_PASS[tap];
            d += lanes_at(from + 3 * LANES) * PITCH_LOW_PASS[tap];
        }
        store(a, low + first);
        store(b, low + first + LANES);
        store(c, low + first + 2 * LANES);
        store(d, low + first + 3 * LANES);
    }
}

/* Sums of twice as many neighbours: of so many numbers, that far apart. */
TARGET INLINE void add_neighbours(const float *restrict x, int distance, int count, float *restrict sum) {
    for (int i = 0; i < count; i++) {
        sum[i] = x[i] + x[i + distance];
    }
}

TARGET static void whiten(const float *restrict power, float *restrict whitened) {
    enum { REACH = PITCH_ENVELOPE_REACH, WIDTH = 2 * REACH + 1, ALL = PITCH_BINS_USED + WIDTH - 1 };
    _Static_assert(WIDTH == 32 + 16 + 8 + 4 + 1, "what the sums below add up to");
    /* By doubling: no sum waits for many others, and small ones keep their digits beside large ones. At its beginning
       the spectrum is its own mirror image. */
    float one[ALL], two[ALL], four[ALL], eight[ALL], sixteen[ALL], most[ALL];
    for (int bin = 0; bin < REACH; bin++) {
        one[bin] = power[REACH - bin];
    }
    memcpy(one + REACH, power, sizeof(float) * (ALL - REACH));
    add_neighbours(one, 1, ALL - 1, two);
    add_neighbours(two, 2, ALL - 3, four);
    add_neighbours(four, 4, ALL - 7, eight);
    add_neighbours(eight, 8, ALL - 15, sixteen);
    add_neighbours(sixteen, 16, ALL - 31, most);
    for (int bin = 0; bin < PITCH_BINS_USED; bin++) {
        float sum = most[bin] + sixteen[bin + 32] + eight[bin + 48] + four[bin + 56] + one[bin + 60];
        whitened[bin] = power[bin] * PITCH_EMPHASIS[bin] * pitch_whitening(sum / WIDTH + 1e-12f);
    }
}

#ifdef PERCEPNET_WITHOUT_FAR_END
#define FAR_END_LOOPS
#else
#define FAR_END_LOOPS , .add_product = add_product, .add_power = add_power, .expect = expect, .adapt = adapt

TARGET INLINE void add_product_of(const float *restrict ar, const float *restrict ai, const float *restrict br,
                                  const float *restrict bi, int count, float *restrict yr, float *restrict yi) {
    for (int i = 0; i < count; i++) {
        yr[i] += ar[i] * br[i] - ai[i] * bi[i];
        yi[i] += ar[i] * bi[i] + ai[i] * br[i];
    }
}

TARGET static void add_product(const split *a, const split *b, int count, const split *y) {
    add_product_of(a->re, a->im, b->re, b->im, count, y->re, y->im);
}

TARGET INLINE float add_power_of(const float *restrict re, const float *restrict im, int count, float *restrict sum) {
    float sums[KERNEL_DOT_SUMS] = {0.0f};
    int i = 0;
    for (; i + KERNEL_DOT_SUMS <= count; i += KERNEL_DOT_SUMS) {
        for (int j = 0; j < KERNEL_DOT_SUMS; j++) {
            float power = re[i + j] * re[i + j] + im[i + j] * im[i + j];
            sum[i + j] += power;
            sums[j] += power;
        }
    }
    for (int j = 0; i < count; i++, j++) {
        float power = re[i] * re[i] + im[i] * im[i];
        sum[i] += power;
        sums[j] += power;
    }
    return add_by_halves(sums);
}

TARGET static float add_power(const split *x, int count, float *sum) { return add_power_of(x->re, x->im, count, sum); }

TARGET INLINE void expect_of(const float *restrict power, const float *restrict xr, const float *restrict xi,
                             float leak, int count, float *restrict variance, float *restrict sum) {
    for (int i = 0; i < count; i++) {
        float least = leak * power[i];
        variance[i] = variance[i] > least ? variance[i] : least;
        sum[i] += variance[i] * (xr[i] * xr[i] + xi[i] * xi[i]);
    }
}

TARGET static void expect(const float *power, const split *far, float leak, int count, float *variance, float *sum) {
    expect_of(power, far->re, far->im, leak, count, variance, sum);
}

TARGET INLINE void adapt_of(float *restrict wr, float *restrict wi, const float *restrict xr, const float *restrict xi,
                            const float *restrict er, const float *restrict ei, const float *restrict inverse,
                            int count, float *restrict variance) {
    const float kept = ECHO_KEPT, changed = 1.0f - kept;
    for (int i = 0; i < count; i++) {
        float power = wr[i] * wr[i] + wi[i] * wi[i], far_power = xr[i] * xr[i] + xi[i] * xi[i];
        float step = variance[i] * inverse[i];
        variance[i] = kept * (1.0f - ECHO_HALF * step * far_power) * variance[i] + changed * power;
        wr[i] += step * (xr[i] * er[i] + xi[i] * ei[i]);
        wi[i] += step * (xr[i] * ei[i] - xi[i] * er[i]);
    }
}

TARGET static void adapt(const split *path, const split *far, const split *error, const float *inverse, int count,
                         float *variance) {
    adapt_of(path->re, path->im, far->re, far->im, error->re, error->im, inverse, count, variance);
}
#endif

/* The Fourier transform of fft.h: complex numbers in registers, one of each of LANES neighbours. */
typedef struct pair {
    lanes re, im;
} pair;

TARGET INLINE pair pair_at(const split *x, int i) {
    pair found = {lanes_at(x->re + i), lanes_at(x->im + i)};
    return found;
}

TARGET INLINE void put_pair(pair a, const split *x, int i) {
    store(a.re, x->re + i);
    store(a.im, x->im + i);
}

TARGET INLINE pair pair_add(pair a, pair b) {
    pair c = {a.re + b.re, a.im + b.im};
    return c;
}

TARGET INLINE pair pair_sub(pair a, pair b) {
    pair c = {a.re - b.re, a.im - b.im};
    return c;
}

/* a + b / i */
TARGET INLINE pair pair_turn(pair a, pair b) {
    pair c = {a.re + b.im, a.im - b.re};
    return c;
}

/* a - b / i */
TARGET INLINE pair pair_turn_back(pair a, pair b) {
    pair c = {a.re - b.im, a.im + b.re};
    return c;
}

TARGET INLINE pair pair_scaled(pair a, float factor) {
    pair c = {a.re * factor, a.im * factor};
    return c;
}

TARGET INLINE pair pair_mul(pair a, lanes re, lanes im) {
    pair c = {a.re * re - a.im * im, a.re * im + a.im * re};
    return c;
}

TARGET INLINE pair pair_mul_one(pair a, float re, float im) {
    pair c = {a.re * re - a.im * im, a.re * im + a.im * re};
    return c;
}

typedef struct four_pairs {
    pair a, b, c, d;
} four_pairs;

TARGET INLINE four_pairs butterfly4(const split *x, int from, int step) {
    pair a = pair_at(x, from), b = pair_at(x, from + step);
    pair c = pair_at(x, from + 2 * step), d = pair_at(x, from + 3 * step);
    pair ac = pair_add(a, c), bd = pair_add(b, d), even = pair_sub(a, c), odd = pair_sub(b, d);
    four_pairs found = {pair_add(ac, bd), pair_turn(even, odd), pair_sub(ac, bd), pair_turn_back(even, odd)};
    return found;
}

/* The first stages: a run of m numbers that lie side by side becomes four, `step` apart, that still do. The last
   register may overlap the one before. */
TARGET static void fft_rows(split x, split y, const float *w, int m, int step) {
    for (int v = 0; v < m; v += LANES) {
        int p = v + LANES <= m ? v : m - LANES;
        const float *turn = w + p;
        four_pairs f = butterfly4(&x, p, m);
        put_pair(f.a, &y, p);
        put_pair(pair_mul(f.b, lanes_at(turn), lanes_at(turn + m)), &y, p + step);
        put_pair(pair_mul(f.c, lanes_at(turn + 2 * m), lanes_at(turn + 3 * m)), &y, p + 2 * step);
        put_pair(pair_mul(f.d, lanes_at(turn + 4 * m), lanes_at(turn + 5 * m)), &y, p + 3 * step);
    }
}

typedef struct spread_to {
    const split *y;
    const float *w;
    int m, p, last;
} spread_to;

/* The k-th result of butterfly p; factors of the last stage are one. */
TARGET INLINE void put_turned(pair a, const spread_to *s, int k, int to) {
    if (!s->last) {
        a = pair_mul_one(a, s->w[2 * s->m * (k - 1) + s->p], s->w[2 * s->m * (k - 1) + s->m + s->p]);
    }
    put_pair(a, s->y, to);
}

TARGET INLINE void fft_2(const split *x, const spread_to *s, int from, int step, int to, int stride) {
    pair a = pair_at(x, from), b = pair_at(x, from + step);
    put_pair(pair_add(a, b), s->y, to);
    put_turned(pair_sub(a, b), s, 1, to + stride);
}

TARGET INLINE void fft_3(const split *x, const spread_to *s, int from, int step, int to, int stride) {
    const float sin60 = 0.866025403784438647f;
    pair a = pair_at(x, from), b = pair_at(x, from + step), c = pair_at(x, from + 2 * step);
    pair sum = pair_add(b, c), odd = pair_scaled(pair_sub(b, c), sin60), even = pair_sub(a, pair_scaled(sum, 0.5f));
    put_pair(pair_add(a, sum), s->y, to);
    put_turned(pair_turn(even, odd), s, 1, to + stride);
    put_turned(pair_turn_back(even, odd), s, 2, to + 2 * stride);
}

TARGET INLINE void fft_4(const split *x, const spread_to *s, int from, int step, int to, int stride) {
    four_pairs f = butterfly4(x, from, step);
    put_pair(f.a, s->y, to);
    put_turned(f.b, s, 1, to + stride);
    put_turned(f.c, s, 2, to + 2 * stride);
    put_turned(f.d, s, 3, to + 3 * stride);
}

TARGET INLINE void fft_5(const split *x, const spread_to *s, int from, int step, int to, int stride) {
    const float cos72 = 0.309016994374947424f, cos144 = -0.809016994374947424f;
    const float sin72 = 0.951056516295153572f, sin144 = 0.587785252292473129f;
    pair a = pair_at(x, from), b = pair_at(x, from + step), c = pair_at(x, from + 2 * step);
    pair d = pair_at(x, from + 3 * step), e = pair_at(x, from + 4 * step);
    pair be = pair_add(b, e), cd = pair_add(c, d), be_odd = pair_sub(b, e), cd_odd = pair_sub(c, d);
    pair even1 = pair_add(a, pair_add(pair_scaled(be, cos72), pair_scaled(cd, cos144)));
    pair even2 = pair_add(a, pair_add(pair_scaled(be, cos144), pair_scaled(cd, cos72)));
    pair odd1 = pair_add(pair_scaled(be_odd, sin72), pair_scaled(cd_odd, sin144));
    pair odd2 = pair_sub(pair_scaled(be_odd, sin144), pair_scaled(cd_odd, sin72));
    put_pair(pair_add(a, pair_add(be, cd)), s->y, to);
    put_turned(pair_turn(even1, odd1), s, 1, to + stride);
    put_turned(pair_turn(even2, odd2), s, 2, to + 2 * stride);
    put_turned(pair_turn_back(even2, odd2), s, 3, to + 3 * stride);
    put_turned(pair_turn_back(even1, odd1), s, 4, to + 4 * stride);
}

/* One stage on m butterflies for each of `stride` interleaved transforms of length radix * m. */
TARGET INLINE void fft_stage_of(int radix, const split *x, const split *y, const float *w, int m, int stride) {
    for (int p = 0; p < m; p++) {
        spread_to s = {y, w, m, p, m == 1};
        for (int q = 0; q < stride; q += LANES) {
            int from = stride * p + q, to = stride * radix * p + q;
            switch (radix) {
            case 2: fft_2(x, &s, from, stride * m, to, stride); break;
            case 3: fft_3(x, &s, from, stride * m, to, stride); break;
            case 4: fft_4(x, &s, from, stride * m, to, stride); break;
            default: fft_5(x, &s, from, stride * m, to, stride); break;
            }
        }
    }
}

TARGET static void fft_stage(int radix, split x, split y, const float *w, int m, int stride) {
    switch (radix) {
    case 2: fft_stage_of(2, &x, &y, w, m, stride); break;
    case 3: fft_stage_of(3, &x, &y, w, m, stride); break;
    case 4: fft_stage_of(4, &x, &y, w, m, stride); break;
    default: fft_stage_of(5, &x, &y, w, m, stride); break;
    }
}

#if defined(__GNUC__) && (defined(__clang__) || __GNUC__ >= 12)
TARGET INLINE void turn_corner(const float *x, int from_step, float *y, int to_step) {
    quarter a = quarter_at(x), b = quarter_at(x + from_step);
    quarter c = quarter_at(x + 2 * from_step), d = quarter_at(x + 3 * from_step);
    quarter ab = __builtin_shufflevector(a, b, 0, 4, 1, 5), cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);
    quarter ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7), cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    quarter columns[4] = {__builtin_shufflevector(ab, cd, 0, 1, 4, 5), __builtin_shufflevector(ab, cd, 2, 3, 6, 7),
                          __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5),
                          __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7)};
    memcpy(y, &columns[0], sizeof a);
    memcpy(y + to_step, &columns[1], sizeof a);
    memcpy(y + 2 * to_step, &columns[2], sizeof a);
    memcpy(y + 3 * to_step, &columns[3], sizeof a);
}
#else
TARGET INLINE void turn_corner(const float *x, int from_step, float *y, int to_step) {
    for (int column = 0; column < 4; column++) {
        for (int row = 0; row < 4; row++) {
            y[column * to_step + row] = x[row * from_step + column];
        }
    }
}
#endif

/* FFT_ROWS rows of n numbers become n rows of FFT_ROWS. */
TARGET static void turn_rows(const float *restrict x, int n, float *restrict y) {
    for (int v = 0; v < n; v += 4) {
        int p = v + 4 <= n ? v : n - 4;
        for (int row = 0; row < FFT_ROWS; row += 4) {
            turn_corner(x + row * n + p, n, y + p * FFT_ROWS + row, FFT_ROWS);
        }
    }
}

TARGET INLINE split behind(split x, int by) {
    split s = {x.re + by, x.im + by};
    return s;
}

/* The two halves of the work space. */
TARGET INLINE split half_of(const real_fft *fft, complex32 *work, int which) {
    float *start = &work->re + (size_t)(2 * which) * (size_t)fft->half;
    split s = {start, start + fft->half};
    return s;
}

/* Transform the first half of `work`; returns which half the result is in. */
TARGET static int transform(const real_fft *fft, complex32 *work) {
    split x = half_of(fft, work, 0), y = half_of(fft, work, 1);
    int n = fft->half / FFT_ROWS, m = n, stride = FFT_ROWS, which = 1;
    const float *w = fft->twiddles;
    fft_rows(x, y, w, 4 * n, 4 * n);
    w += 6 * 4 * n;
    for (int k = 0; k < 4; k++) {
        fft_rows(behind(y, 4 * n * k), behind(x, n * k), w, n, 4 * n);
    }
    w += 6 * n;
    turn_rows(x.re, n, y.re);
    turn_rows(x.im, n, y.im);
    for (int i = 0; i < fft->stages; i++, which = !which) {
        int radix = fft->radix[i];
        m /= radix;
        fft_stage(radix, half_of(fft, work, which), half_of(fft, work, !which), w, m, stride);
        w += 2 * m * (radix - 1);
        stride *= radix;
    }
    return which;
}

TARGET INLINE void separate(const complex32 *restrict x, int count, float *restrict re, float *restrict im) {
    for (int i = 0; i < count; i++) {
        re[i] = x[i].re;
        im[i] = x[i].im;
    }
}

TARGET INLINE void interleave(const float *restrict re, const float *restrict im, int count, complex32 *restrict x) {
    for (int i = 0; i < count; i++) {
        x[i].re = re[i];
        x[i].im = im[i];
    }
}

TARGET INLINE void reverse(const float *restrict x, int count, float *restrict y) {
    for (int i = 0; i < count; i++) {
        y[i] = x[count - 1 - i];
    }
}

/* Spectra of even and odd samples, (a + b*) / 2 and (a - b*) / 2i, make that of all: low in place of a, and the
   conjugate of high in place of b. */
TARGET INLINE void join_halves(float *restrict ar, float *restrict ai, float *restrict br, float *restrict bi,
                               const float *restrict wr, const float *restrict wi, int count) {
    for (int k = 0; k < count; k++) {
        float even_re = 0.5f * (ar[k] + br[k]), even_im = 0.5f * (ai[k] - bi[k]);
        float odd_re = 0.5f * (ai[k] + bi[k]), odd_im = -0.5f * (ar[k] - br[k]);
        float turned_re = odd_re * wr[k] - odd_im * wi[k], turned_im = odd_re * wi[k] + odd_im * wr[k];
        ar[k] = even_re + turned_re;
        ai[k] = even_im + turned_im;
        br[k] = even_re - turned_re;
        bi[k] = turned_im - even_im;
    }
}

TARGET static void fft_forward(const real_fft *fft, const float *x, complex32 *spectrum, complex32 *work) {
    int half = fft->half, quarters = half / 2;
    split in = half_of(fft, work, 0);
    for (int n = 0; n < half; n++) {
        in.re[n] = x[2 * n];
        in.im[n] = x[2 * n + 1];
    }
    int which = transform(fft, work);
    split z = half_of(fft, work, which), b = half_of(fft, work, !which);
    reverse(z.re + quarters, quarters, b.re);
    reverse(z.im + quarters, quarters, b.im);
    complex32 first = {z.re[0] + z.im[0], 0.0f}, last = {z.re[0] - z.im[0], 0.0f};
    join_halves(z.re + 1, z.im + 1, b.re, b.im, fft->split_re + 1, fft->split_im + 1, quarters);
    reverse(b.re, quarters, b.re + quarters);
    reverse(b.im, quarters, b.im + quarters);
    interleave(z.re, z.im, quarters + 1, spectrum);
    interleave(b.re + quarters + 1, b.im + quarters + 1, quarters - 1, spectrum + quarters + 1);
    spectrum[0] = first;
    spectrum[half] = last;
}

/* The other way round, on what is scaled, with real and imaginary parts in each other's place. */
TARGET INLINE void part_halves(float *restrict ar, float *restrict ai, float *restrict br, float *restrict bi,
                               const float *restrict wr, const float *restrict wi, float scale, int count) {
    for (int k = 0; k < count; k++) {
        float even_re = scale * (ar[k] + br[k]), even_im = scale * (ai[k] - bi[k]);
        float odd_re = scale * (ar[k] - br[k]), odd_im = scale * (ai[k] + bi[k]);
        float turned_re = odd_re * wr[k] + odd_im * wi[k], turned_im = odd_im * wr[k] - odd_re * wi[k];
        ai[k] = even_re - turned_im;
        ar[k] = even_im + turned_re;
        bi[k] = even_re + turned_im;
        br[k] = turned_re - even_im;
    }
}

/* Real and imaginary parts change places on the way in and on the way out, which inverts the transform. */
TARGET static void fft_inverse(const real_fft *fft, const complex32 *spectrum, float *x, complex32 *work) {
    int half = fft->half, quarters = half / 2;
    float scale = 1.0f / (float)fft->length;
    split a = half_of(fft, work, 0), b = half_of(fft, work, 1);
    separate(spectrum, half, a.re, a.im);
    reverse(a.re + quarters, quarters, b.re);
    reverse(a.im + quarters, quarters, b.im);
    a.im[0] = (spectrum[0].re + spectrum[half].re) * scale;
    a.re[0] = (spectrum[0].re - spectrum[half].re) * scale;
    part_halves(a.re + 1, a.im + 1, b.re, b.im, fft->split_re + 1, fft->split_im + 1, scale, quarters);
    reverse(b.re, quarters - 1, a.re + quarters + 1);
    reverse(b.im, quarters - 1, a.im + quarters + 1);
    split z = half_of(fft, work, transform(fft, work));
    for (int n = 0; n < half; n++) {
        x[2 * n] = z.im[n];
        x[2 * n + 1] = z.re[n];
    }
}

#define SIGNAL_LOOPS                                                                                                   \
    .multiply = multiply, .add_multiplied = add_multiplied, .mix = mix, .scale_bins = scale_bins,                      \
    .add_scaled = add_scaled_run, .interpolate = interpolate, .low_pass = low_pass, .whiten = whiten,                  \
    .forward = fft_forward, .inverse = fft_inverse FAR_END_LOOPS
