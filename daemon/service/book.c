#include "service/book.h"

#include <errno.h>
#include <stdlib.h>

#include "proto/json_head.h"
#include "util/alloc.h"
#include "util/map.h"

#define KEY_SIZE    19   /* size of the address, address, port */
#define MAX_REMOVED 1024 /* beyond that the file is written anew */

struct entry {
    struct book_record record;
    uint8_t key[KEY_SIZE];
    bool changed;
};

struct book {
    struct map entries; /* struct entry by key */
    struct endpoint *removed;
    size_t removed_count;
    size_t changed_count;
    bool all_changed;
};

static struct bytes key_view(const uint8_t key[KEY_SIZE])
{
    return bytes_make(key, KEY_SIZE);
}

static void make_key(const struct endpoint *endpoint, uint8_t ret_key[KEY_SIZE])
{
    memset(ret_key, 0, KEY_SIZE);
    ret_key[0] = endpoint->ip_size;
    memcpy(ret_key + 1, endpoint->ip, endpoint->ip_size);
    ret_key[17] = (uint8_t)(endpoint->port >> 8);
    ret_key[18] = (uint8_t)endpoint->port;
}

static struct entry *find(const struct book *book, const struct endpoint *endpoint)
{
    uint8_t key[KEY_SIZE];
    make_key(endpoint, key);
    return map_find(&book->entries, key_view(key));
}

static bool same_group(const struct endpoint *a, const struct endpoint *b)
{
    return a->ip_size == b->ip_size && memcmp(a->ip, b->ip, a->ip_size == 4 ? 2 : 4) == 0;
}

/* ---- ranking ---- */

static int descending(int64_t a, int64_t b)
{
    return (a < b) - (a > b);
}

/* Negative when a is better. The address decides last, so the order is fixed. */
static int compare(const struct book_record *a, const struct book_record *b)
{
    int order = descending(a->last_connected_s > 0, b->last_connected_s > 0);
    order = order != 0 ? order : descending(a->last_connected_s, b->last_connected_s);
    order = order != 0 ? order : descending(a->connect_count, b->connect_count);
    order = order != 0 ? order : -descending(a->fail_streak, b->fail_streak);
    order = order != 0 ? order : descending(a->last_seen_s, b->last_seen_s);
    order = order != 0 ? order : memcmp(a->endpoint.ip, b->endpoint.ip, sizeof(a->endpoint.ip));
    return order != 0 ? order : (int)a->endpoint.port - (int)b->endpoint.port;
}

static int compare_pointers(const void *a, const void *b)
{
    return compare(*(const struct book_record *const *)a, *(const struct book_record *const *)b);
}

static int compare_by_group(const void *a, const void *b)
{
    const struct book_record *left = *(const struct book_record *const *)a;
    const struct book_record *right = *(const struct book_record *const *)b;
    if (left->endpoint.ip_size != right->endpoint.ip_size) {
        return (int)left->endpoint.ip_size - (int)right->endpoint.ip_size;
    }
    int order = memcmp(left->endpoint.ip, right->endpoint.ip, left->endpoint.ip_size == 4 ? 2 : 4);
    return order != 0 ? order : compare(left, right);
}

/* All records, in no order: the caller's. NULL when there are none. */
static const struct book_record **list_all(const struct book *book)
{
    size_t count = map_count(&book->entries);
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): the size of a pointer is meant */
    const struct book_record **records = count == 0 ? NULL : xalloc(count * sizeof(*records));
    size_t cursor = 0;
    for (size_t i = 0; i < count; i++) {
        records[i] = &((const struct entry *)map_next(&book->entries, &cursor))->record;
    }
    return records;
}

size_t book_best(const struct book *book, const struct book_record **ret_records, size_t max)
{
    size_t count = map_count(&book->entries);
    const struct book_record **records = list_all(book);
    if (count > 1) {
        /* NOLINTNEXTLINE(bugprone-sizeof-expression): the size of a pointer is meant */
        qsort(records, count, sizeof(*records), compare_pointers);
    }
    count = count < max ? count : max;
    for (size_t i = 0; i < count; i++) {
        ret_records[i] = records[i];
    }
    free(records);
    return count;
}

/* ---- changes ---- */

static void note_change(struct book *book, struct entry *entry)
{
    book->changed_count += entry->changed ? 0u : 1u;
    entry->changed = true;
}

static void remove_entry(struct book *book, struct entry *entry)
{
    if (book->removed_count == MAX_REMOVED) {
        book->all_changed = true;
        book->removed_count = 0;
    }
    if (!book->all_changed) {
        book->removed[book->removed_count++] = entry->record.endpoint;
    }
    book->changed_count -= entry->changed ? 1u : 0u;
    (void)map_remove(&book->entries, key_view(entry->key));
    free(entry);
}

bool book_is_changed(const struct book *book)
{
    return book->all_changed || book->changed_count > 0 || book->removed_count > 0;
}

void book_take_changes(struct book *book, struct book_changes *ret_changes)
{
    size_t count = book->all_changed ? map_count(&book->entries) : book->changed_count;
    struct book_changes changes = {.all = book->all_changed};
    changes.records = count == 0 ? NULL : xalloc(count * sizeof(*changes.records));
    size_t cursor = 0;
    for (struct entry *entry; (entry = map_next(&book->entries, &cursor)) != NULL;) {
        if (book->all_changed || entry->changed) {
            /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): as many as were counted */
            changes.records[changes.record_count++] = entry->record;
        }
        entry->changed = false;
    }
    if (book->removed_count > 0) {
        changes.removed = xalloc(book->removed_count * sizeof(*changes.removed));
        memcpy(changes.removed, book->removed, book->removed_count * sizeof(*changes.removed));
        changes.removed_count = book->removed_count;
    }
    book->removed_count = 0;
    book->changed_count = 0;
    book->all_changed = false;
    *ret_changes = changes;
}

void book_renounce_changes(struct book *book)
{
    book->all_changed = true;
    book->removed_count = 0;
}

void book_changes_fini(struct book_changes *changes)
{
    free(changes->records);
    free(changes->removed);
    *changes = (struct book_changes){0};
}

/* ---- room ---- */

/* The worst of the largest group. */
static struct entry *find_worst(const struct book *book)
{
    size_t count = map_count(&book->entries);
    const struct book_record **records = list_all(book);
    const struct book_record *worst = NULL;
    size_t largest = 0;
    size_t size = 0;
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): the size of a pointer is meant */
    qsort(records, count, sizeof(*records), compare_by_group);
    for (size_t i = 0; i < count; i++) {
        bool begins = i == 0 || !same_group(&records[i]->endpoint, &records[i - 1]->endpoint);
        size = begins ? 1 : size + 1;
        if (size >= largest) { /* within a group the worst comes last */
            largest = size;
            worst = records[i];
        }
    }
    struct entry *found = find(book, &worst->endpoint);
    free(records);
    return found;
}

static struct entry *find_worst_of_group(const struct book *book, const struct endpoint *endpoint,
                                         size_t *ret_size)
{
    struct entry *worst = NULL;
    size_t size = 0;
    size_t cursor = 0;
    for (struct entry *entry; (entry = map_next(&book->entries, &cursor)) != NULL;) {
        if (same_group(&entry->record.endpoint, endpoint)) {
            size++;
            if (worst == NULL || compare(&worst->record, &entry->record) < 0) {
                worst = entry;
            }
        }
    }
    *ret_size = size;
    return worst;
}

static int make_room(struct book *book, const struct book_record *record)
{
    size_t size = 0;
    struct entry *worst = find_worst_of_group(book, &record->endpoint, &size);
    if (size >= BOOK_MAX_GROUP) {
        if (compare(&worst->record, record) < 0) {
            return -ENOBUFS;
        }
        remove_entry(book, worst);
    } else if (map_count(&book->entries) >= BOOK_MAX_RECORDS) {
        remove_entry(book, find_worst(book));
    }
    return 0;
}

/* ---- records ---- */

static bool is_dialable(const struct endpoint *endpoint)
{
    return endpoint->port != 0 && (endpoint->ip_size == 4 || endpoint->ip_size == 16) &&
           !endpoint_is_unspecified(endpoint);
}

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

static void order_times(struct book_record *record, int64_t now_s)
{
    now_s = now_s < 1 ? 1 : now_s;
    record->last_connected_s = clamp(record->last_connected_s, 0, now_s);
    record->last_seen_s = clamp(record->last_seen_s, record->last_connected_s, now_s);
    record->first_seen_s = clamp(record->first_seen_s, 0, record->last_seen_s);
}

static int place(struct book *book, const struct book_record *record, int64_t now_s,
                 struct entry **ret_entry)
{
    if (!is_dialable(&record->endpoint)) {
        return -EINVAL;
    }
    struct book_record ordered = *record;
    order_times(&ordered, now_s);
    struct entry *entry = find(book, &record->endpoint);
    if (entry == NULL) {
        int result = make_room(book, &ordered);
        if (result != 0) {
            return result;
        }
        entry = xalloc(sizeof(*entry));
        make_key(&record->endpoint, entry->key);
        if (map_insert(&book->entries, key_view(entry->key), entry) != 0) {
            free(entry);
            return -ENOBUFS;
        }
    }
    entry->record = ordered;
    *ret_entry = entry;
    return 0;
}

int book_put(struct book *book, const struct book_record *record, int64_t now_s)
{
    struct entry *entry = NULL;
    int result = place(book, record, now_s, &entry);
    if (result == 0) {
        note_change(book, entry);
    }
    return result;
}

int book_load(struct book *book, const struct book_record *record, int64_t now_s)
{
    struct entry *entry = NULL;
    return place(book, record, now_s, &entry);
}

void book_connected(struct book *book, const struct endpoint *endpoint, const struct peer_id *id,
                    int64_t now_s)
{
    const struct entry *known = find(book, endpoint);
    struct book_record record = {.endpoint = *endpoint, .first_seen_s = now_s};
    if (known != NULL) {
        record = known->record;
    }
    record.has_id = true;
    record.id = *id;
    record.last_seen_s = now_s;
    record.last_connected_s = now_s;
    record.connect_count += record.connect_count < UINT32_MAX ? 1u : 0u;
    record.fail_streak = 0;
    (void)book_put(book, &record, now_s); /* nothing is better than what is connected now */
}

void book_seen(struct book *book, const struct endpoint *endpoint, int64_t now_s)
{
    struct entry *entry = find(book, endpoint);
    if (entry != NULL) {
        entry->record.last_seen_s = now_s;
        order_times(&entry->record, now_s);
        note_change(book, entry);
    }
}

void book_failed(struct book *book, const struct endpoint *endpoint)
{
    struct entry *entry = find(book, endpoint);
    if (entry != NULL && entry->record.fail_streak < UINT32_MAX) {
        entry->record.fail_streak++;
        note_change(book, entry);
    }
}

size_t book_expire(struct book *book, int64_t now_s)
{
    size_t expired = 0;
    size_t cursor = 0;
    for (struct entry *entry; (entry = map_next(&book->entries, &cursor)) != NULL;) {
        if (entry->record.last_seen_s < now_s - BOOK_KEEP_S) {
            remove_entry(book, entry);
            expired++;
        }
    }
    return expired;
}

static int64_t shifted(int64_t time_s, int64_t seconds)
{
    return time_s == 0 ? 0 : time_s + seconds < 1 ? 1 : time_s + seconds;
}

void book_shift(struct book *book, int64_t seconds, int64_t now_s)
{
    size_t cursor = 0;
    for (struct entry *entry; (entry = map_next(&book->entries, &cursor)) != NULL;) {
        struct book_record *record = &entry->record;
        record->first_seen_s = shifted(record->first_seen_s, seconds);
        record->last_seen_s = shifted(record->last_seen_s, seconds);
        record->last_connected_s = shifted(record->last_connected_s, seconds);
        order_times(record, now_s);
        note_change(book, entry);
    }
}

void book_clear(struct book *book)
{
    size_t cursor = 0;
    for (struct entry *entry; (entry = map_next(&book->entries, &cursor)) != NULL;) {
        (void)map_remove(&book->entries, key_view(entry->key));
        free(entry);
    }
    book->changed_count = 0;
    book_renounce_changes(book);
}

const struct book_record *book_find(const struct book *book, const struct endpoint *endpoint)
{
    const struct entry *entry = find(book, endpoint);
    return entry == NULL ? NULL : &entry->record;
}

size_t book_count(const struct book *book)
{
    return map_count(&book->entries);
}

struct book *book_new(const uint64_t seed[2])
{
    struct book *book = xalloc(sizeof(*book));
    map_init(&book->entries, seed);
    book->removed = xalloc(MAX_REMOVED * sizeof(*book->removed));
    return book;
}

void book_free(struct book *book)
{
    if (book == NULL) {
        return;
    }
    book_clear(book);
    map_fini(&book->entries);
    free(book->removed);
    free(book);
}

/* ---- the file of librats 2 ---- */

static uint32_t count_of(const json_t *row, const char *key)
{
    json_int_t value = json_integer_value(json_object_get(row, key));
    return value < 0 ? 0 : value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

static int read_row(const json_t *row, struct book_record *ret_record)
{
    const char *ip = json_string_value(json_object_get(row, "ip"));
    const char *id = json_string_value(json_object_get(row, "id"));
    json_int_t port = json_integer_value(json_object_get(row, "port"));
    struct book_record record = {
        .first_seen_s = json_integer_value(json_object_get(row, "first_seen")),
        .last_seen_s = json_integer_value(json_object_get(row, "last_seen")),
        .last_connected_s = json_integer_value(json_object_get(row, "last_connected")),
        .connect_count = count_of(row, "connect_count"),
        .fail_streak = count_of(row, "fail_streak"),
    };
    if (ip == NULL || port < 1 || port > UINT16_MAX ||
        endpoint_parse_ip(ip, (uint16_t)port, &record.endpoint) != 0) {
        return -EINVAL;
    }
    record.has_id = id != NULL && peer_id_parse(id, &record.id) == 0;
    *ret_record = record;
    return 0;
}

size_t book_import(struct book *book, struct bytes json, int64_t now_s)
{
    json_t *rows = NULL;
    size_t count = 0;
    size_t index = 0;
    json_t *row = NULL;
    if (json_read((const char *)json.data, json.size, &rows) != 0) {
        return 0;
    }
    json_array_foreach(rows, index, row)
    {
        struct book_record record;
        if (read_row(row, &record) == 0 && book_put(book, &record, now_s) == 0) {
            count++;
        }
    }
    json_decref(rows);
    return count;
}
