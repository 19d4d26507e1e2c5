// The zip archive around a model: complete, consistent, and without surprises in size.
#include "archive.hpp"

#include "boundary.hpp"
#include "code_check.hpp"
#include "source_range_check.hpp"

#include <zip.h>

#include <algorithm>
#include <cstring>
#include <map>

namespace neurotap {
namespace {

constexpr uint64_t kEndOfDirectory = 22;       // bytes of zip's closing record
constexpr uint64_t kLargestParsed = 64u << 20; // bytes of a pickle or of code; most have kilobytes
constexpr uint64_t kFreelyInflated = 64u << 20;
constexpr uint64_t kLargestInflation = 100; // compressed weights rarely reach 2, text about 10

[[noreturn]] void bad_file(const std::string &name, const std::string &why) {
    fail(NTAP_ERROR_FILE, "'", name, "' ", why);
}

// libzip reads from a ByteSource through this callback.
struct SourceCursor {
    const ByteSource *source;
    uint64_t position;
    zip_error_t error;
};

zip_int64_t seek_cursor(SourceCursor &cursor, void *data, zip_uint64_t length) {
    const auto size = static_cast<zip_int64_t>(cursor.source->size());
    const zip_int64_t offset = zip_source_seek_compute_offset(
        cursor.position, static_cast<zip_uint64_t>(size), data, length, &cursor.error);
    if (offset < 0)
        return -1;
    cursor.position = static_cast<uint64_t>(offset);
    return 0;
}

zip_int64_t read_cursor(SourceCursor &cursor, void *data, zip_uint64_t length) {
    const uint64_t left = cursor.source->size() - std::min(cursor.position, cursor.source->size());
    const uint64_t count = std::min<uint64_t>(length, left);
    try {
        cursor.source->read(cursor.position, data, count);
    } catch (const std::exception &) { // no exception may cross libzip
        zip_error_set(&cursor.error, ZIP_ER_READ, 0);
        return -1;
    }
    cursor.position += count;
    return static_cast<zip_int64_t>(count);
}

zip_int64_t stat_cursor(const SourceCursor &cursor, void *data) {
    auto *stat = static_cast<zip_stat_t *>(data);
    zip_stat_init(stat);
    stat->size = cursor.source->size();
    stat->valid = ZIP_STAT_SIZE;
    return sizeof(*stat);
}

zip_int64_t serve(void *context, void *data, zip_uint64_t length, zip_source_cmd_t command) {
    auto &cursor = *static_cast<SourceCursor *>(context);
    switch (command) {
    case ZIP_SOURCE_OPEN:
        cursor.position = 0;
        return 0;
    case ZIP_SOURCE_READ:
        return read_cursor(cursor, data, length);
    case ZIP_SOURCE_SEEK:
        return seek_cursor(cursor, data, length);
    case ZIP_SOURCE_TELL:
        return static_cast<zip_int64_t>(cursor.position);
    case ZIP_SOURCE_STAT:
        return stat_cursor(cursor, data);
    case ZIP_SOURCE_ERROR:
        return zip_error_to_data(&cursor.error, data, length);
    case ZIP_SOURCE_SUPPORTS:
        return ZIP_SOURCE_SUPPORTS_SEEKABLE;
    case ZIP_SOURCE_CLOSE:
    case ZIP_SOURCE_FREE:
        return 0;
    default:
        zip_error_set(&cursor.error, ZIP_ER_OPNOTSUPP, 0);
        return -1;
    }
}

// Python's and C++'s writers end the file with the directory's closing record and nothing else.
// Insisting on that leaves no room for two readers to find two different directories.
void check_ending(const ByteSource &source, const std::string &name) {
    char signature[4] = {};
    if (source.size() >= 4)
        source.read(0, signature, 4);
    if (std::memcmp(signature, "PK\3\4", 4) != 0)
        bad_file(name, source.size() == 0
                           ? "is not a PyTorch file: it is empty"
                           : "is not a PyTorch file: it is no zip archive, which torch.jit.save() "
                             "and torch.save() write");
    if (source.size() >= kEndOfDirectory)
        source.read(source.size() - kEndOfDirectory, signature, 4);
    if (std::memcmp(signature, "PK\5\6", 4) != 0)
        bad_file(name, "is truncated or damaged: the zip archive has no directory at its end");
}

struct Record {
    zip_uint64_t index;
    uint64_t size;
    uint32_t checksum;
};

zip_int64_t as_signed(size_t size) { return static_cast<zip_int64_t>(size); }

class Archive {
  public:
    Archive(const ByteSource &source, const std::string &name) : name_(name) {
        check_ending(source, name);
        cursor_ = {&source, 0, {}};
        zip_error_init(&cursor_.error);
        zip_error_t error;
        zip_error_init(&error);
        zip_source_t *bytes = zip_source_function_create(serve, &cursor_, &error);
        zip_ = bytes == nullptr ? nullptr : zip_open_from_source(bytes, ZIP_RDONLY, &error);
        if (zip_ == nullptr) {
            const std::string why = zip_error_strerror(&error);
            zip_source_free(bytes);
            zip_error_fini(&error);
            bad_file(name, "is damaged: " + why);
        }
        try {
            list_records();
        } catch (...) {
            zip_discard(zip_);
            throw;
        }
    }
    Archive(const Archive &) = delete;
    Archive &operator=(const Archive &) = delete;
    ~Archive() { zip_discard(zip_); }

    const std::map<std::string, Record> &records() const { return records_; }
    bool has(const std::string &path) const { return records_.count(path) != 0; }

    std::string read(const std::string &path) const {
        const Record &record = records_.at(path);
        if (record.size > kLargestParsed)
            bad_file(name_, "has a record '" + path + "' of " + std::to_string(record.size) +
                                " bytes, larger than this library parses");
        std::string bytes(record.size, '\0');
        zip_file_t *file = zip_fopen_index(zip_, record.index, 0);
        if (file == nullptr)
            bad_file(name_, "is damaged: record '" + path + "' cannot be read");
        const bool whole = zip_fread(file, &bytes[0], bytes.size()) == as_signed(bytes.size());
        // At the end libzip compares the checksum. PyTorch can be told to write none: then it is 0.
        char beyond = 0;
        const bool intact = zip_fread(file, &beyond, 1) == 0 || record.checksum == 0;
        zip_fclose(file);
        if (!whole || !intact)
            bad_file(name_, "is damaged: record '" + path + "' does not match its checksum");
        return bytes;
    }

  private:
    void list_records() {
        const zip_int64_t count = zip_get_num_entries(zip_, 0);
        for (zip_int64_t i = 0; i < count; ++i)
            add_record(static_cast<zip_uint64_t>(i));
        if (records_.empty())
            bad_file(name_, "is an empty zip archive");
    }

    void add_record(zip_uint64_t index) {
        zip_stat_t stat;
        zip_stat_init(&stat);
        constexpr zip_uint64_t kNeeded = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE |
                                         ZIP_STAT_COMP_METHOD | ZIP_STAT_CRC;
        if (zip_stat_index(zip_, index, 0, &stat) != 0 || (stat.valid & kNeeded) != kNeeded)
            bad_file(name_, "is damaged: its directory is incomplete");
        const std::string path = stat.name;
        // Sizes are only the directory's word; a stored record has to lie inside the file.
        if (stat.comp_size > cursor_.source->size())
            bad_file(name_, "is damaged: record '" + path + "' is larger than the file");
        // libtorch's reader takes as many bytes of it as there are said to be once it is expanded.
        if (stat.comp_method == ZIP_CM_STORE && stat.size != stat.comp_size)
            bad_file(name_, "is damaged: record '" + path + "' is not as long as its bytes");
        if (stat.size > kFreelyInflated && stat.size / kLargestInflation > stat.comp_size)
            bad_file(name_, "expands without bound: record '" + path + "' grows from " +
                                std::to_string(stat.comp_size) + " to " +
                                std::to_string(stat.size) + " bytes");
        if (!records_.emplace(path, Record{index, stat.size, stat.crc}).second)
            bad_file(name_, "is damaged: it has two records '" + path + "'");
    }

    std::string name_;
    SourceCursor cursor_{};
    zip_t *zip_ = nullptr;
    std::map<std::string, Record> records_;
};

// All records lie in one folder, named after the file that was saved.
std::string root_folder(const Archive &archive, const std::string &name) {
    const std::string &first = archive.records().begin()->first;
    const size_t slash = first.find('/');
    std::string root = first.substr(0, slash == std::string::npos ? 0 : slash + 1);
    for (const auto &record : archive.records())
        if (root.empty() || record.first.compare(0, root.size(), root) != 0)
            bad_file(name, "is not a PyTorch file: its records do not share a folder");
    return root;
}

// "__torch__/torch/nn/functional.py" holds what is called "__torch__.torch.nn.functional. …".
std::string module_of(const std::string &path) {
    std::string name = path.substr(0, path.size() - 3);
    std::replace(name.begin(), name.end(), '/', '.');
    return name;
}

bool ends_with(const std::string &text, const std::string &ending) {
    return text.size() >= ending.size() &&
           text.compare(text.size() - ending.size(), ending.size(), ending) == 0;
}

// data.pkl keeps its storages in data/, constants.pkl in constants/.
void check_pickle_record(const Archive &archive, const std::string &name, const std::string &path) {
    const std::string folder = path.substr(0, path.rfind('.')) + "/";
    check_pickle(archive.read(path), name + ":" + path, [&](const std::string &key) {
        const auto found = archive.records().find(folder + key);
        if (found == archive.records().end())
            bad_file(name, "is incomplete: record '" + folder + key + "' is missing");
        return found->second.size;
    });
}

} // namespace

ArchiveKind check_archive(const ByteSource &source, const std::string &name) {
    const Archive archive(source, name);
    const std::string root = root_folder(archive, name);
    if (archive.has(root + "model.json"))
        fail(NTAP_ERROR_UNSUPPORTED, "'", name, "' is in the format of PyTorch before 1.4; load ",
             "and save it again with a newer PyTorch");
    if (!archive.has(root + "data.pkl"))
        bad_file(name, "is not a PyTorch file: it holds no data.pkl");
    CodeChecker code(name);
    for (const auto &record : archive.records()) {
        const std::string &path = record.first;
        const bool in_code = path.compare(0, root.size() + 5, root + "code/") == 0;
        const bool has_ranges = in_code && ends_with(path, ".debug_pkl");
        if (path == root + "data.pkl" || path == root + "constants.pkl" || has_ranges)
            check_pickle_record(archive, name, path);
        if (has_ranges)
            check_source_ranges(archive.read(path), name + ":" + path);
        else if (in_code && ends_with(path, ".py"))
            code.add(archive.read(path), path, module_of(path.substr(root.size() + 5)));
    }
    code.check_calls();
    return archive.has(root + "constants.pkl") ? ArchiveKind::kProgram : ArchiveKind::kObject;
}

} // namespace neurotap
