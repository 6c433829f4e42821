#include "tokenizer/unicode.h"

#include <algorithm>

#include "tokenizer/unicode_data.h"

namespace agave {
namespace {

/// Reads the varints of a generated table.
class TableReader {
  public:
    TableReader(const uint8_t* data, size_t size) : p_(data), end_(data + size) {}
    bool done() const { return p_ == end_; }
    uint8_t byte() { return *p_++; }
    uint32_t varint() {
        uint32_t value = 0;
        for (unsigned shift = 0;; shift += 7) {
            const uint8_t b = *p_++;
            value |= static_cast<uint32_t>(b & 0x7F) << shift;
            if (b < 0x80) return value;
        }
    }

  private:
    const uint8_t* p_;
    const uint8_t* end_;
};

struct Decomposition {
    uint32_t code_point;
    uint32_t first;
    uint32_t second;  ///< 0 for a singleton
};

/// Hangul syllables are composed by arithmetic (The Unicode Standard, section 3.12).
constexpr uint32_t hangul_s = 0xAC00, hangul_l = 0x1100, hangul_v = 0x1161, hangul_t = 0x11A7;
constexpr uint32_t hangul_l_count = 19, hangul_v_count = 21, hangul_t_count = 28;
constexpr uint32_t hangul_s_count = hangul_l_count * hangul_v_count * hangul_t_count;

class Normalization {
  public:
    static const Normalization& get() {
        static const Normalization tables;
        return tables;
    }

    /// Canonical combining class.
    uint8_t combining_class(uint32_t code_point) const {
        const auto it = std::upper_bound(ccc_starts_.begin(), ccc_starts_.end(), code_point);
        return it == ccc_starts_.begin() ? 0 : ccc_values_[static_cast<size_t>(it - ccc_starts_.begin()) - 1];
    }

    const Decomposition* decomposition(uint32_t code_point) const {
        const auto it = std::lower_bound(by_code_point_.begin(), by_code_point_.end(), code_point,
                                         [](const Decomposition& d, uint32_t c) { return d.code_point < c; });
        return it != by_code_point_.end() && it->code_point == code_point ? &*it : nullptr;
    }

    /// The primary composite of a pair, or 0.
    uint32_t composition(uint32_t first, uint32_t second) const {
        if (first - hangul_l < hangul_l_count && second - hangul_v < hangul_v_count)
            return hangul_s + ((first - hangul_l) * hangul_v_count + (second - hangul_v)) * hangul_t_count;
        if (first - hangul_s < hangul_s_count && (first - hangul_s) % hangul_t_count == 0 &&
            second - hangul_t - 1 < hangul_t_count - 1)
            return first + (second - hangul_t);
        const auto it = std::lower_bound(by_pair_.begin(), by_pair_.end(), std::pair{first, second},
                                         [](const Decomposition& d, const std::pair<uint32_t, uint32_t>& p) {
                                             return std::pair{d.first, d.second} < p;
                                         });
        const bool found = it != by_pair_.end() && it->first == first && it->second == second;
        return found ? it->code_point : 0;
    }

    bool is_inert(uint32_t code_point) const {
        if (code_point < 0x300) return true;
        if (code_point < 0x10000) return (active_[code_point / 8] >> (code_point % 8) & 1) == 0;
        return !std::binary_search(active_beyond_bmp_.begin(), active_beyond_bmp_.end(), code_point);
    }

  private:
    Normalization() {
        read_combining_classes();
        read_decompositions();
        for (uint32_t v = 0; v < hangul_v_count; v++) mark_active(hangul_v + v);
        for (uint32_t t = 1; t < hangul_t_count; t++) mark_active(hangul_t + t);
        std::sort(active_beyond_bmp_.begin(), active_beyond_bmp_.end());
    }

    void read_combining_classes() {
        TableReader reader(unicode_combining_classes, unicode_combining_classes_size);
        uint32_t code_point = 0;
        while (!reader.done()) {
            code_point += reader.varint();
            const uint32_t length = reader.varint();
            const uint8_t value = reader.byte();
            if (!ccc_starts_.empty() && ccc_starts_.back() == code_point) {
                ccc_values_.back() = value;  // follows the run before it without a gap
            } else {
                ccc_starts_.push_back(code_point);
                ccc_values_.push_back(value);
            }
            for (uint32_t i = 0; i < length; i++) mark_active(code_point + i);
            code_point += length;
            ccc_starts_.push_back(code_point);
            ccc_values_.push_back(0);
        }
    }

    void read_decompositions() {
        TableReader reader(unicode_decompositions, unicode_decompositions_size);
        uint32_t code_point = 0;
        while (!reader.done()) {
            code_point += reader.varint();
            const uint32_t first = reader.varint();
            const uint32_t second = reader.varint();
            by_code_point_.push_back({code_point, first, second >> 1});
            if ((second & 1) != 0) {
                by_pair_.push_back(by_code_point_.back());
                mark_active(second >> 1);
            } else {
                mark_active(code_point);
            }
        }
        std::sort(by_pair_.begin(), by_pair_.end(), [](const Decomposition& a, const Decomposition& b) {
            return std::pair{a.first, a.second} < std::pair{b.first, b.second};
        });
    }

    void mark_active(uint32_t code_point) {
        if (code_point < 0x10000)
            active_[code_point / 8] = static_cast<uint8_t>(active_[code_point / 8] | 1u << (code_point % 8));
        else
            active_beyond_bmp_.push_back(code_point);
    }

    std::vector<uint32_t> ccc_starts_;  ///< where each run of one combining class begins
    std::vector<uint8_t> ccc_values_;
    std::vector<Decomposition> by_code_point_;
    std::vector<Decomposition> by_pair_;  ///< those that compose again, by (first, second)
    uint8_t active_[0x10000 / 8] = {};    ///< NFC quick check "no" or "maybe", or a combining class
    std::vector<uint32_t> active_beyond_bmp_;
};

struct Mark {
    uint32_t code_point;
    uint32_t position;  ///< among the marks of its starter: marks of one class keep their order
    uint8_t combining_class;
};

/// One starter with the marks behind it, as normalization goes along.
class Composer {
  public:
    Composer(const Normalization& tables, std::string& out) : tables_(tables), out_(out) {}

    void add(uint32_t code_point) {
        if (code_point - hangul_s < hangul_s_count) {
            const uint32_t index = code_point - hangul_s;
            add_decomposed(hangul_l + index / (hangul_v_count * hangul_t_count));
            add_decomposed(hangul_v + index % (hangul_v_count * hangul_t_count) / hangul_t_count);
            if (index % hangul_t_count != 0) add_decomposed(hangul_t + index % hangul_t_count);
        } else if (const Decomposition* d = tables_.decomposition(code_point)) {
            add(d->first);
            if (d->second != 0) add(d->second);
        } else {
            add_decomposed(code_point);
        }
    }

    /// Writes what is pending; the next character starts afresh.
    void flush() {
        compose_marks();
        write();
    }

  private:
    void write() {
        if (has_starter_) append_utf8(out_, starter_);
        for (const Mark& mark : marks_) append_utf8(out_, mark.code_point);
        marks_.clear();
        has_starter_ = false;
    }

    void add_decomposed(uint32_t code_point) {
        const uint8_t combining_class = tables_.combining_class(code_point);
        if (combining_class != 0) {
            marks_.push_back({code_point, static_cast<uint32_t>(marks_.size()), combining_class});
            return;
        }
        // A starter may compose with the starter before it when nothing is left in between.
        compose_marks();
        if (has_starter_ && marks_.empty()) {
            if (const uint32_t composed = tables_.composition(starter_, code_point)) {
                starter_ = composed;
                return;
            }
        }
        write();
        starter_ = code_point;
        has_starter_ = true;
    }

    /// Sorts the pending marks and composes the starter with those that nothing blocks.
    void compose_marks() {
        std::sort(marks_.begin(), marks_.end(), [](const Mark& a, const Mark& b) {
            return std::pair{a.combining_class, a.position} < std::pair{b.combining_class, b.position};
        });
        if (!has_starter_) return;
        size_t kept = 0;
        for (const Mark& mark : marks_) {
            const bool blocked = kept > 0 && marks_[kept - 1].combining_class >= mark.combining_class;
            const uint32_t composed = blocked ? 0 : tables_.composition(starter_, mark.code_point);
            if (composed != 0)
                starter_ = composed;
            else
                marks_[kept++] = mark;
        }
        marks_.resize(kept);
    }

    const Normalization& tables_;
    std::string& out_;
    uint32_t starter_ = 0;
    bool has_starter_ = false;
    std::vector<Mark> marks_;
};

}  // namespace

Utf8Char decode_utf8_slow(const char* p, const char* end) {
    const auto byte_at = [&](int i) -> uint32_t {
        return i < end - p ? static_cast<uint8_t>(p[i]) : 0u;  // 0 is no continuation byte
    };
    const auto continues = [](uint32_t byte) { return (byte & 0xC0) == 0x80; };
    const uint32_t b0 = byte_at(0), b1 = byte_at(1);
    if (b0 < 0x80) return {b0, 1};
    constexpr Utf8Char invalid{invalid_code_point, 1};
    if (b0 < 0xC2 || !continues(b1)) return invalid;
    if (b0 < 0xE0) return {(b0 & 0x1F) << 6 | (b1 & 0x3F), 2};
    const uint32_t b2 = byte_at(2);
    if (!continues(b2)) return invalid;
    if (b0 < 0xF0) {
        const uint32_t code_point = (b0 & 0x0F) << 12 | (b1 & 0x3F) << 6 | (b2 & 0x3F);
        if (code_point < 0x800 || (code_point >= 0xD800 && code_point < 0xE000)) return invalid;
        return {code_point, 3};
    }
    const uint32_t b3 = byte_at(3);
    if (b0 > 0xF4 || !continues(b3)) return invalid;
    const uint32_t code_point = (b0 & 0x07) << 18 | (b1 & 0x3F) << 12 | (b2 & 0x3F) << 6 | (b3 & 0x3F);
    if (code_point < 0x10000 || code_point > 0x10FFFF) return invalid;
    return {code_point, 4};
}

void append_utf8(std::string& out, uint32_t code_point) {
    const auto put = [&](uint32_t byte) { out.push_back(static_cast<char>(byte)); };
    if (code_point < 0x80) {
        put(code_point);
    } else if (code_point < 0x800) {
        put(0xC0 | code_point >> 6);
        put(0x80 | (code_point & 0x3F));
    } else if (code_point < 0x10000) {
        put(0xE0 | code_point >> 12);
        put(0x80 | (code_point >> 6 & 0x3F));
        put(0x80 | (code_point & 0x3F));
    } else {
        put(0xF0 | code_point >> 18);
        put(0x80 | (code_point >> 12 & 0x3F));
        put(0x80 | (code_point >> 6 & 0x3F));
        put(0x80 | (code_point & 0x3F));
    }
}

CharClasses::CharClasses() {
    TableReader reader(unicode_class_runs, unicode_class_runs_size);
    uint32_t begin = 0;
    while (!reader.done()) {
        const uint32_t run = reader.varint();
        const uint32_t end = begin + (run >> 4);
        const auto value = static_cast<uint8_t>(run & 15);
        for (uint32_t c = begin; c < end && c < 0x10000; c++) bmp_[c] = value;
        if (end > 0x10000) {
            starts_.push_back(std::max(begin, 0x10000u));
            classes_.push_back(value);
        }
        begin = end;
    }
}

const CharClasses& CharClasses::get() {
    static const CharClasses tables;
    return tables;
}

uint8_t CharClasses::beyond_bmp(uint32_t code_point) const {
    if (code_point > 0x10FFFF) return static_cast<uint8_t>(CharClass::other);
    const auto it = std::upper_bound(starts_.begin(), starts_.end(), code_point);
    return classes_[static_cast<size_t>(it - starts_.begin()) - 1];
}

bool is_nfc_inert(std::string_view text) {
    const char* p = text.data();
    const char* end = p + text.size();
    // Characters below U+0300 are inert; their first bytes are below 0xCC.
    while (p != end && static_cast<uint8_t>(*p) < 0xCC) p++;
    if (p == end) return true;
    const Normalization& tables = Normalization::get();
    while (p != end) {
        const Utf8Char c = decode_utf8(p, end);
        if (c.code_point != invalid_code_point && !tables.is_inert(c.code_point)) return false;
        p += c.n_bytes;
    }
    return true;
}

std::string normalize_nfc(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    Composer composer(Normalization::get(), out);
    const char* p = text.data();
    const char* end = p + text.size();
    while (p != end) {
        const Utf8Char c = decode_utf8(p, end);
        if (c.code_point == invalid_code_point) {
            composer.flush();
            out.push_back(*p);
        } else {
            composer.add(c.code_point);
        }
        p += c.n_bytes;
    }
    composer.flush();
    return out;
}

}  // namespace agave
