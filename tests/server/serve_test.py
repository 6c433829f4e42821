"""Drives `agave serve` as a whole: start, refusals, pages, keys, logs and stopping.

    python3 tests/server/serve_test.py build/release/bin/agave
"""
import gzip
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

AGAVE = os.path.abspath(sys.argv.pop(1)) if len(sys.argv) > 1 else "agave"
MODEL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../data/models/chat.gguf")


class Server:
    """`agave serve` on a free port."""

    def __init__(self, *options, models=(MODEL,)):
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen([AGAVE, "serve", *models, "--port", "0", *options], stderr=self.log)
        end = time.monotonic() + 30
        while not (found := re.search(r"listening on http://\S+:(\d+)", self.errors())):
            if self.process.poll() is not None or time.monotonic() > end:
                raise AssertionError("the server did not start: " + self.errors())
            time.sleep(0.02)
        self.port = int(found[1])

    def errors(self):
        self.log.seek(0)
        return self.log.read()

    def ask(self, path, body=None, **headers):
        """Status, headers and body of one request."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}",
                                         json.dumps(body).encode() if body is not None else None,
                                         {name.replace("_", "-"): value for name, value in headers.items()})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read()

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        return self.process.wait(20)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.log.close()


def refusal(*words):
    result = subprocess.run([AGAVE, "serve", *words], capture_output=True, text=True, timeout=30)
    return result.returncode, result.stderr


class ServeTest(unittest.TestCase):
    def test_operations(self):
        with Server() as server:
            self.assertEqual(server.ask("/health")[0], 200)
            self.assertEqual(server.ask("/ready")[0], 200)
            self.assertEqual(server.ask("/health", {})[0], 405)
            self.assertEqual(server.ask("/nothing")[0], 404)
            status, headers, body = server.ask("/metrics")
            self.assertEqual(status, 200)
            self.assertIn("version=0.0.4", headers["content-type"])
            text = body.decode()
            self.assertIn('agave_requests_running{model="chat"} 0\n', text)
            self.assertIn('agave_http_requests_total{route="other",status="404"} 1\n', text)
            for line in text.splitlines():
                self.assertRegex(line, r'^(# (HELP|TYPE) \w+ .+|\w+(\{\w+="[^"]*"(,\w+="[^"]*")*\})? [0-9.e+-]+)$')
            self.assertEqual(server.stop(), 0)

    def test_page(self):
        with Server() as server:
            status, headers, body = server.ask("/", Accept_Encoding="gzip")
            self.assertEqual(status, 200)
            self.assertEqual(headers["content-encoding"], "gzip")
            self.assertIn("default-src 'none'", headers["content-security-policy"])
            page = gzip.decompress(body).decode()
            self.assertIn("<!doctype html>", page)
            self.assertNotRegex(page, r'(src|href)="https?:')
            self.assertLess(len(page), 40000)
            self.assertEqual(server.ask("/", Accept_Encoding="gzip", If_None_Match=headers["etag"])[0], 304)
            self.assertEqual(server.ask("/")[0], 406)

    def test_generation_shows_in_metrics_and_log(self):
        with Server() as server:
            status, headers, body = server.ask("/v1/chat/completions", {
                "messages": [{"role": "user", "content": "secret words"}], "max_tokens": 5, "ignore_eos": True})
            self.assertEqual(status, 200, body)
            # The answer can arrive before the scheduler's step, which counts it, has ended.
            end = time.monotonic() + 5
            while 'agave_generated_tokens_total{model="chat"} 5\n' not in (text := server.ask("/metrics")[2].decode()):
                self.assertLess(time.monotonic(), end, text)
            self.assertIn("agave_time_to_first_token_seconds_count 1\n", text)
            self.assertIn("agave_inter_token_seconds_count 4\n", text)
            self.assertIn('agave_generations_total{reason="length"} 1\n', text)
            self.assertEqual(server.stop(signal.SIGINT), 0)
            log = server.errors()
            self.assertIn(f"id={headers['x-request-id']} peer=127.0.0.1", log)
            self.assertNotIn("secret", log)

    def test_keys(self):
        with tempfile.NamedTemporaryFile("w", suffix=".keys") as file:
            file.write("# a comment\nfirst\r\n\nsecond\n")
            file.flush()
            with Server("--api-key", "third", "--api-key-file", file.name, "--log", "json", "--host", "0.0.0.0",
                        "--rate-limit", "4") as server:
                for path in ("/v1/models", "/metrics", "/nothing"):
                    status, _, body = server.ask(path)
                    self.assertEqual(status, 401)
                    self.assertIn("API key", json.loads(body)["error"]["message"])
                for path in ("/health", "/ready", "/"):
                    self.assertEqual(server.ask(path, Accept_Encoding="gzip")[0], 200)
                for key in ("first", "second", "third"):
                    self.assertEqual(server.ask("/v1/models", Authorization="Bearer " + key)[0], 200)
                self.assertEqual(server.ask("/v1/models", Authorization="Bearer # a comment")[0], 401)
                self.assertEqual([server.ask("/v1/models", X_Api_Key="first")[0] for _ in range(4)], [200] * 3 + [429])
                self.assertEqual(server.stop(), 0)
                lines = [json.loads(line) for line in server.errors().splitlines() if line.startswith("{")]
                self.assertEqual(len(lines), 14)
                self.assertEqual(lines[-1]["status"], 429)
        with Server("--api-key", "k", "--public-metrics") as server:
            self.assertEqual(server.ask("/metrics")[0], 200)

    def test_refusals(self):
        for words, said in [((MODEL, "--host", "0.0.0.0"), "needs --api-key"),
                            ((MODEL, "--host", "no.such.host.invalid"), "--host"),
                            ((MODEL, "--port", "65536"), "--port"),
                            ((MODEL, "--api-key", "a b"), "API key"),
                            ((MODEL, "--api-key", ""), "API key"),
                            ((MODEL, "--api-key-file", "/no/such/file"), "/no/such/file"),
                            ((MODEL, "--api-key-file", "/dev/null"), "no key"),
                            ((MODEL, "--alias", "a", "--alias", "b"), "--alias"),
                            ((MODEL, MODEL, "--port", "0"), "chat"),
                            (("/no/such.gguf", "--port", "0"), "/no/such.gguf"),
                            ((), "MODEL")]:
            with self.subTest(words=words):
                status, text = refusal(*words)
                self.assertEqual(status, 2, text)
                self.assertIn(said, text)
                self.assertEqual(len(text.strip().splitlines()[-1:]), 1)
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            status, text = refusal(MODEL, "--port", str(taken.getsockname()[1]))
            self.assertEqual(status, 2)
            self.assertIn("cannot listen", text)

    def test_streams_end_when_it_stops(self):
        with Server("--grace", "1", "--ctx-size", "65536") as server:
            body = json.dumps({"messages": [{"role": "user", "content": "go"}], "stream": True, "ignore_eos": True,
                               "max_tokens": 60000}).encode()
            client = socket.create_connection(("127.0.0.1", server.port), timeout=20)
            self.addCleanup(client.close)
            client.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
                           % len(body) + body)
            text = client.recv(65536)
            self.assertIn(b" 200 OK", text)
            server.process.send_signal(signal.SIGTERM)
            while data := client.recv(65536):
                text += data
            self.assertTrue(text.endswith(b"0\r\n\r\n"))
            self.assertIn(b"shutting down", text[-300:])
            self.assertEqual(server.process.wait(20), 0)

    def test_two_models(self):
        with Server("--alias", "one", "--alias", "two", models=(MODEL, MODEL)) as server:
            names = [model["id"] for model in json.loads(server.ask("/v1/models")[2])["data"]]
            self.assertEqual(names, ["one", "two"])
            text = server.ask("/metrics")[2].decode()
            self.assertIn('agave_requests_running{model="two"} 0\n', text)


if __name__ == "__main__":
    unittest.main()
