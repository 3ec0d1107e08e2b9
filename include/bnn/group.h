/* Finite groups and their action on an H x W grid. A group is data: elements, multiplication table, inverses.
 *
 *   C<n>  rotations by 360/n degrees counter-clockwise; element k is the k-th (k = 1 of C4: numpy's rot90(x, 1))
 *   D<n>  the n rotations r^k, then r^k f with f the left-right flip (first flip, then rotate)
 *   T<k>  the k^2 cyclic translations; element a*k + b shifts down by a*H/k and right by b*W/k
 *
 * (g.x)(p) = x(g^-1 p). C1, C2, C4, D1, D2, D4 and T<k> permute pixels (exact); any other n interpolates. */
#ifndef BNN_GROUP_H
#define BNN_GROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bnn/real.h"
#include "bnn/status.h"

#define BNN_GROUP_MAX_ORDER 256

typedef enum bnn_group_kind { BNN_GROUP_CYCLIC, BNN_GROUP_DIHEDRAL, BNN_GROUP_TRANSLATION } bnn_group_kind;

typedef struct bnn_group {
    char name[16]; /* "C4" */
    bnn_group_kind kind;
    size_t n;          /* the 4 of C4 */
    size_t order;      /* |G| */
    uint16_t *product; /* (order, order): a*order + b -> ab, "first b, then a" */
    uint16_t *inverse; /* (order) */
} bnn_group;           /* element 0 is the identity */

/* "C4", "D2", "T7"... BNN_BAD_INPUT names what was found and what is expected. */
bnn_status bnn_group_create(const char *name, bnn_group **group, bnn_error *error);
void bnn_group_free(bnn_group *group);

size_t bnn_group_product(const bnn_group *group, size_t a, size_t b);

#define BNN_NO_ELEMENT UINT16_MAX

/* Whether `sub` is a subgroup of `group`: C<m> of C<n> and D<n>, and D<m> of D<n>, where m divides n; T<k> of T<n> where k
 * divides n; C1 and T1 of all. element (sub->order), unless NULL, receives the place of each element of `sub` in `group`,
 * the transformation of the plane being the same, and BNN_NO_ELEMENT for those that `group` does not have. */
bool bnn_group_embedding(const bnn_group *sub, const bnn_group *group, uint16_t *element);

/* A short human name of an element: "r90", "r180 flip", "shift (0,14)". */
void bnn_group_element_name(const bnn_group *group, size_t element, size_t height, size_t width, char *name,
                            size_t size);

/* Whether every element permutes the pixels of an H x W grid. */
bool bnn_group_is_exact(const bnn_group *group, size_t height, size_t width);

/* The action on an H x W grid, made once and applied to many images. */
typedef struct bnn_grid_action {
    size_t order, height, width;
    bool exact;
    /* exact: (order, H*W): (g.x)[p] = x[source[g*H*W + p]] */
    uint32_t *source;
    /* inexact: (order, H*W, 4) bilinear taps; a tap outside the image has weight 0 and source 0 */
    uint32_t *tap;
    bnn_real *weight;
} bnn_grid_action;

/* BNN_BAD_INPUT when the group does not act on this grid (C4 on H != W; T3 with H or W not divisible by 3).
 */
bnn_status bnn_grid_check(const bnn_group *group, size_t height, size_t width, bnn_error *error);

/* The same failures. */
bnn_status bnn_grid_action_create(const bnn_group *group, size_t height, size_t width,
                                  bnn_grid_action **action, bnn_error *error);
void bnn_grid_action_free(bnn_grid_action *action);

/* out (channels, H, W) <- g.in, every channel alike. in and out do not overlap. What lies outside the image
 * counts as `background` (the value of a black pixel) where the action interpolates. */
void bnn_grid_action_apply(const bnn_grid_action *action, size_t element, const bnn_real *in, size_t channels,
                           bnn_real background, bnn_real *out);

/* The action on the offsets of a K x K kernel about its centre, as (order, K*K) source indices:
 * (R_g k)[p] = k[source[g*K*K + p]]. Rotations and flips as on a grid; T<k> acts trivially; C8 and D8 act on
 * 3 x 3 kernels by shifting the outer ring. BNN_BAD_INPUT when the group has no exact action there. */
bnn_status bnn_group_kernel_action(const bnn_group *group, size_t kernel, uint32_t **source,
                                   bnn_error *error);

#endif
