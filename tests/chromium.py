"""Find Chromium for the browser's tests, or install it, or say how. Run by `make test`; never fails by itself."""

from __future__ import annotations

import os
import shutil
import subprocess

NAMES = ("chromium", "chromium-browser", "google-chrome")


def find() -> str | None:
    """The browser that ASKFIT_TEST_CHROMIUM names, else the first one on the PATH."""
    return os.environ.get("ASKFIT_TEST_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


def main() -> None:
    if find():
        return
    if shutil.which("apt-get") and hasattr(os, "geteuid") and os.geteuid() == 0:
        print("Installing Chromium for the browser's tests …", flush=True)
        for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "chromium"]):
            subprocess.run(command, check=False, stdout=subprocess.DEVNULL)
    if not find():
        print("Chromium is not here, so the browser's tests cannot run.")
        print("Install it (Debian, Ubuntu: sudo apt-get install chromium) or set ASKFIT_TEST_CHROMIUM to its path.")


if __name__ == "__main__":
    main()
