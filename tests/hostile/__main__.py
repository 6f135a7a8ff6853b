"""``python -m tests.hostile --number 100000``: as many mutants as you have time for."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.hostile.run import Report, Siege


def main() -> int:
    """1 when a mutant came in, an original did not, or the check fell silent."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument("--number", type=int, default=5_000, help="mutants (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the mutator (%(default)s)")
    parser.add_argument("--attack", help="only this one of tests/hostile/attacks.py")
    parser.add_argument("--jobs", type=int, default=2, help="batches at a time (%(default)s)")
    args = parser.parse_args()
    started = time.monotonic()

    def tell(report: Report) -> None:
        if sys.stderr.isatty():
            said = f"\r{report.mutants:,} of {args.number:,}, {len(report.accepted)} accepted "
            print(said, end="", file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory(prefix="rfid3-hostile-") as scratch:
        siege = Siege(Path(scratch), args.seed)
        report = siege.run(args.number, args.attack, args.jobs, tell)
    for title, counted in (("attack", report.attacks), ("reason", report.reasons)):
        print(f"\n{title}")
        for name, count in counted.most_common():
            print(f"  {name:22} {count:8,}")
    took = time.monotonic() - started
    print(
        f"\n{report.mutants:,} mutants, seed {args.seed}, {took:.0f} s: "
        f"{len(report.accepted)} accepted, {len(report.unanswered)} unanswered; "
        f"{report.controls - len(report.controls_refused)} of {report.controls} originals let in"
    )
    for line in (*report.accepted, *report.unanswered, *report.controls_refused):
        print(f"  {line}")
    return 0 if report.good else 1


if __name__ == "__main__":
    sys.exit(main())
