"""What starting costs: importing, --help, and `serve` until ready with its resident memory, over the sample site.

Bare `python -c pass` in the same run is the baseline. Each figure is the median of several whole processes.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

SAMPLE = Path(__file__).parents[1] / "examples" / "site"
RUNS = 7


def process_s(command: list[str]) -> float:
    """Median wall seconds of a whole process, after one warm-up."""
    times = []
    for _ in range(RUNS + 1):
        begun = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - begun)
    return statistics.median(times[1:])


def resident_mb(pid: int) -> float:
    """Resident memory of a running process, from /proc."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def get(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status
    except OSError:
        return 0


def ask(url: str) -> None:
    """One question, so that what is loaded with the first call is loaded."""
    body = b'{"question": "What was your role on your last team?"}'
    request = urllib.request.Request(f"{url}/ask-ai", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        answer.read()


def serve(environ: dict[str, str]) -> tuple[float, float]:
    """(seconds until /readyz says 200, resident MB after one question) of `askfit serve` on a copy of the sample."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as probe:
        shutil.copytree(SAMPLE, Path(folder) / "site")
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        command = [
            sys.executable,
            "-m",
            "askfit",
            "serve",
            "--port",
            str(port),
            "--config",
            f"{folder}/site/askfit.toml",
        ]
        begun = time.perf_counter()
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=os.environ | environ)
        try:
            while get(f"http://127.0.0.1:{port}/readyz") != 200:
                if server.poll() is not None or time.perf_counter() - begun > 30:
                    raise SystemExit("serve did not become ready")
                time.sleep(0.02)
            ready_s = time.perf_counter() - begun
            ask(f"http://127.0.0.1:{port}")
            return ready_s, resident_mb(server.pid)
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(10)


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_known_args()
    bare = process_s([sys.executable, "-c", "pass"])
    rows = [
        ("import askfit", process_s([sys.executable, "-c", "import askfit"]) - bare, "s over bare", 0.15),
        ("askfit --help", process_s([sys.executable, "-m", "askfit", "--help"]) - bare, "s over bare", 0.35),
    ]
    # An address where nothing listens: the SDK is loaded and its call fails over to the built-in.
    for label, environ, most_s, most_mb in (
        ("built-in", {}, 2.0, 150.0),
        ("with a provider's SDK", {"ANTHROPIC_API_KEY": "x", "ANTHROPIC_BASE_URL": "http://127.0.0.1:9"}, 4.0, 220.0),
    ):
        runs = [serve(environ) for _ in range(3)]
        rows.append((f"serve ready, {label}", statistics.median(run[0] for run in runs), "s", most_s))
        rows.append((f"serve resident, {label}", statistics.median(run[1] for run in runs), "MB", most_mb))
    print(f"bare python -c pass: {bare:.3f} s")
    print(f"{'what':38} {'measured':>10} {'at most':>8}")
    for what, value, unit, most in rows:
        print(f"{what:38} {value:10.3f} {most:8g} {unit}{'' if value <= most else '   MISSED'}")


if __name__ == "__main__":
    main()
