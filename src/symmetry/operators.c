/* Operators on parameters and posteriors that average over orbits. An orbit {rho(h) j} counts each of its
 * distinct entries equally often in a mean over h, so the mean over the group is the mean over the orbit. */
#include <math.h>

#include "bnn/numeric.h"
#include "bnn/symmetry.h"

void bnn_symmetry_project(const bnn_symmetry *symmetry, bnn_real *values)
{
    for (size_t o = 0; o < symmetry->orbit_count; o++) {
        const uint32_t *member = symmetry->orbit_member + symmetry->orbit_start[o];
        const uint32_t size = symmetry->orbit_start[o + 1] - symmetry->orbit_start[o];
        bnn_wide sum = values[member[0]];
        for (uint32_t i = 1; i < size; i++) sum += values[member[i]];
        const bnn_real mean = (bnn_real)(sum / size);
        for (uint32_t i = 0; i < size; i++) values[member[i]] = mean;
    }
}

bool bnn_symmetry_is_invariant(const bnn_symmetry *symmetry, const bnn_real *values)
{
    for (size_t o = 0; o < symmetry->orbit_count; o++)
        for (size_t i = symmetry->orbit_start[o]; i < symmetry->orbit_start[o + 1]; i++)
            if (values[symmetry->orbit_member[i]] != values[symmetry->orbit_member[symmetry->orbit_start[o]]])
                return false;
    return true;
}

bnn_ties *bnn_symmetry_ties(const bnn_symmetry *symmetry)
{
    bnn_ties *ties = bnn_ties_create(symmetry->count);
    for (size_t j = 0; ties && j < symmetry->count; j++) ties->leader[j] = (uint32_t)j, ties->share[j] = 1;
    for (size_t o = 0; ties && o < symmetry->orbit_count; o++) {
        const uint32_t *member = symmetry->orbit_member + symmetry->orbit_start[o];
        const uint32_t size = symmetry->orbit_start[o + 1] - symmetry->orbit_start[o];
        uint32_t leader = member[0];
        for (uint32_t i = 1; i < size; i++) leader = member[i] < leader ? member[i] : leader;
        for (uint32_t i = 0; i < size; i++)
            ties->leader[member[i]] = leader, ties->share[member[i]] = 1 / (bnn_real)size;
    }
    return ties;
}

/* An orbit's means and standard deviations, and what becomes of them. Sums are relative to the first entry:
 * an orbit whose entries agree then gives back exactly what it holds. */
typedef struct orbit_entries {
    size_t size;
    double mu[BNN_GROUP_MAX_ORDER], sigma[BNN_GROUP_MAX_ORDER];
} orbit_entries;

typedef void (*combine)(const orbit_entries *orbit, double *mu, double *sigma);

static double mean_of(const double *x, size_t n)
{
    double sum = 0;
    for (size_t i = 1; i < n; i++) sum += x[i] - x[0];
    return x[0] + sum / (double)n;
}

static void reynolds(const orbit_entries *orbit, double *mu, double *sigma)
{
    *mu = mean_of(orbit->mu, orbit->size);
    *sigma = mean_of(orbit->sigma, orbit->size);
}

/* 1/s~^2 = mean 1/s_h^2 and m~ = s~^2 mean(m_h/s_h^2), with the precisions in units of the largest. */
static void geometric(const orbit_entries *orbit, double *mu, double *sigma)
{
    double precision = 0, shift = 0, least = orbit->sigma[0];
    for (size_t i = 1; i < orbit->size; i++) least = fmin(least, orbit->sigma[i]);
    for (size_t i = 0; i < orbit->size; i++) {
        const double ratio = least / orbit->sigma[i];
        precision += ratio * ratio;
        shift += ratio * ratio * (orbit->mu[i] - orbit->mu[0]);
    }
    *mu = orbit->mu[0] + shift / precision;
    *sigma = least / sqrt(precision / (double)orbit->size);
}

/* m~ = mean m_h and s~^2 = mean(s_h^2 + m_h^2) - m~^2 = mean(s_h^2 + (m_h - m~)^2), in units of the largest. */
static void arithmetic(const orbit_entries *orbit, double *mu, double *sigma)
{
    double variance = 0, most = 0;
    *mu = mean_of(orbit->mu, orbit->size);
    for (size_t i = 0; i < orbit->size; i++)
        most = fmax(most, fmax(orbit->sigma[i], fabs(orbit->mu[i] - *mu)));
    for (size_t i = 0; i < orbit->size; i++) {
        const double spread = orbit->sigma[i] / most, away = (orbit->mu[i] - *mu) / most;
        variance += spread * spread + away * away;
    }
    *sigma = most * sqrt(variance / (double)orbit->size);
}

static void combine_orbits(const bnn_symmetry *symmetry, bnn_posterior *posterior, combine combine_orbit)
{
    orbit_entries entries = {0};
    for (size_t o = 0; o < symmetry->orbit_count; o++) {
        const uint32_t *member = symmetry->orbit_member + symmetry->orbit_start[o];
        double mu, sigma;
        entries.size = symmetry->orbit_start[o + 1] - symmetry->orbit_start[o];
        for (size_t i = 0; i < entries.size; i++) {
            entries.mu[i] = (double)posterior->mu[member[i]];
            entries.sigma[i] = bnn_softplus((double)posterior->rho[member[i]]);
        }
        combine_orbit(&entries, &mu, &sigma);
        const bnn_real rho =
            sigma == entries.sigma[0] ? posterior->rho[member[0]] : (bnn_real)bnn_softplus_inverse(sigma);
        for (size_t i = 0; i < entries.size; i++) {
            posterior->mu[member[i]] = (bnn_real)mu;
            posterior->rho[member[i]] = rho;
        }
    }
}

void bnn_posterior_project(const bnn_symmetry *symmetry, bnn_posterior *posterior)
{
    combine_orbits(symmetry, posterior, reynolds);
}

const char *const bnn_average_names[] = {"geometric", "arithmetic", NULL};

void bnn_posterior_average(const bnn_symmetry *symmetry, bnn_average average, bnn_posterior *posterior)
{
    combine_orbits(symmetry, posterior, average == BNN_ARITHMETIC ? arithmetic : geometric);
}
