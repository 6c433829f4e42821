#include "hub/repository.h"

#include <algorithm>

#include "base/error.h"
#include "base/json.h"

namespace agave::hub {

namespace {

constexpr size_t kMaxAnswer = size_t{32} << 20;
constexpr int kMaxPages = 100;

bool hexadecimal(std::string_view text, size_t n_digits) {
    return text.size() == n_digits && std::all_of(text.begin(), text.end(), [](char c) {
               return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
           });
}

}  // namespace

void read_tree_page(std::string_view json, const std::string& path, Listing& listing, Observer& observer) {
    const Json document(json, path);
    if (!document.root().is(JsonKind::array))
        fail(ErrorKind::runtime, "%s: the hub's list of files is no list", path.c_str());
    for (const JsonValue entry : document.root()) {
        if (!entry["type"].is(JsonKind::text) || entry["type"].as_text() != "file") continue;
        const JsonValue name = entry["path"], large = entry["lfs"];
        const JsonValue size = large ? large["size"] : entry["size"],
                        id = large ? large["oid"] : entry["oid"];
        if (!name.is(JsonKind::text) || !size.is(JsonKind::integer) || size.as_integer() < 0 ||
            !id.is(JsonKind::text) || !hexadecimal(id.as_text(), large ? 64 : 40))
            fail(ErrorKind::runtime, "%s: the hub describes a file without a path, a size or a hash",
                 path.c_str());
        if (!safe_relative_path(name.as_text())) {
            observer.notice(
                strprintf("left out a file with an unsafe name: '%s'", printable(name.as_text()).c_str()));
            continue;
        }
        listing.files.push_back({std::string(name.as_text()), static_cast<uint64_t>(size.as_integer()),
                                 std::string(id.as_text()), static_cast<bool>(large)});
    }
}

Listing list_repository(const Endpoint& endpoint, const std::string& repository, const std::string& revision,
                        Observer& observer) {
    if (!safe_relative_path(revision))
        fail(ErrorKind::usage, "'%s' is not the name of a revision", printable(revision).c_str());
    const std::string what =
        revision == "main" ? "'" + repository + "'" : "revision '" + revision + "' of '" + repository + "'";
    const std::string base = endpoint.url + "/api/models/" + url_path(repository);
    const std::string url = base + "/revision/" + url_path(revision);
    const std::string description = fetch(endpoint, url, what, kMaxAnswer, observer);
    const Json document(description, url);
    const JsonValue commit = document.root()["sha"];
    if (!commit.is(JsonKind::text) || !hexadecimal(commit.as_text(), 40))
        fail(ErrorKind::runtime, "%s: the hub's answer holds no commit", url.c_str());

    Listing listing{repository, std::string(commit.as_text()), {}};
    std::string page = base + "/tree/" + listing.commit + "?recursive=true";
    for (int i = 0; !page.empty(); i++) {
        if (i == kMaxPages) fail(ErrorKind::runtime, "%s has more files than can be listed", what.c_str());
        ResponseHead head;
        const std::string answer = fetch(endpoint, page, what, kMaxAnswer, observer, &head);
        read_tree_page(answer, page, listing, observer);
        page = head.next_url;
    }
    return listing;
}

std::string file_url(const Endpoint& endpoint, const Listing& listing, const RemoteFile& file) {
    return endpoint.url + "/" + url_path(listing.repository) + "/resolve/" + listing.commit + "/" +
           url_path(file.path);
}

}  // namespace agave::hub
