#include "service/transfer_manifest.h"

#include <errno.h>
#include <stdlib.h>

#include "util/alloc.h"
#include "util/map.h"
#include "util/path_rule.h"

/* Where the next file comes from. */
typedef bool (*take_file_fn)(struct reader *reader, struct transfer_file *ret_file);

static bool take_offered(struct reader *reader, struct transfer_file *ret_file)
{
    transfer_file_decode(reader, ret_file);
    return reader_ok(reader);
}

static uint64_t take_little(struct reader *reader, size_t width)
{
    struct bytes taken = reader_bytes(reader, width);
    uint64_t value = 0;
    for (size_t i = taken.size; i-- > 0;) {
        value = value << 8 | taken.data[i];
    }
    return value;
}

static bool take_listed(struct reader *reader, struct transfer_file *ret_file)
{
    ret_file->size = take_little(reader, 8);
    size_t size = (size_t)take_little(reader, 2);
    ret_file->path = reader_bytes(reader, size);
    return reader_ok(reader);
}

/* What is asked of the paths of a tree; NULL or the fault. */
typedef const char *(*path_rule_fn)(struct bytes path);

/* Two files of one name would overwrite each other. */
static int check_names(const struct transfer_manifest *manifest, path_rule_fn rule,
                       const uint64_t seed[2], const char **ret_fault)
{
    struct map names;
    int rc = 0;
    map_init(&names, seed);
    for (uint32_t i = 0; rc == 0 && i < manifest->count; i++) {
        struct transfer_file *file = &manifest->files[i];
        *ret_fault = rule(file->path);
        rc = *ret_fault == NULL ? map_insert(&names, file->path, file) : -EINVAL;
        if (rc == -EEXIST) {
            *ret_fault = "is there twice";
            rc = -EINVAL;
        }
    }
    map_fini(&names);
    return rc;
}

static int fill(struct transfer_manifest *manifest, struct bytes list, take_file_fn take,
                uint32_t count)
{
    manifest->size = list.size + 1 + (count + 1) * sizeof *manifest->files;
    manifest->text = try_alloc(list.size + 1);
    manifest->files = try_alloc((count + 1) * sizeof *manifest->files);
    if (manifest->text == NULL || manifest->files == NULL) {
        return -ENOMEM;
    }
    if (list.size > 0) {
        memcpy(manifest->text, list.data, list.size);
    }
    struct reader reader;
    reader_init(&reader, bytes_make(manifest->text, list.size));
    for (; manifest->count < count; manifest->count++) {
        struct transfer_file *file = &manifest->files[manifest->count];
        if (!take(&reader, file)) {
            return -EINVAL;
        }
        if (file->size > (uint64_t)INT64_MAX - manifest->total) {
            return -EFBIG;
        }
        manifest->total += file->size;
    }
    return 0;
}

/* Without a rule paths do not count. */
static int make(struct bytes list, take_file_fn take, uint32_t count, path_rule_fn rule,
                const uint64_t seed[2], struct transfer_manifest *ret_manifest,
                const char **ret_fault)
{
    struct transfer_manifest manifest = {0};
    *ret_fault = NULL;
    int rc = fill(&manifest, list, take, count);
    if (rc == 0 && rule != NULL) {
        rc = check_names(&manifest, rule, seed, ret_fault);
    }
    if (rc < 0) {
        transfer_manifest_fini(&manifest);
    } else {
        *ret_manifest = manifest;
    }
    return rc;
}

int transfer_manifest_from_offer(const struct transfer_frame *offer, size_t max_files,
                                 const uint64_t seed[2], struct transfer_manifest *ret_manifest,
                                 const char **ret_fault)
{
    *ret_fault = NULL;
    if (offer->file_count > max_files) {
        return -EMSGSIZE;
    }
    if (!offer->is_directory && offer->file_count != 1) {
        *ret_fault = "is not one file";
        return -EINVAL;
    }
    return make(offer->files, take_offered, offer->file_count,
                offer->is_directory ? path_rule_check : NULL, seed, ret_manifest, ret_fault);
}

int transfer_manifest_from_body(struct bytes body, size_t max_files, const uint64_t seed[2],
                                struct transfer_manifest *ret_manifest, const char **ret_fault)
{
    struct reader reader;
    struct transfer_file file;
    uint32_t count = 0;
    *ret_fault = NULL;
    reader_init(&reader, body);
    while (reader_left(&reader) > 0) {
        if (count == max_files || count == UINT32_MAX - 1) {
            return -EMSGSIZE;
        }
        if (!take_listed(&reader, &file)) {
            *ret_fault = "ends within the list";
            return -EINVAL;
        }
        count++;
    }
    return make(body, take_listed, count, path_rule_check_offered, seed, ret_manifest, ret_fault);
}

int transfer_manifest_single(struct bytes name, uint64_t size,
                             struct transfer_manifest *ret_manifest)
{
    struct transfer_manifest manifest = {.count = 1, .total = size};
    if (size > (uint64_t)INT64_MAX) {
        return -EFBIG;
    }
    manifest.text = try_alloc(name.size + 1);
    manifest.files = try_alloc(sizeof *manifest.files);
    if (manifest.text == NULL || manifest.files == NULL) {
        transfer_manifest_fini(&manifest);
        return -ENOMEM;
    }
    if (name.size > 0) {
        memcpy(manifest.text, name.data, name.size);
    }
    manifest.files[0] =
        (struct transfer_file){.path = bytes_make(manifest.text, name.size), .size = size};
    *ret_manifest = manifest;
    return 0;
}

void transfer_manifest_fini(struct transfer_manifest *manifest)
{
    free(manifest->files);
    free(manifest->text);
    manifest->files = NULL;
    manifest->text = NULL;
}

size_t transfer_manifest_size(const struct transfer_manifest *manifest)
{
    size_t size = 0;
    for (uint32_t i = 0; i < manifest->count; i++) {
        size += TRANSFER_FILE_FIXED + manifest->files[i].path.size;
    }
    return size;
}
