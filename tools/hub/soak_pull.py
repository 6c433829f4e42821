"""Pulls a large file through many interruptions and counts what was fetched twice.

    sudo python3 tools/hub/soak_pull.py build/release/bin/agave [--megabytes 1000] [--interruptions 50]

Each interruption is one of: the server drops a connection, agave is killed (SIGKILL), the disk becomes full. The last
needs a small file system of its own, so the script mounts a tmpfs and must be root.
"""
import argparse
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tests/hub"))
from hub_server import COMMIT, Hub, RemoteFile  # noqa: E402

MB = 1 << 20
PART = 16 * MB


def fill_disk(directory):
    """Takes all free bytes of the file system; returns the path to remove."""
    path = os.path.join(directory, "filler")
    with open(path, "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(MB))
        except OSError:
            pass
    return path


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("agave")
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--interruptions", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    generator = random.Random(options.seed)
    data = b"".join(generator.randbytes(1000 * 1000) for _ in range(options.megabytes))
    hub = Hub().start()
    hub.repositories["org/repo"] = {"m-Q4_K_M.gguf": RemoteFile(data)}
    home = tempfile.mkdtemp(prefix="agave-soak-")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%d" % (len(data) + 200 * MB), "tmpfs", home], check=True)
    environment = {**os.environ, "HF_HOME": home, "HF_ENDPOINT": hub.url, "no_proxy": "*"}
    counts = {"drop": 0, "kill": 0, "full": 0}
    expected_messages = 0
    try:
        hub.faults.rate = len(data) / options.interruptions / 4 / 0.4
        for i in range(options.interruptions):
            kind = generator.choice(list(counts))
            process = subprocess.Popen([options.agave, "pull", "org/repo"], env=environment,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            time.sleep(generator.uniform(0.1, 0.5))
            counts[kind] += 1
            if kind == "drop":
                hub.faults.drop_after.append(generator.randrange(1, 4 * MB))
                time.sleep(0.3)
                process.send_signal(signal.SIGINT)
            elif kind == "kill":
                process.send_signal(signal.SIGKILL)
            else:
                filler = fill_disk(home)
                time.sleep(0.4)
                if process.poll() is not None:
                    message = process.stderr.read()
                    assert "No space left" in message or "are free" in message, message
                    expected_messages += 1
                else:
                    process.send_signal(signal.SIGKILL)
                os.unlink(filler)
            process.wait()
            process.stderr.close()
        hub.faults.rate = None
        hub.faults.drop_after = []
        subprocess.run([options.agave, "pull", "org/repo"], env=environment, check=True, stdout=subprocess.DEVNULL)
        path = os.path.join(home, "hub/models--org--repo/snapshots", COMMIT, "m-Q4_K_M.gguf")
        with open(path, "rb") as file:
            right = hashlib.sha256(file.read()).hexdigest() == hashlib.sha256(data).hexdigest()
        twice = hub.bytes_served - len(data)
        print("%d MB, %d interruptions %s, %d of them met a full disk: file %s; %.1f MB sent twice (%.2f MB for each "
              "interruption; one part is %.1f MB)" % (
                  len(data) / 1e6, options.interruptions, counts, expected_messages, "right" if right else "WRONG",
                  twice / 1e6, twice / 1e6 / options.interruptions, PART / 1e6))
        return 0 if right and twice <= options.interruptions * PART else 1
    finally:
        subprocess.run(["umount", home], check=True)
        os.rmdir(home)
        hub.stop()


if __name__ == "__main__":
    sys.exit(main())
