#include "bnn/objective.h"

#include <math.h>

#include "bnn/numeric.h"

const char *const bnn_view_average_names[] = {"loss", "logits", "probs", NULL};

/* -log softmax(logits)[label], without the loss of accuracy of a logarithm of a small probability. */
static double cross_entropy(const bnn_real *logits, size_t classes, size_t label)
{
    double most = (double)logits[0], sum = 0;
    for (size_t c = 1; c < classes; c++) most = fmax(most, (double)logits[c]);
    for (size_t c = 0; c < classes; c++) sum += exp((double)logits[c] - most);
    return most + log(sum) - (double)logits[label];
}

/* gradient (classes) <- scale (p - onehot(label)). */
static void softmax_gradient(const double *p, size_t classes, size_t label, double scale, bnn_real *gradient)
{
    for (size_t c = 0; c < classes; c++) gradient[c] = (bnn_real)(scale * (p[c] - (c == label ? 1 : 0)));
}

static double mean_of_losses(const bnn_real *logits, size_t views, size_t classes, size_t label, double scale,
                             bnn_real *gradient, double *probabilities)
{
    double nll = 0;
    for (size_t c = 0; c < classes; c++) probabilities[c] = 0;
    for (size_t g = 0; g < views; g++, logits += classes) {
        double most = (double)logits[0], sum = 0;
        for (size_t c = 1; c < classes; c++) most = fmax(most, (double)logits[c]);
        for (size_t c = 0; c < classes; c++) sum += exp((double)logits[c] - most);
        nll += most + log(sum) - (double)logits[label];
        for (size_t c = 0; c < classes; c++) {
            const double p = exp((double)logits[c] - most) / sum;
            probabilities[c] += p / (double)views;
            if (gradient) gradient[g * classes + c] = (bnn_real)(scale / (double)views * (p - (c == label)));
        }
    }
    return nll / (double)views;
}

static double loss_of_mean_logits(const bnn_real *logits, size_t views, size_t classes, size_t label,
                                  double scale, bnn_real *gradient, double *probabilities)
{
    double most = -INFINITY, sum = 0;
    for (size_t c = 0; c < classes; c++) {
        double mean = 0;
        for (size_t g = 0; g < views; g++) mean += (double)logits[g * classes + c];
        probabilities[c] = mean / (double)views;
        most = fmax(most, probabilities[c]);
    }
    const double truth = probabilities[label];
    for (size_t c = 0; c < classes; c++) sum += probabilities[c] = exp(probabilities[c] - most);
    for (size_t c = 0; c < classes; c++) probabilities[c] /= sum;
    for (size_t g = 0; gradient && g < views; g++)
        softmax_gradient(probabilities, classes, label, scale / (double)views, gradient + g * classes);
    return most + log(sum) - truth;
}

static double loss_of_mean_probabilities(const bnn_real *logits, size_t views, size_t classes, size_t label,
                                         double scale, bnn_real *gradient, double *probabilities)
{
    double least = INFINITY, sum = 0;
    for (size_t g = 0; g < views; g++)
        least = fmin(least, cross_entropy(logits + g * classes, classes, label));
    for (size_t g = 0; g < views; g++)
        sum += exp(least - cross_entropy(logits + g * classes, classes, label));
    for (size_t g = 0; gradient && g < views; g++) {
        const double share = exp(least - cross_entropy(logits + g * classes, classes, label)) / sum;
        bnn_softmax(logits + g * classes, classes, probabilities);
        softmax_gradient(probabilities, classes, label, scale * share, gradient + g * classes);
    }
    mean_of_losses(logits, views, classes, label, 0, NULL, probabilities);
    return least - log(sum / (double)views);
}

double bnn_objective(bnn_view_average average, const bnn_real *logits, size_t views, size_t classes,
                     size_t label, double scale, bnn_real *gradient, double *probabilities)
{
    if (average == BNN_AVERAGE_LOGITS)
        return loss_of_mean_logits(logits, views, classes, label, scale, gradient, probabilities);
    if (average == BNN_AVERAGE_PROBS)
        return loss_of_mean_probabilities(logits, views, classes, label, scale, gradient, probabilities);
    return mean_of_losses(logits, views, classes, label, scale, gradient, probabilities);
}
