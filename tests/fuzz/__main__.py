"""`python -m tests.fuzz --cases 10000 --seed 0 --jobs 2`, or one case alone: `python -m tests.fuzz --case 123`."""

import argparse
import sys

from tests.fuzz.cases import make
from tests.fuzz.check import verdict
from tests.fuzz.run import report, run


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=300, help="how many (300)")
    parser.add_argument("--seed", type=int, default=0, help="number of the first case (0)")
    parser.add_argument("--jobs", type=int, default=1, help="processes (1)")
    parser.add_argument("--case", type=int, help="try this case alone and show it")
    options = parser.parse_args()
    if options.case is not None:
        case = make(options.case)
        print(case.formula, case.errors[0], case.errors[1:] if case.errors[0] != "known_cov" else "", case.priors)
        print(sorted(case.tags), case.collinear, case.weights, case.given, case.library)
        print(case.table.to_string(max_rows=12))
        found = verdict(options.case)
        print(f"{found.outcome} {found.kind}\n{found.detail}")
        return int(found.outcome == "failure")
    seeds = range(options.seed, options.seed + options.cases)
    verdicts = run(seeds, jobs=options.jobs, tell=lambda found: print(f"{found.seed}: {found.kind}", flush=True))
    print(report(verdicts))
    return int(any(found.outcome == "failure" for found in verdicts))


if __name__ == "__main__":
    sys.exit(main())
