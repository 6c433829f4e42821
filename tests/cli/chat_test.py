"""Drives `agave chat` through a pseudo-terminal: every command and every key that its help names.

    python3 tests/cli/chat_test.py build/release/bin/agave
"""
import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

AGAVE = os.path.abspath(sys.argv.pop(1)) if len(sys.argv) > 1 else "agave"
MODEL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../data/models/chat.gguf")
PROMPT = "> "
UP, DOWN, RIGHT, LEFT = "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D"
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


class Chat:
    """`agave chat` at a terminal of 80 columns."""

    def __init__(self, home, *options, columns=80, model=MODEL):
        environment = {"HOME": home, "PATH": os.environ["PATH"], "TERM": "xterm", "LC_ALL": "C.UTF-8", "NO_COLOR": "1"}
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.execve(AGAVE, [AGAVE, "chat", model, "-n", "12", "-t", "0", "--threads", "1", *options], environment)
        import fcntl
        import struct
        import termios
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.raw = ""
        self.wait_for_prompt()

    def read_some(self, timeout):
        ready, _, _ = select.select([self.terminal], [], [], timeout)
        if not ready:
            return False
        try:
            piece = os.read(self.terminal, 65536)
        except OSError:
            return False
        self.raw += piece.decode(errors="replace")
        return bool(piece)

    def wait_for_prompt(self, timeout=20):
        """Waits until an empty prompt is the last thing drawn, and returns what came before it."""
        end = time.time() + timeout
        while time.time() < end:
            self.read_some(0.05)
            # The editor switches bracketed paste on each time that it begins to read an entry.
            if "\x1b[?2004h" in self.raw and self.raw.endswith(PROMPT + "\r\x1b[2C"):
                break
        else:
            raise AssertionError("no prompt came: " + repr(self.raw[-400:]))
        text = ESCAPES.sub("", self.raw)
        self.raw = ""
        return text

    def keys(self, text):
        os.write(self.terminal, text.encode())

    def settle(self, seconds=0.15):
        while self.read_some(seconds):
            pass

    def enter(self, text, timeout=20):
        """Types an entry and returns what is printed until the next prompt."""
        self.settle(0.02)
        self.raw = ""
        self.keys(text + "\r")
        return self.wait_for_prompt(timeout)

    def leave(self):
        self.keys("\x04")
        return self.status()

    def status(self):
        end = time.time() + 20
        while time.time() < end:
            self.read_some(0.02)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                os.close(self.terminal)
                return os.waitstatus_to_exitcode(status)
        os.kill(self.pid, signal.SIGKILL)
        raise AssertionError("agave does not end: " + repr(self.raw[-400:]))


class ChatTest(unittest.TestCase):
    def setUp(self):
        self.home = tempfile.mkdtemp(prefix="agave-chat-")
        self.chats = []

    def tearDown(self):
        for chat in self.chats:
            try:
                os.kill(chat.pid, signal.SIGKILL)
                os.waitpid(chat.pid, 0)
            except (ProcessLookupError, ChildProcessError):
                pass
        shutil.rmtree(self.home, ignore_errors=True)

    def chat(self, *options, **arguments):
        self.chats.append(Chat(self.home, *options, **arguments))
        return self.chats[-1]

    def saved(self, chat, name="saved.json"):
        path = os.path.join(self.home, name)
        self.assertIn("saved", chat.enter("/save " + path))
        with open(path) as file:
            return json.load(file)["messages"]

    def contents(self, chat, role="user"):
        return [message["content"] for message in self.saved(chat) if message["role"] == role]

    def test_thirty_turns_reuse_everything(self):
        chat = self.chat("--ctx-size", "4096")
        for turn in range(30):
            chat.enter("question number %d" % turn)
        messages = self.saved(chat)
        self.assertEqual([m["role"] for m in messages], ["user", "assistant"] * 30)
        last, total = re.findall(r"prefill (\d+) tokens \((\d+) more reused\)", chat.enter("/stats"))
        # Of the last prompt, only the last answer's end and the new question were computed.
        self.assertLess(int(last[0]), 80)
        self.assertGreater(int(last[1]), 500)
        self.assertGreater(int(total[1]), 10 * int(total[0]))
        self.assertEqual(chat.leave(), 0)

    def test_the_cache_changes_no_answer(self):
        chat = self.chat()
        for turn in range(4):
            chat.enter("question number %d" % turn)
        kept = self.saved(chat)
        path = os.path.join(self.home, "short.json")
        with open(path, "w") as file:
            json.dump({"messages": kept[:-1] + [{"role": "assistant", "content": "?"}]}, file)
        fresh = self.chat()
        fresh.enter("/load " + path)
        fresh.enter("/retry")
        self.assertEqual(self.saved(fresh), kept)

    def test_undo_retry_clear_and_load(self):
        chat = self.chat()
        chat.enter("one")
        first = self.saved(chat)
        chat.enter("two")
        self.assertIn("2 messages are left", chat.enter("/undo"))
        self.assertEqual(self.saved(chat), first)
        chat.enter("/retry")
        self.assertEqual(self.saved(chat), first)  # greedy: the same answer
        chat.enter("/save %s/one.json" % self.home)
        chat.enter("/clear")
        self.assertEqual(self.saved(chat), [])
        self.assertIn("nothing to undo", chat.enter("/undo"))
        self.assertIn("no question", chat.enter("/retry"))
        self.assertIn("loaded 2 messages", chat.enter("/load %s/one.json" % self.home))
        self.assertEqual(self.saved(chat), first)

    def test_system_set_context_stats_model_help(self):
        chat = self.chat()
        self.assertIn("no system message", chat.enter("/system"))
        self.assertIn("You are terse", chat.enter("/system You are terse."))
        chat.enter("hello")
        self.assertEqual(self.saved(chat)[0], {"role": "system", "content": "You are terse."})
        self.assertIn("no system message", chat.enter("/system none"))
        self.assertIn("temperature is 0.5", chat.enter("/set temperature 0.5"))
        self.assertIn("not a number from 0", chat.enter("/set temperature -1"))
        self.assertIn("NAME is one of", chat.enter("/set threads 3"))
        self.assertIn("needs a value", chat.enter("/set top-k"))
        self.assertRegex(chat.enter("/context"), r"\d+ of \d+ tokens of context are in use")
        self.assertIn("tokens/s", chat.enter("/stats"))
        self.assertIn("chat.gguf", chat.enter("/model"))
        self.assertIn("cannot open", chat.enter("/model /nowhere.gguf"))
        self.assertIn("chat.gguf", chat.enter("/model " + MODEL))
        chat.enter("still there?")
        help_text = chat.enter("/help")
        for command in ("/clear", "/context", "/file", "/help", "/load", "/model", "/quit", "/retry", "/save", "/set",
                        "/stats", "/system", "/think", "/undo"):
            self.assertIn(command, help_text)
        self.assertIn("is no command", chat.enter("/nonsense"))
        self.assertIn("takes nothing", chat.enter("/clear all"))
        chat.keys("/quit\r")
        self.assertEqual(chat.status(), 0)

    def test_file(self):
        path = os.path.join(self.home, "notes.txt")
        with open(path, "w") as file:
            file.write("remember the milk")
        chat = self.chat()
        self.assertIn("before your next message", chat.enter("/file " + path))
        chat.enter("what is in it?")
        chat.enter("and now?")
        self.assertEqual(self.contents(chat), ["File notes.txt:\n```\nremember the milk\n```\n\nwhat is in it?",
                                               "and now?"])
        with open(path, "wb") as file:
            file.write(b"\xff\x00binary")
        self.assertIn("not a text", chat.enter("/file " + path))
        self.assertIn("cannot open", chat.enter("/file /nowhere"))
        with open(path, "w") as file:
            file.write("[{}]")
        self.assertIn("without a role", chat.enter("/load " + path))

    def test_control_c_stops_an_answer_and_keeps_it(self):
        chat = self.chat("-n", "100000", "--ctx-size", "60000", "--logit-bias", "2=-inf")
        chat.keys("go on for long\r")
        time.sleep(0.5)
        chat.keys("\x03")
        self.assertIn("(stopped)", chat.wait_for_prompt())
        messages = self.saved(chat)
        self.assertEqual([m["role"] for m in messages], ["user", "assistant"])
        self.assertGreater(len(messages[1]["content"]), 0)
        chat.keys("half an entry\x03")
        self.assertIn("/quit leaves", chat.wait_for_prompt())
        self.assertEqual(chat.leave(), 0)

    def test_editing_keys(self):
        chat = self.chat()
        typed = {
            "abc" + LEFT + LEFT + "X": "aXbc",
            "abc\x01X\x05Y": "XabcY",
            "one two\x17three": "one three",
            "one two\x1bbX\x1bfY": "one XtwoY",
            "one two\x01\x1bdzero": "zero two",
            "abc\x15def": "def",
            "abc\x01\x0bdef\x19": "defabc",
            "ab\x14": "ba",
            "abd\x7fc": "abc",
            "xabc\x01\x1b[3~": "abc",
            "xabc\x01\x04": "abc",
            "abc\x1b[H\x1b[C-": "a-bc",
            "\u4f60\u597d" + LEFT + "\x7fa": "a\u597d",
            "e\u0301x" + LEFT + LEFT + "a": "ae\u0301x",
            "\U0001f600\x7fz": "z",
            "\x1b[200~pasted\rlines\x1b[201~": "pasted\nlines",
            "first\x1b\rsecond": "first\nsecond",
            "first\nsecond": "first\nsecond",
            "first\\\rsecond": "first\nsecond",
            "ab\ncd" + UP + "X" + DOWN + "Y": "abX\ncdY",
            "tab\there": "tabhere",
        }
        for keys in typed:
            chat.enter(keys)
        self.assertEqual(self.contents(chat), list(typed.values()))

    def test_long_and_wide_text_wraps(self):
        chat = self.chat(columns=20)
        words = "0123456789" * 5 + "\u6f22\u5b57" * 9
        chat.enter(words + LEFT * 30 + "X")
        chat.enter("y" * 18)  # the prompt and the text fill a line exactly
        self.assertEqual(self.contents(chat), [words[:-30] + "X" + words[-30:], "y" * 18])

    def test_history_is_kept_and_searched(self):
        chat = self.chat()
        for entry in ("alpha one", "beta two", "gamma\x1b\rthree"):
            chat.enter(entry)
        chat.enter(UP + UP + UP)  # through the two lines of the last entry
        chat.enter("\x12alp")
        self.assertEqual(self.contents(chat)[-2:], ["beta two", "alpha one"])
        self.assertEqual(chat.leave(), 0)
        again = self.chat()
        again.enter("\x12amm")
        again.enter("\x12a\x12\x12!")
        again.enter("\x12zzz\x07kept")
        self.assertEqual(self.contents(again)[0], "gamma\nthree")
        self.assertEqual(self.contents(again)[2], "kept")
        path = os.path.join(self.home, ".local/state/agave/history")
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)

    def test_completion(self):
        os.mkdir(os.path.join(self.home, "folder"))
        with open(os.path.join(self.home, "folder", "only.txt"), "w") as file:
            file.write("x")
        chat = self.chat()
        self.assertIn("of context", chat.enter("/cont\t"))
        self.assertIn("only.txt", chat.enter("/fi\t%s/fol\ton\t" % self.home))
        chat.keys("/s\t")
        chat.settle()
        for command in ("/save", "/set", "/stats", "/system"):
            self.assertIn(command, chat.raw)

    def test_a_full_context(self):
        chat = self.chat("--ctx-size", "120")
        said = ""
        for turn in range(12):
            said = chat.enter("some words to fill the context with %d" % turn)
            if "context holds" in said:
                break
        self.assertRegex(said, r"the conversation has \d+ tokens with this message, but the context holds 120")
        before = len(self.saved(chat))
        chat.enter("some words to fill the context with again")
        self.assertEqual(len(self.saved(chat)), before)
        dropping = self.chat("--ctx-size", "120", "--on-overflow", "drop-oldest-turns")
        for turn in range(12):
            said = dropping.enter("some words to fill the context with %d" % turn)
            self.assertNotIn("context holds", said)
        self.assertIn("turns were dropped", said)
        self.assertIn("with 11", self.contents(dropping)[-1])

    def test_reasoning_that_the_template_does_not_know(self):
        chat = self.chat()
        self.assertIn("reasoning is auto", chat.enter("/think"))
        chat.enter("/think on")
        self.assertIn("reasoning is", chat.enter("/think"))
        self.assertIn("one of", chat.enter("/think loudly"))

    def test_run_without_a_prompt_at_a_terminal_is_a_chat(self):
        pid, terminal = pty.fork()
        if pid == 0:
            os.execve(AGAVE, [AGAVE, "run", MODEL, "-n", "3"], {"HOME": self.home, "TERM": "xterm"})
        text = b""
        while b"/help lists" not in text:
            text += os.read(terminal, 4096)
        time.sleep(0.2)
        os.write(terminal, b"\x04")
        while True:
            try:
                if not os.read(terminal, 4096):
                    break
            except OSError:
                break
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0)

    def test_pipes(self):
        result = subprocess.run([AGAVE, "chat", MODEL, "-n", "8", "-t", "0"], input="hello\n/stats\nhow are you?\n",
                                text=True, capture_output=True, timeout=60, env={"HOME": self.home})
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertNotIn("\x1b", result.stdout)
        self.assertNotIn(">", result.stderr[:2])
        self.assertIn("tokens/s", result.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv)
