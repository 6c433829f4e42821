#pragma once

#include <span>
#include <vector>

namespace agave::server {

/// Waits until file descriptors can be read or written, level-triggered: epoll on Linux, poll(2) elsewhere.
/// For one thread.
class Poller {
  public:
    struct Event {
        int fd;
        bool readable;  ///< or at its end, or broken: reading tells which
        bool writable;
    };

    /// Throws Error(runtime) when the system refuses.
    Poller();
    ~Poller();
    Poller(const Poller&) = delete;
    Poller& operator=(const Poller&) = delete;

    /// False when the system has no room for another descriptor.
    bool add(int fd);
    /// What to wait for; nothing at first. A broken connection is told in any case.
    void want(int fd, bool read, bool write);
    void remove(int fd);
    /// At most timeout_ms (-1: any time); the events are valid until the next call.
    std::span<const Event> wait(int timeout_ms);

  private:
    std::vector<Event> events_;
#if defined(__linux__) && !defined(AGAVE_POLL)
    int epoll_;
#else
    struct Entry {
        int fd;
        short events;
    };
    std::vector<Entry> entries_;  ///< by fd; -1: none
#endif
};

/// Two ends of which write() makes the other readable: an eventfd, or a pipe. notify() may be called by any
/// thread and by a signal handler.
class Wakeup {
  public:
    /// Throws Error(runtime) when the system refuses.
    Wakeup();
    ~Wakeup();
    Wakeup(const Wakeup&) = delete;
    Wakeup& operator=(const Wakeup&) = delete;

    int fd() const { return read_end_; }
    void notify() const;
    void clear() const;

  private:
    int read_end_, write_end_;
};

/// Makes a descriptor non-blocking and closed in child processes.
void set_nonblocking(int fd);

}  // namespace agave::server
