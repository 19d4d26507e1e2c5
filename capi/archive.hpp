// What is checked of a PyTorch zip archive before libtorch parses it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace neurotap {

// Where an archive's bytes come from: an open file or memory. Reads are positional, so one source
// serves the check and libtorch, which then see the same bytes.
class ByteSource {
  public:
    virtual ~ByteSource() = default;
    virtual uint64_t size() const = 0;
    // Throws a Failure (NTAP_ERROR_FILE) if it cannot deliver all `count` bytes.
    virtual void read(uint64_t position, void *buffer, size_t count) const = 0;
};

// Both throw a Failure (NTAP_ERROR_FILE).
std::shared_ptr<ByteSource> open_file(const std::string &path);
std::shared_ptr<ByteSource> open_memory(const void *data, size_t size);

enum class ArchiveKind {
    kProgram, // a TorchScript program: code, constants and data
    kObject   // one pickled object, as torch.save writes it
};

// Checks the whole archive and says what it holds; throws a Failure (NTAP_ERROR_FILE,
// NTAP_ERROR_UNSUPPORTED) with the reason otherwise.
ArchiveKind check_archive(const ByteSource &source, const std::string &name);

// Simulates a pickle: no operation may underflow the stack, nothing may nest deeper than libtorch's
// recursion can take, and every tensor must lie inside its storage, and every storage inside its
// record. `record_size` gives the size in bytes of the record that holds a storage, by its key.
using RecordSize = std::function<uint64_t(const std::string &key)>;
void check_pickle(const std::string &bytes, const std::string &name, const RecordSize &record_size);

} // namespace neurotap
