#include "server/exchange.h"

#include <ctime>

#include "base/error.h"

namespace agave::server {

namespace {

/// RFC 9110, 5.6.7, whatever the locale.
std::string http_date() {
    static constexpr char days[] = "SunMonTueWedThuFriSat";
    static constexpr char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    const std::time_t now = std::time(nullptr);
    std::tm t{};
    ::gmtime_r(&now, &t);
    return strprintf("%.3s, %02d %.3s %d %02d:%02d:%02d GMT", days + 3 * t.tm_wday, t.tm_mday,
                     months + 3 * t.tm_mon, t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
}

}  // namespace

void Mailbox::post(std::shared_ptr<Exchange> exchange) {
    std::lock_guard lock(mutex_);
    if (exchange->posted_ || closed_) return;
    exchange->posted_ = true;
    ready_.push_back(std::move(exchange));
    if (loop_sleeps_) wakeup.notify();
    loop_sleeps_ = false;
}

std::vector<std::shared_ptr<Exchange>> Mailbox::take() {
    std::lock_guard lock(mutex_);
    for (const std::shared_ptr<Exchange>& exchange : ready_) exchange->posted_ = false;
    loop_sleeps_ = ready_.empty();
    return std::exchange(ready_, {});
}

void Mailbox::loop_awake() {
    std::lock_guard lock(mutex_);
    loop_sleeps_ = false;
}

void Mailbox::close() {
    // They hold the mailbox, so it must not hold them for ever.
    std::vector<std::shared_ptr<Exchange>> left;
    std::lock_guard lock(mutex_);
    closed_ = true;
    left.swap(ready_);
}

Exchange::Exchange(std::shared_ptr<Mailbox> mailbox, Setup setup)
    : mailbox_(std::move(mailbox)), setup_(std::move(setup)), keep_alive_(setup_.keep_alive) {}

void Exchange::append_head(int status, std::string_view content_type,
                           const std::vector<std::pair<std::string, std::string>>& headers,
                           const size_t* body_bytes) {
    begun_ = true;
    status_ = status;
    if (mailbox_->stopping || (!body_bytes && setup_.http_1_0)) keep_alive_ = false;
    out_ += strprintf("HTTP/1.1 %d %s\r\ndate: ", status, http_status_str(static_cast<http_status>(status)));
    out_ += http_date();
    const bool bodiless = status == 204 || status == 304;
    if (!bodiless && !content_type.empty()) out_.append("\r\ncontent-type: ").append(content_type);
    if (body_bytes && !bodiless) out_ += strprintf("\r\ncontent-length: %zu", *body_bytes);
    chunked_ = !body_bytes && !setup_.http_1_0;
    if (chunked_) out_ += "\r\ntransfer-encoding: chunked";
    if (!keep_alive_)
        out_ += "\r\nconnection: close";
    else if (setup_.http_1_0)
        out_ += "\r\nconnection: keep-alive";
    out_.append("\r\nx-request-id: ").append(setup_.id);
    out_ += "\r\nx-content-type-options: nosniff\r\n";
    for (const auto& [name, value] : headers) out_.append(name).append(": ").append(value).append("\r\n");
    out_.append(setup_.extra_headers).append("\r\n");
}

void Exchange::send(int status, std::string_view content_type, std::string_view body,
                    const std::vector<std::pair<std::string, std::string>>& headers) {
    {
        std::lock_guard lock(mutex_);
        if (begun_ || gone_) return;
        const size_t n_bytes = body.size();
        append_head(status, content_type, headers, &n_bytes);
        if (!setup_.head_only) out_ += body;
        ended_ = true;
        closed_ = nullptr;
    }
    post();
}

void Exchange::begin(int status, std::string_view content_type,
                     const std::vector<std::pair<std::string, std::string>>& headers) {
    {
        std::lock_guard lock(mutex_);
        if (begun_ || gone_) return;
        append_head(status, content_type, headers, nullptr);
    }
    post();
}

void Exchange::write(std::string_view data) {
    {
        std::lock_guard lock(mutex_);
        if (!begun_ || ended_ || gone_ || lost_ || setup_.head_only || data.empty()) return;
        if (out_.size() + in_flight_ + data.size() > setup_.max_unsent_bytes) {
            lost_ = true;
            out_.clear();
        } else if (chunked_) {
            out_ += strprintf("%zx\r\n", data.size());
            out_.append(data).append("\r\n");
        } else {
            out_ += data;
        }
    }
    post();
}

void Exchange::end() {
    {
        std::lock_guard lock(mutex_);
        if (!begun_ || ended_ || gone_ || lost_) return;
        if (chunked_ && !setup_.head_only) out_ += "0\r\n\r\n";
        ended_ = true;
        closed_ = nullptr;
    }
    post();
}

void Exchange::on_close(std::function<void()> closed) {
    {
        std::lock_guard lock(mutex_);
        if (ended_) return;
        if (!gone_) {
            closed_ = std::move(closed);
            return;
        }
    }
    closed();
}

size_t Exchange::n_unsent() const {
    std::lock_guard lock(mutex_);
    return out_.size() + in_flight_;
}

void Exchange::abandon() {
    {
        std::lock_guard lock(mutex_);
        if (ended_ || gone_) return;
        lost_ = true;
    }
    post();
}

Exchange::Progress Exchange::take(std::string& out) {
    std::lock_guard lock(mutex_);
    std::swap(out, out_);
    in_flight_ = out.size();
    return {begun_, ended_, lost_, status_};
}

void Exchange::set_in_flight(size_t n_bytes) {
    std::lock_guard lock(mutex_);
    in_flight_ = n_bytes;
}

bool Exchange::ended() const {
    std::lock_guard lock(mutex_);
    return ended_;
}

void Exchange::client_gone() {
    std::function<void()> closed;
    {
        std::lock_guard lock(mutex_);
        gone_ = true;
        out_ = {};
        std::swap(closed, closed_);
    }
    if (closed) closed();
}

}  // namespace agave::server
