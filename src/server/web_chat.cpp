#include "server/web_chat.h"

#include <cstddef>

#include "server/web_chat_page.h"

namespace agave::server {

bool answer_web_chat(const HttpRequest& request, HttpResponse& response) {
    if (request.path != "/") return false;
    if (request.method != "GET") {
        response.send(405, "text/plain", "this path takes GET alone\n", {{"allow", "GET, HEAD"}});
        return true;
    }
    if (request.header("accept-encoding").find("gzip") == std::string_view::npos) {
        response.send(
            406, "text/plain",
            "The chat page is there in gzip alone: ask with 'Accept-Encoding: gzip' (curl --compressed).\n");
        return true;
    }
    const std::string_view tag = web_chat_page::entity_tag;
    if (request.header("if-none-match") == tag) {
        response.send(304, "", "", {{"etag", std::string(tag)}});
        return true;
    }
    // Only the page's own script and style run, and it speaks with this server alone: what a model writes can
    // load nothing and run nothing, should it ever get past the page's own escaping.
    std::string policy = "default-src 'none'; script-src 'sha256-";
    policy.append(web_chat_page::script_hash).append("'; style-src 'sha256-");
    policy.append(web_chat_page::style_hash);
    policy +=
        "'; img-src data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors "
        "'none'";
    response.send(200, "text/html; charset=utf-8",
                  std::string(reinterpret_cast<const char*>(web_chat_page::gzip), sizeof web_chat_page::gzip),
                  {{"content-encoding", "gzip"},
                   {"cache-control", "no-cache"},
                   {"etag", std::string(tag)},
                   {"content-security-policy", policy},
                   {"referrer-policy", "no-referrer"},
                   {"x-frame-options", "DENY"}});
    return true;
}

}  // namespace agave::server
