/* Where data sets lie: the folders of the known ones, and the user's own files (`idx`, `npy`), which are read
 * by their contents. */
#include <stdio.h>

#include "base/text.h"
#include "bnn/io.h"
#include "data/source.h"

bnn_status bnn_load_files(const bnn_data_paths *paths, bnn_split split, bnn_dataset **dataset,
                          bnn_error *error)
{
    const bool train = split == BNN_TRAIN;
    const char *images = train ? paths->train_images : paths->test_images;
    const char *labels = train ? paths->train_labels : paths->test_labels;
    if (!*images || !*labels)
        return bnn_fail(error, BNN_BAD_INPUT, "data.%s_%s: is not set, expected a file (data.name is \"%s\")",
                        train ? "train" : "test", *images ? "labels" : "images", paths->name);
    return bnn_dataset_read(images, labels, 0, dataset, error);
}

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
