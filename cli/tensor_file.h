/** Files that hold one tensor: NumPy's `.npy` and PyTorch's `.pt`. */
#ifndef CLI_TENSOR_FILE_H
#define CLI_TENSOR_FILE_H

#include <stdbool.h>

#include <neurotap/neurotap.h>

/** What a file's first bytes say it is. */
enum file_kind {
    FILE_KIND_UNKNOWN,
    FILE_KIND_NPY,
    FILE_KIND_ZIP, /**< what `torch.save` writes */
    FILE_KIND_PNG,
    FILE_KIND_JPEG
};

/** Looks at the first bytes. A pipe is taken for `.npy`, since looking would consume them. */
ntap_status file_kind_detect(const char *path, enum file_kind *kind, ntap_error *err);

/** Reads a tensor, whatever the file's name. "-" is standard input, as `.npy`. */
ntap_status tensor_file_read(const char *path, ntap_device device, ntap_tensor **tensor,
                             ntap_error *err);

/** Whether a file name asks for `.pt`. */
bool tensor_file_name_is_pt(const char *path);

#endif
