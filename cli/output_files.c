#define _XOPEN_SOURCE 700 /* realpath */

#include "output_files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef PATH_MAX
#define PATH_MAX 4096
#endif

struct output_file {
    atomic_bool unfinished; /**< the temporary file may exist */
    bool copied;            /**< into something that is there already: a pipe or a device */
    char temporary[PATH_MAX];
    char target[PATH_MAX];
};

/** Of fixed size and place, since the signal handler reads it. */
static struct output_file files[OUTPUT_FILES_MAX];
static size_t n_files;

static void on_signal(int number) {
    for (size_t i = 0; i < OUTPUT_FILES_MAX; ++i) {
        if (atomic_load(&files[i].unfinished)) {
            unlink(files[i].temporary);
        }
    }
    raise(number); /* the default action now, once this handler returns */
}

static void catch_signals(void) {
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; ++i) {
        struct sigaction old, new = {0};
        if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL) {
            new.sa_handler = on_signal;
            new.sa_flags = (int)SA_RESETHAND;
            sigaction(numbers[i], &new, NULL);
        }
    }
}

static ntap_status cannot_write(const char *path, ntap_error *err) {
    if (strcmp(path, "-") == 0) {
        return ntap_error_set(err, NTAP_ERROR_FILE, "cannot write standard output: %s",
                              strerror(errno));
    }
    return ntap_error_set(err, NTAP_ERROR_FILE, "cannot write '%s': %s", path, strerror(errno));
}

static const char *temporary_folder(void) {
    const char *named = getenv("TMPDIR");
    return named != NULL && *named != '\0' ? named : "/tmp";
}

static ntap_status cannot_create(const struct output_file *file, const char *path,
                                 ntap_error *err) {
    if (!file->copied) { /* the folder is in the path */
        return cannot_write(path, err);
    }
    return ntap_error_set(err, NTAP_ERROR_FILE,
                          "cannot create a temporary file in '%s': %s; TMPDIR names the folder",
                          temporary_folder(), strerror(errno));
}

/** Where the temporary file goes: beside the target, so that renaming it is one step. */
static bool choose_folder(const struct output_file *file, char *folder) {
    const char *slash = strrchr(file->target, '/');
    if (file->copied) {
        snprintf(folder, PATH_MAX, "%s", temporary_folder());
    } else if (slash == NULL) {
        snprintf(folder, PATH_MAX, ".");
    } else {
        size_t length = slash == file->target ? 1 : (size_t)(slash - file->target);
        snprintf(folder, PATH_MAX, "%.*s", (int)length, file->target);
    }
    return strlen(folder) + 64 < PATH_MAX;
}

static bool create_temporary(struct output_file *file, bool exists, mode_t mode) {
    char folder[PATH_MAX];
    if (!choose_folder(file, folder)) {
        errno = ENAMETOOLONG;
        return false;
    }
    int handle = -1;
    atomic_store(&file->unfinished, true); /* before there is something to remove */
    for (int i = 0; i < 1000 && handle < 0; ++i) {
        int length = snprintf(file->temporary, sizeof file->temporary, "%s/.neurotap-%ld-%zu-%d",
                              folder, (long)getpid(), n_files, i);
        if (length >= (int)sizeof file->temporary) {
            errno = ENAMETOOLONG;
            break;
        }
        handle = open(file->temporary, O_WRONLY | O_CREAT | O_EXCL, 0666);
        if (handle < 0 && errno != EEXIST) {
            break;
        }
    }
    if (handle < 0) {
        atomic_store(&file->unfinished, false);
        return false;
    }
    if (exists) { /* a file that is replaced keeps its permissions */
        (void)!fchmod(handle, mode & 0777);
    }
    close(handle);
    return true;
}

/** Finds what is to be replaced, links followed, and whether it is a file to replace at all. */
static bool choose_target(const char *path, struct output_file *file, bool *exists, mode_t *mode) {
    struct stat info;
    *exists = false;
    file->copied = strcmp(path, "-") == 0;
    if (!file->copied && stat(path, &info) == 0) {
        file->copied = !S_ISREG(info.st_mode);
        *exists = S_ISREG(info.st_mode);
        *mode = info.st_mode;
        if (S_ISDIR(info.st_mode)) {
            errno = EISDIR;
            return false;
        }
        if (access(path, W_OK) != 0) {
            return false;
        }
    }
    if (*exists) {
        return realpath(path, file->target) != NULL;
    }
    errno = ENAMETOOLONG;
    return snprintf(file->target, sizeof file->target, "%s", path) < (int)sizeof file->target;
}

ntap_status output_files_start(const char *path, const char **temporary, ntap_error *err) {
    if (n_files == OUTPUT_FILES_MAX) {
        return ntap_error_set(err, NTAP_ERROR_UNSUPPORTED, "more than %d output files",
                              OUTPUT_FILES_MAX);
    }
    if (n_files == 0) {
        catch_signals();
    }
    bool exists;
    mode_t mode = 0;
    struct output_file *file = &files[n_files];
    if (!choose_target(path, file, &exists, &mode)) {
        return cannot_write(path, err);
    }
    if (!create_temporary(file, exists, mode)) {
        return cannot_create(file, path, err);
    }
    ++n_files;
    *temporary = file->temporary;
    return NTAP_OK;
}

static bool copy_bytes(FILE *from, FILE *to) {
    char buffer[1 << 16];
    size_t size;
    while ((size = fread(buffer, 1, sizeof buffer, from)) > 0) {
        if (fwrite(buffer, 1, size, to) != size) {
            return false;
        }
    }
    return !ferror(from) && fflush(to) == 0;
}

static bool copy_file(const struct output_file *file) {
    FILE *from = fopen(file->temporary, "rb");
    if (from == NULL) {
        return false;
    }
    bool to_stdout = strcmp(file->target, "-") == 0;
    FILE *to = to_stdout ? stdout : fopen(file->target, "wb");
    bool copied = to != NULL && copy_bytes(from, to);
    if (to != NULL && !to_stdout) {
        copied = fclose(to) == 0 && copied;
    }
    int reason = errno;
    fclose(from);
    errno = reason;
    return copied;
}

static ntap_status publish(struct output_file *file, ntap_error *err) {
    if (file->copied) {
        if (!copy_file(file)) {
            return cannot_write(file->target, err);
        }
        unlink(file->temporary);
    } else if (rename(file->temporary, file->target) != 0) {
        return cannot_write(file->target, err);
    }
    atomic_store(&file->unfinished, false);
    return NTAP_OK;
}

/** Copies first: a reader that has gone is found out before any file is replaced. */
ntap_status output_files_publish(ntap_error *err) {
    for (int copies = 1; copies >= 0; --copies) {
        for (size_t i = 0; i < n_files; ++i) {
            if (files[i].copied != (copies == 1)) {
                continue;
            }
            ntap_status status = publish(&files[i], err);
            if (status != NTAP_OK) {
                return status;
            }
        }
    }
    return NTAP_OK;
}

void output_files_discard(void) {
    for (size_t i = 0; i < n_files; ++i) {
        if (atomic_exchange(&files[i].unfinished, false)) {
            unlink(files[i].temporary);
        }
    }
    n_files = 0;
}
