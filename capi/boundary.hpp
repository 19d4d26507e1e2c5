// The exception wall: every function that C can call runs its body inside guarded().
#pragma once

#include "compat.hpp"

#include <neurotap/base.h>

#include <exception>
#include <string>
#include <utility>

namespace neurotap {

// An error of ours, with its status. Everything else that is thrown comes from libtorch or the
// standard library and is translated.
class Failure : public std::exception {
  public:
    Failure(ntap_status status, std::string message)
        : status_(status), message_(std::move(message)) {}
    ntap_status status() const noexcept { return status_; }
    const char *what() const noexcept override { return message_.c_str(); }

  private:
    ntap_status status_;
    std::string message_;
};

// Throws a Failure; the parts are written one after the other.
template <typename... Parts> [[noreturn]] void fail(ntap_status status, const Parts &...parts) {
    throw Failure(status, c10::str(parts...));
}

inline void require_not_null(const void *pointer, const char *name) {
    if (pointer == nullptr)
        fail(NTAP_ERROR_INVALID_ARGUMENT, name, " is NULL");
}

// Silences libtorch's warnings on this thread: the library prints nothing.
class QuietWarnings {
    SilentWarnings silent_;
    WarningHandlerGuard guard_{&silent_};
};

// libtorch settles a thread's number of threads at its first parallel loop; oneDNN, called before
// one, would take all cores.
inline void settle_num_threads() { (void)at::get_num_threads(); }

// What an exception of libtorch says, in one line; whether it says that memory has run out.
std::string message_of(const std::exception &error);
bool is_out_of_memory(const std::exception &error);

// Turns the exception in flight into a status and a message. `fallback` is the status of errors
// that say nothing of their kind: what the caller was doing.
ntap_status translate_exception(ntap_error *err, ntap_status fallback) noexcept;

template <typename Body>
ntap_status guarded(ntap_error *err, ntap_status fallback, Body &&body) noexcept {
    try {
        QuietWarnings quiet;
        settle_num_threads();
        body();
        return NTAP_OK;
    } catch (...) {
        return translate_exception(err, fallback);
    }
}

} // namespace neurotap
