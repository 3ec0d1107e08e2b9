/* The table of sources, and where the files of known data sets lie. */
#include "data/source.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "bnn/io.h"

const char *const bnn_label_names[] = {"fine", "coarse", NULL};

const bnn_data_source *const bnn_data_sources[] = {
    &bnn_source_fashion_mnist, &bnn_source_mnist, &bnn_source_cifar10, &bnn_source_cifar100, &bnn_source_idx,
    &bnn_source_npy,           &bnn_source_npz,   &bnn_source_png,     &bnn_source_ising,    NULL};

const bnn_row *bnn_data_row(size_t i)
{
    return bnn_data_sources[i] ? &bnn_data_sources[i]->row : NULL;
}

const bnn_data_source *bnn_data_source_find(const char *name)
{
    return (const bnn_data_source *)bnn_row_find(bnn_data_row, name); /* a source begins with its row */
}

const bnn_data_source *bnn_data_source_of(const char *path)
{
    for (size_t i = 0; bnn_data_sources[i]; i++)
        if (bnn_data_sources[i]->reads && bnn_data_sources[i]->reads(path)) return bnn_data_sources[i];
    return NULL;
}

bnn_status bnn_dataset_load(const bnn_data_paths *paths, bnn_split split, const bnn_data_options *options,
                            bnn_dataset **dataset, bnn_error *error)
{
    const bnn_data_source *source = bnn_data_source_find(paths->name);
    bnn_choices choices = bnn_choices_for(paths->name);
    *dataset = NULL;
    if (source) return source->load(paths, split, options, dataset, error);
    bnn_choices_add_rows(&choices, bnn_data_row);
    return bnn_fail(error, BNN_BAD_INPUT, "data.name: found \"%s\", expected %s", paths->name,
                    bnn_choices_text(&choices));
}

/* ---- files of known data sets -------------------------------------------------------------------------- */

/* Whether the folder, or the one below it when `below` is not empty, has the file, plain or .gz. */
static bool find_file(const char *folder, const char *below, const char *name, char found[BNN_DATA_PATH])
{
    static const char *const suffixes[] = {"", ".gz"};
    for (size_t s = 0; s < 2; s++) {
        const int length = snprintf(found, BNN_DATA_PATH, "%s/%s%s%s", folder, below, name, suffixes[s]);
        if (length < BNN_DATA_PATH && bnn_file_exists(found)) return true;
    }
    return false;
}

static bool find_files(const char *folder, const char *below, const char *const *names,
                       char found[][BNN_DATA_PATH])
{
    for (size_t i = 0; names[i]; i++)
        if (!find_file(folder, below, names[i], found[i])) return false;
    return true;
}

bnn_status bnn_data_find(const bnn_data_paths *paths, const bnn_data_files *files,
                         char found[][BNN_DATA_PATH], bnn_error *error)
{
    char folders[2][sizeof paths->dir + 32], names[256] = "";
    const size_t count = *paths->dir ? 1 : 2;
    snprintf(folders[0], sizeof folders[0], *paths->dir ? "%s" : "data/%s",
             *paths->dir ? paths->dir : paths->name);
    snprintf(folders[1], sizeof folders[1], "/usr/share/datasets/%s", paths->name);
    for (size_t f = 0; f < count; f++)
        if (find_files(folders[f], "", files->names, found) ||
            find_files(folders[f], files->subdirectory, files->names, found))
            return BNN_OK;
    for (size_t i = 0; files->names[i]; i++)
        bnn_append(names, sizeof names, "%s%s", i ? ", " : "", files->names[i]);
    return bnn_fail(error, BNN_BAD_INPUT, "%s: found no folder with %s (plain or .gz), looked in %s%s%s; %s",
                    paths->name, names, folders[0], count > 1 ? " and " : "", count > 1 ? folders[1] : "",
                    files->remedy);
}
