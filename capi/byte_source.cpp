// Bytes of a file or of memory, read by position.
#include "archive.hpp"
#include "boundary.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace neurotap {
namespace {

class FileSource : public ByteSource {
  public:
    explicit FileSource(const std::string &path) : path_(path) {
        descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
        if (descriptor_ < 0)
            fail(NTAP_ERROR_FILE, "cannot open '", path, "': ", std::strerror(errno));
        struct stat status = {};
        const bool known = ::fstat(descriptor_, &status) == 0;
        if (!known || !S_ISREG(status.st_mode)) {
            ::close(descriptor_);
            fail(NTAP_ERROR_FILE, "cannot read '", path, "': it is not a regular file");
        }
        size_ = static_cast<uint64_t>(status.st_size);
    }
    FileSource(const FileSource &) = delete;
    FileSource &operator=(const FileSource &) = delete;
    ~FileSource() override { ::close(descriptor_); }

    uint64_t size() const override { return size_; }

    void read(uint64_t position, void *buffer, size_t count) const override {
        auto *bytes = static_cast<char *>(buffer);
        while (count > 0) {
            const ssize_t got = ::pread(descriptor_, bytes, count, static_cast<off_t>(position));
            if (got < 0 && errno == EINTR)
                continue;
            if (got <= 0)
                fail(NTAP_ERROR_FILE, "cannot read '", path_,
                     "': ", got == 0 ? "unexpected end of file" : std::strerror(errno));
            bytes += got;
            position += static_cast<uint64_t>(got);
            count -= static_cast<size_t>(got);
        }
    }

  private:
    std::string path_;
    int descriptor_ = -1;
    uint64_t size_ = 0;
};

class MemorySource : public ByteSource {
  public:
    MemorySource(const void *data, size_t size)
        : data_(static_cast<const char *>(data)), size_(size) {}

    uint64_t size() const override { return size_; }

    void read(uint64_t position, void *buffer, size_t count) const override {
        if (position > size_ || count > size_ - position)
            fail(NTAP_ERROR_FILE, "unexpected end of data at byte ", size_);
        std::memcpy(buffer, data_ + position, count);
    }

  private:
    const char *data_;
    uint64_t size_;
};

} // namespace

std::shared_ptr<ByteSource> open_file(const std::string &path) {
    return std::make_shared<FileSource>(path);
}

std::shared_ptr<ByteSource> open_memory(const void *data, size_t size) {
    return std::make_shared<MemorySource>(data, size);
}

} // namespace neurotap
