#include "commands/mixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bnn/ensemble.h"
#include "bnn/ranks.h"

/* What two data sets differ in, or NULL. */
static const char *differ(const bnn_dataset *a, const bnn_dataset *b)
{
    const size_t reals = a->count * a->channels * a->height * a->width;
    if (a->count != b->count) return "how many there are";
    if (a->channels != b->channels || a->height != b->height || a->width != b->width) return "shape";
    if (memcmp(a->images, b->images, reals * sizeof *a->images) != 0 || a->background != b->background)
        return "pixels";
    if (!a->labels != !b->labels ||
        (a->labels && memcmp(a->labels, b->labels, a->count * sizeof *a->labels) != 0))
        return "labels";
    return NULL;
}

/* The model in the member's file, which has been read, and its images. */
static bnn_status load_member(const cmd_line *line, mixture_data *find, mixture_member *member,
                              bnn_error *error)
{
    bnn_safetensors *tensors = NULL;
    bnn_status status = cmd_parse_model(&member->file, &member->model, &tensors, error);
    free(member->file.bytes);
    member->file.bytes = NULL;
    if (!status) status = bnn_ranks_agree(member->file.path, member->file.sha256, error);
    const char *training = tensors ? bnn_safetensors_metadata(tensors, "training") : NULL;
    if (training && !(member->training = strdup(training)))
        status = bnn_no_memory(error, member->file.path, strlen(training), 1);
    bnn_safetensors_free(tensors);
    if (!status) status = cmd_group(line, member->model, &member->group, error);
    if (!status) status = cmd_predict_options(line, member->model, member->group, &member->options, error);
    if (!status) status = find(line, member->model, &member->data, error);
    return status;
}

/* The file of one of several operands, or of a member of an ensemble, which has to be the one that the ensemble names. */
static bnn_status read_member(const cmd_line *line, const bnn_ensemble *ensemble, const char *name, size_t m,
                              cmd_file *file, bnn_error *error)
{
    const bnn_status status = cmd_read(ensemble ? ensemble->members[m].path : line->operands[m], file, error);
    if (!ensemble) return status;
    if (status) return bnn_fail_in(error, status, name);
    if (strcmp(file->sha256, ensemble->members[m].sha256) == 0) return BNN_OK;
    return bnn_fail(error, BNN_BAD_INPUT, "%s: member %s: found SHA-256 %s, expected %s", name, file->path,
                    file->sha256, ensemble->members[m].sha256);
}

/* Members in the place of the operands; `only`: the file of the only operand. */
static bnn_status load_members(const cmd_line *line, mixture_data *find, const bnn_ensemble *ensemble,
                               cmd_file *only, cmd_mixture *mixture, bnn_error *error)
{
    const size_t count = ensemble ? ensemble->count : line->operand_count;
    bnn_status status = BNN_OK;
    mixture->members = bnn_alloc(count, sizeof *mixture->members);
    mixture->parts = bnn_alloc(count, sizeof *mixture->parts);
    if (!mixture->members || !mixture->parts)
        return bnn_no_memory(error, "models", count, sizeof *mixture->members);
    mixture->count = count;
    for (size_t m = 0; !status && m < count; m++) {
        mixture_member *member = &mixture->members[m];
        if (count == 1) {
            member->file = *only;
            only->bytes = NULL;
        } else
            status = read_member(line, ensemble, only->path, m, &member->file, error);
        if (!status) status = load_member(line, find, member, error);
        if (status) return status;
        mixture->parts[m] = (bnn_member){member->model, member->options.seed};
        if (m == 0 || differ(mixture->members->data, member->data)) continue;
        bnn_dataset_free(member->data);
        member->data = mixture->members->data;
    }
    return status;
}

bnn_status mixture_load(const cmd_line *line, mixture_data *find, cmd_mixture *mixture, bnn_error *error)
{
    bnn_ensemble *ensemble = NULL;
    cmd_file only = {.bytes = NULL};
    bnn_status status = BNN_OK;
    if (line->operand_count == 1) {
        status = cmd_read(line->operands[0], &only, error);
        if (!status) status = bnn_ensemble_parse(only.path, only.bytes, only.size, &ensemble, error);
    }
    if (ensemble) mixture->calibration = ensemble->calibration;
    if (!status) status = load_members(line, find, ensemble, &only, mixture, error);
    bnn_ensemble_free(ensemble);
    free(only.bytes);
    return status;
}

void mixture_free(cmd_mixture *mixture)
{
    for (size_t m = mixture->members ? mixture->count : 0; m-- > 0;) {
        mixture_member *member = &mixture->members[m];
        if (m == 0 || member->data != mixture->members->data) bnn_dataset_free(member->data);
        bnn_group_free(member->group);
        free(member->training);
        free(member->file.bytes);
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
    if (o->mean != p->mean)
        return bnn_fail(error, BNN_BAD_INPUT, "found w = mu and draws, expected the same (--mean decides)");
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
    return bnn_fail(error, BNN_BAD_INPUT,
                    "images: found sets that differ in %s, expected the same (--data decides)", difference);
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

const bnn_calibration *mixture_calibration(const cmd_mixture *mixture)
{
    const bnn_calibration *c =
        mixture->count == 1 ? &mixture->members->model->calibration : &mixture->calibration;
    return c->images ? c : NULL;
}

void mixture_tell_calibration(const cmd_line *line, const cmd_mixture *mixture)
{
    const bnn_calibration *calibration = mixture_calibration(mixture);
    char who[32];
    if (calibration) cmd_tell_calibration(line, calibration, &mixture->members->options);
    if (calibration || mixture->count == 1) return;
    for (size_t m = 0; m < mixture->count; m++) {
        if (!mixture->members[m].model->calibration.images || mixture->members[m].options.uncalibrated)
            continue;
        snprintf(who, sizeof who, "bnn %s: ", line->command->name);
        cmd_print_message(who, "the mixture is formed without the calibrations of its members, which are "
                               "those of other predictives");
        return;
    }
}
