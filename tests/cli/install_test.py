"""Tests scripts/install.sh against a local HTTP server.

    python3 tests/cli/install_test.py build/release/bin/agave
"""
import functools
import hashlib
import http.server
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest

AGAVE = os.path.abspath(sys.argv.pop(1))
SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../scripts/install.sh")
FILES = ["bin/agave", "share/bash-completion/completions/agave", "share/fish/vendor_completions.d/agave.fish",
         "share/man/man1/agave.1", "share/zsh/site-functions/_agave"]


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@unittest.skipUnless(shutil.which("curl") or shutil.which("wget"), "the script needs curl or wget")
class InstallTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="agave-install-")
        self.prefix = os.path.join(self.folder, "a prefix")
        release = os.path.join(self.folder, "release")
        os.mkdir(release)
        self.name = os.path.join(release, "agave-" + platform.machine())
        shutil.copy(AGAVE, self.name)
        with open(AGAVE, "rb") as file:
            self.write_sum(hashlib.sha256(file.read()).hexdigest())
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=release))
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = "http://127.0.0.1:%d" % self.server.server_address[1]

    def tearDown(self):
        self.server.shutdown()
        self.server.server_close()
        shutil.rmtree(self.folder)

    def write_sum(self, digest):
        with open(self.name + ".sha256", "w") as file:
            file.write("%s  %s\n" % (digest, os.path.basename(self.name)))

    def install(self, *words, status=0):
        result = subprocess.run(["sh", SCRIPT, "--prefix", self.prefix, *words], text=True, capture_output=True,
                                env={**os.environ, "no_proxy": "*"}, timeout=60)
        self.assertEqual(result.returncode, status, result.stderr)
        return result

    def installed(self):
        return sorted(os.path.relpath(os.path.join(folder, name), self.prefix)
                      for folder, _, names in os.walk(self.prefix) for name in names)

    def test_installs_and_removes(self):
        self.assertIn("is not in PATH", self.install("--from", self.url).stdout)
        self.assertEqual(self.installed(), FILES)
        version = subprocess.run([os.path.join(self.prefix, "bin/agave"), "--version"], capture_output=True, text=True)
        self.assertTrue(version.stdout.startswith("agave "), version)
        for path in FILES[1:]:
            self.assertGreater(os.path.getsize(os.path.join(self.prefix, path)), 500)
        self.install("--from", self.url)  # over itself
        self.install("--uninstall")
        self.assertEqual(self.installed(), [])
        self.install("--uninstall", status=1)

    def test_a_wrong_hash_installs_nothing(self):
        self.write_sum("0" * 64)
        self.assertIn("nothing is installed", self.install("--from", self.url, status=1).stderr)
        self.assertEqual(self.installed(), [])

    def test_what_cannot_be_fetched(self):
        self.assertIn("cannot fetch", self.install("--from", self.url + "/nowhere", status=1).stderr)
        self.assertEqual(self.installed(), [])

    def test_a_bad_command_line(self):
        self.install(status=2)
        self.install("--nonsense", status=2)
        self.install("--prefix", "relative", "--from", self.url, status=2)


if __name__ == "__main__":
    unittest.main(argv=sys.argv)
