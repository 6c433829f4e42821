#include "server/request_reader.h"

#include <gtest/gtest.h>

namespace agave::server {
namespace {

using State = RequestReader::State;

/// Feeds all of `text` in pieces of `step` bytes; returns what was not taken.
size_t feed_all(RequestReader& reader, std::string_view text, size_t step = 1 << 20) {
    while (!text.empty() && reader.state() != State::complete && reader.state() != State::failed) {
        const size_t taken = reader.feed(text.substr(0, step));
        text.remove_prefix(taken);
    }
    return text.size();
}

int status_of(std::string_view text, size_t step = 1 << 20) {
    RequestLimits limits;
    RequestReader reader(limits);
    feed_all(reader, text, step);
    return reader.state() == State::failed ? reader.status() : 0;
}

State state_of(std::string_view text) {
    RequestLimits limits;
    RequestReader reader(limits);
    feed_all(reader, text);
    return reader.state();
}

TEST(RequestReader, ReadsARequestHoweverItIsCut) {
    const std::string text =
        "POST /v1/a%20b?x=%20y HTTP/1.1\r\nHost: here\r\nX-Thing:  some value \r\n"
        "Transfer-Encoding: chunked\r\n\r\n5;note=1\r\nhello\r\n6\r\n world\r\n0\r\nX-Trailer: t\r\n\r\n";
    for (size_t step = 1; step <= text.size(); step++) {
        RequestLimits limits;
        RequestReader reader(limits);
        EXPECT_EQ(feed_all(reader, text + "GET", step), 3U) << step;
        ASSERT_EQ(reader.state(), State::complete) << step << reader.sentence();
        EXPECT_EQ(reader.method(), "POST");
        EXPECT_EQ(reader.path(), "/v1/a b");
        EXPECT_EQ(reader.query(), "x=%20y");
        EXPECT_EQ(reader.header("host"), "here");
        EXPECT_EQ(reader.header("x-thing"), "some value");
        EXPECT_EQ(reader.header("x-trailer"), "");
        EXPECT_EQ(reader.headers().size(), 3U);
        EXPECT_EQ(reader.body(), "hello world");
        EXPECT_TRUE(reader.keep_alive());
    }
}

TEST(RequestReader, TellsTheHeadBeforeTheBody) {
    RequestLimits limits;
    RequestReader reader(limits);
    std::string_view text =
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc";
    text.remove_prefix(reader.feed(text));
    ASSERT_EQ(reader.state(), State::head_complete);
    EXPECT_TRUE(reader.expects_continue());
    EXPECT_EQ(reader.body(), "");
    feed_all(reader, text);
    EXPECT_EQ(reader.state(), State::complete);
    EXPECT_EQ(reader.body(), "abc");
}

TEST(RequestReader, RefusesWhatAProxyCouldReadAnotherWay) {
    const std::string start = "POST / HTTP/1.1\r\nHost: a\r\n";
    const std::string bad[] = {
        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        "Content-Length: 3, 3\r\n\r\nabc",
        "Content-Length: -1\r\n\r\n",
        "Content-Length: +3\r\n\r\nabc",
        "Content-Length: 0x3\r\n\r\nabc",
        "Content-Length: 3 3\r\n\r\nabc",
        "Content-Length:\r\n\r\n",
        "Content-Length: 18446744073709551616\r\n\r\n",
        "Content-Length: 99999999999999999999999999\r\n\r\n",
        "Content-Length : 3\r\n\r\nabc",
        "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
        "Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\nhello\r\n",
        "Host: b\r\n\r\n",
    };
    for (const std::string& head : bad) EXPECT_EQ(status_of(start + head), 400) << head;
    for (const char* coding :
         {"identity", "gzip, chunked", "chunked, gzip", "xchunked", "chunked\x0b", "\"chunked\""})
        EXPECT_GE(status_of(start + "Transfer-Encoding: " + coding + "\r\n\r\n0\r\n\r\n"), 400) << coding;
    EXPECT_EQ(status_of("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400);
}

TEST(RequestReader, RefusesGarbage) {
    using namespace std::string_literals;
    const std::string bad[] = {
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01"s,
        "\0\0\0\0\0\0"s,
        "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n"s,
        "GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n"s,
        "GET / HTTP/1.1\r\nHost: a\r\nX\0Y: b\r\n\r\n"s,
        "GET / HTTP/1.1\r\nHost: a\r\nX: b\x01\r\n\r\n"s,
        "GET / HTTP/1.1\r\nHost: a\r\nX: b\x7f\r\n\r\n"s,
        "GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\rY: b\r\n\r\n",
        "GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /%0a HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /%4 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET a HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTCPCP/1.1\r\nHost: a\r\n\r\n",
        "get / HTTP/1.1\r\nHost: a\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
        "WHATEVER / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1.1\r\nHost: a\r\n\r\n",
    };
    for (const std::string& text : bad) {
        EXPECT_GE(status_of(text), 400) << text;
        EXPECT_GE(status_of(text, 1), 400) << text;
    }
    EXPECT_EQ(status_of("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), 505);
    EXPECT_EQ(status_of("CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n"), 405);
    EXPECT_EQ(status_of("GET / HTTP/1.1\r\nHost: a\r\nExpect: cake\r\n\r\n"), 417);
}

TEST(RequestReader, KeepsToItsLimits) {
    const std::string start = "GET / HTTP/1.1\r\nHost: a\r\n";
    EXPECT_EQ(status_of("GET /" + std::string(9000, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n"), 414);
    EXPECT_EQ(status_of(start + "X: " + std::string(40000, 'a') + "\r\n\r\n"), 431);
    EXPECT_EQ(status_of(start + std::string(40000, 'a')), 431);
    std::string many = start;
    for (int i = 0; i < 100; i++) many += "X: b\r\n";
    EXPECT_EQ(status_of(many + "\r\n"), 431);
    EXPECT_EQ(status_of(start + "Content-Length: 67108865\r\n\r\n"), 413);
    EXPECT_EQ(status_of(start + "Content-Length: 9223372036854775807\r\n\r\n"), 413);
    EXPECT_EQ(status_of("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: " +
                        std::string(100000, 'a') + "\r\n\r\n"),
              431);

    RequestLimits limits;
    limits.body_bytes = 10;
    RequestReader reader(limits);
    feed_all(reader,
             "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n12345678\r\n3\r\n123\r\n");
    EXPECT_EQ(reader.status(), 413);
}

TEST(RequestReader, AcceptsWhatIsUnusualButRight) {
    for (const char* text :
         {"GET / HTTP/1.0\r\n\r\n", "\r\n\r\nGET / HTTP/1.1\r\nHost:\r\n\r\n",
          "GET http://a/b HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
          "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
          "GET / HTTP/1.1\r\nHost: a\r\nX: \xc3\xa9\r\n\r\n",
          "POST / HTTP/1.1\r\nhOST: a\r\ntransfer-encoding: Chunked\r\n\r\n0\r\n\r\n"})
        EXPECT_EQ(state_of(text), State::complete) << text;
    RequestLimits limits;
    RequestReader reader(limits);
    feed_all(reader, "GET http://a/b?c HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    EXPECT_EQ(reader.path(), "/b");
    EXPECT_EQ(reader.query(), "c");
    EXPECT_FALSE(reader.keep_alive());
}

}  // namespace
}  // namespace agave::server
