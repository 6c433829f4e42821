"""Tests of `agave pull`, `list`, `show` and `rm` against a server that behaves like the hub.

    python3 tests/hub/pull_test.py build/release/bin/agave
"""
import hashlib
import json
import os
import pty
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hub_server import COMMIT, Hub, RemoteFile  # noqa: E402

AGAVE = os.path.abspath(sys.argv.pop(1)) if len(sys.argv) > 1 else "agave"
MB = 1 << 20


def noise(n_bytes, seed=1):
    return random.Random(seed).randbytes(n_bytes)


class PullTest(unittest.TestCase):
    in_flight = 4 * MB  # what the system holds of all transfers of one run that is killed some times

    def setUp(self):
        self.hub = Hub().start()
        self.home = tempfile.mkdtemp(prefix="agave-pull-")
        self.environment = {"HF_HOME": self.home, "HF_ENDPOINT": self.hub.url, "PATH": os.environ["PATH"],
                            "LC_ALL": "C.UTF-8", "no_proxy": "*"}
        self.root = os.path.join(self.home, "hub", "models--org--repo")

    def tearDown(self):
        self.hub.stop()
        shutil.rmtree(self.home, ignore_errors=True)

    def offer(self, files):
        self.hub.repositories["org/repo"] = files

    def agave(self, *words, check=None, **environment):
        result = subprocess.run([AGAVE, *words], env={**self.environment, **environment}, text=True,
                                capture_output=True, timeout=100)
        if check is not None:
            self.assertEqual(result.returncode, check, result.stderr)
        return result

    def pull(self, name="org/repo", *words, check=0, **environment):
        return self.agave("pull", name, *words, check=check, **environment)

    def snapshot(self, path):
        return os.path.join(self.root, "snapshots", COMMIT, path)

    def assert_installed(self, path, data):
        link = self.snapshot(path)
        self.assertTrue(os.path.islink(link), link)
        with open(link, "rb") as file:
            self.assertEqual(hashlib.sha256(file.read()).hexdigest(), hashlib.sha256(data).hexdigest())

    def assert_not_installed(self, path):
        self.assertFalse(os.path.lexists(self.snapshot(path)))

    def assert_clean(self):
        leftovers = [name for name in os.listdir(os.path.join(self.root, "blobs")) if "agave" in name]
        self.assertEqual(leftovers, [])

    def assert_one_sentence(self, result, *words):
        lines = result.stderr.strip().split("\n")
        self.assertTrue(lines[-1].startswith("agave: "), result.stderr)
        for word in words:
            self.assertIn(word, lines[-1])
        self.assertEqual(result.stdout, "")

    def test_the_layout_is_that_of_hugging_face(self):
        data = noise(3 * MB)
        self.offer({"model-Q4_K_M.gguf": RemoteFile(data), "README.md": RemoteFile(b"hello", large=False)})
        result = self.pull()
        self.assertEqual(result.stdout.strip(), self.snapshot("model-Q4_K_M.gguf"))
        self.assertEqual(os.readlink(self.snapshot("model-Q4_K_M.gguf")),
                         "../../blobs/" + hashlib.sha256(data).hexdigest())
        self.assert_installed("model-Q4_K_M.gguf", data)
        self.assert_not_installed("README.md")
        with open(os.path.join(self.root, "refs", "main")) as file:
            self.assertEqual(file.read(), COMMIT)
        self.assert_clean()

    def test_a_second_pull_fetches_nothing(self):
        self.offer({"model-Q4_K_M.gguf": RemoteFile(noise(MB))})
        self.pull()
        served = self.hub.bytes_served
        self.pull()
        self.assertEqual(self.hub.bytes_served, served)

    def test_the_expected_file_is_chosen(self):
        files = {"m-%s.gguf" % q: RemoteFile(q.encode() * 10) for q in ("BF16", "Q8_0", "Q4_K_S", "IQ2_XXS", "Q4_K_M")}
        self.offer(files)
        for name, expected in (("org/repo", "Q4_K_M"), ("org/repo:q8_0", "Q8_0"), ("org/repo:m-BF16.gguf", "BF16")):
            self.assertEqual(self.pull(name).stdout.strip(), self.snapshot("m-%s.gguf" % expected))
        del files["m-Q4_K_M.gguf"]
        self.assertEqual(self.pull().stdout.strip(), self.snapshot("m-Q4_K_S.gguf"))
        self.assert_one_sentence(self.pull("org/repo:Q5_K_M", check=2), "Q5_K_M", "it has Q4_K_S, Q8_0")

    def test_parts_and_projector_come_along(self):
        files = {"big/m-Q4_K_M-0000%d-of-00003.gguf" % i: RemoteFile(noise(1000 + i, i)) for i in (1, 2, 3)}
        files["mmproj-model-f16.gguf"] = RemoteFile(noise(500, 9))
        files["mmproj-model-f32.gguf"] = RemoteFile(noise(900, 10))
        self.offer(files)
        self.pull()
        for path, file in files.items():
            if path != "mmproj-model-f32.gguf":
                self.assert_installed(path, file.data)
        self.assert_not_installed("mmproj-model-f32.gguf")

    def test_a_safetensors_repository(self):
        files = {"config.json": RemoteFile(b'{"model_type": "llama"}', large=False),
                 "tokenizer.json": RemoteFile(b"{}", large=False),
                 "model-00001-of-00002.safetensors": RemoteFile(noise(4000)),
                 "model-00002-of-00002.safetensors": RemoteFile(noise(4001)),
                 "model.safetensors.index.json": RemoteFile(b"{}", large=False),
                 "pytorch_model.bin": RemoteFile(noise(100))}
        self.offer(files)
        self.assertEqual(self.pull().stdout.strip(), self.snapshot("").rstrip("/"))
        for path, file in files.items():
            if path != "pytorch_model.bin":
                self.assert_installed(path, file.data)
        self.assert_not_installed("pytorch_model.bin")

    def test_list_shows_sizes_and_fetches_nothing(self):
        self.offer({"m-Q4_K_M.gguf": RemoteFile(noise(2 * MB)), "m-Q8_0.gguf": RemoteFile(noise(3 * MB))})
        self.hub.faults.page_size = 2
        result = self.pull("org/repo", "--list")
        self.assertIn("Q4_K_M", result.stdout)
        self.assertIn("3.1 MB", result.stdout)
        self.assertIn("fits in memory", result.stdout)
        self.assertEqual(self.hub.bytes_served, 0)

    def test_dropped_connections_cost_no_byte_twice(self):
        data = noise(40 * MB)
        self.offer({"m-Q4_K_M.gguf": RemoteFile(data)})
        self.hub.faults.drop_after = [random.Random(5).randrange(1, 8 * MB) for _ in range(12)]
        self.pull()
        self.assert_installed("m-Q4_K_M.gguf", data)
        self.assertLessEqual(self.hub.bytes_served, len(data) + 12 * MB)

    def test_killed_at_any_moment_it_goes_on(self):
        data = noise(48 * MB)
        self.offer({"m-Q4_K_M.gguf": RemoteFile(data)})
        self.hub.faults.rate = 20 * MB
        generator = random.Random(7)
        for _ in range(5):
            process = subprocess.Popen([AGAVE, "pull", "org/repo"], env=self.environment, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)
            time.sleep(generator.uniform(0.05, 0.35))
            process.send_signal(signal.SIGKILL)
            process.wait()
            self.assert_not_installed("m-Q4_K_M.gguf")
        self.hub.faults.rate = None
        self.pull()
        self.assert_installed("m-Q4_K_M.gguf", data)
        # Only what was on its way at a kill comes twice: a few writes of the server for each connection.
        self.assertLess(self.hub.bytes_served, len(data) + self.in_flight)
        self.assert_clean()

    def test_a_wrong_hash_is_never_installed(self):
        file = RemoteFile(noise(2 * MB))
        file.sha256 = file.listed_sha256 = "ab" * 32
        self.offer({"m-Q4_K_M.gguf": file})
        self.assert_one_sentence(self.pull(check=1), "hash", "thrown away")
        self.assert_not_installed("m-Q4_K_M.gguf")
        self.assert_clean()
        small = RemoteFile(b'{"a": 1}', large=False)
        small.git_id = "cd" * 20
        self.offer({"config.json": small, "model.safetensors": RemoteFile(noise(100))})
        self.assert_one_sentence(self.pull(check=1), "hash")
        self.assert_not_installed("config.json")

    def test_lying_sizes(self):
        for listed in (MB, 3 * MB):
            file = RemoteFile(noise(2 * MB))
            file.listed_size = listed
            self.offer({"m-Q4_K_M.gguf": file})
            self.assert_one_sentence(self.pull(check=1), "bytes")
            self.assert_not_installed("m-Q4_K_M.gguf")

    def test_more_bytes_than_asked_for_and_other_ranges(self):
        self.offer({"m-Q4_K_M.gguf": RemoteFile(noise(20 * MB))})
        self.hub.faults.too_much = 1000
        self.assert_one_sentence(self.pull(check=1), "more bytes")
        self.hub.faults.too_much = 0
        self.hub.faults.wrong_range = True
        self.assert_one_sentence(self.pull(check=1), "other bytes")
        self.assert_not_installed("m-Q4_K_M.gguf")

    def test_a_file_that_changes_on_the_hub(self):
        file = RemoteFile(noise(20 * MB))
        self.offer({"m-Q4_K_M.gguf": file})
        file.sha256 = "12" * 32  # the redirect names another blob than the list
        self.assert_one_sentence(self.pull(check=1), "changed")

    def test_a_server_without_ranges(self):
        data = noise(40 * MB)
        self.offer({"m-Q4_K_M.gguf": RemoteFile(data)})
        self.hub.faults.ignore_ranges = True
        self.hub.faults.drop_after = [20 * MB + 5]
        self.pull()
        self.assert_installed("m-Q4_K_M.gguf", data)

    def test_addresses_that_expire(self):
        data = noise(100 * MB)
        self.offer({"m-Q4_K_M.gguf": RemoteFile(data)})
        self.hub.faults.expire_after = 2
        self.pull()
        self.assert_installed("m-Q4_K_M.gguf", data)

    def test_too_many_requests(self):
        data = noise(MB)
        self.offer({"m-Q4_K_M.gguf": RemoteFile(data)})
        self.hub.faults.statuses = [(429, {"Retry-After": "1"}), (503, {})]
        self.hub.faults.cdn_statuses = [(429, {"Retry-After": "1"}), (500, {})]
        begin = time.time()
        result = self.pull()
        self.assertGreater(time.time() - begin, 2)
        self.assertIn("trying again in 1", result.stderr)
        self.assert_installed("m-Q4_K_M.gguf", data)
        self.hub.faults.statuses = [(429, {"Retry-After": "100000"})]
        self.assert_one_sentence(self.pull(check=1), "100000 seconds")

    def test_refusals(self):
        self.offer({"m-Q4_K_M.gguf": RemoteFile(noise(1000))})
        self.assert_one_sentence(self.pull("org/other", check=2), "'org/other'", "Repository not found")
        self.assert_one_sentence(self.pull("org/repo", "--revision", "v9", check=2), "v9")
        self.hub.faults.token = "hf_secret"
        self.assert_one_sentence(self.pull(check=2), "HF_TOKEN")
        self.assert_one_sentence(self.pull(check=2, HF_TOKEN="hf_wrong"), "another HF_TOKEN")

    def test_the_token_stays_with_the_hub(self):
        data = noise(1000)
        self.offer({"m-Q4_K_M.gguf": RemoteFile(data)})
        self.hub.faults.token = "hf_secret"
        self.pull(HF_TOKEN="hf_secret")
        self.assert_installed("m-Q4_K_M.gguf", data)
        for role, _, _, headers in self.hub.requests:
            self.assertEqual("Authorization" in headers, role == "hub")

    def test_the_token_of_a_login(self):
        self.offer({"m-Q4_K_M.gguf": RemoteFile(noise(1000))})
        self.hub.faults.token = "hf_stored"
        with open(os.path.join(self.home, "token"), "w") as file:
            file.write("hf_stored\n")
        self.pull()

    def test_hostile_names(self):
        for path in ("../../evil-Q4_K_M.gguf", "/etc/evil-Q4_K_M.gguf", "a//b-Q4_K_M.gguf", "a/../b-Q4_K_M.gguf",
                     "a\\b-Q4_K_M.gguf", "a\u0001-Q4_K_M.gguf", "./m-Q4_K_M.gguf", ""):
            self.hub.extra_entries.append(RemoteFile(b"evil").entry(path))
        self.offer({"m-Q8_0.gguf": RemoteFile(b"good")})
        result = self.pull()
        self.assertEqual(result.stdout.strip(), self.snapshot("m-Q8_0.gguf"))
        self.assertIn("unsafe name", result.stderr)
        self.assertEqual(os.listdir(os.path.join(self.root, "snapshots", COMMIT)), ["m-Q8_0.gguf"])

    def test_hostile_answers(self):
        self.offer({"m-Q4_K_M.gguf": RemoteFile(b"x")})
        good = RemoteFile(b"evil").entry("e-Q4_K_M.gguf")
        for change in ({"size": -1}, {"size": "1"}, {"oid": 7}, {"path": None},
                       {"lfs": {"oid": "../x", "size": 1}}, {"lfs": {"oid": "ab" * 32, "size": 1 << 70}}):
            self.hub.extra_entries = [{**good, **change}]
            result = self.pull(check=None)
            self.assertIn(result.returncode, (1, 2), result.stderr)
            self.assert_one_sentence(result)

    def test_names_that_are_none(self):
        for name in ("repo", "a/b/c", "../x", "org/", "/repo", "org/re po", "org/repo:", "org/repo:../x", "-x/y"):
            self.assertEqual(self.agave("pull", "--", name).returncode, 2, name)

    def test_a_disk_that_is_too_small(self):
        file = RemoteFile(b"x")
        file.listed_size = 1 << 60
        self.offer({"m-Q4_K_M.gguf": file})
        self.assert_one_sentence(self.pull(check=2), "are free")

    def test_no_server(self):
        result = self.pull(check=1, HF_ENDPOINT="http://127.0.0.1:9")
        self.assertIn("cannot be had from http://127.0.0.1:9", result.stderr)
        self.assert_one_sentence(self.pull(check=2, HF_ENDPOINT="ftp://x"), "HF_ENDPOINT")

    def test_list_show_rm_and_names_of_models(self):
        self.assertIn("no models", self.agave("list", check=0).stderr)
        model = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../data/models")
        path = sorted(p for p in os.listdir(model) if p.endswith(".gguf"))[0]
        with open(os.path.join(model, path), "rb") as file:
            data = file.read()
        self.offer({"m-Q8_0.gguf": RemoteFile(data)})
        self.pull()
        self.assertIn("org/repo:Q8_0", self.agave("list", check=0).stdout)
        self.assertEqual(json.loads(self.agave("list", "--json", check=0).stdout),
                         [{"name": "org/repo:Q8_0", "path": self.snapshot("m-Q8_0.gguf"), "bytes": len(data)}])
        self.assertIn(COMMIT, self.agave("show", "org/repo", check=0).stdout)
        self.assertEqual(json.loads(self.agave("inspect", "--json", "org/repo:Q8_0", check=0).stdout)["bytes"],
                         len(data))
        self.assert_one_sentence(self.agave("inspect", "org/other"), "agave pull org/other")
        self.agave("rm", "org/repo", check=0)
        self.assertFalse(os.path.exists(self.root))
        self.assert_one_sentence(self.agave("rm", "org/repo", check=2), "not in the cache")

    def offer_model(self):
        models = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../data/models")
        with open(os.path.join(models, "chat.gguf"), "rb") as file:
            self.offer({"m-Q8_0.gguf": RemoteFile(file.read())})

    def test_a_name_is_pulled_when_asked_to(self):
        self.offer_model()
        words = ("run", "org/repo", "hello", "-n", "2", "-q", "--threads", "1")
        self.assert_one_sentence(self.agave(*words, check=2), "agave pull org/repo", "--pull")
        self.assertFalse(os.path.exists(self.root))
        self.agave(*words, "--pull", check=0)
        self.agave(*words, check=0)
        self.assert_one_sentence(self.agave("run", "org/repo:Q2_K", "x", "--pull", check=2), "it has Q8_0")

    def at_terminal(self, answer):
        """`agave run org/repo hello` at a terminal that answers the question; its status and what it shows."""
        pid, terminal = pty.fork()
        if pid == 0:
            os.execve(AGAVE, [AGAVE, "run", "org/repo", "hello", "-n", "2", "--threads", "1"],
                      {**self.environment, "TERM": "xterm"})
        shown, answered = b"", False
        while True:
            try:
                piece = os.read(terminal, 4096)
            except OSError:
                break
            if not piece:
                break
            shown += piece
            if not answered and b"[Y/n]" in shown:
                os.write(terminal, answer)
                answered = True
        os.close(terminal)
        self.assertTrue(answered, shown)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode(errors="replace")

    def test_a_terminal_is_asked(self):
        self.offer_model()
        for answer in (b"n\n", b"\x04"):
            status, shown = self.at_terminal(answer)
            self.assertEqual(status, 2, shown)
            self.assertRegex(shown, r"pull org/repo:Q8_0 \([0-9.]+ [kM]B, fits in memory\)\?")
            self.assertFalse(os.path.exists(self.root))
        status, shown = self.at_terminal(b"\n")
        self.assertEqual(status, 0, shown)
        self.assertTrue(os.path.exists(self.snapshot("m-Q8_0.gguf")))


@unittest.skipUnless(shutil.which("curl"), "there is no program curl")
class PullByProgramTest(PullTest):
    """The same through the program curl, as where there is no libcurl: what stands in its place is none."""
    in_flight = 16 * MB  # pipes hold some, too


    def setUp(self):
        super().setUp()
        libraries = os.path.join(self.home, "libraries")
        os.mkdir(libraries)
        for name in ("libcurl.so.4", "libcurl-gnutls.so.4"):
            open(os.path.join(libraries, name), "wb").close()
        self.environment["LD_LIBRARY_PATH"] = libraries
        # The program itself needs the library.
        program = os.path.join(libraries, "curl")
        with open(program, "w") as file:
            file.write(f'#!/bin/sh\nunset LD_LIBRARY_PATH\nexec {shutil.which("curl")} "$@"\n')
        os.chmod(program, 0o755)
        self.environment["PATH"] = libraries + ":" + self.environment["PATH"]

    def test_the_program_is_what_is_used(self):
        self.assertIn("agave pull works with the program curl", self.agave("doctor").stdout)

    def test_a_program_that_is_missing_too(self):
        result = self.pull(check=2, PATH="/nonexistent")
        self.assertIn("neither is installed", result.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv)
