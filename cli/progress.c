#include "progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "interrupt.h"
#include "text.h"

#define PATIENCE 0.5 /* seconds without a line */
#define INTERVAL 0.1 /* seconds from one line to the next */
#define MAX_WIDTH 240
#define MIN_BAR 10

void progress_start(struct progress *progress, const char *things) {
    /* In the background the terminal is somebody else's. */
    bool foreground = isatty(STDERR_FILENO) && tcgetpgrp(STDERR_FILENO) == getpgrp();
    *progress = (struct progress){things, foreground, clock_seconds(), 0, 0};
}

static size_t line_width(void) {
    size_t columns = text_terminal_width(stderr);
    columns = columns == 0 ? 80 : columns;
    return columns <= MAX_WIDTH ? columns - 1 : MAX_WIDTH; /* the last column may wrap */
}

/** A line as it is put together, the most important first. */
struct line {
    char text[MAX_WIDTH + 1];
    size_t length, width;
};

/** Appends words if there is room for all of them, with a gap before them. */
static void append(struct line *line, const char *words) {
    const char *gap = line->length > 0 ? "  " : "";
    if (line->length + strlen(gap) + strlen(words) <= line->width) {
        int added = snprintf(line->text + line->length, sizeof line->text - line->length, "%s%s",
                             gap, words);
        line->length += (size_t)added;
    }
}

static void append_remaining(struct line *line, double seconds) {
    char words[64];
    long long rest = (long long)(seconds + 0.5);
    long long hours = rest / 3600, minutes = rest / 60 % 60;
    if (hours > 0) {
        snprintf(words, sizeof words, "%lld:%02lld:%02lld left", hours, minutes, rest % 60);
    } else {
        snprintf(words, sizeof words, "%lld:%02lld left", minutes, rest % 60);
    }
    append(line, words);
}

static void append_rate(struct line *line, double rate) {
    char words[64];
    if (rate >= 1) {
        snprintf(words, sizeof words, "%.*f/s", rate >= 100 ? 0 : 1, rate);
    } else {
        snprintf(words, sizeof words, "%.1f s each", 1 / rate);
    }
    append(line, words);
}

/** Fills what the words leave of the line. */
static void append_bar(struct line *line, double part) {
    char bar[MAX_WIDTH + 1];
    size_t rest = line->width - line->length;
    if (rest < 2 + MIN_BAR) {
        return;
    }
    size_t cells = rest - 4; /* the gap and the brackets */
    size_t full = (size_t)(part * (double)cells);
    memset(bar, '.', sizeof bar);
    memset(bar + 1, '#', full);
    bar[0] = '[';
    bar[cells + 1] = ']';
    bar[cells + 2] = '\0';
    append(line, bar);
}

static void write_line(const struct progress *progress, int64_t done, int64_t total,
                       struct line *line) {
    char words[80];
    double part = (double)done / (double)total;
    double elapsed = progress->drawn - progress->started;
    snprintf(words, sizeof words, "%lld of %lld %s %3d%%", (long long)done, (long long)total,
             progress->things, (int)(100 * part));
    append(line, words);
    append_remaining(line, elapsed / part - elapsed);
    append_rate(line, (double)done / elapsed);
    append_bar(line, part);
}

/** The cursor stays at the line's start, so that whatever else is written replaces the line. */
static void draw(struct progress *progress, const char *line, size_t width) {
    int rest = progress->width > width ? (int)(progress->width - width) : 0;
    fprintf(stderr, "\r%-*s%*s\r", (int)width, line, rest, "");
    fflush(stderr);
    progress->width = width;
}

int progress_update(int64_t done, int64_t total, void *context) {
    struct progress *progress = context;
    double now = clock_seconds();
    double due = progress->width == 0 ? progress->started + PATIENCE : progress->drawn + INTERVAL;
    if (progress->visible && done > 0 && done < total && now >= due) {
        struct line line = {"", 0, line_width()};
        progress->drawn = now;
        write_line(progress, done, total, &line);
        draw(progress, line.text, line.width);
    }
    return interrupt_happened();
}

void progress_stop(struct progress *progress) {
    if (progress->width > 0) {
        draw(progress, "", progress->width);
    }
}
