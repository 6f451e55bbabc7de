"""The built-in assessment against our own gold: three matrices, sixty postings, every requirement's band.

Prints how far the two labelling passes agree, then, for each matrix and all together: requirements read, kinds right,
gates found, macro-F1 of the bands over the requirements read and over all (one that was not read counts as wrong), the
share within one band, verdicts. `--show` lists what went wrong, class by class. `--write` writes each matrix's
fit.yaml, the samples of `askfit eval fit`, anew from the labels and what was settled. Takes no DATA.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import yaml

from askfit.config import load_settings
from askfit.evals.agreement import Agreement, compare, kappa, nearest
from askfit.evals.samples import FitSample, read_samples
from askfit.fit import assess
from askfit.site import Site, open_site
from askfit.types import Assessment

GOLD = Path(__file__).parents[1] / "examples" / "gold"
MATRICES = ("engineer", "product", "analyst")
BOUNDS = {"f1": 0.70, "within_one": 0.95, "spearman": 0.75, "flattered": 0.02}
HEADER = (
    "# Generated from requirements.yaml, the two labellers' files and settled.yaml by benchmarks/gold.py --write.\n"
    "# The samples of askfit eval fit: see ../README.md.\n\n"
)
MOST_SHOWN = 88


# ---------------------------------------------------------------- the files


def read(matrix: str, name: str) -> Any:
    return yaml.safe_load((GOLD / matrix / f"{name}.yaml").read_text(encoding="utf-8"))


def settled_samples(matrix: str) -> list[dict[str, Any]]:
    """The gold as samples: what both labellers say, and where they differ what was settled."""
    settled = {(one["posting"], one.get("id", "verdict")): one["band"] for one in read(matrix, "settled")["settled"]}
    rows = zip(read(matrix, "requirements"), read(matrix, "labels_a"), read(matrix, "labels_b"), strict=True)
    samples = []
    for asked, first, second in rows:
        name = asked["posting"]

        def label(id_: str, one: str, other: str, name: str = name) -> str:
            return one if one == other else str(settled[name, id_])

        bands = {
            each["quote"]: label(each["id"], first["bands"][each["id"]], second["bands"][each["id"]])
            for each in asked["requirements"]
        }
        sample = {
            "id": Path(name).stem,
            "posting_file": name,
            "verdict": label("verdict", first["verdict"], second["verdict"]),
            "bands": bands,
            "gates": asked["gates"],
        }
        samples.append({key: value for key, value in sample.items() if value})
    return samples


def write(matrix: str) -> None:
    text = yaml.safe_dump(settled_samples(matrix), sort_keys=False, allow_unicode=True, width=120)
    (GOLD / matrix / "fit.yaml").write_text(HEADER + text, encoding="utf-8")


def labellers() -> Iterator[str]:
    """How far the two passes agree, before anything was settled."""
    bands, verdicts = [], []
    for matrix in MATRICES:
        for first, second in zip(read(matrix, "labels_a"), read(matrix, "labels_b"), strict=True):
            verdicts.append((first["verdict"], second["verdict"]))
            bands += [(band, second["bands"][id_]) for id_, band in first["bands"].items()]
    for name, pairs in (("bands", bands), ("verdicts", verdicts)):
        differ = sum(one != other for one, other in pairs)
        yield f"{name}: kappa {kappa(pairs):.2f}, {differ} of {len(pairs)} differ"


# ---------------------------------------------------------------- the run


@dataclass(slots=True)
class Run:
    """One matrix's postings, judged."""

    agreement: Agreement
    kinds_right: int = 0
    extra: int = 0  # read as requirements, and not in the gold
    times_ms: list[float] = field(default_factory=list)
    shown: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Site]:
    """The matrix's site as it ships, in a folder of its own: the run's ledger is not kept."""
    with tempfile.TemporaryDirectory(prefix="askfit-gold-") as temporary:
        for name in ("askfit.toml", "about.md", "matrix.csv"):
            shutil.copy(folder / name, temporary)
        async with open_site(load_settings(Path(temporary) / "askfit.toml", {})) as site:
            yield site


async def judged(matrix: str, only: str = "") -> Run:
    """Every posting of a matrix through the feature's own door."""
    folder = GOLD / matrix
    samples = cast(Sequence[FitSample], read_samples(folder / "fit.yaml", "assessment"))
    asked = {Path(one["posting"]).stem: one for one in read(matrix, "requirements")}
    compared, run = [], Run(Agreement.of(()))
    async with opened(folder) as site:
        for sample in samples:
            if only not in sample.id:
                continue
            begun = time.perf_counter()
            found = await assess(site, sample.posting)
            run.times_ms.append((time.perf_counter() - begun) * 1000)
            compared.append(compare(sample, found))
            _note(run, f"{matrix}/{sample.id[:22]}", asked[sample.id], sample, found)
    run.agreement = Agreement.of(compared)
    return run


def _note(run: Run, name: str, asked: dict[str, Any], sample: FitSample, found: Assessment) -> None:
    """Keep what went wrong, for --show, and count kinds and what is read beside the gold."""
    quotes = [one.quote for one in found.requirements]
    gates = [gate.text for gate in found.gates]
    met: set[int] = set()
    if found.verdict != sample.verdict:
        run.shown[f"verdict {sample.verdict} → {found.verdict}"].append(f"{name} score {found.score} {found.headline}")
    for one in asked["requirements"]:
        quote, at = one["quote"], nearest(one["quote"], quotes)
        if at is None:
            run.shown["not read"].append(f"{name} {one['kind']}: {_line(quote)}")
            continue
        met.add(at)
        given = found.requirements[at]
        run.kinds_right += given.kind == one["kind"]
        if given.kind != one["kind"]:
            run.shown[f"kind {one['kind']} → {given.kind}"].append(f"{name} {_line(quote)}")
        if given.band != sample.bands[quote]:
            rows = ", ".join(f"{row.skill} {row.level:g} {row.relation}" for row in given.evidence)
            run.shown[f"band {sample.bands[quote]} → {given.band}"].append(f"{name} {_line(quote)}  [{rows}]")
    extra = [quote for at, quote in enumerate(quotes) if at not in met]
    run.extra += len(extra)
    run.shown["read, not in the gold"] += [f"{name} {_line(quote)}" for quote in extra]
    run.shown["gate not found"] += [f"{name} {_line(gate)}" for gate in sample.gates if nearest(gate, gates) is None]
    run.shown["gate not in the gold"] += [
        f"{name} {_line(gate)}" for gate in gates if nearest(gate, sample.gates) is None
    ]


def _line(text: str) -> str:
    shown = " ".join(text.split())
    return shown if len(shown) <= MOST_SHOWN else f"{shown[:MOST_SHOWN]}…"


# ---------------------------------------------------------------- what is printed


def row(name: str, run: Run) -> str:
    told = run.agreement
    flattered = told.misfits_flattered / told.misfits if told.misfits else 0
    return (
        f"{name:9} {told.found:4}/{told.requirements:<4} {run.extra:5} {run.kinds_right:4}/{told.found:<4}"
        f" {told.gates_found:3}/{told.gates:<3} {_share(told.f1_found)} {_share(told.f1_all)} {_share(told.within_one)}"
        f" {_share(told.verdict_share)} {_share(told.spearman)} ({told.ranked:2})"
        f" {told.misfits_flattered:4}/{told.misfits} {flattered:5.1%}"
    )


def _share(value: float | None) -> str:
    return "      -" if value is None else f"{value:7.3f}"


def confusion(told: Agreement) -> Iterator[str]:
    yield f"{'gold':>10} | {'gap':>8} {'moderate':>8} {'strong':>8} {'not read':>8}   as judged"
    for wanted, counts in told.as_json()["bands"].items():
        yield f"{wanted:>10} | " + " ".join(f"{count:8}" for count in counts.values())


def verdicts(told: Agreement) -> Iterator[str]:
    names = ("misfit", "stretch", "moderate", "strong", "insufficient_information")
    yield f"{'gold':>10} | " + " ".join(f"{name[:8]:>8}" for name in names)
    for wanted in names:
        counts = (told.verdicts.get((cast(Any, wanted), cast(Any, given)), 0) for given in names)
        yield f"{wanted[:10]:>10} | " + " ".join(f"{count:8}" for count in counts)


def together(runs: Sequence[Run]) -> Run:
    sums = [(run.agreement.confusion, run.agreement.verdicts) for run in runs]
    whole = Agreement(
        confusion=sum((Counter(bands) for bands, _ in sums), Counter()),
        verdicts=sum((Counter(given) for _, given in sums), Counter()),
        gates_found=sum(run.agreement.gates_found for run in runs),
        gates=sum(run.agreement.gates for run in runs),
    )
    joined = Run(whole, sum(run.kinds_right for run in runs), sum(run.extra for run in runs))
    for run in runs:
        joined.times_ms += run.times_ms
        for name, lines in run.shown.items():
            joined.shown[name] += lines
    return joined


def show(run: Run, wanted: str) -> None:
    """Everything that went wrong, class by class; of the classes only those that begin with `wanted`."""
    for name, lines in sorted(run.shown.items(), key=lambda item: (item[0].split()[0], -len(item[1]))):
        if lines and name.startswith(wanted):
            print(f"\n{name} ({len(lines)})")
            for line in lines:
                print(f"  {line}")


def missed(told: Agreement) -> str:
    """The bounds that do not hold, to the fourth digit; "" where all do."""
    flattered = told.misfits_flattered / told.misfits if told.misfits else 0.0
    reached = {"f1": told.f1_found, "within_one": told.within_one, "spearman": told.spearman}
    short = [f"{name} {value:.4f}" for name, value in reached.items() if value is not None and value < BOUNDS[name]]
    return ", ".join([*short, *([f"flattered {flattered:.4f}"] if flattered > BOUNDS["flattered"] else [])])


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="?", type=Path, help="taken and not used: the gold is our own")
    parser.add_argument(
        "--show", nargs="?", const="", metavar="CLASS", help="list what went wrong: band, kind, verdict …"
    )
    parser.add_argument("--matrix", choices=MATRICES, help="one matrix alone")
    parser.add_argument("--only", default="", help="only postings with this in their name")
    parser.add_argument("--write", action="store_true", help="write each fit.yaml anew")
    given = parser.parse_args()
    if given.write:
        for matrix in MATRICES:
            write(matrix)
        return 0
    print("Two labelling passes, both by language models, apart from each other: agreement of people would be lower.")
    print("\n".join(f"  {line}" for line in labellers()))
    matrices = [given.matrix] if given.matrix else list(MATRICES)
    runs = [await judged(matrix, given.only) for matrix in matrices]
    whole = together(runs)
    print(
        f"\n{'built-in':9} {'read':>9} {'extra':>5} {'kind':>9} {'gates':>7} {'F1read':>7} {'F1all':>7} {'within1':>7}"
        f" {'verdict':>7} {'rho':>7} {'(n)':>4} {'misfits ≥ moderate':>12}"
    )
    for matrix, run in zip(matrices, runs, strict=True):
        print(row(matrix, run))
    print(row("all", whole))
    print(
        f"bounds: F1 {BOUNDS['f1']:.2f}, within one {BOUNDS['within_one']:.2f}, rho {BOUNDS['spearman']:.2f}, misfits "
        f"rated moderate or better {BOUNDS['flattered']:.0%}.\nF1read: over the requirements read; F1all: one not read "
        "is wrong. rho: over the verdicts that both give; not enough information has no rank."
    )
    short = missed(whole.agreement)
    if short:
        print(f"MISSED: {short}")
    print("\n" + "\n".join(confusion(whole.agreement)) + "\n\n" + "\n".join(verdicts(whole.agreement)))
    times = sorted(whole.times_ms)
    if times:
        print(f"\n{len(times)} postings: p50 {times[len(times) // 2]:.0f} ms, most {times[-1]:.0f} ms")
    if given.show is not None:
        show(whole, given.show)
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
