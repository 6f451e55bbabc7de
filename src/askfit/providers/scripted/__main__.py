"""The loopback server by itself: prints its addresses and serves until it is stopped."""

from __future__ import annotations

import argparse
import sys
from contextlib import suppress

from askfit.errors import AskfitError
from askfit.providers.scripted import Script, ScriptedServer, load_script
from askfit.providers.scripted.script import known_behaviours
from askfit.rates import read_limits


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m askfit.providers.scripted", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--script", metavar="FILE", help="YAML or JSON, see docs/scripted.md")
    parser.add_argument("--behaviour", metavar="NAME", default="faithful", help=known_behaviours())
    parser.add_argument("--limits", metavar="R,I,O", help="requests, input and output tokens a minute: 50,50000,10000")
    chosen = parser.parse_args()
    try:
        script = load_script(chosen.script) if chosen.script else Script.of(chosen.behaviour)
        if chosen.limits:
            script.limit(read_limits(chosen.limits))
        server = ScriptedServer(script, port=chosen.port)
        server.listen()
    except (AskfitError, OSError) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2
    print(f"ANTHROPIC_BASE_URL={server.url}\nOPENAI_BASE_URL={server.openai_url}", flush=True)  # noqa: T201
    with suppress(KeyboardInterrupt):
        server.run()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
