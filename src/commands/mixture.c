#include "commands/mixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What two data sets differ in, or NULL. */
static const char *differ(const bnn_dataset *a, const bnn_dataset *b)
{
    const size_t reals = a->count * a->channels * a->height * a->width;
    if (a->count != b->count) return "how many images there are";
    if (a->channels != b->channels || a->height != b->height || a->width != b->width)
        return "the shape of the images";
    if (memcmp(a->images, b->images, reals * sizeof *a->images) != 0 || a->background != b->background)
        return "the images";
    if (!a->labels != !b->labels ||
        (a->labels && memcmp(a->labels, b->labels, a->count * sizeof *a->labels) != 0))
        return "the labels";
    return NULL;
}

static bnn_status load_member(const cmd_line *line, const char *operand, mixture_member *member,
                              bnn_error *error)
{
    bnn_status status = cmd_load_identified(operand, &member->file, &member->model, NULL, error);
    if (!status) status = cmd_group(line, member->model, &member->group, error);
    if (!status) status = cmd_predict_options(line, member->model, member->group, &member->options, error);
    if (!status) status = cmd_data(line, member->model, &member->data, error);
    return status;
}

bnn_status mixture_load(const cmd_line *line, cmd_mixture *mixture, bnn_error *error)
{
    bnn_status status = BNN_OK;
    mixture->count = line->operand_count;
    mixture->members = bnn_alloc(mixture->count, sizeof *mixture->members);
    mixture->parts = bnn_alloc(mixture->count, sizeof *mixture->parts);
    if (!mixture->members || !mixture->parts)
        return bnn_no_memory(error, "models", mixture->count, sizeof *mixture->members);
    for (size_t m = 0; !status && m < mixture->count; m++) {
        mixture_member *member = &mixture->members[m];
        status = load_member(line, line->operands[m], member, error);
        if (status) return status;
        mixture->parts[m] = (bnn_member){member->model, member->options.seed};
        if (m == 0 || differ(mixture->members->data, member->data)) continue;
        bnn_dataset_free(member->data);
        member->data = mixture->members->data;
    }
    return status;
}

void mixture_free(cmd_mixture *mixture)
{
    for (size_t m = mixture->members ? mixture->count : 0; m-- > 0;) {
        mixture_member *member = &mixture->members[m];
        if (m == 0 || member->data != mixture->members->data) bnn_dataset_free(member->data);
        bnn_group_free(member->group);
        bnn_model_free(member->model);
    }
    free(mixture->parts);
    free(mixture->members);
}

/* The first class that both name, and name differently; `classes` when there is none. */
static size_t other_name(const bnn_model *a, const bnn_model *b, size_t classes)
{
    size_t c = 0;
    if (!a->class_names || !b->class_names) return classes;
    while (c < classes &&
           (!*a->class_names[c] || !*b->class_names[c] || strcmp(a->class_names[c], b->class_names[c]) == 0))
        c++;
    return c;
}

static bnn_status check_networks(const bnn_model *a, const bnn_model *b, bnn_error *error)
{
    const size_t *in = a->network->spec.input, *other = b->network->spec.input;
    const size_t classes = a->network->spec.classes;
    if (memcmp(in, other, 3 * sizeof *in) != 0)
        return bnn_fail(error, BNN_BAD_INPUT,
                        "input: found %zu x %zu x %zu and %zu x %zu x %zu (C x H x W), expected the same",
                        in[0], in[1], in[2], other[0], other[1], other[2]);
    if (classes != b->network->spec.classes)
        return bnn_fail(error, BNN_BAD_INPUT, "classes: found %zu and %zu, expected as many", classes,
                        b->network->spec.classes);
    const size_t c = other_name(a, b, classes);
    if (c == classes) return BNN_OK;
    return bnn_fail(error, BNN_BAD_INPUT, "class %zu: found the names %s and %s, expected the same", c,
                    a->class_names[c], b->class_names[c]);
}

static bnn_status check_pair(const mixture_member *a, const mixture_member *b, bool orbit, bnn_error *error)
{
    const bnn_predict_options *o = &a->options, *p = &b->options;
    const bnn_status status = check_networks(a->model, b->model, error);
    if (status) return status;
    if (!o->average_over != !p->average_over)
        return bnn_fail(error, BNN_BAD_INPUT,
                        "eval.predictive: found two, expected the same (--predictive decides)");
    if ((orbit || o->average_over) && strcmp(a->group->name, b->group->name) != 0)
        return bnn_fail(error, BNN_BAD_INPUT, "group: found %s and %s, expected the same (--group decides)",
                        a->group->name, b->group->name);
    if (!o->mean && o->samples != p->samples)
        return bnn_fail(error, BNN_BAD_INPUT,
                        "eval.samples: found %zu and %zu, expected the same (--samples decides)", o->samples,
                        p->samples);
    if (!o->mean && o->draws != p->draws)
        return bnn_fail(error, BNN_BAD_INPUT,
                        "eval.draws: found %s and %s, expected the same (--draws decides)",
                        bnn_draws_names[o->draws], bnn_draws_names[p->draws]);
    const char *difference = a->data == b->data ? NULL : differ(a->data, b->data);
    if (!difference) return BNN_OK;
    return bnn_fail(error, BNN_BAD_INPUT, "their test sets differ in %s, expected the same (--data decides)",
                    difference);
}

bnn_status mixture_check(const cmd_mixture *mixture, bool orbit, bnn_error *error)
{
    for (size_t b = 1; b < mixture->count; b++)
        for (size_t a = 0; a < b; a++) {
            const mixture_member *one = &mixture->members[a], *other = &mixture->members[b];
            bnn_error reason;
            if (check_pair(one, other, orbit, &reason))
                return bnn_fail(error, BNN_BAD_INPUT, "%s and %s: %s", one->file.path, other->file.path,
                                reason.message);
        }
    return BNN_OK;
}

void mixture_tell_calibration(const cmd_line *line, const cmd_mixture *mixture)
{
    char who[32];
    for (size_t m = 0; m < mixture->count; m++) {
        if (!mixture->members[m].model->calibration.images || mixture->members[m].options.uncalibrated)
            continue;
        snprintf(who, sizeof who, "bnn %s: ", line->command->name);
        cmd_print_message(who, "the mixture is formed without the calibrations of its members, which are "
                               "those of other predictives");
        return;
    }
}
