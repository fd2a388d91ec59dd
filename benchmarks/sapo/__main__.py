"""Does learning from peers' rollouts help, where, and why? study.yaml tells what is asked, docs/sapo.md the answer.

    python -m benchmarks.sapo             the study: half an hour on two cores
    python -m benchmarks.sapo --smoke     the same in small: three minutes, and worth nothing as an answer

Swarms train in one process each, `--workers` at a time. What is done is kept in .cache/sapo/, so that a study that was
cut off goes on where it was. Writes `benchmarks/results/sapo.json` (a row a run), `sapo.svg`, and the tables of
docs/sapo.md; a smoke goes to .cache/sapo/ instead.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from benchmarks.sapo.conductor import conduct_all, finished
from benchmarks.sapo.report import plot, tables, write_rows
from benchmarks.sapo.study import read_study, runs_of

ROOT = Path(__file__).resolve().parents[2]
CACHE, RESULTS, DOCUMENT = ROOT / ".cache" / "sapo", ROOT / "benchmarks" / "results", ROOT / "docs" / "sapo.md"
MARKS = ("<!-- begin: study -->", "<!-- end: study -->")


def main() -> None:
    """Run what is not done yet, and report all of it."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.sapo", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--smoke", action="store_true", help="few nodes, few rounds, one seed")
    parser.add_argument("--so-far", action="store_true", help="run nothing, report what is done")
    parser.add_argument("--workers", type=int, default=2, help="swarms trained at a time, one thread each")
    asked = parser.parse_args()
    study = read_study().small() if asked.smoke else read_study()
    done = finished(study, CACHE)
    runs = [run for run in runs_of(study) if run in done or not asked.so_far]
    rows = conduct_all(study, runs, CACHE, workers=asked.workers)
    out = CACHE if asked.smoke else RESULTS
    write_rows(rows, out / "sapo.json")
    plot(rows, study, out / "sapo.svg")
    text = tables(rows, study)
    Console(soft_wrap=True).print(text, markup=False)
    if not asked.smoke and DOCUMENT.exists():
        before, rest = DOCUMENT.read_text().split(MARKS[0])
        DOCUMENT.write_text(f"{before}{MARKS[0]}\n\n{text}\n{MARKS[1]}{rest.split(MARKS[1])[1]}")


if __name__ == "__main__":
    main()
