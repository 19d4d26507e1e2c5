// Tensors in PyTorch's own files.
#include "handles.hpp"
#include "source_adapter.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <sstream>

using namespace neurotap;

namespace {

std::string read_all(const ByteSource &source) {
    std::string bytes(source.size(), '\0');
    source.read(0, &bytes[0], bytes.size());
    return bytes;
}

// torch.save (Python) pickles the tensor; torch::save (C++) wraps it in a program's archive.
at::Tensor unpickle(const std::shared_ptr<ByteSource> &source, ArchiveKind kind) {
    at::Tensor tensor;
    if (kind == ArchiveKind::kProgram) {
        std::istringstream stream(read_all(*source));
        torch::load(tensor, stream, at::Device(at::kCPU));
        return tensor;
    }
    // pickle_load() does just this, but reads wherever the directory says that a record lies, also
    // outside of what it was given.
    caffe2::serialize::PyTorchStreamReader reader(std::make_shared<SourceAdapter>(source));
    const c10::IValue value = torch::jit::readArchiveAndTensors("data", "", "", c10::nullopt,
                                                                c10::nullopt, c10::nullopt, reader);
    return value.isTensor() ? value.toTensor() : tensor;
}

// libtorch's reader knows plain tensors; what it says of anything else does not help.
at::Tensor parse_tensor(const std::shared_ptr<ByteSource> &source, ArchiveKind kind,
                        const std::string &path) {
    at::Tensor tensor;
    try {
        tensor = unpickle(source, kind);
    } catch (const c10::Error &) {
        tensor = at::Tensor();
    }
    if (!tensor.defined())
        fail(NTAP_ERROR_FILE, "'", path, "' does not hold a plain tensor; expected one tensor, as ",
             "torch.save(tensor.detach(), path) writes it");
    return tensor;
}

void write_all(const std::string &path, const std::vector<char> &bytes) {
    std::FILE *file = std::fopen(path.c_str(), "wb");
    const bool written =
        file != nullptr && std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
    // Buffered bytes may only fail on closing.
    const bool closed = file != nullptr && std::fclose(file) == 0;
    if (!written || !closed)
        fail(NTAP_ERROR_FILE, "cannot write '", path, "': ", std::strerror(errno));
}

} // namespace

ntap_status ntap_tensor_read_pt(const char *path, ntap_tensor **tensor, ntap_error *err) {
    return guarded(err, NTAP_ERROR_FILE, [&] {
        require_not_null(path, "path");
        require_not_null(tensor, "tensor");
        const auto source = open_file(path);
        const ArchiveKind kind = check_archive(*source, path);
        const c10::InferenceMode no_inference(false);
        const at::Tensor loaded = parse_tensor(source, kind, path);
        *tensor = wrap(loaded.detach().to(at::kCPU));
    });
}

ntap_status ntap_tensor_write_pt(const ntap_tensor *tensor, const char *path, ntap_error *err) {
    return guarded(err, NTAP_ERROR_FILE, [&] {
        const at::Tensor &source = unwrap(tensor, "tensor");
        require_not_null(path, "path");
        // A view is stored with all of its storage: only a copy holds nothing but its elements.
        write_all(path, torch::jit::pickle_save(host_elements(source).clone()));
    });
}
