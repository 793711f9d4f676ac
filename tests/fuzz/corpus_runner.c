/* Runs a fuzz target over the empty input and the files of one directory: what the fuzzer once
 * found stays found. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* 1 when the file was run, 0 when it is not a regular file, -1 when it cannot be read. */
static int run_file(const char *path)
{
    struct stat info;
    if (stat(path, &info) != 0) {
        return -1;
    }
    if (!S_ISREG(info.st_mode)) {
        return 0;
    }
    const size_t size = (size_t)info.st_size;
    /* Exactly its size, so that a sanitizer sees a read one byte beyond it. */
    uint8_t *data = malloc(size == 0 ? 1 : size);
    FILE *file = fopen(path, "rb");
    int result = -1;
    if (data != NULL && file != NULL && fread(data, 1, size, file) == size) {
        (void)LLVMFuzzerTestOneInput(data, size);
        result = 1;
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    free(data);
    return result;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s CORPUS_DIRECTORY\n", argv[0]);
        return 2;
    }
    DIR *directory = opendir(argv[1]);
    if (directory == NULL) {
        perror(argv[1]);
        return 1;
    }
    int count = 0;
    int failed = 0;
    (void)LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    for (const struct dirent *entry = readdir(directory); entry != NULL;
         entry = readdir(directory)) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", argv[1], entry->d_name);
        const int result = run_file(path);
        count += result > 0;
        failed |= result < 0;
    }
    (void)closedir(directory);
    if (failed || count == 0) {
        fprintf(stderr, "%s: %s\n", argv[1], failed ? "a file cannot be read" : "no files");
        return 1;
    }
    printf("%d files and the empty input\n", count);
    return 0;
}
