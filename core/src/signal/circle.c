#include "signal/circle.h"

#include <math.h>

#define TERMS 10

/* Taylor's series, x - x^3 / 3! + ... or 1 - x^2 / 2! + ..., up to pi / 4. */
static double series(double first, double square, int n) {
    double sum = 0.0, term = first, terms[TERMS];
    for (int i = 0; i < TERMS; i++, n += 2) {
        terms[i] = term;
        term *= -square / (n * (n + 1));
    }
    for (int i = TERMS - 1; i >= 0; i--) { /* the small ones first */
        sum += terms[i];
    }
    return sum;
}

static double at_quarter(double radians, int quarters) {
    /* half of pi in two parts, of which any multiple below 2^20 of the first is exact */
    const double two_over_pi = 0.63661977236758134308, high = 1.5707963267341256, low = 6.0771005065061922e-11;
    double turns = floor(radians * two_over_pi + 0.5);
    double x = radians - turns * high - turns * low;
    int quarter = ((int)turns + quarters) & 3;
    double found = quarter & 1 ? series(1.0, x * x, 1) : series(x, x * x, 2);
    return quarter & 2 ? -found : found;
}

double circle_sin(double radians) { return at_quarter(radians, 0); }

double circle_cos(double radians) { return at_quarter(radians, 1); }
