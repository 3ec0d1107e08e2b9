/* Of M members with T draws each, d_mt(g) = p_mt(g.x) - p_mt(x), D_m = F_m(g.x) - F_m(x) with F_m the predictive of member m,
 * and ||D||^2 = 1/M^2 sum_{m,n} <D_m, D_n>. Noise of different streams is independent, and <dbar_m, dbar_n> has the mean
 * <D_m, D_n>. A member with itself, and with another one of its stream, has the same noise in draws of the same number, which
 * are left out: (T^2 <dbar_m, dbar_n> - sum_t <d_mt, d_nt>) / (T(T-1)). */
#include "metrics/members.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "bnn/numeric.h"

bnn_status bnn_members_create(size_t count, size_t draws, size_t order, size_t classes,
                              const uint64_t *streams, bnn_members **members, bnn_error *error)
{
    bnn_members *m = bnn_alloc(1, sizeof *m);
    *members = NULL;
    if (!m) return bnn_no_memory(error, "members", 1, sizeof *m);
    m->count = count, m->draws = draws, m->order = order, m->classes = classes;
    m->streams = bnn_alloc(count, sizeof *m->streams);
    m->difference = bnn_alloc(count * draws, classes * sizeof *m->difference);
    m->sum = bnn_alloc(count, classes * sizeof *m->sum);
    m->plugin = bnn_alloc(count, count * sizeof *m->plugin);
    m->unbiased = bnn_alloc(count, count * sizeof *m->unbiased);
    if (!m->streams || !m->difference || !m->sum || !m->plugin || !m->unbiased) {
        bnn_members_free(m);
        return bnn_no_memory(error, "members", count * draws, classes * sizeof *m->difference);
    }
    for (size_t k = 0; k < count; k++) m->streams[k] = streams ? streams[k] : k;
    *members = m;
    return BNN_OK;
}

void bnn_members_free(bnn_members *members)
{
    if (!members) return;
    free(members->unbiased);
    free(members->plugin);
    free(members->sum);
    free(members->difference);
    free(members->streams);
    free(members);
}

/* difference and sum <- those of element g. */
static void take_element(bnn_members *members, const double *probabilities, size_t g)
{
    const size_t classes = members->classes, T = members->draws;
    memset(members->sum, 0, members->count * classes * sizeof *members->sum);
    for (size_t row = 0; row < members->count * T; row++) {
        const double *p = probabilities + row * members->order * classes;
        for (size_t c = 0; c < classes; c++) {
            const double difference = p[g * classes + c] - p[c];
            members->difference[row * classes + c] = difference;
            members->sum[row / T * classes + c] += difference;
        }
    }
}

/* *plugin, *unbiased <- <dbar_m, dbar_n>, and the same without what shares noise. */
static void multiply(const bnn_members *members, size_t m, size_t n, double *plugin, double *unbiased)
{
    const size_t classes = members->classes, T = members->draws;
    const double *d = members->difference + m * T * classes, *e = members->difference + n * T * classes;
    const bool shared = members->streams[m] == members->streams[n];
    const double squared = (double)T * (double)T, pairs = shared ? squared - (double)T : squared;
    double product = 0, without = 0;
    for (size_t c = 0; c < classes; c++) {
        const double both = members->sum[m * classes + c] * members->sum[n * classes + c];
        double same = 0;
        for (size_t t = 0; shared && t < T; t++) same += d[t * classes + c] * e[t * classes + c];
        product += both;
        without += both - same;
    }
    *plugin = product / squared;
    *unbiased = pairs > 0 ? without / pairs : NAN;
}

double bnn_members_add(bnn_members *members, const double *probabilities, size_t g)
{
    const double order = (double)members->order, count = (double)members->count;
    double total = 0;
    take_element(members, probabilities, g);
    for (size_t m = 0; m < members->count; m++)
        for (size_t n = 0; n <= m; n++) {
            double plugin, unbiased;
            multiply(members, m, n, &plugin, &unbiased);
            members->plugin[m * members->count + n] += plugin / order;
            members->unbiased[m * members->count + n] += unbiased / order;
            total += m == n ? unbiased : 2 * unbiased;
        }
    return total / (count * count);
}

double bnn_members_entropy(bnn_members *members, const double *probabilities)
{
    const size_t classes = members->classes, T = members->draws;
    double entropy = 0;
    for (size_t m = 0; m < members->count; m++) {
        double *mean = members->sum;
        memset(mean, 0, classes * sizeof *mean);
        for (size_t t = 0; t < T; t++) {
            const double *p = probabilities + (m * T + t) * members->order * classes;
            for (size_t c = 0; c < classes; c++) mean[c] += p[c] / (double)T;
        }
        entropy += bnn_entropy(mean, classes);
    }
    return entropy / (double)members->count;
}

double bnn_members_defects(const bnn_members *members, size_t images, double *plugin, double *unbiased)
{
    const size_t count = members->count;
    double plugin_sum = 0, unbiased_sum = 0, between = 0;
    for (size_t m = 0; m < count; m++) {
        const double *row = members->plugin + m * count, *row_unbiased = members->unbiased + m * count;
        const double weight = (double)images * (double)(m + 1) * (double)(m + 1);
        for (size_t n = 0; n <= m; n++) {
            plugin_sum += (m == n ? 1 : 2) * row[n];
            unbiased_sum += (m == n ? 1 : 2) * row_unbiased[n];
            between += m == n ? 0 : 2 * row_unbiased[n];
        }
        plugin[m] = plugin_sum / weight;
        unbiased[m] = unbiased_sum / weight;
    }
    return count > 1 ? between / ((double)images * (double)count * (double)(count - 1)) : NAN;
}
