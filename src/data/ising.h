/* Configurations of the two-dimensional Ising model on a periodic square lattice: spins s = +1, -1, energy -J sum_<ij> s_i s_j over
 * nearest neighbours, at temperature T in units of J/k_B, drawn from their Boltzmann distribution by a Markov chain of cluster
 * flips (U. Wolff, "Collective Monte Carlo Updating for Spin Systems", Physical Review Letters 62, 361, 1989). */
#ifndef BNN_ISING_H
#define BNN_ISING_H

#include <stddef.h>
#include <stdint.h>

#include "bnn/rng.h"
#include "bnn/status.h"

/* k_B T_c / J = 2 / log(1 + sqrt 2), below which the infinite lattice is ordered (L. Onsager, Physical Review 65, 117, 1944). */
#define BNN_ISING_CRITICAL 2.269185314213022

typedef struct bnn_ising bnn_ising;

/* A chain of `size` x `size` spins (at least 3), run from the ordered state until it has forgotten that. All its randomness is
 * from the stream. */
bnn_status bnn_ising_create(size_t size, double temperature, bnn_stream stream, bnn_ising **chain,
                            bnn_error *error);
void bnn_ising_free(bnn_ising *chain); /* NULL is legal */

/* spins (size, size) <- the next configuration. Between two lie as many cluster flips as turn each spin 8 times on average: a
 * number that is settled when the chain is made, since one that depended on the clusters met would favour some configurations.
 * Each gets a random sign, which the energy does not see: in the ordered phase a cluster is nearly the lattice, and the sign
 * would follow from the parity of their number. */
void bnn_ising_next(bnn_ising *chain, int8_t *spins);

#endif
