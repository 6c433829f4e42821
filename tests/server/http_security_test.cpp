#include <gtest/gtest.h>

#include "base/error.h"
#include "server/http_server.h"
#include "test_client.h"

namespace agave::server {
namespace {

void say_hello(const HttpRequest& request, const std::shared_ptr<HttpResponse>& response) {
    response->send(200, "text/plain", strprintf("client %d", request.client != 0));
}

HttpServerOptions with_rules(AccessRules rules) {
    HttpServerOptions options;
    options.access = std::move(rules);
    return options;
}

std::string status_of(const std::string& answer) {
    return answer.substr(0, 12).substr(std::min<size_t>(answer.size(), 9));
}

bool has(const std::string& text, std::string_view part) {
    return text.find(part) != text.npos;
}

TEST(Access, ComparesInConstantTime) {
    EXPECT_TRUE(equal_in_constant_time("secret", "secret"));
    EXPECT_FALSE(equal_in_constant_time("secret", "secreT"));
    EXPECT_FALSE(equal_in_constant_time("secret", "secre"));
    EXPECT_FALSE(equal_in_constant_time("secret", "secrets"));
    EXPECT_FALSE(equal_in_constant_time("secret", ""));
    EXPECT_FALSE(equal_in_constant_time("aa", "a"));
    EXPECT_FALSE(equal_in_constant_time("", "a"));
}

TEST(HttpServer, RefusesToListenWidelyWithoutKeys) {
    for (const char* host : {"0.0.0.0", "::", "0"}) {
        HttpServerOptions options;
        options.host = host;
        options.port = 0;
        EXPECT_THROW(HttpServer(options, say_hello), Error) << host;
        options.access.api_keys = {"k"};
        try {
            EXPECT_GT(HttpServer(options, say_hello).port(), 0);
        } catch (const Error& error) {
            EXPECT_STREQ(host, "::") << error.what();  // a machine may have no IPv6
        }
    }
    HttpServerOptions options;
    options.host = "no such host";
    EXPECT_THROW(HttpServer(options, say_hello), Error);
    TestServer other(say_hello);
    options.host = "127.0.0.1";
    options.port = other.port();
    EXPECT_THROW(HttpServer(options, say_hello), Error);
}

TEST(HttpServer, WantsAKey) {
    AccessRules rules;
    rules.api_keys = {"first-key", "second-key"};
    rules.open_paths = {"/health"};
    TestServer server(say_hello, with_rules(rules));
    for (const char* header : {"", "Authorization: Bearer wrong\r\n", "Authorization: Bearer \r\n",
                               "Authorization: first-key\r\n", "Authorization: Bearer first-key2\r\n",
                               "x-api-key: first-ke\r\n", "Authorization: Basic Zmlyc3Qta2V5\r\n"}) {
        const std::string answer = ask(server.port(), get("/", header));
        EXPECT_EQ(status_of(answer), "401") << header;
        EXPECT_TRUE(has(answer, "www-authenticate: Bearer\r\n"));
    }
    for (const char* header : {"Authorization: Bearer first-key\r\n", "authorization: bearer second-key\r\n",
                               "X-Api-Key: second-key\r\n", "api-key: first-key\r\n"})
        EXPECT_EQ(status_of(ask(server.port(), get("/", header))), "200") << header;
    EXPECT_EQ(status_of(ask(server.port(), get("/health"))), "200");
    EXPECT_EQ(status_of(ask(server.port(), get("/health/"))), "401");
    EXPECT_EQ(status_of(ask(server.port(), get("/%68ealth"))), "200");
    // A name that points here is fine with a key: the page that rebinds has none.
    EXPECT_EQ(
        status_of(ask(server.port(), "GET / HTTP/1.1\r\nHost: my.host\r\nx-api-key: first-key\r\n\r\n")),
        "200");
}

TEST(HttpServer, IsNoTargetOfRebinding) {
    AccessRules rules;
    rules.allowed_hosts = {"my.host"};
    TestServer server(say_hello, with_rules(rules));
    const auto ask_as = [&](const std::string& host) {
        return status_of(ask(server.port(), "GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n"));
    };
    for (const char* host : {"localhost", "LOCALHOST:8080", "127.0.0.1", "127.0.0.1:8080", "[::1]",
                             "[::1]:8080", "192.168.1.2:80", "a.localhost", "my.host", "My.Host:8080"})
        EXPECT_EQ(ask_as(host), "200") << host;
    for (const char* host :
         {"evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example",
          "xlocalhost", "my.host.evil.example", "[evil]", "127.0.0.1@evil.example"})
        EXPECT_EQ(ask_as(host), "403") << host;
}

TEST(HttpServer, KeepsForeignPagesOut) {
    const std::string own = get("/", "Origin: http://localhost\r\n");
    const std::string foreign = get("/", "Origin: https://page.example\r\n");
    const std::string preflight =
        "OPTIONS /v1/x HTTP/1.1\r\nHost: localhost\r\nOrigin: https://page.example\r\n"
        "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: authorization, x-y\r\n\r\n";
    {
        TestServer server(say_hello);
        EXPECT_EQ(status_of(ask(server.port(), own)), "200");
        EXPECT_EQ(status_of(ask(server.port(), foreign)), "403");
        EXPECT_EQ(status_of(ask(server.port(), preflight)), "403");
        EXPECT_EQ(status_of(ask(server.port(), get("/", "Origin: null\r\n"))), "403");
        EXPECT_EQ(status_of(ask(server.port(), get("/", "Origin: http://localhost:1\r\n"))), "403");
        EXPECT_FALSE(has(ask(server.port(), own), "access-control"));
    }
    AccessRules rules;
    rules.api_keys = {"k"};
    rules.cors_origins = {"https://page.example"};
    TestServer server(say_hello, with_rules(rules));
    EXPECT_EQ(status_of(ask(server.port(), get("/", "Origin: https://other.example\r\nx-api-key: k\r\n"))),
              "403");
    std::string answer = ask(server.port(), get("/", "Origin: https://page.example\r\nx-api-key: k\r\n"));
    EXPECT_EQ(status_of(answer), "200");
    EXPECT_TRUE(has(answer, "access-control-allow-origin: https://page.example\r\n")) << answer;
    EXPECT_TRUE(has(answer, "vary: origin\r\n"));
    answer = ask(server.port(), foreign);
    EXPECT_EQ(status_of(answer), "401");
    EXPECT_TRUE(has(answer, "access-control-allow-origin: https://page.example\r\n")) << answer;
    answer = ask(server.port(), preflight);
    EXPECT_EQ(status_of(answer), "204");
    EXPECT_TRUE(has(answer, "access-control-allow-headers: authorization, x-y\r\n")) << answer;
    EXPECT_FALSE(has(answer, "content-length")) << answer;
}

TEST(HttpServer, LimitsTheRateOfEachClient) {
    AccessRules rules;
    rules.api_keys = {"a", "b"};
    rules.open_paths = {"/health"};
    rules.rate_limit = 3;
    TestServer server(say_hello, with_rules(rules));
    for (int i = 0; i < 3; i++) EXPECT_EQ(status_of(ask(server.port(), get("/", "x-api-key: a\r\n"))), "200");
    const std::string answer = ask(server.port(), get("/", "x-api-key: a\r\n"));
    EXPECT_EQ(status_of(answer), "429");
    EXPECT_TRUE(has(answer, "retry-after: 20\r\n")) << answer;
    EXPECT_EQ(status_of(ask(server.port(), get("/", "x-api-key: b\r\n"))), "200");
    EXPECT_EQ(status_of(ask(server.port(), get("/health"))), "200");
    EXPECT_EQ(status_of(ask(server.port(), get("/", "x-api-key: wrong\r\n"))), "401");
}

}  // namespace
}  // namespace agave::server
