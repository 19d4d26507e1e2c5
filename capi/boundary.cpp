#include "boundary.hpp"

#include <new>

namespace neurotap {
namespace {

// The interpreter wraps an error into a traceback of the serialized code that ends with a line such
// as "RuntimeError: mat1 and mat2 …": that line, and what follows it, is the error.
std::string without_traceback(const std::string &text) {
    if (text.find("TorchScript interpreter") == std::string::npos)
        return text;
    size_t best = std::string::npos;
    for (size_t at = 0; at != std::string::npos && at < text.size(); at = text.find('\n', at)) {
        at += text[at] == '\n' ? 1 : 0;
        const size_t name_end = text.find_first_not_of(
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.", at);
        if (name_end != std::string::npos && name_end > at && text.compare(name_end, 2, ": ") == 0)
            best = at;
    }
    return best == std::string::npos ? text : text.substr(best);
}

// One line: the message travels through logs and one-line error output.
std::string one_line(const std::string &text) {
    std::string line;
    for (const char c : text) {
        const bool space = c == '\n' || c == '\r' || c == '\t' || c == ' ';
        if (!space)
            line += c;
        else if (!line.empty() && line.back() != ' ')
            line += ' ';
    }
    while (!line.empty() && line.back() == ' ')
        line.pop_back();
    return line;
}

// The end of an overlong message from libtorch is rarely the useful part; %s truncates it.
ntap_status report(ntap_error *err, ntap_status status, const std::string &text) {
    return ntap_error_set(err, status, "%s", text.c_str());
}

std::string text_of(const std::exception &error) {
    const auto *of_libtorch = dynamic_cast<const c10::Error *>(&error);
    return of_libtorch == nullptr ? error.what() : of_libtorch->what_without_backtrace();
}

std::string model_message(const torch::jit::JITException &error) {
    const auto original = error.getOriginalMsg();
    if (!original || original->empty())
        return error.what();
    const auto name = error.getPythonClassName();
    return name ? *name + ": " + *original : *original;
}

// The CPU allocator's failure has no class of its own, and the interpreter makes texts of all.
bool is_host_memory(const std::string &text) {
    return text.find("DefaultCPUAllocator") != std::string::npos ||
           text.find("std::bad_alloc") != std::string::npos;
}

// "[enforce fail at …] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes.
// …"
std::string without_allocator(const std::string &text) {
    const size_t tried = text.find("tried to allocate ");
    return tried == std::string::npos
               ? text
               : "out of memory: libtorch " + text.substr(tried, text.find('.', tried) - tried);
}

ntap_status translate_text(ntap_error *err, ntap_status fallback, const std::exception &error) {
    const std::string text = text_of(error);
    return is_host_memory(text) ? report(err, NTAP_ERROR_OUT_OF_MEMORY, without_allocator(text))
                                : report(err, fallback, one_line(without_traceback(text)));
}

ntap_status translate(ntap_error *err, ntap_status fallback) {
    try {
        throw;
    } catch (const Failure &error) {
        return report(err, error.status(), one_line(error.what()));
    } catch (const std::bad_alloc &) {
        throw; // needs no message, and there may be no memory for one
    } catch (const c10::OutOfMemoryError &error) {
        return report(err, NTAP_ERROR_DEVICE_OUT_OF_MEMORY, message_of(error));
    } catch (const torch::jit::JITException &error) {
        return report(err, NTAP_ERROR_MODEL, one_line(without_traceback(model_message(error))));
    } catch (const std::exception &error) {
        return translate_text(err, fallback, error);
    }
}

} // namespace

std::string message_of(const std::exception &error) {
    return one_line(without_traceback(text_of(error)));
}

bool is_out_of_memory(const std::exception &error) {
    return dynamic_cast<const std::bad_alloc *>(&error) != nullptr ||
           dynamic_cast<const c10::OutOfMemoryError *>(&error) != nullptr ||
           is_host_memory(text_of(error));
}

ntap_status translate_exception(ntap_error *err, ntap_status fallback) noexcept {
    try {
        return translate(err, fallback);
    } catch (const std::bad_alloc &) {
        // Also when composing the message failed for want of memory: this one needs none.
        return ntap_error_set(err, NTAP_ERROR_OUT_OF_MEMORY, "out of memory");
    } catch (...) {
        return ntap_error_set(err, NTAP_ERROR_INTERNAL, "an exception of unknown type was thrown");
    }
}

} // namespace neurotap
