#include "server/http_server.h"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>

#include "base/error.h"
#include "base/system.h"
#include "test_client.h"

namespace agave::server {
namespace {

using Response = std::shared_ptr<HttpResponse>;

/// Answers that a test holds back.
struct Held {
    std::mutex mutex;
    std::vector<Response> responses;
    std::atomic<int> n_closed{0};

    size_t size() {
        std::lock_guard lock(mutex);
        return responses.size();
    }
    Response take() {
        EXPECT_TRUE(eventually([&] { return size() > 0; }));
        std::lock_guard lock(mutex);
        Response response = responses.front();
        responses.erase(responses.begin());
        return response;
    }
    HttpHandler handler() {
        return [this](const HttpRequest& request, const Response& response) {
            if (request.path == "/hello") return response->send(200, "text/plain", "hello");
            if (request.path == "/echo") return response->send(200, "text/plain", std::string(request.body));
            if (request.path == "/head") {
                std::string text(request.method);
                for (const auto& [name, value] : request.headers)
                    text.append("\n").append(name).append("=").append(value);
                return response->send(200, "text/plain", text);
            }
            if (request.path == "/usage") fail(ErrorKind::usage, "no \"such\" thing");
            if (request.path == "/runtime") fail(ErrorKind::runtime, "broken");
            if (request.path == "/drop") return;
            if (request.path == "/big") return response->send(200, "text/plain", std::string(20 << 20, 'x'));
            response->on_close([this] { n_closed++; });
            std::lock_guard lock(mutex);
            responses.push_back(response);
        };
    }
};

std::string body_of(const std::string& answer) {
    const size_t end = answer.find("\r\n\r\n");
    return end == answer.npos ? "(no head)" : answer.substr(end + 4);
}

bool has(const std::string& text, std::string_view part) {
    return text.find(part) != text.npos;
}

TEST(HttpServer, AnswersAndKeepsTheConnection) {
    Held held;
    TestServer server(held.handler());
    TestClient client(server.port());
    for (int i = 0; i < 3; i++) {
        client.send(get("/hello"));
        const std::string answer = client.read_answer();
        EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n")) << answer;
        EXPECT_TRUE(has(answer, "\r\ncontent-length: 5\r\n")) << answer;
        EXPECT_TRUE(has(answer, "\r\nx-request-id: req_")) << answer;
        EXPECT_TRUE(has(answer, " GMT\r\n")) << answer;
        EXPECT_EQ(body_of(answer), "hello");
    }
    client.send(post("/echo", "some body", "X-Request-Id: mine-1\r\n"));
    const std::string answer = client.read_answer();
    EXPECT_EQ(body_of(answer), "some body");
    EXPECT_TRUE(has(answer, "x-request-id: mine-1\r\n"));
    client.send(get("/hello", "Connection: close\r\n"));
    EXPECT_TRUE(has(client.read_answer(), "connection: close\r\n"));
    EXPECT_TRUE(client.at_end());
}

TEST(HttpServer, AnswersPipelinedRequestsInOrder) {
    Held held;
    TestServer server(held.handler());
    TestClient client(server.port());
    std::string requests;
    for (int i = 0; i < 50; i++) requests += post("/echo", std::to_string(i));
    client.send(requests + get("/later") + "\r\n" + get("/hello") + get("/hello", "Connection: close\r\n"));
    for (int i = 0; i < 50; i++) EXPECT_EQ(body_of(client.read_answer()), std::to_string(i));
    held.take()->send(200, "text/plain", "now");
    EXPECT_EQ(body_of(client.read_answer()), "now");
    EXPECT_EQ(body_of(client.read_answer()), "hello");
    EXPECT_EQ(body_of(client.read_answer()), "hello");
    EXPECT_TRUE(client.at_end());
}

TEST(HttpServer, StreamsInChunks) {
    Held held;
    TestServer server(held.handler());
    TestClient client(server.port());
    client.send(get("/later"));
    Response response = held.take();
    response->begin(200, "text/event-stream", {{"cache-control", "no-store"}});
    const std::string head = client.read_until("\r\n\r\n");
    EXPECT_TRUE(has(head, "transfer-encoding: chunked\r\n")) << head;
    EXPECT_TRUE(has(head, "cache-control: no-store\r\n")) << head;
    response->write("one");
    EXPECT_EQ(client.read_until("one\r\n"), "3\r\none\r\n");
    response->write("");
    response->write(std::string(300, 'y'));
    EXPECT_TRUE(client.read_until("y\r\n").starts_with("12c\r\n"));
    response->end();
    EXPECT_EQ(client.read_until("0\r\n\r\n"), "0\r\n\r\n");
    client.send(get("/hello"));
    EXPECT_EQ(body_of(client.read_answer()), "hello");
    EXPECT_EQ(held.n_closed, 0);
}

TEST(HttpServer, SpeaksHttp10) {
    Held held;
    TestServer server(held.handler());
    TestClient client(server.port());
    client.send("GET /later HTTP/1.0\r\n\r\n");
    Response response = held.take();
    response->begin(200, "text/plain");
    response->write("raw");
    response->end();
    const std::string answer = client.read_all();
    EXPECT_TRUE(has(answer, "connection: close\r\n")) << answer;
    EXPECT_FALSE(has(answer, "chunked")) << answer;
    EXPECT_EQ(body_of(answer), "raw");

    TestClient second(server.port());
    second.send("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    EXPECT_TRUE(has(second.read_answer(), "connection: keep-alive\r\n"));
    second.send("GET /hello HTTP/1.0\r\n\r\n");
    EXPECT_EQ(body_of(second.read_answer()), "hello");
    EXPECT_TRUE(second.at_end());
}

TEST(HttpServer, LeavesTheBodyOutForHead) {
    Held held;
    TestServer server(held.handler());
    TestClient client(server.port());
    client.send("HEAD /hello HTTP/1.1\r\nHost: localhost\r\n\r\n" + get("/head"));
    EXPECT_TRUE(has(client.read_until("\r\n\r\n"), "content-length: 5\r\n"));
    EXPECT_TRUE(body_of(client.read_answer()).starts_with("GET\nhost=localhost"));
    client.send("HEAD /later HTTP/1.1\r\nHost: localhost\r\n\r\n");
    Response response = held.take();
    response->begin(200, "text/plain");
    response->write("unseen");
    response->end();
    client.read_until("\r\n\r\n");
    client.send(get("/hello"));
    EXPECT_TRUE(client.read_answer().starts_with("HTTP/1.1 200"));
}

TEST(HttpServer, AnswersExpectContinue) {
    Held held;
    TestServer server(held.handler());
    TestClient client(server.port());
    client.send(
        "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    EXPECT_EQ(client.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("ok");
    EXPECT_EQ(body_of(client.read_answer()), "ok");
    client.send(
        "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\nExpect: "
        "100-continue\r\n\r\n");
    EXPECT_TRUE(client.read_answer().starts_with("HTTP/1.1 413 "));
}

TEST(HttpServer, TurnsErrorsIntoAnswers) {
    Held held;
    TestServer server(held.handler());
    TestClient client(server.port());
    client.send(get("/usage"));
    std::string answer = client.read_answer();
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 400 Bad Request\r\n")) << answer;
    EXPECT_EQ(body_of(answer), "no \"such\" thing");
    client.send(get("/runtime"));
    EXPECT_TRUE(client.read_answer().starts_with("HTTP/1.1 500 "));
    client.send(get("/hello"));
    EXPECT_EQ(body_of(client.read_answer()), "hello");
    client.send(get("/drop"));
    EXPECT_EQ(client.read_all(), "");
}

TEST(HttpServer, RefusesBadRequestsAndCloses) {
    Held held;
    TestServer server(held.handler());
    using namespace std::string_literals;
    const std::pair<std::string, const char*> cases[] = {
        {"nonsense\r\n\r\n", "400"},
        {"\0\0\0\0"s, "400"},
        {"GET / HTTP/1.1\r\n\r\n", "400"},
        {"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nTransfer-Encoding: "
         "chunked\r\n\r\n0\r\n\r\n" +
             get("/hello"),
         "400"},
        {get("/hello", "X: " + std::string(100 << 10, 'h') + "\r\n"), "431"},
        {get("/" + std::string(20 << 10, 'h')), "414"},
        {"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 68719476736\r\n\r\n" +
             std::string(1 << 20, 'b'),
         "413"},
    };
    for (const auto& [request, status] : cases) {
        TestClient client(server.port());
        client.send(request);
        const std::string answer = client.read_all();
        EXPECT_TRUE(answer.starts_with("HTTP/1.1 "s + status)) << answer;
        EXPECT_EQ(answer.find("\nHTTP/1.1 "), answer.npos) << answer;
    }
    EXPECT_EQ(body_of(ask(server.port(), get("/hello"))), "hello");
    EXPECT_TRUE(eventually([&] { return server.server().n_connections() == 0; }));
}

TEST(HttpServer, SeesClientsVanish) {
    Held held;
    TestServer server(held.handler());
    std::vector<Response> kept;
    for (int way = 0; way < 4; way++) {
        TestClient client(server.port());
        client.send(get("/later"));
        kept.push_back(held.take());
        if (way >= 2) {
            kept.back()->begin(200, "text/plain");
            client.read_until("\r\n\r\n");
        }
        if (way % 2)
            client.reset();
        else
            client.close();
        EXPECT_TRUE(eventually([&] { return held.n_closed == way + 1; })) << way;
        kept.back()->write("dropped");
        kept.back()->end();
    }
    bool at_once = false;
    TestClient client(server.port());
    client.send(get("/later"));
    Response response = held.take();
    client.end_input();
    EXPECT_TRUE(eventually([&] { return held.n_closed == 5; }));
    response->on_close([&] { at_once = true; });
    EXPECT_TRUE(at_once);
    EXPECT_TRUE(eventually([&] { return server.server().n_connections() == 0; }));
}

TEST(HttpServer, BringsWholeAnswersToAClientThatSaidAll) {
    Held held;
    TestServer server(held.handler());
    TestClient client(server.port(), 4096);
    client.send(get("/hello") + get("/big"));
    client.end_input();
    EXPECT_EQ(client.read_all().size() >> 20, 20U);
}

TEST(HttpServer, HoldsSlowReadersBack) {
    Held held;
    HttpServerOptions options;
    options.max_unsent_bytes = 100 << 10;
    TestServer server(held.handler(), options);
    TestClient client(server.port(), 4096);
    client.send(get("/later"));
    Response response = held.take();
    response->begin(200, "text/plain");
    size_t most = 0;
    for (int i = 0; i < 100000 && held.n_closed == 0; i++) {
        response->write(std::string(1000, 'z'));
        most = std::max(most, response->n_unsent());
    }
    EXPECT_TRUE(eventually([&] { return held.n_closed == 1; }));
    EXPECT_GT(most, 90U << 10);
    EXPECT_LE(most, 101U << 10);
    EXPECT_TRUE(eventually([&] { return server.server().n_connections() == 0; }));
}

TEST(HttpServer, StopsReadingAheadOfAnAnswer) {
    Held held;
    TestServer server(held.handler());
    TestClient client(server.port());
    client.send(get("/later"));
    Response response = held.take();
    std::thread sender([&] {
        for (int i = 0; i < 2000; i++) client.send(post("/echo", std::string(10000, 'e')));
        client.send(get("/hello", "Connection: close\r\n"));
    });
    response->send(200, "text/plain", "first");
    EXPECT_EQ(body_of(client.read_answer()), "first");
    for (int i = 0; i < 2000; i++) ASSERT_EQ(body_of(client.read_answer()).size(), 10000U);
    EXPECT_EQ(body_of(client.read_answer()), "hello");
    sender.join();
}

TEST(HttpServer, KeepsItsTimes) {
    Held held;
    HttpServerOptions options;
    options.idle_seconds = 1.5;
    options.head_seconds = options.body_seconds = options.write_seconds = 0.3;
    TestServer server(held.handler(), options);
    TestClient idle(server.port()), head(server.port()), body(server.port()), reader(server.port(), 4096);
    const double begin = monotonic_seconds();
    head.send("GET / HT");
    body.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nab");
    reader.send(get("/big"));
    EXPECT_TRUE(head.read_all().starts_with("HTTP/1.1 408 "));
    EXPECT_TRUE(body.read_all().starts_with("HTTP/1.1 408 "));
    EXPECT_TRUE(eventually([&] { return server.server().n_connections() <= 1; }));
    EXPECT_TRUE(idle.at_end());
    EXPECT_GT(monotonic_seconds() - begin, 1.0);
}

TEST(HttpServer, TurnsAwayWhatIsTooMuch) {
    Held held;
    HttpServerOptions options;
    options.max_connections = 2;
    TestServer server(held.handler(), options);
    TestClient first(server.port()), second(server.port());
    EXPECT_TRUE(eventually([&] { return server.server().n_connections() == 2; }));
    {
        TestClient third(server.port());
        const std::string answer = third.read_all();
        EXPECT_TRUE(answer.starts_with("HTTP/1.1 503 ")) << answer;
        EXPECT_TRUE(has(answer, "retry-after: "));
    }
    second.close();
    EXPECT_TRUE(eventually([&] { return server.server().n_connections() == 1; }));
    EXPECT_EQ(body_of(ask(server.port(), get("/hello"))), "hello");
}

TEST(HttpServer, FinishesWhatRunsBeforeItStops) {
    Held held;
    TestServer server(held.handler());
    TestClient streaming(server.port()), waiting(server.port()), idle(server.port()), half(server.port());
    half.send("GET /hello HT");
    streaming.send(get("/later"));
    Response stream = held.take();
    stream->begin(200, "text/plain");
    waiting.send(get("/later"));
    Response wait = held.take();
    EXPECT_TRUE(eventually([&] { return server.server().n_connections() == 4; }));
    server.server().stop();
    EXPECT_TRUE(idle.at_end());
    half.send("TP/1.1\r\nHost: localhost\r\n\r\n");
    EXPECT_TRUE(half.read_answer().starts_with("HTTP/1.1 503 "));
    EXPECT_THROW(TestClient(server.port()), Error);
    stream->write("all");
    stream->end();
    EXPECT_TRUE(has(streaming.read_all(), "3\r\nall\r\n0\r\n\r\n"));
    wait->send(200, "text/plain", "done");
    const std::string answer = waiting.read_all();
    EXPECT_TRUE(has(answer, "connection: close\r\n"));
    EXPECT_EQ(body_of(answer), "done");
    server.stop();
    EXPECT_EQ(held.n_closed, 0);
}

TEST(HttpServer, EndsStreamsWhenTheGraceIsOver) {
    Held held;
    HttpServerOptions options;
    options.drain_seconds = 0.3;
    Response ending;
    options.grace_over = [&] {
        ending->write("sorry");
        ending->end();
    };
    TestServer server(held.handler(), options);
    TestClient stubborn(server.port()), polite(server.port());
    stubborn.send(get("/later"));
    Response endless = held.take();
    endless->begin(200, "text/plain");
    polite.send(get("/later"));
    ending = held.take();
    ending->begin(200, "text/plain");
    const double begin = monotonic_seconds();
    server.stop();
    EXPECT_LT(monotonic_seconds() - begin, 4);
    EXPECT_TRUE(has(polite.read_all(), "5\r\nsorry\r\n0\r\n\r\n"));
    EXPECT_EQ(held.n_closed, 1);
    endless->write("dropped");
    ending = nullptr;
}

TEST(HttpServer, TellsOutcomes) {
    Held held;
    std::mutex mutex;
    std::vector<std::string> lines;
    HttpServerOptions options;
    options.finished = [&](const HttpOutcome& outcome) {
        std::lock_guard lock(mutex);
        lines.push_back(strprintf("%s %s %s %d %d", std::string(outcome.method).c_str(),
                                  std::string(outcome.path).c_str(), outcome.peer.c_str(), outcome.status,
                                  outcome.complete));
        EXPECT_GE(outcome.seconds, 0);
        EXPECT_LT(outcome.seconds, 5);
    };
    TestServer server(held.handler(), options);
    ask(server.port(), get("/hello"));
    ask(server.port(), "bad\r\n\r\n");
    {
        TestClient client(server.port());
        client.send(get("/later"));
        held.take();
    }
    EXPECT_TRUE(eventually([&] {
        std::lock_guard lock(mutex);
        return lines.size() == 3;
    }));
    EXPECT_EQ(lines[0], "GET /hello 127.0.0.1 200 1");
    EXPECT_EQ(lines[1], "  127.0.0.1 400 1");
    EXPECT_EQ(lines[2], "GET /later 127.0.0.1 499 0");
}

TEST(HttpServer, ServesManyAtOnce) {
    Held held;
    TestServer server(held.handler());
    std::vector<TestClient> clients;
    for (int i = 0; i < 300; i++) {
        clients.emplace_back(server.port());
        clients.back().send(get("/later"));
    }
    EXPECT_TRUE(eventually([&] { return held.size() == 300; }));
    std::vector<std::thread> writers;
    for (int t = 0; t < 4; t++) {
        writers.emplace_back([&, t] {
            for (size_t i = static_cast<size_t>(t); i < 300; i += 4)
                held.responses[i]->begin(200, "text/plain");
            for (int n = 0; n < 20; n++) {
                for (size_t i = static_cast<size_t>(t); i < 300; i += 4) held.responses[i]->write("token ");
            }
            for (size_t i = static_cast<size_t>(t); i < 300; i += 4) held.responses[i]->end();
        });
    }
    for (std::thread& writer : writers) writer.join();
    for (TestClient& client : clients) {
        std::string answer = client.read_answer();
        size_t n = 0;
        for (size_t at = 0; (at = answer.find("6\r\ntoken \r\n", at)) != answer.npos; at++) n++;
        EXPECT_EQ(n, 20U);
    }
}

}  // namespace
}  // namespace agave::server
