#include "heatmap_draw.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cairo.h>

#include "text.h"

#define MARGIN 24.0
#define GAP 28.0
#define CAPTION_SIZE 15.0
#define CAPTION_HEIGHT 26.0
#define TICK_SIZE 12.0
#define NOTE_SIZE 12.0
#define NOTE_HEIGHT 18.0
#define BAR_WIDTH 16.0
#define BAR_GAP 14.0
#define TICKS_WIDTH 72.0
#define MIN_COLUMN 240.0
#define MIN_BAR 120.0
#define INK 0.13
#define FAINT_INK 0.42

/** Where things are, in pixels of the page. */
struct layout {
    double width, height;
    double column_width;          /* of a panel with its caption */
    double column_x[2], row_y[2]; /* where the panels' captions start */
    double panel_x[2], panel_y[2];
    double bar_x, bar_y, bar_height;
    double notes_y;
};

/** Wide panels stand one above the other, others side by side. */
static void place_panels(const struct pixels *panel, struct layout *layout) {
    double width = (double)panel->width, height = (double)panel->height;
    bool stacked = width >= 2 * height;
    layout->column_width = fmax(width, MIN_COLUMN);
    for (int i = 0; i < 2; ++i) {
        layout->column_x[i] = MARGIN + (stacked ? 0 : i * (layout->column_width + GAP));
        layout->row_y[i] = MARGIN - 4 + (stacked ? i * (height + CAPTION_HEIGHT + GAP) : 0);
        layout->panel_x[i] = layout->column_x[i];
        layout->panel_y[i] = layout->row_y[i] + CAPTION_HEIGHT;
    }
}

static struct layout make_layout(const struct heatmap_page *page) {
    struct layout layout = {0};
    place_panels(&page->panels[0], &layout);
    layout.bar_height = fmax((double)page->panels[0].height, MIN_BAR);
    layout.bar_x = layout.panel_x[1] + (double)page->panels[1].width + BAR_GAP;
    layout.bar_y = layout.panel_y[1];
    layout.width =
        fmax(layout.bar_x + BAR_WIDTH + TICKS_WIDTH, layout.column_x[1] + layout.column_width) +
        MARGIN;
    layout.notes_y = layout.bar_y + layout.bar_height + 14;
    layout.height = layout.notes_y + (double)page->n_notes * NOTE_HEIGHT + MARGIN - 8;
    return layout;
}

static void set_ink(cairo_t *cairo, double gray) { cairo_set_source_rgb(cairo, gray, gray, gray); }

static double text_extent(cairo_t *cairo, const char *text) {
    cairo_text_extents_t extents;
    cairo_text_extents(cairo, text, &extents);
    return extents.x_advance;
}

/** Joins the first @p head and the last bytes from @p tail on with an ellipsis. */
static void cut_middle(const char *text, size_t head, size_t tail, char *cut, size_t size) {
    snprintf(cut, size, "%.*s…%s", (int)head, text, text + tail);
}

/** Shortens a text in the middle until it fits, since both ends of a caption say more. */
static void fit_text(cairo_t *cairo, const char *text, double width, char *fitted, size_t size) {
    size_t head = strlen(text) / 2, tail = head;
    snprintf(fitted, size, "%s", text);
    while (text_extent(cairo, fitted) > width && (head > 0 || text[tail] != '\0')) {
        if (head > strlen(text + tail)) {
            --head;
        } else {
            ++tail;
        }
        while (head > 0 && ((unsigned char)text[head] & 0xc0) == 0x80) {
            --head;
        }
        while (((unsigned char)text[tail] & 0xc0) == 0x80) {
            ++tail;
        }
        cut_middle(text, head, tail, fitted, size);
    }
}

/** Shows a text, its baseline at y, in at most @p width pixels. */
static void show_text(cairo_t *cairo, const char *text, double x, double y, double width) {
    char *clean = text_clean(text);
    if (clean == NULL) {
        return; /* the page is still right without */
    }
    char fitted[HEATMAP_TEXT_SIZE + 8];
    fit_text(cairo, clean, width, fitted, sizeof fitted);
    cairo_move_to(cairo, x, y);
    cairo_show_text(cairo, fitted);
    free(clean);
}

static void stroke_rectangle(cairo_t *cairo, double x, double y, double width, double height) {
    cairo_rectangle(cairo, x - 0.5, y - 0.5, width + 1, height + 1);
    cairo_stroke(cairo);
}

static void copy_pixels(const struct pixels *pixels, cairo_surface_t *surface) {
    unsigned char *rows = cairo_image_surface_get_data(surface);
    size_t stride = (size_t)cairo_image_surface_get_stride(surface);
    cairo_surface_flush(surface);
    for (size_t y = 0; y < pixels->height; ++y) {
        memcpy(rows + y * stride, pixels->colours + y * pixels->width,
               pixels->width * sizeof *pixels->colours);
    }
    cairo_surface_mark_dirty(surface);
}

static void draw_pixels(cairo_t *cairo, const struct pixels *pixels, double x, double y) {
    cairo_surface_t *surface =
        cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)pixels->width, (int)pixels->height);
    if (cairo_surface_status(surface) == CAIRO_STATUS_SUCCESS) {
        copy_pixels(pixels, surface);
    }
    cairo_set_source_surface(cairo, surface, x, y); /* takes over the surface's error, if any */
    cairo_paint(cairo);
    cairo_surface_destroy(surface);
    cairo_set_line_width(cairo, 1);
    set_ink(cairo, 0.75);
    stroke_rectangle(cairo, x, y, (double)pixels->width, (double)pixels->height);
}

/** Dashes in dark and light ink, to be seen on anything. */
static void draw_frame(cairo_t *cairo, const struct frame *frame, double x, double y) {
    static const double dashes[] = {4, 4};
    cairo_save(cairo);
    cairo_set_line_width(cairo, 1.5);
    for (int i = 0; i < 2; ++i) {
        cairo_set_dash(cairo, dashes, 2, i * dashes[0]);
        set_ink(cairo, i == 0 ? 0.1 : 1);
        stroke_rectangle(cairo, x + frame->x, y + frame->y, frame->width, frame->height);
    }
    cairo_restore(cairo);
}

static void draw_panel(cairo_t *cairo, const struct heatmap_page *page, const struct layout *layout,
                       int i) {
    double x = layout->panel_x[i], y = layout->panel_y[i];
    set_ink(cairo, INK);
    cairo_set_font_size(cairo, CAPTION_SIZE);
    show_text(cairo, page->captions[i], layout->column_x[i], y - 9, layout->column_width);
    draw_pixels(cairo, &page->panels[i], x, y);
    if ((size_t)i < page->framed_panels) {
        cairo_rectangle(cairo, x, y, (double)page->panels[i].width, (double)page->panels[i].height);
        cairo_save(cairo);
        cairo_clip(cairo);
        draw_frame(cairo, &page->frame, x, y);
        cairo_restore(cairo);
    }
}

static void draw_tick(cairo_t *cairo, double x, double y, double value) {
    char number[32], label[40];
    snprintf(number, sizeof number, "%.3g", fabs(value));
    snprintf(label, sizeof label, "%s%s", value < 0 ? "−" : value > 0 ? "+" : "", number);
    cairo_move_to(cairo, x, y);
    cairo_line_to(cairo, x + 4, y);
    cairo_stroke(cairo);
    cairo_move_to(cairo, x + 8, y + 0.36 * TICK_SIZE);
    cairo_show_text(cairo, label);
}

static void draw_bar(cairo_t *cairo, double maximum, const struct layout *layout) {
    double x = layout->bar_x, y = layout->bar_y, height = layout->bar_height;
    for (int row = 0; row < (int)height; ++row) {
        uint32_t colour = pixels_legend_colour(1 - 2 * (row + 0.5) / height);
        cairo_set_source_rgb(cairo, (colour >> 16) / 255.0, (colour >> 8 & 255) / 255.0,
                             (colour & 255) / 255.0);
        cairo_rectangle(cairo, x, y + row, BAR_WIDTH, 1);
        cairo_fill(cairo);
    }
    cairo_set_line_width(cairo, 1);
    set_ink(cairo, 0.75);
    stroke_rectangle(cairo, x, y, BAR_WIDTH, height);
    set_ink(cairo, INK);
    cairo_set_font_size(cairo, TICK_SIZE);
    double middle = floor(y + height / 2) + 0.5;
    draw_tick(cairo, x + BAR_WIDTH + 1, middle, 0);
    if (maximum > 0) {
        draw_tick(cairo, x + BAR_WIDTH + 1, y + 0.5, maximum);
        draw_tick(cairo, x + BAR_WIDTH + 1, y + height - 0.5, -maximum);
    }
}

static void draw_page(cairo_t *cairo, const struct heatmap_page *page,
                      const struct layout *layout) {
    set_ink(cairo, 1);
    cairo_paint(cairo);
    cairo_select_font_face(cairo, "sans", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL);
    for (int i = 0; i < 2; ++i) {
        draw_panel(cairo, page, layout, i);
    }
    draw_bar(cairo, page->maximum, layout);
    set_ink(cairo, FAINT_INK);
    cairo_set_font_size(cairo, NOTE_SIZE);
    for (size_t i = 0; i < page->n_notes; ++i) {
        double y = layout->notes_y + (double)i * NOTE_HEIGHT + NOTE_SIZE;
        show_text(cairo, page->notes[i], MARGIN, y, layout->width - 2 * MARGIN);
    }
}

ntap_status heatmap_draw(const struct heatmap_page *page, const char *path, ntap_error *err) {
    struct layout layout = make_layout(page);
    cairo_surface_t *surface = cairo_image_surface_create(
        CAIRO_FORMAT_RGB24, (int)ceil(layout.width), (int)ceil(layout.height));
    cairo_t *cairo = cairo_create(surface);
    draw_page(cairo, page, &layout);
    cairo_status_t status = cairo_status(cairo);
    if (status == CAIRO_STATUS_SUCCESS) {
        status = cairo_surface_write_to_png(surface, path);
    }
    cairo_destroy(cairo);
    cairo_surface_destroy(surface);
    if (status == CAIRO_STATUS_SUCCESS) {
        return NTAP_OK;
    }
    ntap_status code =
        status == CAIRO_STATUS_NO_MEMORY ? NTAP_ERROR_OUT_OF_MEMORY : NTAP_ERROR_FILE;
    return ntap_error_set(err, code, "cannot draw the heatmap: %s", cairo_status_to_string(status));
}
