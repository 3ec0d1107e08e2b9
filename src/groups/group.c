#include "bnn/group.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t order_of(bnn_group_kind kind, size_t n)
{
    return kind == BNN_GROUP_CYCLIC ? n : kind == BNN_GROUP_DIHEDRAL ? 2 * n : n * n;
}

/* The product of two elements. D_n: r^i f^a r^j f^b = r^(i + (-1)^a j) f^(a + b), since f r f = r^-1. */
static size_t multiply(const bnn_group *group, size_t a, size_t b)
{
    const size_t n = group->n;
    if (group->kind == BNN_GROUP_TRANSLATION) return (a / n + b / n) % n * n + (a + b) % n;
    /* n is at least 1. NOLINTNEXTLINE(clang-analyzer-core.DivideZero) */
    const size_t turn = a < n ? a + b % n : a + n - b % n;
    return turn % n + ((a < n) == (b < n) ? 0 : n);
}

static bool parse_name(const char *name, bnn_group_kind *kind, size_t *n)
{
    static const char letters[] = "CDT"; /* in the order of bnn_group_kind */
    const char *letter = name[0] ? strchr(letters, name[0]) : NULL;
    if (!letter || strlen(name) > 4 || !isdigit((unsigned char)name[1]) || name[1] == '0') return false;
    *n = 0;
    for (const char *c = name + 1; *c; c++) {
        if (!isdigit((unsigned char)*c)) return false;
        *n = *n * 10 + (size_t)(*c - '0');
    }
    *kind = (bnn_group_kind)(letter - letters);
    return order_of(*kind, *n) <= BNN_GROUP_MAX_ORDER;
}

static bnn_status bad_name(const char *name, bnn_error *error)
{
    bnn_group_kind kind;
    size_t n;
    char meant[8], hint[40] = "";
    snprintf(meant, sizeof meant, "%.6s", name);
    *meant = (char)toupper((unsigned char)*meant);
    if (strlen(name) < sizeof meant && parse_name(meant, &kind, &n))
        snprintf(hint, sizeof hint, " (did you mean \"%s\"?)", meant);
    return bnn_fail(
        error, BNN_BAD_INPUT,
        "group: found \"%.40s\", expected C<n> or D<n> (rotations by 360/n degrees, without and with "
        "reflections) or T<k> (k x k translations), with n >= 1 and at most %d elements%s",
        name, BNN_GROUP_MAX_ORDER, hint);
}

bnn_status bnn_group_create(const char *name, bnn_group **group, bnn_error *error)
{
    bnn_group_kind kind;
    size_t n;
    *group = NULL;
    if (!parse_name(name, &kind, &n)) return bad_name(name, error);
    const size_t order = order_of(kind, n);
    bnn_group *result = bnn_alloc(1, sizeof *result);
    if (!result) return bnn_no_memory(error, "a group", 1, sizeof *result);
    *result = (bnn_group){.kind = kind, .n = n, .order = order};
    snprintf(result->name, sizeof result->name, "%s", name);
    result->product = bnn_alloc(order * order, sizeof *result->product);
    result->inverse = bnn_alloc(order, sizeof *result->inverse);
    if (!result->product || !result->inverse) {
        bnn_group_free(result);
        return bnn_no_memory(error, "a multiplication table", order * order, sizeof *result->product);
    }
    for (size_t a = 0; a < order; a++)
        for (size_t b = 0; b < order; b++) {
            const size_t ab = multiply(result, a, b);
            result->product[a * order + b] = (uint16_t)ab;
            if (ab == 0) result->inverse[a] = (uint16_t)b;
        }
    *group = result;
    return BNN_OK;
}

void bnn_group_free(bnn_group *group)
{
    if (!group) return;
    free(group->inverse);
    free(group->product);
    free(group);
}

size_t bnn_group_product(const bnn_group *group, size_t a, size_t b)
{
    return group->product[a * group->order + b];
}

/* j with j/n = k/m, or n when there is none. */
static size_t same_fraction(size_t k, size_t m, size_t n)
{
    return k * n % m == 0 ? k * n / m : n;
}

/* The place in `group` of element h of another group, or BNN_NO_ELEMENT. */
static size_t find_element(const bnn_group *group, const bnn_group *other, size_t h)
{
    const size_t m = other->n, n = group->n;
    const bool shift = other->kind == BNN_GROUP_TRANSLATION, flip = !shift && h >= m;
    if (h == 0) return 0;
    if (shift != (group->kind == BNN_GROUP_TRANSLATION)) return BNN_NO_ELEMENT;
    if (flip && group->kind != BNN_GROUP_DIHEDRAL) return BNN_NO_ELEMENT;
    const size_t low = same_fraction(h % m, m, n), high = shift ? same_fraction(h / m, m, n) : 0;
    if (low == n || high == n) return BNN_NO_ELEMENT;
    return (shift ? high * n : flip ? n : 0) + low;
}

bool bnn_group_embedding(const bnn_group *sub, const bnn_group *group, uint16_t *element)
{
    bool all = true;
    for (size_t h = 0; h < sub->order; h++) {
        const size_t place = find_element(group, sub, h);
        all = all && place != BNN_NO_ELEMENT;
        if (element) element[h] = (uint16_t)place;
    }
    return all;
}

void bnn_group_element_name(const bnn_group *group, size_t element, size_t height, size_t width, char *name,
                            size_t size)
{
    const size_t n = group->n;
    if (group->kind == BNN_GROUP_TRANSLATION)
        snprintf(name, size, "shift (%zu,%zu)", element / n * height / n, element % n * width / n);
    else
        snprintf(name, size, "r%.4g%s", 360.0 * (double)(element % n) / (double)n,
                 element < n ? "" : " flip");
}
