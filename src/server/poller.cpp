#include "server/poller.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

#include "base/error.h"
#if defined(__linux__) && !defined(AGAVE_POLL)
#include <sys/epoll.h>
#include <sys/eventfd.h>
#else
#include <poll.h>
#endif

namespace agave::server {

void set_nonblocking(int fd) {
    ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
    ::fcntl(fd, F_SETFD, FD_CLOEXEC);
}

#if defined(__linux__) && !defined(AGAVE_POLL)

Poller::Poller() : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    if (epoll_ < 0) fail(ErrorKind::runtime, "epoll_create1: %s", std::strerror(errno));
}

Poller::~Poller() {
    ::close(epoll_);
}

bool Poller::add(int fd) {
    epoll_event event{};
    event.data.fd = fd;
    return ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0;
}

void Poller::want(int fd, bool read, bool write) {
    epoll_event event{};
    event.events = (read ? uint32_t{EPOLLIN} : 0) | (write ? uint32_t{EPOLLOUT} : 0);
    event.data.fd = fd;
    ::epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event);
}

void Poller::remove(int fd) {
    ::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
}

std::span<const Poller::Event> Poller::wait(int timeout_ms) {
    epoll_event found[256];
    const int n = ::epoll_wait(epoll_, found, 256, timeout_ms);
    events_.clear();
    for (int i = 0; i < n; i++) {
        const bool broken = found[i].events & (EPOLLERR | EPOLLHUP);
        events_.push_back({found[i].data.fd, (found[i].events & EPOLLIN) || broken,
                           (found[i].events & EPOLLOUT) || broken});
    }
    return events_;
}

Wakeup::Wakeup() : read_end_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)), write_end_(read_end_) {
    if (read_end_ < 0) fail(ErrorKind::runtime, "eventfd: %s", std::strerror(errno));
}

Wakeup::~Wakeup() {
    ::close(read_end_);
}

#else

Poller::Poller() = default;
Poller::~Poller() = default;

bool Poller::add(int fd) {
    entries_.push_back({fd, 0});
    return true;
}

void Poller::want(int fd, bool read, bool write) {
    for (Entry& entry : entries_) {
        if (entry.fd == fd) entry.events = static_cast<short>((read ? POLLIN : 0) | (write ? POLLOUT : 0));
    }
}

void Poller::remove(int fd) {
    std::erase_if(entries_, [&](const Entry& entry) { return entry.fd == fd; });
}

std::span<const Poller::Event> Poller::wait(int timeout_ms) {
    std::vector<pollfd> polled;
    polled.reserve(entries_.size());
    for (const Entry& entry : entries_) polled.push_back({entry.fd, entry.events, 0});
    events_.clear();
    if (::poll(polled.data(), static_cast<nfds_t>(polled.size()), timeout_ms) <= 0) return events_;
    for (const pollfd& entry : polled) {
        if (!entry.revents) continue;
        const bool broken = entry.revents & (POLLERR | POLLHUP | POLLNVAL);
        events_.push_back(
            {entry.fd, (entry.revents & POLLIN) || broken, (entry.revents & POLLOUT) || broken});
    }
    return events_;
}

Wakeup::Wakeup() {
    int ends[2];
    if (::pipe(ends) != 0) fail(ErrorKind::runtime, "pipe: %s", std::strerror(errno));
    read_end_ = ends[0];
    write_end_ = ends[1];
    set_nonblocking(read_end_);
    set_nonblocking(write_end_);
}

Wakeup::~Wakeup() {
    ::close(read_end_);
    ::close(write_end_);
}

#endif

void Wakeup::notify() const {
    const uint64_t one = 1;
    const int saved = errno;
    (void)!::write(write_end_, &one, sizeof one);
    errno = saved;
}

void Wakeup::clear() const {
    char bytes[256];
    while (::read(read_end_, bytes, sizeof bytes) == static_cast<ssize_t>(sizeof bytes)) {
    }
}

}  // namespace agave::server
