#define RAPIDJSON_HAS_STDSTRING 0
#define RAPIDJSON_ASSERT(x) static_cast<void>(x)
#define RAPIDJSON_NOEXCEPT_ASSERT(x) static_cast<void>(x)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wpragmas"
#include <rapidjson/error/en.h>
#include <rapidjson/memorystream.h>
#include <rapidjson/reader.h>
#pragma GCC diagnostic pop

#include "base/error.h"
#include "chat/json.h"
#include "chat/text.h"

namespace agave::chat::jinja {

namespace {

constexpr size_t max_json_depth = 200;

/// Builds values from RapidJSON's events. A false return stops the parser.
class Builder {
  public:
    bool Null() { return add(Value::none()); }
    bool Bool(bool value) { return add(Value::boolean(value)); }
    bool Int(int) { return false; }
    bool Uint(unsigned) { return false; }
    bool Int64(int64_t) { return false; }
    bool Uint64(uint64_t) { return false; }
    bool Double(double) { return false; }

    /// Numbers come as text, so that integers and their digits stay what they are.
    bool RawNumber(const char* digits, unsigned length, bool) {
        const std::string_view number_text(digits, length);
        if (number_text.find_first_of(".eE") == std::string_view::npos) {
            int64_t whole = 0;
            if (text::parse_integer(number_text, 10, whole, true) == text::Parsed::whole)
                return add(Value::integer(whole));
            problem = "an integer does not fit into 64 bits";
            return false;
        }
        double number = 0;
        if (text::parse_float(number_text, number) != text::Parsed::whole) {
            problem = "a number is out of range";
            return false;
        }
        return add(Value::floating(number));
    }
    bool String(const char* text, unsigned length, bool) {
        return add(Value::string(std::string_view(text, length)));
    }
    bool StartObject() { return open(Value::dict()); }
    bool Key(const char* text, unsigned length, bool) {
        keys_.push_back(Value::string(std::string_view(text, length)));
        return true;
    }
    bool EndObject(unsigned) { return close(); }
    bool StartArray() {
        lists_.emplace_back();
        return open(Value::missing());
    }
    bool EndArray(unsigned) {
        open_.back() = Value::list(std::move(lists_.back()));
        lists_.pop_back();
        return close();
    }

    Value result = Value::missing();
    const char* problem = "it is nested too deeply";

  private:
    bool open(Value container) {
        open_.push_back(std::move(container));
        return open_.size() <= max_json_depth;
    }
    bool close() {
        Value done = std::move(open_.back());
        open_.pop_back();
        return add(std::move(done));
    }
    bool add(Value value) {
        if (open_.empty()) {
            result = std::move(value);
        } else if (open_.back().is(Type::dict)) {
            open_.back().dict_object().set(std::move(keys_.back()), std::move(value));
            keys_.pop_back();
        } else {
            lists_.back().push_back(std::move(value));
        }
        return true;
    }

    std::vector<Value> open_;  ///< dicts, and missing for a list
    std::vector<std::vector<Value>> lists_;
    std::vector<Value> keys_;
};

}  // namespace

Value parse_json(std::string_view json, const char* what) {
    constexpr unsigned flags = rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag |
                               rapidjson::kParseNumbersAsStringsFlag;
    Builder builder;
    rapidjson::MemoryStream stream(json.data(), json.size());
    rapidjson::Reader reader;
    if (reader.Parse<flags>(stream, builder) && stream.Tell() == json.size()) return builder.result;
    if (!reader.HasParseError())
        fail(ErrorKind::usage, "%s is not valid JSON: at byte %zu: a NUL character", what, stream.Tell());
    const bool stopped = reader.GetParseErrorCode() == rapidjson::kParseErrorTermination;
    fail(ErrorKind::usage, "%s is not valid JSON: at byte %zu: %s", what, reader.GetErrorOffset(),
         stopped ? builder.problem : rapidjson::GetParseError_En(reader.GetParseErrorCode()));
}

}  // namespace agave::chat::jinja
