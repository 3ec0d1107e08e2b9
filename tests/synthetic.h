/* Random probabilities for the tests of metrics. */
#ifndef BNN_TESTS_SYNTHETIC_H
#define BNN_TESTS_SYNTHETIC_H

#include <stddef.h>

#include "bnn/rng.h"

/* Uniform on [-1, 1). */
static inline double symmetric_uniform(bnn_pcg32 *rng)
{
    return 2 * bnn_pcg32_uniform(rng) - 1;
}

/* `rows` distributions over the classes, uneven ones among them. */
static inline void random_rows(bnn_pcg32 *rng, double *p, size_t rows, size_t classes)
{
    for (size_t r = 0; r < rows; r++) {
        double sum = 0;
        for (size_t c = 0; c < classes; c++) {
            const double u = bnn_pcg32_uniform(rng) + 1e-6;
            p[r * classes + c] = u * u * u;
            sum += p[r * classes + c];
        }
        for (size_t c = 0; c < classes; c++) p[r * classes + c] /= sum;
    }
}

/* Predictions (draws, order, images, 4) about the uniform distribution, p = 1/4 + (x, -x, y, -y), with x and
 * y signal * a_i [g != e] + shared * f_i z_t(g) + private * e_ti(g), a, f uniform on [1/2, 3/2), z, e uniform
 * on [-1, 1): the noise of z moves all images together. The true defect over random images is 4 signal^2 E
 * a^2 (|G| - 1)/|G| with E a^2 = 13/12, that of draws and images together. */
static inline void noisy_predictions(bnn_pcg32 *rng, size_t draws, size_t order, size_t images, double signal,
                                     double shared, double private, double *a, double *f, double *p)
{
    for (size_t i = 0; i < images; i++) {
        a[i] = 0.5 + bnn_pcg32_uniform(rng);
        f[i] = 0.5 + bnn_pcg32_uniform(rng);
    }
    for (size_t t = 0; t < draws; t++) {
        for (size_t g = 0; g < order; g++) {
            const double z[2] = {symmetric_uniform(rng), symmetric_uniform(rng)};
            for (size_t i = 0; i < images; i++, p += 4) {
                for (size_t h = 0; h < 2; h++) {
                    const double x =
                        signal * a[i] * (g > 0) + shared * f[i] * z[h] + private * symmetric_uniform(rng);
                    p[2 * h] = 0.25 + x;
                    p[2 * h + 1] = 0.25 - x;
                }
            }
        }
    }
}

static inline double noisy_truth(size_t order, double signal)
{
    return 4 * signal * signal * 13 / 12 * (double)(order - 1) / (double)order;
}

#endif
