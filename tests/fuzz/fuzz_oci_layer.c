/*
 * Fuzz target: layers of a container image, tar archives one over the other. The first byte is how many bytes of 512 the
 * first layer has; the second layer is the rest.
 * Side: tests. Run by libFuzzer, or replayed by replay.c over corpus/oci_layer.
 */
#include <stdlib.h>
#include <string.h>

#include "oci/rootfs.h"
#include "oci/tar_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool take_all(struct cella_bytes file)
{
    return file.size >= 4;
}

/* A name below the root, without a way up. */
static void check_path(const char *path)
{
    if (path[0] != '/' || strstr(path, "/../") || strstr(path, "//")) {
        abort();
    }
}

static bool apply(struct oci_rootfs *rootfs, const uint8_t *data, size_t size, unsigned layer)
{
    struct cella_error error = {0};
    struct archive *archive = archive_read_new();
    bool good = false;
    if (!archive) {
        return false;
    }
    /* Whole, and byte by byte: the same verdict. */
    struct oci_tar_check whole = {.wrong = NULL}, bytes = {.wrong = NULL};
    bool once = cella_is_ok(oci_tar_check_feed(&whole, cella_bytes_of(data, size))) &&
                cella_is_ok(oci_tar_check_end(&whole));
    bool more = true;
    for (size_t i = 0; i < size && more; i++) {
        more = cella_is_ok(oci_tar_check_feed(&bytes, cella_bytes_of(data + i, 1)));
    }
    more = more && cella_is_ok(oci_tar_check_end(&bytes));
    if (once != more || (!once && !whole.wrong)) {
        abort();
    }
    oci_tar_check_done(&whole);
    oci_tar_check_done(&bytes);
    archive_read_support_format_tar(archive);
    archive_read_support_format_empty(archive);
    if (archive_read_open_memory(archive, data, size) == ARCHIVE_OK) {
        good = cella_is_ok(oci_rootfs_apply(rootfs, archive, layer, &error));
        if (!good && !error.text[0]) {
            abort();
        }
    }
    archive_read_free(archive);
    return good;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct oci_found found;
    if (size == 0) {
        return 0;
    }
    size_t first = (size_t)data[0] * 512;
    first = first > size - 1 ? size - 1 : first;
    struct oci_rootfs *rootfs = oci_rootfs_new(take_all);
    if (rootfs && apply(rootfs, data + 1, first, 0)) {
        apply(rootfs, data + 1 + first, size - 1 - first, 1);
    }
    for (size_t i = 0; rootfs && oci_rootfs_found(rootfs, i, &found); i++) {
        check_path(found.path);
    }
    oci_rootfs_free(rootfs);
    return 0;
}
