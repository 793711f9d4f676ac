/* book_import() over arbitrary text: whatever comes in is within bounds and in order. */
#include <stdlib.h>

#include "service/book.h"

#define NOW INT64_C(1700000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint64_t seed[2] = {1, 2};
    static const struct book_record *best[BOOK_MAX_RECORDS];
    struct book *book = book_new(seed);
    size_t put = book_import(book, bytes_make(data, size), NOW);
    size_t count = book_best(book, best, BOOK_MAX_RECORDS);
    require(count <= put && count == book_count(book));
    for (size_t i = 0; i < count; i++) {
        require(best[i]->endpoint.port != 0 && best[i]->endpoint.ip_size != 0);
        require(best[i]->first_seen_s >= 0 && best[i]->first_seen_s <= best[i]->last_seen_s);
        require(best[i]->last_connected_s >= 0 &&
                best[i]->last_connected_s <= best[i]->last_seen_s);
        require(best[i]->last_seen_s <= NOW);
    }
    book_free(book);
    return 0;
}
