/* Between a client and the disk: descriptors that the client opened go in, news of what was
 * verified goes out, and only what the client has put into place is complete. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "service/transfers_private.h"
#include "util/text.h"

#define PATH_SHOWN_SIZE 256

/* ---- what the disk tells ---- */

static void on_pieces(void *arg)
{
    pump_now(arg);
}

static void on_taken(void *arg, size_t size)
{
    flow_sub(arg, size);
}

static void on_wrote(void *arg, uint64_t size, bool file_is_whole)
{
    struct errand *errand = arg;
    struct transfers *transfers = errand->transfers;
    transfer_wrote(transfers->engine, errand->transfer, size, file_is_whole,
                   transfers_now_ms(transfers));
    transfers_wake(transfers);
}

static void on_verified(void *arg, uint32_t first, uint32_t count)
{
    struct errand *errand = arg;
    struct transfer *transfer = errand->transfer;
    errand->verified = first + count;
    if (errand->verified == transfer->manifest.count) {
        transfer_landed(transfer);
    }
    host_emit_to(errand->transfers->host, &transfer->session, 1, EV_TRANSFER_VERIFIED,
                 json_pack("{s:s, s:I, s:I}", "transfer", transfer->key, "first", (json_int_t)first,
                           "count", (json_int_t)count),
                 &transfer->peer);
}

static void on_room(void *arg)
{
    files_ask(arg);
}

static void on_rewound(void *arg, uint32_t file, uint64_t offset)
{
    struct errand *errand = arg;
    errand->rewound = true;
    errand->rewound_file = file;
    errand->rewound_offset = offset;
    ctl_resume(errand);
}

static void on_rehashing(void *arg)
{
    ctl_tell_rehashing(arg);
}

/* Of a tree it is said which file it was: there may be many. */
static void on_failed(void *arg, uint32_t file, const char *why)
{
    struct errand *errand = arg;
    struct transfer *transfer = errand->transfer;
    char path[PATH_SHOWN_SIZE];
    char problem[TRANSFER_ERROR_SIZE];
    if (transfer->directory) {
        (void)text_escape(transfer->manifest.files[file].path, path, sizeof path);
        (void)snprintf(problem, sizeof problem, "'%s': %s", path, why);
        why = problem;
    }
    transfer_fail(errand->transfers->engine, transfer, why, transfers_now_ms(errand->transfers));
}

static const struct transfer_disk_callbacks disk_callbacks = {
    .on_pieces = on_pieces,
    .on_taken = on_taken,
    .on_wrote = on_wrote,
    .on_verified = on_verified,
    .on_room = on_room,
    .on_rewound = on_rewound,
    .on_rehashing = on_rehashing,
    .on_failed = on_failed,
};

/* ---- how many ---- */

/* What the errand has open, or will have once its program has answered. */
static size_t descriptors_of(const struct errand *errand)
{
    size_t count = errand->fd >= 0 ? 1 : 0;
    if (errand->disk != NULL) {
        count += TRANSFER_AHEAD_FILES - transfer_disk_room(errand->disk);
        count += errand->asked - errand->provided;
    }
    return count;
}

void files_recount(struct errand *errand)
{
    size_t count = descriptors_of(errand);
    errand->transfers->descriptors += count - errand->descriptors;
    errand->descriptors = count;
}

/* How many more files of a directory may be asked for. When all directories together have their
 * share, one at a time, so that each of them goes on. */
static size_t room_of(const struct errand *errand)
{
    const struct transfers *transfers = errand->transfers;
    size_t most = transfers->max_descriptors / 2;
    size_t left = transfers->descriptors < most ? most - transfers->descriptors : 0;
    size_t due = errand->asked - errand->provided;
    size_t room = transfer_disk_room(errand->disk);
    room = room > due ? room - due : 0;
    left = left == 0 && errand->descriptors == 0 ? 1 : left;
    return room < left ? room : left;
}

bool files_has_room(const struct transfers *transfers, struct request *request)
{
    if (transfers->descriptors < transfers->max_descriptors / 4 * 3) {
        return true;
    }
    request_fail(
        request, E_LIMIT,
        "%zu files of transfers are open; wait for one of them, or raise the limit of open "
        "files (LimitNOFILE)",
        transfers->descriptors);
    return false;
}

/* ---- life ---- */

int files_begin(struct errand *errand)
{
    struct transfers *transfers = errand->transfers;
    const struct transfer *transfer = errand->transfer;
    struct transfer_disk_options options = {
        .loop = host_loop(transfers->host),
        .worker = host_worker(transfers->host),
        .sending = transfer->sending,
        .ahead = &transfers->ahead,
        .id = transfer->id,
        .chunk_size = transfers->chunk_size,
        .need = transfer->sending ? 0 : transfer->manifest.total,
    };
    int rc = transfer_disk_new(&options, &disk_callbacks, errand, &errand->disk);
    if (rc < 0) {
        return rc;
    }
    if (errand->fd >= 0) {
        /* To be sent again from some byte on it must stay open; what is received is not gone back
         * into once it is whole. */
        transfer_disk_add(errand->disk, 0, errand->fd, transfer->manifest.total, transfer->sending);
        errand->fd = -1;
    }
    errand->provided_ms = transfers_now_ms(transfers);
    files_recount(errand);
    return 0;
}

void files_end(struct errand *errand)
{
    list_remove(&errand->ready);
    flow_forget(errand);
    transfer_disk_free(errand->disk);
    errand->disk = NULL;
    if (errand->fd >= 0) {
        (void)close(errand->fd);
        errand->fd = -1;
    }
    free(errand->path);
    errand->path = NULL;
    files_recount(errand);
}

/* ---- descriptors ---- */

void files_ask(struct errand *errand)
{
    const struct transfer *transfer = errand->transfer;
    files_recount(errand);
    while (transfer->directory && errand->disk != NULL &&
           errand->asked < transfer->manifest.count) {
        size_t room = room_of(errand);
        uint32_t count = 0;
        if (room == 0 || (room < TRANSFER_OPEN_FILES / 2 && errand->asked > errand->provided)) {
            return;
        }
        json_t *fields = transfers_open_json(transfer, errand->asked, room, &count);
        errand->asked += count;
        files_recount(errand);
        host_emit_to(errand->transfers->host, &transfer->session, 1, EV_TRANSFER_OPEN, fields,
                     &transfer->peer);
    }
}

int files_go_back(struct errand *errand, uint32_t file, uint64_t offset)
{
    if (file == errand->transfer->manifest.count) {
        files_end(errand); /* the peer has it all */
        return 0;
    }
    if (errand->disk == NULL) {
        return -EBADF; /* which it said once already */
    }
    errand->overtaken += errand->asked - errand->provided;
    errand->asked = file;
    errand->provided = file;
    transfer_disk_seek(errand->disk, offset);
    files_ask(errand);
    return 0;
}

static void take_files(struct errand *errand, struct request *request)
{
    const struct transfer_file *files = errand->transfer->manifest.files;
    int fd;
    errand->provided_ms = transfers_now_ms(errand->transfers);
    while ((fd = request_take_fd(request)) >= 0) {
        if (errand->overtaken > 0) {
            errand->overtaken--;
            (void)close(fd);
            continue;
        }
        transfer_disk_add(errand->disk, errand->provided, fd, files[errand->provided].size, false);
        errand->provided++;
    }
}

void transfers_on_provide(void *self, struct request *request)
{
    struct transfers *transfers = self;
    struct transfer *transfer = transfers_own(transfers, request);
    if (transfer == NULL) {
        return;
    }
    struct errand *errand = errand_of(transfer);
    json_int_t first = json_integer_value(json_object_get(request_params(request), "first"));
    size_t count = request_fds(request);
    size_t due = errand->overtaken + (size_t)(errand->asked - errand->provided);
    if (count == 0 || count > due || (errand->overtaken == 0 && first != errand->provided)) {
        request_fail(request, E_OPERATION_FAILED,
                     "file %lld is not the next that transfer.open named, or %zu descriptors are "
                     "none or too many: %zu are awaited, from file %lu on",
                     (long long)first, count, due, (unsigned long)errand->provided);
        return;
    }
    take_files(errand, request);
    request_reply(request, NULL);
    files_ask(errand);
}

void transfers_on_placed(void *self, struct request *request)
{
    struct transfers *transfers = self;
    struct transfer *transfer = transfers_own(transfers, request);
    if (transfer == NULL) {
        return;
    }
    struct errand *errand = errand_of(transfer);
    json_int_t count = json_integer_value(json_object_get(request_params(request), "count"));
    if (count > (json_int_t)(errand->verified - errand->placed)) {
        request_fail(request, E_OPERATION_FAILED,
                     "%lld files are more than the %lu that transfer.verified named and that are "
                     "not in place yet",
                     (long long)count, (unsigned long)(errand->verified - errand->placed));
        return;
    }
    errand->placed += (uint32_t)count;
    request_reply(request, NULL);
    transfer_placed(transfers->engine, transfer, (uint32_t)count, transfers_now_ms(transfers));
    transfers_wake(transfers);
}
