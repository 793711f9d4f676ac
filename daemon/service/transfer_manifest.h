/* The list of files of one transfer: paths and sizes, checked once when it is made.
 *
 * It comes from an OFFER of a peer or from a client's body; both are claims. Sizes are summed with
 * overflow checks, so total is true whatever an OFFER's total says. Paths are views into the
 * manifest's own copy. */
#ifndef RATSD_SERVICE_TRANSFER_MANIFEST_H
#define RATSD_SERVICE_TRANSFER_MANIFEST_H

#include "wire/transfer.h"

struct transfer_manifest {
    struct transfer_file *files;
    uint32_t count;
    uint64_t total; /* bytes of all files, at most INT64_MAX */
    uint8_t *text;  /* what the paths point into */
    size_t size;    /* bytes that files and text take */
};

/* The files of a decoded OFFER. Those of a tree are held to the path rule; a single file's path is
 * not used. 0; -EINVAL with why in ret_fault (half a sentence); -EFBIG the sum overflows; -EMSGSIZE
 * more than max_files; -ENOMEM. seed: random, secret. */
int transfer_manifest_from_offer(const struct transfer_frame *offer, size_t max_files,
                                 const uint64_t seed[2], struct transfer_manifest *ret_manifest,
                                 const char **ret_fault);
/* A client's body: for each file u64 size, u16 size of its path, both little-endian, the path.
 * These are held to what every receiver asks for, not to what we ask of others. */
int transfer_manifest_from_body(struct bytes body, size_t max_files, const uint64_t seed[2],
                                struct transfer_manifest *ret_manifest, const char **ret_fault);
/* One file. -EFBIG, -ENOMEM. */
int transfer_manifest_single(struct bytes name, uint64_t size,
                             struct transfer_manifest *ret_manifest);
void transfer_manifest_fini(struct transfer_manifest *manifest);
/* Bytes of the files in an OFFER. */
size_t transfer_manifest_size(const struct transfer_manifest *manifest);

#endif
