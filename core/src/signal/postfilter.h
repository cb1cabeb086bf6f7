#ifndef POSTFILTER_H
#define POSTFILTER_H

/* Warp gains, g sin(pi/2 g), and scale the frame so that its energy is nearly kept. `out` may be `gains`. */
void postfilter(const float *gains, const float *energy, float *out, int bands);

#endif
