"""A server that behaves like huggingface.co and the CDN behind it, and misbehaves on demand.

Hub.start() serves repositories from memory on two ports: the hub itself (API, /resolve/ with redirects) and the CDN
(ranges). `faults` is consulted for every request of a body; what was served is counted in `bytes_served`.
"""
import hashlib
import http.server
import json
import re
import socket
import threading
import urllib.parse

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def git_id(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class RemoteFile:
    def __init__(self, data, large=True):
        self.data = data
        self.large = large
        self.sha256 = hashlib.sha256(data).hexdigest()
        self.git_id = git_id(data)
        self.listed_size = len(data)    # what the API says
        self.listed_sha256 = self.sha256

    def entry(self, path):
        entry = {"type": "file", "oid": self.git_id, "size": self.listed_size, "path": path}
        if self.large:
            entry["lfs"] = {"oid": self.listed_sha256, "size": self.listed_size, "pointerSize": 135}
        return entry


class Faults:
    """What goes wrong; each count is used up by one request."""

    def __init__(self):
        self.drop_after = []        # close the connection after so many bytes of a body
        self.statuses = []          # (status, headers) to answer a request of the hub with
        self.cdn_statuses = []      # the same for the CDN
        self.ignore_ranges = False  # the CDN sends whole files with status 200
        self.expire_after = None    # requests that one CDN address serves before it answers 403
        self.too_much = 0           # bytes sent beyond the range
        self.wrong_range = False    # Content-Range that begins elsewhere
        self.rate = None            # bytes per second of each connection
        self.token = None           # demanded of the hub
        self.page_size = None       # entries of the file list on one page


class Hub:
    def __init__(self):
        self.repositories = {}      # "org/repo": {path: RemoteFile}
        self.extra_entries = []     # put into every list of files as they are
        self.faults = Faults()
        self.lock = threading.Lock()
        self.requests = []          # (server, method, path, headers)
        self.bytes_served = 0
        self.cdn_uses = {}
        self.signature = 0

    def start(self):
        self.hub_server, self.url = self._serve("hub")
        self.cdn_server, self.cdn_url = self._serve("cdn")
        return self

    def stop(self):
        for server in (self.hub_server, self.cdn_server):
            server.shutdown()
            server.server_close()

    def _serve(self, role):
        hub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                with hub.lock:
                    hub.requests.append((role, "GET", self.path, dict(self.headers)))
                (hub._answer_hub if role == "hub" else hub._answer_cdn)(self)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass  # clients that vanish are the point of the tests

        server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return server, "http://127.0.0.1:%d" % server.server_address[1]

    def _take(self, queue):
        with self.lock:
            return queue.pop(0) if queue else None

    @staticmethod
    def send(request, status, headers, body=b""):
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    def _answer_hub(self, request):
        fault = self._take(self.faults.statuses)
        if fault:
            return self.send(request, fault[0], fault[1])
        if self.faults.token and request.headers.get("Authorization") != "Bearer " + self.faults.token:
            return self.send(request, 401, {"X-Error-Message": "Invalid username or password."})
        url = urllib.parse.urlsplit(request.path)
        path = urllib.parse.unquote(url.path)
        match = re.fullmatch(r"/api/models/([^/]+/[^/]+)/(revision|tree)/(.+)", path)
        if match and match[1] in self.repositories:
            return self._answer_api(request, match[1], match[2], match[3], urllib.parse.parse_qs(url.query))
        match = re.fullmatch(r"/([^/]+/[^/]+)/resolve/%s/(.+)" % COMMIT, path)
        file = self.repositories.get(match[1], {}).get(match[2]) if match else None
        if not file:
            return self.send(request, 404, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"})
        if not file.large:
            return self._send_file(request, file)
        self.signature += 1
        location = "%s/%s?path=%s&signature=%d" % (self.cdn_url, match[1], urllib.parse.quote(match[2]),
                                                   self.signature)
        self.send(request, 302, {"Location": location, "X-Repo-Commit": COMMIT, "X-Linked-Size": str(len(file.data)),
                                 "X-Linked-ETag": '"%s"' % file.sha256, "ETag": '"%s"' % file.sha256})

    def _answer_api(self, request, repository, kind, revision, query):
        if kind == "revision":
            if revision not in ("main", COMMIT):
                return self.send(request, 404, {"X-Error-Message": "Invalid rev id: " + revision})
            return self.send(request, 200, {}, json.dumps({"id": repository, "sha": COMMIT}).encode())
        entries = [file.entry(path) for path, file in self.repositories[repository].items()]
        entries = [{"type": "directory", "oid": "0" * 40, "size": 0, "path": "sub"}] + self.extra_entries + entries
        headers = {}
        size = self.faults.page_size
        if size:
            begin = int(query.get("cursor", ["0"])[0])
            if begin + size < len(entries):
                headers["Link"] = '<%s%s?recursive=true&cursor=%d>; rel="next"' % (
                    self.url, request.path.split("?")[0], begin + size)
            entries = entries[begin:begin + size]
        self.send(request, 200, headers, json.dumps(entries).encode())

    def _answer_cdn(self, request):
        fault = self._take(self.faults.cdn_statuses)
        if fault:
            return self.send(request, fault[0], fault[1])
        url = urllib.parse.urlsplit(request.path)
        with self.lock:
            uses = self.cdn_uses[request.path] = self.cdn_uses.get(request.path, 0) + 1
        if self.faults.expire_after is not None and uses > self.faults.expire_after:
            return self.send(request, 403, {})
        repository = urllib.parse.unquote(url.path)[1:]
        self._send_file(request, self.repositories[repository][urllib.parse.parse_qs(url.query)["path"][0]])

    def _send_file(self, request, file):
        data, begin, end = file.data, 0, len(file.data)
        match = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers.get("Range", ""))
        if match and not self.faults.ignore_ranges:
            begin, end = int(match[1]), min(int(match[2]) + 1, len(data))
            if begin >= len(data):
                return self.send(request, 416, {"Content-Range": "bytes */%d" % len(data)})
            request.send_response(206)
            shown = begin + 1 if self.faults.wrong_range else begin
            request.send_header("Content-Range", "bytes %d-%d/%d" % (shown, end - 1, len(data)))
        else:
            request.send_response(200)
        end += self.faults.too_much
        body = memoryview(data + b"x" * self.faults.too_much)[begin:end]
        request.send_header("Accept-Ranges", "bytes")
        # A server that sends too much does so without saying how much.
        if self.faults.too_much:
            request.send_header("Connection", "close")
            request.close_connection = True
        else:
            request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        self._send_body(request, body)

    def _send_body(self, request, body):
        drop = self._take(self.faults.drop_after)
        step = 65536
        for at in range(0, len(body), step):
            piece = body[at:at + step]
            if drop is not None and at + len(piece) > drop:
                piece = piece[:drop - at]
            request.wfile.write(piece)
            with self.lock:
                self.bytes_served += len(piece)
            if drop is not None and at + step > drop:
                request.wfile.flush()
                request.connection.shutdown(socket.SHUT_RDWR)
                request.close_connection = True
                return
            if self.faults.rate:
                threading.Event().wait(len(piece) / self.faults.rate)
