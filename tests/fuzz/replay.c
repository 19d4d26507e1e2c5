/* Feeds files, and the files of folders, to a fuzz target: replay without libFuzzer. */
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

enum { LARGEST = 16 << 20 };

static int replay_file(const char *path) {
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = (uint8_t *)malloc(LARGEST);
    if (file == NULL || bytes == NULL) {
        perror(path);
        return 0;
    }
    const size_t read = fread(bytes, 1, LARGEST, file);
    (void)fclose(file);
    /* Exactly as long as the input, so that reading beyond it shows. */
    uint8_t *input = (uint8_t *)realloc(bytes, read > 0 ? read : 1);
    (void)LLVMFuzzerTestOneInput(input, read);
    free(input);
    return 1;
}

static int replay_folder(const char *folder) {
    char path[4096];
    int count = 0;
    DIR *entries = opendir(folder);
    if (entries == NULL)
        return replay_file(folder);
    for (struct dirent *entry = readdir(entries); entry != NULL; entry = readdir(entries)) {
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        count += replay_file(path);
    }
    (void)closedir(entries);
    return count;
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; ++i) {
        const int count = replay_folder(argv[i]);
        (void)printf("%s: %d inputs\n", argv[i], count);
        if (count == 0)
            return 1;
    }
    return argc > 1 ? 0 : 2;
}
