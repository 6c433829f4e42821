#include <algorithm>
#include <cinttypes>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "formats/model_file.h"

namespace agave {

static std::string describe_array(const MetadataArray& array) {
    if (const auto* values = std::get_if<std::vector<std::string_view>>(&array))
        return strprintf("an array of %zu texts", values->size());
    if (const auto* values = std::get_if<std::vector<double>>(&array))
        return strprintf("an array of %zu floating-point numbers", values->size());
    if (const auto* values = std::get_if<std::vector<bool>>(&array))
        return strprintf("an array of %zu booleans", values->size());
    const auto* values = std::get_if<std::vector<int64_t>>(&array);
    return strprintf("an array of %zu integers",
                     values ? values->size() : std::get_if<std::vector<uint64_t>>(&array)->size());
}

/// "the text 'abc'", "the integer 5", ...: what was found, for a message.
static std::string describe(const MetadataValue& value) {
    if (const auto* integer = std::get_if<int64_t>(&value))
        return strprintf("the integer %" PRId64, *integer);
    if (const auto* integer = std::get_if<uint64_t>(&value))
        return strprintf("the integer %" PRIu64, *integer);
    if (const auto* number = std::get_if<double>(&value)) return strprintf("the number %g", *number);
    if (const auto* boolean = std::get_if<bool>(&value)) return *boolean ? "true" : "false";
    if (const auto* text = std::get_if<std::string_view>(&value))
        return strprintf("the text '%s'", printable(*text, 40).c_str());
    return describe_array(*std::get_if<MetadataArray>(&value));
}

[[noreturn]] static void fail_value(const std::string& path, std::string_view key, const MetadataValue& found,
                                    const std::string& expected) {
    fail(ErrorKind::bad_file, "'%s': the metadata key '%s' is %s; expected %s", path.c_str(),
         printable(key).c_str(), describe(found).c_str(), expected.c_str());
}

[[noreturn]] static void fail_missing(const std::string& path, std::string_view key) {
    fail(ErrorKind::bad_file, "'%s': the metadata key '%s' is missing", path.c_str(), printable(key).c_str());
}

Metadata::Metadata(std::string path, std::vector<MetadataEntry> entries)
    : path_(std::move(path)), entries_(std::move(entries)), by_key_(entries_.size()) {
    std::iota(by_key_.begin(), by_key_.end(), 0u);
    std::sort(by_key_.begin(), by_key_.end(),
              [this](uint32_t a, uint32_t b) { return entries_[a].key < entries_[b].key; });
    for (size_t i = 1; i < by_key_.size(); i++)
        if (entries_[by_key_[i - 1]].key == entries_[by_key_[i]].key)
            fail(ErrorKind::bad_file, "'%s': the metadata key '%s' comes twice", path_.c_str(),
                 printable(entries_[by_key_[i]].key).c_str());
}

const MetadataValue* Metadata::find(std::string_view key) const {
    const auto at = std::lower_bound(by_key_.begin(), by_key_.end(), key,
                                     [this](uint32_t i, std::string_view k) { return entries_[i].key < k; });
    if (at == by_key_.end() || entries_[*at].key != key) return nullptr;
    return &entries_[*at].value;
}

static int64_t integer_of(const std::string& path, std::string_view key, const MetadataValue& value,
                          int64_t minimum, int64_t maximum) {
    int64_t integer = 0;
    bool valid = false;
    if (const auto* found = std::get_if<int64_t>(&value)) {
        integer = *found;
        valid = true;
    } else if (const auto* unsigned_found = std::get_if<uint64_t>(&value)) {
        integer = static_cast<int64_t>(*unsigned_found);
        valid = integer >= 0;
    }
    if (!valid || integer < minimum || integer > maximum)
        fail_value(path, key, value, strprintf("an integer from %" PRId64 " to %" PRId64, minimum, maximum));
    return integer;
}

int64_t Metadata::integer(std::string_view key, int64_t minimum, int64_t maximum) const {
    const MetadataValue* value = find(key);
    if (!value) fail_missing(path_, key);
    return integer_of(path_, key, *value, minimum, maximum);
}

int64_t Metadata::integer_or(std::string_view key, int64_t fallback, int64_t minimum, int64_t maximum) const {
    const MetadataValue* value = find(key);
    return value ? integer_of(path_, key, *value, minimum, maximum) : fallback;
}

static double number_of(const std::string& path, std::string_view key, const MetadataValue& value) {
    if (const auto* integer = std::get_if<int64_t>(&value)) return static_cast<double>(*integer);
    if (const auto* integer = std::get_if<uint64_t>(&value)) return static_cast<double>(*integer);
    const auto* number = std::get_if<double>(&value);
    if (!number || !std::isfinite(*number)) fail_value(path, key, value, "a finite number");
    return *number;
}

double Metadata::number(std::string_view key) const {
    const MetadataValue* value = find(key);
    if (!value) fail_missing(path_, key);
    return number_of(path_, key, *value);
}

double Metadata::number_or(std::string_view key, double fallback) const {
    const MetadataValue* value = find(key);
    return value ? number_of(path_, key, *value) : fallback;
}

bool Metadata::boolean_or(std::string_view key, bool fallback) const {
    const MetadataValue* value = find(key);
    if (!value) return fallback;
    const auto* boolean = std::get_if<bool>(value);
    if (!boolean) fail_value(path_, key, *value, "true or false");
    return *boolean;
}

static std::string_view text_of(const std::string& path, std::string_view key, const MetadataValue& value) {
    const auto* text = std::get_if<std::string_view>(&value);
    if (!text) fail_value(path, key, value, "a text");
    return *text;
}

std::string_view Metadata::text(std::string_view key) const {
    const MetadataValue* value = find(key);
    if (!value) fail_missing(path_, key);
    return text_of(path_, key, *value);
}

std::string_view Metadata::text_or(std::string_view key, std::string_view fallback) const {
    const MetadataValue* value = find(key);
    return value ? text_of(path_, key, *value) : fallback;
}

const std::vector<std::string_view>* Metadata::texts(std::string_view key) const {
    const MetadataValue* value = find(key);
    if (!value) return nullptr;
    const auto* array = std::get_if<MetadataArray>(value);
    const auto* texts = array ? std::get_if<std::vector<std::string_view>>(array) : nullptr;
    if (!texts) fail_value(path_, key, *value, "an array of texts");
    return texts;
}

std::optional<std::vector<double>> Metadata::numbers(std::string_view key) const {
    const MetadataValue* value = find(key);
    if (!value) return std::nullopt;
    if (const auto* array = std::get_if<MetadataArray>(value)) {
        if (const auto* integers = std::get_if<std::vector<int64_t>>(array))
            return std::vector<double>(integers->begin(), integers->end());
        if (const auto* integers = std::get_if<std::vector<uint64_t>>(array))
            return std::vector<double>(integers->begin(), integers->end());
        if (const auto* numbers = std::get_if<std::vector<double>>(array)) {
            for (size_t i = 0; i < numbers->size(); i++)
                if (!std::isfinite((*numbers)[i]))
                    fail(ErrorKind::bad_file,
                         "'%s': element %zu of the metadata key '%s' is %g; expected a finite number",
                         path_.c_str(), i, printable(key).c_str(), (*numbers)[i]);
            return *numbers;
        }
    }
    fail_value(path_, key, *value, "an array of numbers");
}

std::optional<std::vector<int64_t>> Metadata::integers(std::string_view key) const {
    const MetadataValue* value = find(key);
    if (!value) return std::nullopt;
    if (const auto* array = std::get_if<MetadataArray>(value)) {
        if (const auto* integers = std::get_if<std::vector<int64_t>>(array)) return *integers;
        if (const auto* integers = std::get_if<std::vector<uint64_t>>(array)) {
            for (size_t i = 0; i < integers->size(); i++)
                if ((*integers)[i] > INT64_MAX)
                    fail(ErrorKind::bad_file,
                         "'%s': element %zu of the metadata key '%s' is %" PRIu64
                         "; expected at most %" PRId64,
                         path_.c_str(), i, printable(key).c_str(), (*integers)[i], INT64_MAX);
            return std::vector<int64_t>(integers->begin(), integers->end());
        }
    }
    fail_value(path_, key, *value, "an array of integers");
}

std::optional<std::vector<bool>> Metadata::booleans(std::string_view key) const {
    const MetadataValue* value = find(key);
    if (!value) return std::nullopt;
    const auto* array = std::get_if<MetadataArray>(value);
    const auto* booleans = array ? std::get_if<std::vector<bool>>(array) : nullptr;
    if (!booleans) fail_value(path_, key, *value, "an array of booleans");
    return *booleans;
}

}  // namespace agave
