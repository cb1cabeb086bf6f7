#ifndef CIRCLE_H
#define CIRCLE_H

#define CIRCLE_PI 3.14159265358979323846

/* Sine and cosine to a unit in the last place or two, for angles up to a million: those of C libraries bring what angles
   beyond that need, a twentieth of what a browser has to fetch, and differ from each other in their last bit. */
double circle_sin(double radians);
double circle_cos(double radians);

#endif
