#include "bnn/estimator.h"

const bnn_estimator bnn_estimator_weight = {
    .row = {.name = "weight", .summary = "one weight draw a sample, shared by its images"},
    .shares_draws = true,
};
