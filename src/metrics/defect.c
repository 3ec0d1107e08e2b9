/* The unbiased defect is a U-statistic in the draws: with d_t(g) = p_t(g.x) - p_t(x) and the Gram matrix
 * M^i_st = mean_g <d_s, d_t> of image i,
 *     U_i = (||sum_t d_t||^2 - sum_t ||d_t||^2)/(T(T-1)), averaged over g  =  mean_{s != t} M^i_st,
 *     U = mean_i U_i.
 *
 * Images and draws are two crossed random samples. By Hoeffding's decomposition (Ann. Math. Stat. 19, 1948)
 * of the kernel <d_s, d_t> in (image, draw, draw), var U is the sum of V_images, estimated by (sample
 * variance of U_i)/N: what varies over images, draws held fixed, and V_draws, the variance of the U-statistic
 * of M = mean_i M^i, images held fixed, less V_both, the terms that vary with both, which each of the two
 * contains (inclusion and exclusion, as for two-way clusters: Cameron, Gelbach and Miller, J. Bus. Econ.
 * Stat. 29, 2011). If V^i is the draw variance of the image's own U_i, then mean_i V^i = V_draws + (N - 1)
 * V_both.
 *
 * The draw variance of a U-statistic of degree 2 has an unbiased estimate from four distinct draws,
 *     U^2 - mean_{s,t,u,v distinct} M_st M_uv = 4(T-2)/(T(T-1)) z1 + 2/(T(T-1)) z2,
 *     z1 = cov(M_st, M_su),  z2 = var(M_st),
 * where the means over distinct indices follow from the sums S1 = sum M_st, S2 = sum_s (sum_t M_st)^2 and
 * S3 = sum M_st^2 over s != t. At a true defect of 0 the kernel is degenerate (z1 = 0) and the whole variance
 * is the pair term z2, which a first-order delta method or a bootstrap of draws would get wrong.
 *
 * Of an equal mixture of fixed members, draw t is one of every member, P_t = mean_m p_mt: independent for different t, with
 * mean F. What stands above holds for these d_t, whatever noise members share. The estimate itself takes every pair
 * of draws with independent noise (members.c), that is U averaged over the orders of each stream's draws: its variance is at
 * most that of U, and less by about 1/T of the pair term. */
#include "metrics/defect.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bnn_status bnn_defect_create(size_t members, size_t draws, size_t order, size_t classes,
                             const uint64_t *streams, bnn_defect **defect, bnn_error *error)
{
    const size_t block = (draws + BNN_DEFECT_MAX_BLOCKS - 1) / BNN_DEFECT_MAX_BLOCKS;
    const size_t blocks = (draws + block - 1) / block;
    *defect = NULL;
    bnn_defect *d = bnn_alloc(1, sizeof *d);
    if (!d) return bnn_no_memory(error, "the defect", 1, sizeof *d);
    d->members = members, d->draws = draws, d->order = order, d->classes = classes, d->blocks = blocks;
    d->difference = bnn_alloc(order * classes, blocks * sizeof(double));
    d->gram = bnn_alloc(blocks * blocks, sizeof(double));
    d->gram_sum = bnn_alloc(blocks * blocks, sizeof(double));
    d->row_sum = bnn_alloc(blocks, sizeof(double));
    d->plugin_per_element = bnn_alloc(order, sizeof(double));
    d->unbiased_per_element = bnn_alloc(order, sizeof(double));
    if (!d->difference || !d->gram || !d->gram_sum || !d->row_sum || !d->plugin_per_element ||
        !d->unbiased_per_element) {
        bnn_defect_free(d);
        return bnn_no_memory(error, "the defect", order * classes, blocks * sizeof(double));
    }
    const bnn_status status = bnn_members_create(members, draws, order, classes, streams, &d->pairs, error);
    if (status) {
        bnn_defect_free(d);
        return status;
    }
    *defect = d;
    return BNN_OK;
}

void bnn_defect_free(bnn_defect *defect)
{
    if (!defect) return;
    bnn_members_free(defect->pairs);
    free(defect->unbiased_per_element);
    free(defect->plugin_per_element);
    free(defect->row_sum);
    free(defect->gram_sum);
    free(defect->gram);
    free(defect->difference);
    free(defect);
}

static double square(double x)
{
    return x * x;
}

/* Of element g: sum_mt ||d_mt||^2 / (M T), that of a draw by itself. */
static double of_draws(const bnn_defect *defect, const double *probabilities, size_t g)
{
    const size_t rows = defect->members * defect->draws, classes = defect->classes;
    double sum = 0;
    for (size_t t = 0; t < rows; t++) {
        const double *row = probabilities + t * defect->order * classes;
        for (size_t c = 0; c < classes; c++) sum += square(row[g * classes + c] - row[c]);
    }
    return sum / (double)rows;
}

/* difference (order*classes, blocks) <- d averaged over the draws of each block, by columns. */
static void average_blocks(bnn_defect *defect, const double *probabilities)
{
    const size_t T = defect->draws, blocks = defect->blocks, classes = defect->classes;
    const size_t stride = defect->order * classes;
    for (size_t b = 0; b < blocks; b++) {
        const size_t begin = b * T / blocks, end = (b + 1) * T / blocks;
        for (size_t r = 0; r < stride; r++) {
            double sum = 0;
            for (size_t m = 0; m < defect->members; m++)
                for (size_t t = m * T + begin; t < m * T + end; t++)
                    sum += probabilities[t * stride + r] - probabilities[t * stride + r % classes];
            defect->difference[r * blocks + b] = sum / (double)(defect->members * (end - begin));
        }
    }
}

/* gram <- |G| M of the image, below the diagonal; gram_sum gathers it. */
static void add_gram(bnn_defect *defect)
{
    const size_t blocks = defect->blocks, rows = defect->order * defect->classes;
    memset(defect->gram, 0, blocks * blocks * sizeof(double));
    for (size_t s = 1; s < blocks; s++) {
        double *gram = defect->gram + s * blocks, *sum = defect->gram_sum + s * blocks;
        for (size_t r = defect->classes; r < rows; r++) { /* the identity's rows are 0 */
            const double *row = defect->difference + r * blocks;
            for (size_t t = 0; t < s; t++) gram[t] += row[s] * row[t];
        }
        for (size_t t = 0; t < s; t++) sum[t] += gram[t];
    }
}

/* The draw variance of the U-statistic of `gram` in the notation above. It is unbiased, and so may be
 * negative; `bounded` keeps z1, the variance of E[M_st | s], from being so. z2 is negative by rounding only,
 * as 2 M_st M_uv <= M_st^2 + M_uv^2. Needs 4 blocks. */
static double draw_variance(bnn_defect *defect, const double *gram, bool bounded)
{
    const size_t blocks = defect->blocks;
    const double n = (double)blocks, pairs = n * (n - 1), triples = pairs * (n - 2),
                 quads = triples * (n - 3);
    double s1 = 0, s2 = 0, s3 = 0;
    memset(defect->row_sum, 0, blocks * sizeof(double));
    for (size_t s = 1; s < blocks; s++) {
        for (size_t t = 0; t < s; t++) {
            const double m = gram[s * blocks + t];
            defect->row_sum[s] += m;
            defect->row_sum[t] += m;
            s1 += 2 * m;
            s3 += 2 * m * m;
        }
    }
    for (size_t s = 0; s < blocks; s++) s2 += square(defect->row_sum[s]);
    const double quad = (s1 * s1 - 4 * s2 + 2 * s3) / quads;
    const double z1 = (s2 - s3) / triples - quad, z2 = fmax(s3 / pairs - quad, 0);
    return (4 * (n - 2) * (bounded ? fmax(z1, 0) : z1) + 2 * z2) / pairs;
}

void bnn_defect_add(bnn_defect *defect, const double *probabilities, const double *mean, double *plugin,
                    double *unbiased, double *single)
{
    const size_t order = defect->order, classes = defect->classes;
    *plugin = *unbiased = *single = 0;
    for (size_t g = 0; g < order; g++) {
        const double figure = bnn_members_add(defect->pairs, probabilities, g);
        double distance = 0;
        for (size_t c = 0; c < classes; c++) distance += square(mean[g * classes + c] - mean[c]);
        defect->plugin_per_element[g] += distance;
        defect->unbiased_per_element[g] += figure;
        *plugin += distance / (double)order;
        *unbiased += figure / (double)order;
        *single += of_draws(defect, probabilities, g) / (double)order;
    }
    defect->images++;
    if (defect->blocks < 4) return;
    average_blocks(defect, probabilities);
    add_gram(defect);
    defect->image_draw_variance_sum += draw_variance(defect, defect->gram, false) / square((double)order);
}

double bnn_defect_standard_error(bnn_defect *defect, const double *unbiased)
{
    const double n = (double)defect->images;
    double mean = 0, squares = 0;
    if (defect->blocks < 4 || defect->images < 2) return NAN;
    for (size_t i = 0; i < defect->images; i++) mean += unbiased[i] / n;
    for (size_t i = 0; i < defect->images; i++) squares += square(unbiased[i] - mean);
    const double scale = 1 / square(n * (double)defect->order); /* gram_sum is N |G| M */
    const double v_images = squares / (n - 1) / n;
    const double v_draws = scale * draw_variance(defect, defect->gram_sum, false);
    const double v_both = (defect->image_draw_variance_sum / n - v_draws) / (n - 1);
    return sqrt(fmax(v_images - v_both, 0) + scale * draw_variance(defect, defect->gram_sum, true));
}
