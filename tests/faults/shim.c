/* A library to preload that makes chosen calls of libc fail.
 *
 * FAULTS_FILE names a file of slots (faultshim.py lays it out), mapped shared: here every call is
 * counted, and the driver reads the counts and arms a slot while the program runs. A slot is about
 * one function, or about "alloc": malloc, calloc, realloc and the aligned ones counted together.
 * The calls numbered first to last (from 1) fail with error; with error 0 they are cut to limit
 * bytes instead. Functions that cannot fail without having had their effect (close, connect with
 * EINTR) have it.
 *
 * It calls on to the next library with the symbol, so that it also works in front of a sanitizer.
 * Easy to break: nothing here may allocate, and malloc() runs before the constructor does. */
/* Here both names of a function are functions, the plain ones and those for 64-bit offsets. */
#undef _FILE_OFFSET_BITS
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

#define EXPORT     __attribute__((visibility("default")))
#define NAME_SIZE  32
#define ARENA_SIZE 8192

struct slot {
    char name[NAME_SIZE];
    _Atomic uint64_t calls;
    _Atomic uint64_t hits; /* of them made to fail */
    _Atomic uint64_t first;
    _Atomic uint64_t last;
    _Atomic int32_t error;
    _Atomic uint32_t limit;
};

static struct slot *slots;
static size_t slot_count;
static __thread bool is_exempt
    __attribute__((tls_model("initial-exec"))); /* while a call runs whose caller cannot fail */

static __attribute__((constructor)) void map_slots(void)
{
    const char *path = getenv("FAULTS_FILE");
    struct stat status;
    int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    if (fstat(fd, &status) == 0 && status.st_size > 0) {
        size_t size = (size_t)status.st_size;
        void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (page != MAP_FAILED) {
            slot_count = size / sizeof(struct slot);
            slots = page;
        }
    }
    (void)close(fd);
}

/* A sanitizer's strcmp() may not work yet. */
static bool same(const char *one, const char *other)
{
    while (*one != '\0' && *one == *other) {
        one++;
        other++;
    }
    return *one == *other;
}

static struct slot *slot_find(const char *name)
{
    for (size_t i = 0; i < slot_count; i++) {
        if (same(slots[i].name, name)) {
            return &slots[i];
        }
    }
    return NULL;
}

/* Counts one call; whether it is one that shall fail, and then how. */
static bool is_hit(const char *name, int *ret_error, size_t *ret_limit)
{
    struct slot *slot = is_exempt ? NULL : slot_find(name);
    if (slot == NULL) {
        return false;
    }
    uint64_t number = atomic_fetch_add(&slot->calls, 1) + 1;
    if (number < atomic_load(&slot->first) || number > atomic_load(&slot->last)) {
        return false;
    }
    atomic_fetch_add(&slot->hits, 1);
    *ret_error = atomic_load(&slot->error);
    *ret_limit = atomic_load(&slot->limit);
    return true;
}

/* True with errno set when this call shall fail. */
static bool fails(const char *name)
{
    int error = 0;
    size_t limit = 0;
    if (is_hit(name, &error, &limit) && error != 0) {
        errno = error;
        return true;
    }
    return false;
}

/* The same for calls that move bytes: *size may become smaller. */
static bool moves_fails(const char *name, size_t *size)
{
    int error = 0;
    size_t limit = 0;
    if (!is_hit(name, &error, &limit)) {
        return false;
    }
    if (error != 0) {
        errno = error;
        return true;
    }
    *size = *size > limit ? limit : *size;
    return false;
}

/* A function that fails with -1 (or NULL) and errno, before it has had an effect. */
#define WRAP_AS(type, failure, slot_name, name, parameters, ...)                                   \
    EXPORT type name parameters;                                                                   \
    EXPORT type name parameters                                                                    \
    {                                                                                              \
        static type(*next) parameters;                                                             \
        if (next == NULL) {                                                                        \
            *(void **)&next = dlsym(RTLD_NEXT, #name);                                             \
        }                                                                                          \
        return fails(slot_name) ? (failure) : next(__VA_ARGS__);                                   \
    }
#define WRAP(name, parameters, ...) WRAP_AS(int, -1, #name, name, parameters, __VA_ARGS__)

/* One that has its effect and fails all the same. */
#define WRAP_AFTER(name, parameters, ...)                                                          \
    EXPORT int name parameters                                                                     \
    {                                                                                              \
        static int(*next) parameters;                                                              \
        if (next == NULL) {                                                                        \
            *(void **)&next = dlsym(RTLD_NEXT, #name);                                             \
        }                                                                                          \
        int result = next(__VA_ARGS__);                                                            \
        return fails(#name) ? -1 : result;                                                         \
    }

/* One that moves size bytes. */
#define WRAP_MOVE(name, parameters, size, ...)                                                     \
    EXPORT ssize_t name parameters                                                                 \
    {                                                                                              \
        static ssize_t(*next) parameters;                                                          \
        if (next == NULL) {                                                                        \
            *(void **)&next = dlsym(RTLD_NEXT, #name);                                             \
        }                                                                                          \
        return moves_fails(#name, &(size)) ? -1 : next(__VA_ARGS__);                               \
    }

/* glibc marks parameters of several of these nonnull or gives them other types; the macros need
 * only the calling convention. */
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wmissing-prototypes"

/* Sockets. */
WRAP(socket, (int domain, int type, int protocol), domain, type, protocol)
WRAP(socketpair, (int domain, int type, int protocol, int fds[2]), domain, type, protocol, fds)
WRAP(bind, (int fd, const struct sockaddr *address, socklen_t size), fd, address, size)
WRAP(listen, (int fd, int backlog), fd, backlog)
WRAP(accept4, (int fd, struct sockaddr *address, socklen_t *size, int flags), fd, address, size,
     flags)
WRAP(getsockname, (int fd, struct sockaddr *address, socklen_t *size), fd, address, size)
WRAP(getpeername, (int fd, struct sockaddr *address, socklen_t *size), fd, address, size)
WRAP(getsockopt, (int fd, int level, int option, void *value, socklen_t *size), fd, level, option,
     value, size)
WRAP(setsockopt, (int fd, int level, int option, const void *value, socklen_t size), fd, level,
     option, value, size)
WRAP(shutdown, (int fd, int how), fd, how)
WRAP_AFTER(connect, (int fd, const struct sockaddr *address, socklen_t size), fd, address, size)
WRAP_MOVE(recv, (int fd, void *data, size_t size, int flags), size, fd, data, size, flags)
WRAP_MOVE(send, (int fd, const void *data, size_t size, int flags), size, fd, data, size, flags)
WRAP_MOVE(read, (int fd, void *data, size_t size), size, fd, data, size)
WRAP_MOVE(write, (int fd, const void *data, size_t size), size, fd, data, size)
WRAP_MOVE(pread, (int fd, void *data, size_t size, off_t at), size, fd, data, size, at)

/* A message of which only the first bytes may pass: its first part, cut. */
static ssize_t move_message(const char *name, ssize_t (*next)(int, struct msghdr *, int), int fd,
                            struct msghdr *message, int flags)
{
    int error = 0;
    size_t limit = 0;
    if (!is_hit(name, &error, &limit)) {
        return next(fd, message, flags);
    }
    if (error != 0) {
        errno = error;
        return -1;
    }
    size_t parts = message->msg_iovlen;
    struct iovec *vector = message->msg_iov;
    struct iovec first = {0};
    if (parts > 0) {
        first = vector[0];
        first.iov_len = first.iov_len > limit ? limit : first.iov_len;
        message->msg_iov = &first;
        message->msg_iovlen = 1;
    }
    ssize_t result = next(fd, message, flags);
    message->msg_iov = vector;
    message->msg_iovlen = parts;
    return result;
}

EXPORT ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    static ssize_t (*next)(int, struct msghdr *, int);
    if (next == NULL) {
        *(void **)&next = dlsym(RTLD_NEXT, "recvmsg");
    }
    return move_message("recvmsg", next, fd, message, flags);
}

EXPORT ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    static ssize_t (*next)(int, struct msghdr *, int);
    if (next == NULL) {
        *(void **)&next = dlsym(RTLD_NEXT, "sendmsg");
    }
    struct msghdr copy = *message;
    return move_message("sendmsg", next, fd, &copy, flags);
}

/* Waiting. */
WRAP(epoll_create1, (int flags), flags)
WRAP(epoll_ctl, (int epoll, int operation, int fd, struct epoll_event *event), epoll, operation, fd,
     event)
WRAP(epoll_wait, (int epoll, struct epoll_event *events, int max, int timeout), epoll, events, max,
     timeout)
WRAP(eventfd, (unsigned initial, int flags), initial, flags)
WRAP(signalfd, (int fd, const sigset_t *mask, int flags), fd, mask, flags)
WRAP(timerfd_create, (int clock, int flags), clock, flags)
WRAP(timerfd_settime, (int fd, int flags, const struct itimerspec *at, struct itimerspec *before),
     fd, flags, at, before)
WRAP(pipe2, (int fds[2], int flags), fds, flags)
struct pollfd;
WRAP(poll, (struct pollfd * polled, unsigned long count, int timeout), polled, count, timeout)

/* Files. Programs are built for 64-bit offsets, which has names of its own. */
#define WRAP_OPEN(name)                                                                            \
    EXPORT int name(const char *path, int flags, ...)                                              \
    {                                                                                              \
        static int (*next)(const char *, int, ...);                                                \
        va_list arguments;                                                                         \
        va_start(arguments, flags);                                                                \
        mode_t mode = (flags & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;      \
        va_end(arguments);                                                                         \
        if (next == NULL) {                                                                        \
            *(void **)&next = dlsym(RTLD_NEXT, #name);                                             \
        }                                                                                          \
        return fails("open") ? -1 : next(path, flags, mode);                                       \
    }
#define WRAP_OPENAT(name)                                                                          \
    EXPORT int name(int directory, const char *path, int flags, ...)                               \
    {                                                                                              \
        static int (*next)(int, const char *, int, ...);                                           \
        va_list arguments;                                                                         \
        va_start(arguments, flags);                                                                \
        mode_t mode = (flags & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;      \
        va_end(arguments);                                                                         \
        if (next == NULL) {                                                                        \
            *(void **)&next = dlsym(RTLD_NEXT, #name);                                             \
        }                                                                                          \
        return fails("openat") ? -1 : next(directory, path, flags, mode);                          \
    }
WRAP_OPEN(open)
WRAP_OPENAT(openat)
#if __WORDSIZE == 64
WRAP_OPEN(open64)
WRAP_OPENAT(openat64)
struct stat64;
WRAP_AS(int, -1, "fstat", fstat64, (int fd, struct stat64 *status), fd, status)
WRAP_AS(int, -1, "lstat", lstat64, (const char *path, struct stat64 *status), path, status)
WRAP_AS(int, -1, "ftruncate", ftruncate64, (int fd, off_t size), fd, size)
WRAP_AS(ssize_t, -1, "pwrite", pwrite64, (int fd, const void *data, size_t size, off_t at), fd,
        data, size, at)
WRAP_AS(FILE *, NULL, "fopen", fopen64, (const char *path, const char *mode), path, mode)
WRAP_AS(ssize_t, -1, "pread", pread64, (int fd, void *data, size_t size, off_t at), fd, data, size,
        at)
#endif
WRAP(fstat, (int fd, struct stat *status), fd, status)
WRAP(lstat, (const char *path, struct stat *status), path, status)
WRAP(ftruncate, (int fd, off_t size), fd, size)
WRAP_AS(FILE *, NULL, "fopen", fopen, (const char *path, const char *mode), path, mode)
WRAP(access, (const char *path, int mode), path, mode)
WRAP(fsync, (int fd), fd)
WRAP(fdatasync, (int fd), fd)
WRAP(fchmod, (int fd, mode_t mode), fd, mode)
WRAP(chmod, (const char *path, mode_t mode), path, mode)
WRAP(mkdir, (const char *path, mode_t mode), path, mode)
WRAP(mkdirat, (int directory, const char *path, mode_t mode), directory, path, mode)
WRAP(fchmodat, (int directory, const char *path, mode_t mode, int flags), directory, path, mode,
     flags)
WRAP(renameat, (int from, const char *old, int to, const char *new), from, old, to, new)
WRAP(linkat, (int from, const char *old, int to, const char *new, int flags), from, old, to, new,
     flags)
WRAP(unlinkat, (int directory, const char *path, int flags), directory, path, flags)
WRAP(unlink, (const char *path), path)
WRAP(flock, (int fd, int operation), fd, operation)
WRAP_AFTER(close, (int fd), fd)

/* The rest. */
WRAP_AS(ssize_t, -1, "getrandom", getrandom, (void *data, size_t size, unsigned flags), data, size,
        flags)
WRAP(getifaddrs, (struct ifaddrs * *list), list)

EXPORT int pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*start)(void *), void *arg)
{
    static int (*next)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    int error = 0;
    size_t limit = 0;
    if (next == NULL) {
        *(void **)&next = dlsym(RTLD_NEXT, "pthread_create");
    }
    return is_hit("pthread_create", &error, &limit) && error != 0
               ? error
               : next(thread, attributes, start, arg);
}

/* Called by the address sanitizer at the start of each thread, which it ends the process without.
 */
EXPORT int pthread_getattr_np(pthread_t thread, pthread_attr_t *attributes);
EXPORT int pthread_getattr_np(pthread_t thread, pthread_attr_t *attributes)
{
    static int (*next)(pthread_t, pthread_attr_t *);
    if (next == NULL) {
        *(void **)&next = dlsym(RTLD_NEXT, "pthread_getattr_np");
    }
    is_exempt = true;
    int result = next(thread, attributes);
    is_exempt = false;
    return result;
}

/* Memory. dlsym() itself may allocate: what it asks for while it looks for the next allocator comes
 * from the arena and stays there. */
static struct {
    void *(*malloc)(size_t);
    void *(*calloc)(size_t, size_t);
    void *(*realloc)(void *, size_t);
    void (*free)(void *);
    int (*posix_memalign)(void **, size_t, size_t);
    void *(*aligned_alloc)(size_t, size_t);
} heap;
static bool finding;
static struct {
    _Alignas(max_align_t) unsigned char bytes[ARENA_SIZE];
} arena;
static size_t arena_used;

static void *arena_take(size_t size)
{
    size_t at = arena_used;
    size_t whole = (size + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
    if (whole > ARENA_SIZE - at) {
        return NULL;
    }
    arena_used += whole;
    return arena.bytes + at;
}

static bool is_of_arena(const void *memory)
{
    const unsigned char *at = memory;
    return at >= arena.bytes && at < arena.bytes + ARENA_SIZE;
}

/* False while the search runs: the caller is dlsym(). */
static bool find_heap(void)
{
    if (heap.free != NULL) {
        return true;
    }
    if (finding) {
        return false;
    }
    finding = true;
    *(void **)&heap.malloc = dlsym(RTLD_NEXT, "malloc");
    *(void **)&heap.calloc = dlsym(RTLD_NEXT, "calloc");
    *(void **)&heap.realloc = dlsym(RTLD_NEXT, "realloc");
    *(void **)&heap.posix_memalign = dlsym(RTLD_NEXT, "posix_memalign");
    *(void **)&heap.aligned_alloc = dlsym(RTLD_NEXT, "aligned_alloc");
    *(void **)&heap.free = dlsym(RTLD_NEXT, "free");
    finding = false;
    return true;
}

EXPORT void *malloc(size_t size)
{
    if (!find_heap()) {
        return arena_take(size);
    }
    return fails("alloc") ? NULL : heap.malloc(size);
}

EXPORT void *calloc(size_t count, size_t size)
{
    if (!find_heap()) {
        return arena_take(count * size);
    }
    return fails("alloc") ? NULL : heap.calloc(count, size);
}

EXPORT void *realloc(void *old, size_t size)
{
    if (!find_heap()) {
        return arena_take(size);
    }
    if (fails("alloc")) {
        return NULL;
    }
    if (!is_of_arena(old)) {
        return heap.realloc(old, size);
    }
    void *copy = heap.malloc(size);
    if (copy != NULL) {
        size_t most = (size_t)(arena.bytes + ARENA_SIZE - (unsigned char *)old);
        memcpy(copy, old, size < most ? size : most);
    }
    return copy;
}

EXPORT int posix_memalign(void **memory, size_t alignment, size_t size)
{
    return !find_heap() || fails("alloc") ? ENOMEM : heap.posix_memalign(memory, alignment, size);
}

EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
    return !find_heap() || fails("alloc") ? NULL : heap.aligned_alloc(alignment, size);
}

EXPORT void free(void *memory)
{
    if (!is_of_arena(memory) && find_heap()) {
        heap.free(memory);
    }
}
