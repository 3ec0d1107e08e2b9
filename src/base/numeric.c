#include "bnn/numeric.h"

#include <math.h>

#include "base/simd/softplus.h"

double bnn_softplus(double x)
{
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

double bnn_softplus_inverse(double y)
{
    return y + log(-expm1(-y));
}

void bnn_softplus_array(const bnn_real *x, size_t n, bnn_real *value, bnn_real *slope)
{
    BNN_DISPATCH(bnn_softplus_array, x, n, value, slope);
}

double bnn_sigmoid(double x)
{
    return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x));
}

double bnn_softmax(const bnn_real *logits, size_t n, double *probabilities)
{
    double most = (double)logits[0], sum = 0;
    for (size_t i = 1; i < n; i++)
        if ((double)logits[i] > most) most = (double)logits[i];
    for (size_t i = 0; i < n; i++) sum += probabilities[i] = exp((double)logits[i] - most);
    for (size_t i = 0; i < n; i++) probabilities[i] /= sum;
    return most + log(sum);
}

double bnn_entropy(const double *probabilities, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        if (probabilities[i] > 0) sum -= probabilities[i] * log(probabilities[i]);
    return sum;
}

double bnn_log_mean_exp(const double *values, size_t n, size_t stride)
{
    double most = values[0], sum = 0;
    for (size_t i = 1; i < n; i++) most = fmax(most, values[i * stride]);
    for (size_t i = 0; i < n; i++) sum += exp(values[i * stride] - most);
    return most + log(sum / (double)n);
}

void bnn_add_exactly(double *sum, double *rest, double x)
{
    const double total = *sum + x, of_x = total - *sum;
    *rest += (*sum - (total - of_x)) + (x - of_x);
    *sum = total;
}
