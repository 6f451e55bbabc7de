"""Where the sample site is, and a copy of it to serve from."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from askfit.config import Settings, load_settings

PACKAGE = Path(__file__).parents[1]
# In a wheel the sample stands inside the package; in a checkout under examples/.
PLACES = (PACKAGE / "sample", PACKAGE.parents[1] / "examples" / "site")


@contextmanager
def sample_settings() -> Iterator[Settings]:
    """Settings of the sample site, copied to a temporary folder that is removed afterwards; no key is read."""
    source = next(place for place in PLACES if (place / "askfit.toml").is_file())
    with tempfile.TemporaryDirectory(prefix="askfit-demo-") as folder:
        site = Path(folder) / "site"
        shutil.copytree(source, site)
        yield load_settings(site / "askfit.toml", environ={})
