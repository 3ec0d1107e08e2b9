/* Every public header of bnn, from the bottom up. A room (a folder of src) includes its own headers and those of lower
 * floors; of a floor's rooms, none includes another (.ci/floors checks it, reading this list). */
#ifndef BNN_BNN_H
#define BNN_BNN_H

/* In order, not sorted: */
/* clang-format off */
/* floor 0: base */
#include "bnn/real.h"
#include "bnn/status.h"
#include "bnn/utf8.h"
#include "bnn/row.h"
#include "bnn/numeric.h"
#include "bnn/rng.h"
#include "bnn/io.h"
#include "bnn/ranks.h"
#include "bnn/blas.h"
/* floor 1: data */
#include "bnn/dataset.h"
#include "bnn/npy.h"
#include "bnn/onnx.h"
#include "bnn/safetensors.h"
/* floor 1: groups */
#include "bnn/group.h"
#include "bnn/warp.h"
/* floor 1: metrics */
#include "bnn/metrics.h"
#include "bnn/calibration.h"
#include "bnn/sweep.h"
#include "bnn/compare.h"
/* floor 1: pictures */
#include "bnn/picture.h"
#include "bnn/html.h"
/* floor 2: kernels */
#include "bnn/kernel.h"
/* floor 3: network */
#include "bnn/layer.h"
#include "bnn/estimator.h"
#include "bnn/network.h"
#include "bnn/objective.h"
/* floor 4: posterior */
#include "bnn/posterior.h"
#include "bnn/sampler.h"
#include "bnn/engine.h"
#include "bnn/optimizer.h"
/* floor 5: symmetry */
#include "bnn/symmetry.h"
/* floor 6: config */
#include "bnn/config.h"
#include "bnn/model.h"
#include "bnn/ensemble.h"
/* floor 7: modes */
#include "bnn/mode.h"
/* floor 8: run */
#include "bnn/splits.h"
#include "bnn/batch.h"
#include "bnn/conditions.h"
#include "bnn/evaluate.h"
#include "bnn/export.h"
#include "bnn/settings.h"
#include "bnn/train.h"
/* floor 9: commands */
/* clang-format on */

#endif
