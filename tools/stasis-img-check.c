/* SPDX-License-Identifier: MIT */
/* stasis-img check and snapshot. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>

#include "tools/stasis-img.h"
#include "util/bits.h"

enum { CHECK_FAILED = 1, CHECK_CORRUPT = 2, CHECK_LEAKS = 3, CHECK_UNSUPPORTED = 63 };

static double check_percent(uint64_t part, uint64_t all)
{
    return all ? (double)part * 100.0 / (double)all : 0;
}

static void check_print(const ImageCheck *k)
{
    if (!k->corruptions && !k->leaks && !k->check_errors) {
        printf("No errors were found on the image.\n");
    } else {
        if (k->corruptions) {
            printf("\n%" PRIu64
                   " errors were found on the image.\nData may be corrupted, or further "
                   "writes to the image may corrupt it.\n",
                k->corruptions);
        }
        if (k->leaks) {
            printf("\n%" PRIu64
                   " leaked clusters were found on the image.\nThis means waste of disk "
                   "space, but no harm to data.\n",
                k->leaks);
        }
        if (k->check_errors) {
            printf(
                "\n%" PRIu64 " internal errors have occurred during the check.\n", k->check_errors);
        }
    }
    if (k->total_clusters && k->allocated) {
        printf("%" PRIu64 "/%" PRIu64
               " = %0.2f%% allocated, %0.2f%% fragmented, %0.2f%% compressed "
               "clusters\n",
            k->allocated, k->total_clusters, check_percent(k->allocated, k->total_clusters),
            check_percent(k->fragmented, k->allocated), check_percent(k->compressed, k->allocated));
    }
    if (k->image_end) printf("Image end offset: %" PRIu64 "\n", k->image_end);
}

static void check_print_json(const ImageCheck *k, const BlockImage *img)
{
    char *name = img_json_text(image_filename(img));

    printf("{\n    \"image-end-offset\": %" PRIu64 ",\n    \"total-clusters\": %" PRIu64 ",\n"
           "    \"check-errors\": %" PRIu64 ",\n",
        k->image_end, k->total_clusters, k->check_errors);
    if (k->corruptions) printf("    \"corruptions\": %" PRIu64 ",\n", k->corruptions);
    if (k->leaks) printf("    \"leaks\": %" PRIu64 ",\n", k->leaks);
    if (k->corruptions_fixed) {
        printf("    \"corruptions-fixed\": %" PRIu64 ",\n", k->corruptions_fixed);
    }
    if (k->leaks_fixed) printf("    \"leaks-fixed\": %" PRIu64 ",\n", k->leaks_fixed);
    if (k->allocated) printf("    \"allocated-clusters\": %" PRIu64 ",\n", k->allocated);
    if (k->fragmented) printf("    \"fragmented-clusters\": %" PRIu64 ",\n", k->fragmented);
    if (k->compressed) printf("    \"compressed-clusters\": %" PRIu64 ",\n", k->compressed);
    printf("    \"filename\": %s,\n    \"format\": \"%s\"\n}\n", name, image_format(img));
    g_free(name);
}

/* Checks once more what was repaired, so that the numbers are those of the image as it is now. */
static bool check_again(const ImgArgs *a, BlockImage *img, ImageCheck *k, Error *err)
{
    uint64_t leaks = k->leaks_fixed, corruptions = k->corruptions_fixed;

    if (!leaks && !corruptions) return true;
    if (!img_json(a) && !a->quiet) {
        printf("The following inconsistencies were found and repaired:\n\n    %" PRIu64
               " leaked clusters\n    %" PRIu64 " corruptions\n\n"
               "Double checking the fixed image now...\n",
            leaks, corruptions);
    }
    g_string_free(k->messages, TRUE);
    *k = (ImageCheck){ .messages = g_string_new(NULL) };
    if (!image_check(img, k, err)) return false;
    k->leaks_fixed = leaks;
    k->corruptions_fixed = corruptions;
    return true;
}

static int check_image(const ImgArgs *a, BlockImage *img, const char *repair)
{
    ImageCheck k = { .messages = g_string_new(NULL) };
    Error err = ERROR_INIT;
    bool ok;

    k.fix_leaks = repair != NULL;
    k.fix_errors = repair && !strcmp(repair, "all");
    ok = image_check(img, &k, &err);
    if (!img_json(a)) fputs(k.messages->str, stderr);
    if (ok) ok = check_again(a, img, &k, &err);
    g_string_free(k.messages, TRUE);
    if (!ok) {
        img_fail("Check failed: %s", err.msg);
        return CHECK_FAILED;
    }
    if (img_json(a)) {
        check_print_json(&k, img);
    } else if (!a->quiet) {
        check_print(&k);
    }
    if (k.check_errors) return CHECK_FAILED;
    return k.corruptions ? CHECK_CORRUPT : k.leaks ? CHECK_LEAKS : IMG_OK;
}

static int check_run(int argc, char **argv)
{
    ImgArgs a = { .argc = argc, .argv = argv, .shorts = "f:r:T:qU" };
    const char *repair = NULL;
    char *value, **files;
    BlockImage *img;
    int c, n, ret;

    while ((c = img_next(&a, &value)) != -1) {
        if (c != 'r') continue;
        if (strcmp(value, "leaks") && strcmp(value, "all")) {
            return img_fail("-r expects 'leaks' or 'all', not '%s'", value);
        }
        repair = value;
    }
    if (!img_operands(&a, 1, 1, &files, &n)) return a.bad;
    img = img_open(
        &a, files[0], a.format, IMAGE_CHECK | IMAGE_NO_BACKING | (repair ? IMAGE_WRITABLE : 0));
    if (!img) return CHECK_FAILED;
    if (image_can_check(img)) {
        ret = check_image(&a, img, repair);
    } else {
        img_fail("This image format does not support checks");
        ret = CHECK_UNSUPPORTED;
    }
    image_close(img);
    return ret;
}

static const ImgCommand check_command = {
    .name = "check",
    .usage = "[-f FMT] [--output=FMT] [-r leaks|all] [-T CACHE] [-q] [-U] FILE",
    .help =
        "Compares the reference counts of an image with its references.\n"
        "Status: 0 clean, 1 the check failed, 2 errors, 3 leaked clusters only, 63 the format has\n"
        "nothing to check.\n"
        "  -r leaks|all  repair leaked clusters, or everything\n",
    .run = check_run,
};
IMG_COMMAND(check_command);

/* -- snapshot -- */

static void snapshot_list(BlockImage *img)
{
    GString *text = g_string_new(NULL);

    if (image_snapshot_count(img)) {
        g_string_append(text, "Snapshot list:\n");
        image_snapshot_line(img, -1, text);
    }
    for (unsigned i = 0; i < image_snapshot_count(img); i++) {
        image_snapshot_line(img, (int)i, text);
    }
    fputs(text->str, stdout);
    g_string_free(text, TRUE);
}

static bool snapshot_change(BlockImage *img, int op, const char *name, Error *err)
{
    SnapshotInfo info = { .icount = UINT64_MAX };
    int n = image_snapshot_find(img, name);
    struct timeval now;

    if (op == 'c') {
        if (strlen(name) >= sizeof(info.name)) return error_set(err, "Snapshot name too long");
        gettimeofday(&now, NULL);
        info.date_s = (uint32_t)now.tv_sec;
        info.date_ns = (uint32_t)now.tv_usec * 1000;
        strcpy(info.name, name);
        return image_snapshot_create(img, &info, err);
    }
    if (n < 0) {
        return error_set(err, "Could not %s snapshot '%s': snapshot not found",
            op == 'a' ? "apply" : "delete", name);
    }
    return op == 'a' ? image_snapshot_goto(img, (unsigned)n, err)
                     : image_snapshot_delete(img, (unsigned)n, err);
}

static int snapshot_run(int argc, char **argv)
{
    ImgArgs a = { .argc = argc, .argv = argv, .shorts = "f:la:c:d:qU" };
    char *value = NULL, **files, *name = NULL;
    Error err = ERROR_INIT;
    int c, n, op = 0, ret = IMG_OK;
    BlockImage *img;

    while ((c = img_next(&a, &value)) != -1) {
        if (op) return img_fail("Cannot mix '-l', '-a', '-c', '-d'");
        op = c;
        name = value;
    }
    if (!img_operands(&a, 1, 1, &files, &n)) return a.bad;
    if (!op) op = 'l';
    img = img_open(&a, files[0], a.format, op == 'l' ? IMAGE_NO_BACKING : IMAGE_WRITABLE);
    if (!img) return IMG_FAILED;
    if (op == 'l') {
        snapshot_list(img);
    } else if (!snapshot_change(img, op, name, &err)) {
        ret = img_fail_error(&err);
    }
    image_close(img);
    return ret;
}

static const ImgCommand snapshot_command = {
    .name = "snapshot",
    .usage = "[-f FMT] [-q] [-U] [-l | -a SNAPSHOT | -c SNAPSHOT | -d SNAPSHOT] FILE",
    .help = "Lists or changes the internal snapshots of an image.\n"
            "  -l            list them (the default)\n"
            "  -a SNAPSHOT   apply: the disk becomes what the snapshot holds\n"
            "  -c SNAPSHOT   create\n"
            "  -d SNAPSHOT   delete\n",
    .run = snapshot_run,
};
IMG_COMMAND(snapshot_command);
