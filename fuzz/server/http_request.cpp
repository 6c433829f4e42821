#include <algorithm>
#include <string>
#include <vector>

#include "server/access.h"
#include "server/request_reader.h"

namespace {

using agave::server::RequestReader;
using State = RequestReader::State;

/// What comes of the bytes of one connection, request after request, read in pieces of `step` bytes.
std::vector<std::string> read_connection(std::string_view bytes, size_t step) {
    agave::server::RequestLimits limits;
    limits.body_bytes = 4096;
    std::vector<std::string> requests;
    while (!bytes.empty()) {
        RequestReader reader(limits);
        while (!bytes.empty() && reader.state() != State::complete && reader.state() != State::failed)
            bytes.remove_prefix(reader.feed(bytes.substr(0, step)));
        if (reader.state() == State::failed) {
            if (reader.status() < 400 || reader.status() > 505 || !*reader.sentence()) __builtin_trap();
            requests.push_back("failed");
            break;
        }
        if (reader.state() != State::complete) break;
        std::string request(reader.method());
        request.append(" ").append(reader.path()).append("?").append(reader.query());
        for (const auto& [name, value] : reader.headers())
            request.append("\n").append(name).append(":").append(value);
        if (request.find('\0') != request.npos || reader.body().size() > limits.body_bytes) __builtin_trap();
        agave::server::Access access({{"key"}, {"http://a"}, {"b"}, {"/health"}, 10});
        if (access.check(reader, {}, 1).status == 0 && reader.path() != "/health" &&
            reader.header("authorization").empty() && reader.header("x-api-key").empty() &&
            reader.header("api-key").empty() && reader.method() != "OPTIONS")
            __builtin_trap();
        requests.push_back(request + "\n\n" + reader.body());
    }
    return requests;
}

}  // namespace

/// The bytes of a connection give the same requests however they are cut.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    const std::vector<std::string> whole = read_connection(bytes, 1 << 20);
    for (const size_t step : {size_t{1}, size_t{7}}) {
        if (read_connection(bytes, step) != whole) __builtin_trap();
    }
    return 0;
}
