/* The work of a file transfer and nothing else: no daemon, no loop, no framing, no window.
 *
 *     bare_file SOURCE TARGET PIECE    bytes per second, and processor time of both sides, as JSON
 *
 * One process reads SOURCE piece by piece, hashes it, seals it and sends it over loopback TCP;
 * another receives, opens, hashes and writes it to TARGET. Nothing waits for anything but the bytes
 * themselves, each process has a core of its own, and every buffer is used again while the
 * processor still has it. What pipeline.c leaves out, the kernel's copies, is here. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "local_tcp.h"

#define TAG_SIZE   16
#define HASH_SIZE  32
#define NONCE_SIZE 12

struct side {
    EVP_CIPHER_CTX *cipher;
    EVP_MD_CTX *hash;
    size_t piece;
    size_t number;         /* of the next piece */
    unsigned char *plain;  /* a piece */
    unsigned char *sealed; /* and its tag */
};

static void need(int done, const char *what)
{
    if (!done) {
        perror(what);
        exit(1);
    }
}

static double now(void)
{
    struct timespec at;
    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static double cpu_seconds(int who)
{
    struct rusage usage;
    (void)getrusage(who, &usage);
    return (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6 +
           (double)usage.ru_stime.tv_sec + (double)usage.ru_stime.tv_usec / 1e6;
}

static struct side side_new(size_t piece, int sealing)
{
    static const unsigned char key[32] = {1};
    struct side side = {.cipher = EVP_CIPHER_CTX_new(),
                        .hash = EVP_MD_CTX_new(),
                        .piece = piece,
                        .plain = malloc(piece),
                        .sealed = malloc(piece + TAG_SIZE)};
    need(side.plain != NULL && side.sealed != NULL && side.cipher != NULL && side.hash != NULL,
         "memory");
    need(EVP_CipherInit_ex(side.cipher, EVP_chacha20_poly1305(), NULL, key, NULL, sealing), "key");
    need(EVP_DigestInit_ex(side.hash, EVP_sha256(), NULL), "hash");
    return side;
}

static void next_nonce(struct side *side)
{
    unsigned char nonce[NONCE_SIZE] = {0};
    memcpy(nonce, &side->number, sizeof side->number);
    side->number++;
    need(EVP_CipherInit_ex(side->cipher, NULL, NULL, NULL, nonce, -1), "nonce");
}

static void side_free(struct side *side)
{
    EVP_CIPHER_CTX_free(side->cipher);
    EVP_MD_CTX_free(side->hash);
    free(side->plain);
    free(side->sealed);
}

static void send_all(int fd, const unsigned char *data, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
        need(sent > 0, "send");
        data += sent;
        size -= (size_t)sent;
    }
}

static void send_file(const char *path, int fd, size_t piece)
{
    struct side side = side_new(piece, 1);
    unsigned char digest[HASH_SIZE];
    int size = 0;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    need(file >= 0, path);
    ssize_t got;
    while ((got = read(file, side.plain, piece)) > 0) {
        need(EVP_DigestUpdate(side.hash, side.plain, (size_t)got), "hash");
        next_nonce(&side);
        need(EVP_CipherUpdate(side.cipher, side.sealed, &size, side.plain, (int)got), "seal");
        need(EVP_CipherFinal_ex(side.cipher, side.sealed + got, &size), "seal");
        need(EVP_CIPHER_CTX_ctrl(side.cipher, EVP_CTRL_AEAD_GET_TAG, TAG_SIZE, side.sealed + got),
             "tag");
        send_all(fd, side.sealed, (size_t)got + TAG_SIZE);
    }
    need(got == 0, "read");
    need(EVP_DigestFinal_ex(side.hash, digest, NULL), "hash");
    send_all(fd, digest, sizeof digest);
    (void)close(file);
    side_free(&side);
}

static void open_piece(struct side *side, size_t size)
{
    int done = 0;
    next_nonce(side);
    need(EVP_CIPHER_CTX_ctrl(side->cipher, EVP_CTRL_AEAD_SET_TAG, TAG_SIZE, side->sealed + size),
         "tag");
    need(EVP_CipherUpdate(side->cipher, side->plain, &done, side->sealed, (int)size), "open");
    need(EVP_CipherFinal_ex(side->cipher, side->plain + size, &done), "the tag is another");
    need(EVP_DigestUpdate(side->hash, side->plain, size), "hash");
}

static void receive_file(const char *path, int fd, size_t piece, size_t left)
{
    struct side side = side_new(piece, 0);
    unsigned char digest[HASH_SIZE];
    unsigned char said[HASH_SIZE];
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    need(file >= 0, path);
    while (left > 0) {
        size_t size = left < piece ? left : piece;
        ssize_t got = recv(fd, side.sealed, size + TAG_SIZE, MSG_WAITALL);
        need(got == (ssize_t)(size + TAG_SIZE), "recv");
        open_piece(&side, size);
        need(write(file, side.plain, size) == (ssize_t)size, "write");
        left -= size;
    }
    need(recv(fd, said, sizeof said, MSG_WAITALL) == (ssize_t)sizeof said, "recv");
    need(EVP_DigestFinal_ex(side.hash, digest, NULL), "hash");
    need(memcmp(digest, said, sizeof said) == 0, "the hash is another");
    (void)close(file);
    side_free(&side);
}

/* The child sends; it ends by itself. */
static int start_sender(const char *path, size_t piece)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    need(listener >= 0 && bind(listener, (struct sockaddr *)&at, sizeof at) == 0 &&
             listen(listener, 1) == 0 && getsockname(listener, (struct sockaddr *)&at, &size) == 0,
         "listen");
    pid_t pid = fork();
    need(pid >= 0, "fork");
    if (pid == 0) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        need(fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof at) == 0, "connect");
        use_reno(fd);
        send_file(path, fd, piece);
        exit(0);
    }
    int fd = accept(listener, NULL, NULL);
    need(fd >= 0, "accept");
    (void)close(listener);
    return fd;
}

int main(int argc, char **argv)
{
    struct stat info;
    if (argc != 4) {
        (void)fprintf(stderr, "usage: bare_file SOURCE TARGET PIECE\n");
        return 2;
    }
    size_t piece = strtoul(argv[3], NULL, 10);
    need(piece > 0 && stat(argv[1], &info) == 0, argv[1]);
    const double start = now();
    int fd = start_sender(argv[1], piece);
    receive_file(argv[2], fd, piece, (size_t)info.st_size);
    const double took = now() - start;
    int status = 0;
    need(wait(&status) > 0 && status == 0, "the sender");
    (void)printf("{\"bytes_per_s\": %.0f, \"sender_cpu\": %.3f, \"receiver_cpu\": %.3f}\n",
                 (double)info.st_size / took, cpu_seconds(RUSAGE_CHILDREN),
                 cpu_seconds(RUSAGE_SELF));
    return 0;
}
