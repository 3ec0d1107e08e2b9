/* Files of the user's own, from the file to the figures: the same images as .npy, .npz and PNGs give the same run; names of
 * classes; parts; and what is refused, in one line. */
#include <stdlib.h>

#include "archives.h"
#include "pictures.h"
#include "program.h"

#include "bnn/rng.h"

enum { SIDE = 8, PIXELS = SIDE * SIDE, IMAGE = 3 * PIXELS, TRAIN = 24, VALIDATION = 6, TEST = 9 };
static const struct {
    const char *name;
    size_t count;
} splits[] = {{"train", TRAIN}, {"val", VALIDATION}, {"test", TEST}};
static const char *const classes[] = {"ant", "bee", "cat"};

/* Image i of a split, channels last: a bar, whose place tells the class i % 3, under noise. */
static void draw(size_t split, size_t i, uint8_t image[IMAGE])
{
    bnn_pcg32 rng = bnn_stream_open(bnn_stream_of(7, BNN_STREAM_SHUFFLE, split, i, 0));
    for (size_t p = 0; p < IMAGE; p++)
        image[p] = (uint8_t)((p / (3 * SIDE) == 1 + 2 * (i % 3) ? 155 : 0) + bnn_pcg32_below(&rng, 100));
}

static void put_split(size_t s, zip_t *zip)
{
    static uint8_t last[TRAIN * IMAGE], first[TRAIN * IMAGE], labels[TRAIN];
    char name[64], shape[64];
    for (size_t i = 0; i < splits[s].count; i++) {
        draw(s, i, last + i * IMAGE);
        for (size_t p = 0; p < IMAGE; p++) first[i * IMAGE + p % 3 * PIXELS + p / 3] = last[i * IMAGE + p];
        labels[i] = (uint8_t)(i % 3);
        snprintf(name, sizeof name, "png/%s/%s", splits[s].name, classes[i % 3]);
        put_folder(name);
        snprintf(name, sizeof name, "png/%s/%s/%02zu.png", splits[s].name, classes[i % 3], i);
        put_picture(name, &(picture){SIDE, SIDE, 8, PNG_COLOR_TYPE_RGB, last + i * IMAGE, false, NULL, NULL});
    }
    snprintf(name, sizeof name, "%s_images", splits[s].name);
    snprintf(shape, sizeof shape, "(%zu, %d, %d, 3)", splits[s].count, SIDE, SIDE);
    add_array(zip, name, "|u1", shape, last, splits[s].count * IMAGE, ZIP_CM_DEFLATE);
    snprintf(name, sizeof name, "%s_labels", splits[s].name);
    snprintf(shape, sizeof shape, "(%zu, 1)", splits[s].count);
    add_array(zip, name, "|u1", shape, labels, splits[s].count, ZIP_CM_DEFLATE);
    snprintf(name, sizeof name, "%s-x.npy", splits[s].name);
    snprintf(shape, sizeof shape, "(%zu, 3, %d, %d)", splits[s].count, SIDE, SIDE);
    put_array(name, "|u1", shape, first, splits[s].count * IMAGE);
    snprintf(name, sizeof name, "%s-y.npy", splits[s].name);
    snprintf(shape, sizeof shape, "(%zu,)", splits[s].count);
    put_array(name, "|u1", shape, labels, splits[s].count);
}

static const char *put_config(const char *name, const char *data)
{
    char text[2048];
    const int length =
        snprintf(text, sizeof text,
                 "{\"seed\": 3, \"data\": %s, \"group\": \"C4\",\n"
                 " \"model\": {\"type\": \"fcnn\", \"channels\": [4, 4]},\n"
                 " \"train\": {\"epochs\": 2, \"batch_size\": 8}, \"eval\": {\"samples\": 2}}\n",
                 data);
    return put_file(name, text, (size_t)length);
}

static int put_everything(void **state)
{
    if (make_temporary_directory(state) || find_program()) return -1;
    zip_t *zip = new_archive(in_temporary("all.npz"));
    for (size_t s = 0; s < 3; s++) put_split(s, zip);
    close_archive(zip);
    put_config("npy.json",
               "{\"name\": \"npy\", \"train_images\": \"train-x.npy\", \"train_labels\": \"train-y.npy\",\n"
               " \"validation_images\": \"val-x.npy\", \"validation_labels\": \"val-y.npy\",\n"
               " \"test_images\": \"test-x.npy\", \"test_labels\": \"test-y.npy\"}");
    put_config("npz.json",
               "{\"name\": \"npz\", \"path\": \"all.npz\"}"); /* seen from the configuration's folder */
    put_config("png.json", "{\"name\": \"png\", \"path\": \"png\"}");
    return 0;
}

/* Trains NAME.json into the folder NAME; returns what was said. */
static const char *trained(const char *name)
{
    char config[32];
    snprintf(config, sizeof config, "%s.json", name);
    return succeeded(bnn_run("train", in_temporary(config), "--out", in_temporary(name), "--overwrite"))->err;
}

static void assert_says(const char *text, const char *part)
{
    if (!strstr(text, part)) fail_msg("\"%s\" does not say \"%s\"", text, part);
}

/* ---- one data set in three formats ------------------------------------------------------------------------------- */

static void formats_give_the_same_run(void **state)
{
    static const char *const names[] = {"npy", "npz", "png"};
    char first[1 << 14] = "", other[1 << 14];
    (void)state;
    for (size_t n = 0; n < 3; n++) {
        const char *said = trained(names[n]);
        char path[64];
        assert_says(said, "images 3 x 8 x 8 (C x H x W): pixels from");
        assert_says(said, "(uint8, scaled)");
        assert_says(said, "3 classes of 8 images");
        assert_says(said, "val acc");
        assert_int_equal(n == 2, strstr(said, "classes: 0 ant (8), 1 bee (8), 2 cat (8)") != NULL);
        snprintf(path, sizeof path, "%s/p.npy", names[n]);
        succeeded(bnn_run("predict", in_temporary(names[n]), "--out", in_temporary(path)));
        const size_t size = get_file(in_temporary(path), other, sizeof other);
        if (n == 0) memcpy(first, other, size);
        assert_memory_equal(first, other, size);
        cJSON *json = json_of(bnn_run("eval", in_temporary(names[n]), "--json"));
        assert_true(figure(json, "images") == TEST);
        cJSON_Delete(json);
    }
}

static void a_model_keeps_the_names_of_its_classes(void **state)
{
    char bytes[1 << 16];
    (void)state;
    trained("png");
    const size_t size = get_file(in_temporary("png/model.bin"), bytes, sizeof bytes - 1);
    assert_non_null(memmem(bytes, size, "[\\\"ant\\\",\\\"bee\\\",\\\"cat\\\"]", 25));
    succeeded(bnn_run("symmetrize", in_temporary("png/model.bin"), "--project", "--out",
                      in_temporary("projected.bin")));
    get_file(in_temporary("projected.bin"), bytes, sizeof bytes - 1);
    assert_non_null(memmem(bytes, size, "[\\\"ant\\\",\\\"bee\\\",\\\"cat\\\"]", 25));
    cJSON *info = json_of(bnn_run("info", in_temporary("png"), "--json"));
    assert_string_equal(cJSON_GetArrayItem(member(info, "classes"), 2)->valuestring, "cat");
    cJSON_Delete(info);
    assert_says(succeeded(bnn_run("info", in_temporary("png")))->out, "classes      ant, bee, cat\n");
    /* other classes under the same labels are no evaluation */
    put_folder("other/train/dog");
    put_folder("other/test/dog");
    static const uint8_t grey[IMAGE];
    const picture p = {SIDE, SIDE, 8, PNG_COLOR_TYPE_RGB, grey, false, NULL, NULL};
    put_picture("other/train/dog/1.png", &p);
    put_picture("other/test/dog/1.png", &p);
    assert_one_line(bnn_run("eval", in_temporary("png/model.bin"), "--data", in_temporary("other")), 2,
                    "class 0 is \"dog\", expected the model's \"ant\"");
}

/* --data and --ood take what data.path does. */
static void other_files_are_evaluated_by_their_kind(void **state)
{
    (void)state;
    trained("npy");
    cJSON *own = json_of(bnn_run("eval", in_temporary("npy"), "--json"));
    cJSON *archive =
        json_of(bnn_run("eval", in_temporary("npy"), "--data", in_temporary("all.npz"), "--json"));
    cJSON *folder = json_of(bnn_run("eval", in_temporary("npy"), "--data", in_temporary("png"), "--ood",
                                    in_temporary("all.npz"), "--json"));
    assert_true(figure(own, "nll") == figure(archive, "nll") && figure(own, "nll") == figure(folder, "nll"));
    assert_true(figure(folder, "uncertainty.ood.auroc_entropy") == 0.5);
    cJSON_Delete(folder);
    cJSON_Delete(archive);
    cJSON_Delete(own);
    assert_one_line(bnn_run("eval", in_temporary("npy"), "--data", in_temporary("none.npz")), 2, "none.npz");
}

/* ---- parts -------------------------------------------------------------------------------------------------------- */

/* Their figures are those of their images, and together those of all. */
static void parts_are_told_apart(void **state)
{
    (void)state;
    put_config("ising.json",
               "{\"name\": \"ising\", \"ising\": {\"size\": 8, \"temperatures\": [1, 2, 3, 4],\n"
               " \"test_temperatures\": [1, 2.2, 4], \"train_per_temperature\": 20, "
               "\"test_per_temperature\": 10}}");
    assert_says(trained("ising"), "classes: 0 disordered (40), 1 ordered (40)");
    cJSON *json = json_of(bnn_run("eval", in_temporary("ising"), "--json"));
    const cJSON *parts = member(json, "parts");
    assert_int_equal(cJSON_GetArraySize(parts), 2);
    const cJSON *outside = cJSON_GetArrayItem(parts, 0), *inside = cJSON_GetArrayItem(parts, 1);
    assert_string_equal(member(outside, "name")->valuestring, "T outside 2 to 2.5");
    assert_string_equal(member(inside, "name")->valuestring, "T from 2 to 2.5");
    assert_true(figure(outside, "images") == 20 && figure(inside, "images") == 10);
    assert_close(20 * figure(outside, "nll") + 10 * figure(inside, "nll"), 30 * figure(json, "nll"), 1e-9, 1);
    assert_close(20 * figure(outside, "accuracy") + 10 * figure(inside, "accuracy"),
                 30 * figure(json, "accuracy"), 1e-9, 1);
    cJSON_Delete(json);
    succeeded(bnn_run("train", in_temporary("ising.json"), "--out", in_temporary("one"), "--set",
                      "data.ising.test_temperatures=[1,4]"));
    json = json_of(bnn_run("eval", in_temporary("one"), "--json"));
    assert_null(cJSON_GetObjectItemCaseSensitive(json, "parts")); /* all of one part */
    cJSON_Delete(json);
    const program_run *run = succeeded(bnn_run("eval", in_temporary("ising")));
    assert_says(run->out, "T from 2 to 2.5");
    succeeded(bnn_run("train", in_temporary("ising.json"), "--out", in_temporary("each"), "--set",
                      "data.ising.window=[]"));
    json = json_of(bnn_run("eval", in_temporary("each"), "--json"));
    assert_int_equal(cJSON_GetArraySize(member(json, "parts")), 3);
    assert_string_equal(member(cJSON_GetArrayItem(member(json, "parts"), 1), "name")->valuestring, "T = 2.2");
    cJSON_Delete(json);
}

/* ---- mistakes ------------------------------------------------------------------------------------------------------ */

static void mistakes_are_refused_in_one_line(void **state)
{
    uint8_t bytes[1 << 14];
    (void)state;
    const size_t size = get_file(in_temporary("all.npz"), bytes, sizeof bytes);
    put_file("cut.npz", bytes, size / 2);
    assert_one_line(
        bnn_run("train", in_temporary("npz.json"), "--out", in_temporary("no"), "--set", "data.path=cut.npz"),
        2, "cut.npz", "npz");
    bytes[200] ^= 1;
    put_file("bad.npz", bytes, size);
    assert_one_line(
        bnn_run("train", in_temporary("npz.json"), "--out", in_temporary("no"), "--set", "data.path=bad.npz"),
        2, "bad.npz: train_images: ");
    assert_one_line(bnn_run("train", in_temporary("npz.json"), "--out", in_temporary("no"), "--set",
                            "data.validation_size=3"),
                    2, "data.validation_size: found 3, expected 0: npz has a validation split of its own");
    assert_one_line(
        bnn_run("train", in_temporary("npz.json"), "--out", in_temporary("no"), "--set", "data.name=png"), 2,
        "all.npz: found neither a folder train");
    put_folder("odd/train/ant");
    put_file("odd/train/ant/1.png", "\x89PNG\r\n\x1a\n", 8);
    assert_one_line(
        bnn_run("train", in_temporary("png.json"), "--out", in_temporary("no"), "--set", "data.path=odd"), 2,
        "odd/train/ant/1.png: is a damaged PNG file");
    assert_one_line(
        bnn_run("train", in_temporary("png.json"), "--out", in_temporary("no"), "--set", "data.dir=x"), 2,
        "data.dir: is set, but data.name png does not read it");
    assert_int_equal(access(in_temporary("no"), F_OK), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats_give_the_same_run),
        cmocka_unit_test(a_model_keeps_the_names_of_its_classes),
        cmocka_unit_test(other_files_are_evaluated_by_their_kind),
        cmocka_unit_test(parts_are_told_apart),
        cmocka_unit_test(mistakes_are_refused_in_one_line),
    };
    return cmocka_run_group_tests(tests, put_everything, remove_temporary_directory);
}
