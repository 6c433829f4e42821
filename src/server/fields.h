#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json.h"

namespace agave::server {

/// A request that is refused: what the surfaces tell beside the sentence.
class ApiError : public Error {
  public:
    ApiError(int status, const char* code, std::string param, std::string message)
        : Error(ErrorKind::usage, std::move(message)),
          status_(status),
          code_(code),
          param_(std::move(param)) {}
    int status() const { return status_; }
    const char* code() const { return code_; }  ///< or nullptr
    const std::string& param() const { return param_; }

  private:
    int status_;
    const char* code_;
    std::string param_;
};

/// Throws ApiError(400) about a field: "<param> <what is wrong with it>".
[[noreturn, gnu::format(printf, 3, 4)]] void refuse(const char* code, const std::string& param,
                                                    const char* format, ...);

/// The members of one JSON object of a request. Each is asked for by name, with its type and range; finish()
/// refuses the ones that nobody has asked for, so that nothing a client says is passed over in silence. null
/// counts as absent. All throw ApiError(400) that names the field.
class Fields {
  public:
    /// `path` is how messages call the object, e.g. "messages[2]"; empty for the body itself.
    explicit Fields(JsonValue object, std::string path = {});

    /// The member, or absent.
    JsonValue take(std::string_view name);
    bool boolean(std::string_view name, bool fallback);
    int64_t integer(std::string_view name, int64_t fallback, int64_t minimum, int64_t maximum);
    double number(std::string_view name, double fallback, double minimum, double maximum);
    std::string_view text(std::string_view name, std::string_view fallback = {});
    std::string_view required_text(std::string_view name);
    JsonValue array(std::string_view name);
    JsonValue object(std::string_view name);
    /// The index of the text in `choices`, words with spaces between them; -1 when absent.
    int choice(std::string_view name, std::string_view choices);

    /// Fields (spaces between them) that other servers know, and whose absence changes no answer.
    void ignore(std::string_view names);
    /// A field that would change the answer: only `harmless` values (a JSON literal) may be given.
    void refuse_unless(std::string_view name, std::string_view harmless, const char* why);
    void finish() const;

    std::string path_of(std::string_view name) const;

  private:
    JsonValue typed(std::string_view name, JsonKind kind, const char* what);

    JsonValue object_;
    std::string path_;
    std::vector<bool> taken_;
};

}  // namespace agave::server
