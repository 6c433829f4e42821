#!/usr/bin/env python3
"""Opens many idle and many streaming connections to a running `agave serve` on this machine (Linux) and prints
by how much its resident memory grows, and how many threads it has.

    load.py PORT PID [--idle 2000] [--streams 200] [--tokens 16] [--most-megabytes 20]

The same streams run once before the measurement without the idle connections, so that what the model itself
touches (weights, K/V pages) is resident already. Exits 1 when the growth exceeds --most-megabytes, or a stream
does not end as it should.
"""

import argparse
import json
import re
import resource
import selectors
import socket
import sys
import time


def status_of(pid: int, field: str) -> int:
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(rf"^{field}:\s+(\d+)", file.read(), re.MULTILINE)[1])


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=30)


def run_streams(port: int, n: int, tokens: int, look) -> None:
    """Lets n clients stream at once; calls look() as they go."""
    body = json.dumps({"messages": [{"role": "user", "content": "Tell me a story."}], "stream": True,
                       "max_tokens": tokens, "ignore_eos": True}).encode()
    head = (f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode()
    selector = selectors.DefaultSelector()
    received = {}
    for _ in range(n):
        client = connect(port)
        client.sendall(head + body)
        client.setblocking(False)
        selector.register(client, selectors.EVENT_READ)
        received[client] = b""
    end = time.monotonic() + 500
    open_streams = n
    while open_streams and time.monotonic() < end:
        for key, _ in selector.select(1):
            data = key.fileobj.recv(65536)
            received[key.fileobj] += data
            if not data or received[key.fileobj].endswith(b"0\r\n\r\n"):
                selector.unregister(key.fileobj)
                key.fileobj.close()
                open_streams -= 1
        look()
    bad = [text for text in received.values() if b" 200 OK" not in text or b"data: [DONE]" not in text]
    if bad:
        sys.exit(f"load.py: {len(bad)} of {n} streams did not end well, e.g. {bad[0][-300:]!r}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("port", type=int)
    parser.add_argument("pid", type=int)
    parser.add_argument("--idle", type=int, default=2000)
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--tokens", type=int, default=16)
    parser.add_argument("--most-megabytes", type=float, default=20)
    arguments = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    run_streams(arguments.port, arguments.streams, arguments.tokens, lambda: None)
    before = most = status_of(arguments.pid, "VmRSS")
    idle = [connect(arguments.port) for _ in range(arguments.idle)]
    # Half of them have asked once, as browsers and load balancers leave them.
    for client in idle[::2]:
        client.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
    for client in idle[::2]:
        assert b"200 OK" in client.recv(4096)
    with_idle = status_of(arguments.pid, "VmRSS")

    def look() -> None:
        nonlocal most
        most = max(most, status_of(arguments.pid, "VmRSS"))

    run_streams(arguments.port, arguments.streams, arguments.tokens, look)
    for client in idle:
        client.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"200 OK" in client.recv(4096)
    growth = (most - before) / 1000
    print(f"resident before {before / 1000:.1f} MB; with {arguments.idle} idle connections "
          f"+{(with_idle - before) / 1000:.1f} MB; at most, with {arguments.streams} streams too, +{growth:.1f} MB; "
          f"{status_of(arguments.pid, 'Threads')} threads")
    if growth > arguments.most_megabytes:
        sys.exit(f"load.py: that is more than {arguments.most_megabytes} MB")


if __name__ == "__main__":
    main()
