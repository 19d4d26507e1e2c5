#include "heatmap.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "heatmap_draw.h"

/** Panels are enlarged to at least, and reduced to at most, so many pixels on their longer side. */
#define SMALL_PANEL 320
#define LARGE_PANEL 640
#define SHORTEST_SIDE 48

/** Single pixels of larger pictures are too small to be seen: their gradients are smoothed. */
#define SHARP_SIZE 112
#define CELLS_PER_SIGMA 160.0

/** A gradient that is 0 outside of a small part of the picture is marked (up to this fraction of
 *  both edges), or shown enlarged (up to the next), with half as much room again around it. */
#define MARKED_PART 2   /* a half */
#define ENLARGED_PART 4 /* a quarter */
#define ENLARGED_ROOM 1.5

static void add_note(struct heatmap_page *page, const char *format, ...) NTAP_PRINTF(2, 3);

static void add_note(struct heatmap_page *page, const char *format, ...) {
    if (page->n_notes == HEATMAP_MAX_NOTES) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(page->notes[page->n_notes++], HEATMAP_TEXT_SIZE, format, arguments);
    va_end(arguments);
}

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

static size_t scale_side(size_t side, size_t longest) {
    if (longest <= SMALL_PANEL) {
        return side * ((SMALL_PANEL + longest - 1) / longest);
    }
    if (longest <= LARGE_PANEL) {
        return side;
    }
    return (size_t)lround((double)side * LARGE_PANEL / (double)longest);
}

static void choose_size(const struct picture *picture, struct heatmap_page *page) {
    size_t longest = larger(picture->height, picture->width);
    size_t height = scale_side(picture->height, longest);
    size_t width = scale_side(picture->width, longest);
    for (size_t i = 0; i < 2; ++i) {
        page->panels[i].height = larger(height, SHORTEST_SIDE);
        page->panels[i].width = larger(width, SHORTEST_SIDE);
    }
    if (height < SHORTEST_SIDE || width < SHORTEST_SIDE) {
        add_note(page, "not to scale: the shorter edge is stretched");
    }
}

/** The cells from @p start on that hold @p needed ones in their middle, within @p available. */
static size_t place_part(size_t start, size_t needed, size_t part, size_t available) {
    size_t before = (part - needed) / 2;
    return smaller(start > before ? start - before : 0, available - part);
}

/** A part of the picture's own shape, so that both panels have the same. */
static struct box enlarged_part(const struct box *support, const struct field *gradient) {
    double height = (double)gradient->height, width = (double)gradient->width;
    double scale = fmax((double)support->height / height, (double)support->width / width);
    struct box part = {0, 0, (size_t)ceil(ENLARGED_ROOM * scale * height),
                       (size_t)ceil(ENLARGED_ROOM * scale * width)};
    part.top = place_part(support->top, support->height, part.height, gradient->height);
    part.left = place_part(support->left, support->width, part.width, gradient->width);
    return part;
}

static void mark(const struct box *box, const struct field *gradient, struct heatmap_page *page) {
    double x = (double)page->panels[0].width / (double)gradient->width;
    double y = (double)page->panels[0].height / (double)gradient->height;
    page->frame =
        (struct frame){floor((double)box->left * x) - 2, floor((double)box->top * y) - 2,
                       ceil((double)box->width * x) + 4, ceil((double)box->height * y) + 4};
}

/** Decides which part the right panel shows, and whether that or the gradient's is marked. */
static struct box choose_part(const struct field *gradient, struct heatmap_page *page) {
    struct box all = {0, 0, gradient->height, gradient->width}, support;
    if (!field_support(gradient, &support) || support.height * MARKED_PART > all.height ||
        support.width * MARKED_PART > all.width) {
        return all;
    }
    bool enlarged =
        support.height * ENLARGED_PART <= all.height && support.width * ENLARGED_PART <= all.width;
    struct box part = enlarged ? enlarged_part(&support, gradient) : all;
    mark(enlarged ? &part : &support, gradient, page);
    page->framed_panels = enlarged ? 1 : 2;
    add_note(page, "%s%zu×%zu pixels at x = %zu, y = %zu",
             enlarged ? "enlarged: the dashed part of the input; the gradient is 0 but for "
                      : "dashed: the gradient is 0 but for ",
             support.width, support.height, support.left, support.top);
    return part;
}

/** Smooths on at most the panel's pixels: on all of a photograph it would take long. */
static ntap_status smooth(struct field *gradient, struct heatmap_page *page, ntap_error *err) {
    double longest = (double)larger(gradient->height, gradient->width);
    if (longest <= SHARP_SIZE) {
        return NTAP_OK;
    }
    if (longest > LARGE_PANEL) {
        struct field reduced = {0};
        ntap_status status =
            field_resample(gradient, page->panels[1].height, page->panels[1].width, &reduced, err);
        if (status != NTAP_OK) {
            return status;
        }
        field_free(gradient);
        *gradient = reduced;
    }
    double width = ceil(2 * longest / CELLS_PER_SIGMA);
    add_note(page, "smoothed to be readable: averages over about %.0f×%.0f pixels (σ = %.2g)",
             width, width, longest / CELLS_PER_SIGMA);
    double sigma = (double)larger(gradient->height, gradient->width) / CELLS_PER_SIGMA;
    return field_smooth(gradient, sigma, err);
}

/** Divides by the scale's maximum, so that the colours are right whatever the magnitude. */
static ntap_status normalise(struct field *gradient, struct heatmap_page *page, ntap_error *err) {
    ntap_status status = field_robust_maximum(gradient, &page->maximum, err);
    if (status != NTAP_OK) {
        return status;
    }
    if (page->maximum == 0) {
        add_note(page, "the gradient is 0 everywhere");
        return NTAP_OK;
    }
    for (size_t i = 0; i < gradient->height * gradient->width; ++i) {
        gradient->values[i] /= page->maximum;
    }
    return NTAP_OK;
}

/** Draws the right panel from the part of the gradient that it shows, which is changed. */
static ntap_status make_overlay(const struct picture *picture, const struct box *part,
                                struct field *gradient, struct heatmap_page *page,
                                ntap_error *err) {
    struct picture shown = {0};
    struct field resampled = {0};
    ntap_status status = smooth(gradient, page, err);
    if (status == NTAP_OK) {
        status = normalise(gradient, page, err);
    }
    if (status == NTAP_OK) {
        status = field_resample(gradient, page->panels[1].height, page->panels[1].width, &resampled,
                                err);
    }
    if (status == NTAP_OK) {
        status = picture_crop(picture, part, &shown, err);
    }
    if (status == NTAP_OK) {
        status = pixels_from_overlay(&shown, &resampled, &page->panels[1], err);
    }
    picture_free(&shown);
    field_free(&resampled);
    return status;
}

static ntap_status make_panels(const struct picture *picture, struct field *gradient,
                               struct heatmap_page *page, ntap_error *err) {
    size_t dropped = field_drop_non_finite(gradient);
    if (dropped > 0) {
        add_note(page, "%zu NaN or infinite value%s drawn as 0", dropped, dropped == 1 ? "" : "s");
    }
    choose_size(picture, page);
    struct box part = choose_part(gradient, page);
    struct field shown = {0};
    ntap_status status = pixels_from_picture(picture, &page->panels[0], err);
    if (status == NTAP_OK) {
        status = field_crop(gradient, &part, &shown, err);
    }
    if (status == NTAP_OK) {
        status = make_overlay(picture, &part, &shown, page, err);
    }
    field_free(&shown);
    return status;
}

static void write_captions(const struct heatmap *heatmap, struct heatmap_page *page) {
    snprintf(page->captions[0], HEATMAP_TEXT_SIZE, "input, %zu×%zu", heatmap->picture->width,
             heatmap->picture->height);
    snprintf(page->captions[1], HEATMAP_TEXT_SIZE, "gradient of %s [%s]", heatmap->layer,
             heatmap->neuron);
    add_note(page, "red: a larger pixel value raises the neuron; blue: it lowers it");
    if (heatmap->note != NULL) {
        add_note(page, "%s", heatmap->note);
    }
}

ntap_status heatmap_write(const struct heatmap *heatmap, const char *path, ntap_error *err) {
    struct heatmap_page page = {0};
    struct box all = {0, 0, heatmap->gradient->height, heatmap->gradient->width};
    struct field gradient = {0};
    write_captions(heatmap, &page);
    ntap_status status = field_crop(heatmap->gradient, &all, &gradient, err);
    if (status == NTAP_OK) {
        status = make_panels(heatmap->picture, &gradient, &page, err);
    }
    if (status == NTAP_OK) {
        status = heatmap_draw(&page, path, err);
    }
    field_free(&gradient);
    pixels_free(&page.panels[0]);
    pixels_free(&page.panels[1]);
    return status;
}
