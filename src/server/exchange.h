#pragma once

#include <atomic>
#include <mutex>

#include "server/http_server.h"
#include "server/poller.h"

namespace agave::server {

class Exchange;

/// Where answers that have something new wait for the event loop.
class Mailbox {
  public:
    void post(std::shared_ptr<Exchange> exchange);
    /// What was posted; when that is nothing, the next post wakes the loop.
    std::vector<std::shared_ptr<Exchange>> take();
    /// The loop takes before it sleeps again, so that no post need wake it.
    void loop_awake();
    /// Nobody takes any more: lets go of what was posted, and of what will be.
    void close();

    Wakeup wakeup;
    std::atomic<bool> stopping{false};

  private:
    std::mutex mutex_;
    std::vector<std::shared_ptr<Exchange>> ready_;
    bool loop_sleeps_ = false, closed_ = false;
};

/// One request's answer on its way from the thread that makes it to the connection.
class Exchange : public std::enable_shared_from_this<Exchange> {
  public:
    struct Setup {
        int fd;
        std::string id;
        std::string extra_headers;  ///< whole lines
        bool head_only;
        bool http_1_0;
        bool keep_alive;
        size_t max_unsent_bytes;
    };
    Exchange(std::shared_ptr<Mailbox> mailbox, Setup setup);

    // For the maker of the answer: what HttpResponse says.
    void send(int status, std::string_view content_type, std::string_view body,
              const std::vector<std::pair<std::string, std::string>>& headers);
    void begin(int status, std::string_view content_type,
               const std::vector<std::pair<std::string, std::string>>& headers);
    void write(std::string_view data);
    void end();
    void on_close(std::function<void()> closed);
    size_t n_unsent() const;
    /// The maker let go of the answer.
    void abandon();

    // For the event loop.
    struct Progress {
        bool begun, ended, lost;  ///< lost: abandoned, or too far behind
        int status;
    };
    /// Moves the bytes that are to be sent into `out`, which is empty.
    Progress take(std::string& out);
    void set_in_flight(size_t n_bytes);
    bool ended() const;
    /// The client has gone: calls what on_close() gave, unless the answer has ended.
    void client_gone();

    int fd() const { return setup_.fd; }
    const std::string& id() const { return setup_.id; }
    bool keep_alive() const { return keep_alive_; }

  private:
    friend class Mailbox;

    void append_head(int status, std::string_view content_type,
                     const std::vector<std::pair<std::string, std::string>>& headers,
                     const size_t* body_bytes);
    void post() { mailbox_->post(shared_from_this()); }

    const std::shared_ptr<Mailbox> mailbox_;
    const Setup setup_;

    mutable std::mutex mutex_;
    std::string out_;
    size_t in_flight_ = 0;  ///< taken by the loop, not yet by the client
    int status_ = 0;
    bool begun_ = false, ended_ = false, gone_ = false, lost_ = false;
    bool chunked_ = false;
    std::atomic<bool> keep_alive_;
    std::function<void()> closed_;

    bool posted_ = false;  ///< of the mailbox
};

/// The answer as its maker holds it.
class ExchangeResponse final : public HttpResponse {
  public:
    explicit ExchangeResponse(std::shared_ptr<Exchange> exchange) : exchange_(std::move(exchange)) {}
    ~ExchangeResponse() override { exchange_->abandon(); }

    void send(int status, std::string_view content_type, std::string body,
              std::vector<std::pair<std::string, std::string>> headers) override {
        exchange_->send(status, content_type, body, headers);
    }
    void begin(int status, std::string_view content_type,
               std::vector<std::pair<std::string, std::string>> headers) override {
        exchange_->begin(status, content_type, headers);
    }
    void write(std::string data) override { exchange_->write(data); }
    void end() override { exchange_->end(); }
    void on_close(std::function<void()> closed) override { exchange_->on_close(std::move(closed)); }
    size_t n_unsent() const override { return exchange_->n_unsent(); }

  private:
    std::shared_ptr<Exchange> exchange_;
};

}  // namespace agave::server
