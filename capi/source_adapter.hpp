// The bytes of an archive for libtorch, which reads the same source that was checked.
#pragma once

#include "archive.hpp"
#include "compat.hpp"

namespace neurotap {

class SourceAdapter : public caffe2::serialize::ReadAdapterInterface {
  public:
    explicit SourceAdapter(std::shared_ptr<ByteSource> source) : source_(std::move(source)) {}

    size_t size() const override { return source_->size(); }

    size_t read(uint64_t position, void *buffer, size_t count,
                const char * /*what*/) const override {
        source_->read(position, buffer, count);
        return count;
    }

  private:
    std::shared_ptr<ByteSource> source_;
};

} // namespace neurotap
