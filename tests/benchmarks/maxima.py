"""Whether shortcuts of searches for REML and ML ever end lower: random tables, beside another commit.

python -m tests.benchmarks.maxima [--tables 300] [--first 0] [--against COMMIT]

Where a gradient takes long, a search takes one precise Hessian, and values along weakly known standard deviations in
place of a search from another start (`hierreg.estimate.search`). Here that is done for small tables too, whose
criteria have several maxima far more often: one factor, two and three crossed, nested, unbalanced, of standard
deviations from none to five times that of errors, some with heavy tails. Criteria are compared with those of the other
commit, or of this one without shortcuts. Printed are the tables whose criterion is worse or better by more than 1e-6,
and how many searches ended without a second start.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np

from tests.benchmarks.cold import process, trees
from tests.benchmarks.table import text_table

_PROGRAM = """
import json, sys, warnings
import numpy as np
warnings.simplefilter("ignore")
import hierreg as hr

short = {short}
if short:
    from hierreg.estimate import search
    from hierreg.likelihood.crossed.engine import CrossedLikelihood
    from hierreg.likelihood.groups.engine import MarginalLikelihood
    CrossedLikelihood.is_costly = property(lambda self: True)
    MarginalLikelihood.is_costly = property(lambda self: True)
    asked = search._is_only_one
    def counted(*arguments):
        answer = asked(*arguments)
        seen[0] = answer[0]
        return answer
    search._is_only_one = counted
seen = [False]
KINDS = ("one factor", "slopes", "crossed", "three crossed", "crossed, slopes", "nested", "crossed, strata")
FORMULAS = dict(zip(KINDS, (
    "y ~ x + (1 | a)", "y ~ x + (x | a)", "y ~ x + (1 | a) + (1 | b)", "y ~ x + (1 | a) + (1 | b) + (1 | c)",
    "y ~ x + (x | a) + (1 | b)", "y ~ x + (1 | a/b)", "y ~ x + (1 | a) + (1 | b)")))

def table(seed, kind):
    rng = np.random.default_rng(seed)
    levels = np.maximum(3, np.exp(rng.uniform(np.log(4), np.log(80), 3)).astype(int))
    n = int(np.exp(rng.uniform(np.log(40), np.log(6000))))
    index = [(J * rng.random(n) ** rng.uniform(0.5, 3.0)).astype(int) for J in levels]
    sds = np.exp(rng.uniform(np.log(0.05), np.log(5.0), 3)) * (rng.random(3) > 0.15)
    draw = (lambda J: rng.normal(size=J)) if seed % 3 else (lambda J: rng.standard_t(1.5, size=J))
    x = rng.normal(size=n)
    y = x + sum(sd * draw(J)[i] for sd, J, i in zip(sds, levels, index))
    slopes = 0.5 * sds[1] * draw(levels[0])
    y = y + slopes[index[0]] * x + (rng.normal(size=n) if seed % 4 else rng.standard_t(2, size=n))
    s = [("p", "q")[k] for k in rng.integers(0, 2, n)]
    return {"y": y, "x": x, "a": index[0], "b": index[1], "c": index[2], "s": s}

out = []
for seed in range({first}, {first} + {tables}):
    kind = KINDS[seed % len(KINDS)]
    errors = hr.by("s") if "strata" in kind else None
    try:
        model = hr.Model(FORMULAS[kind], table(seed, kind), errors=errors)
        for method in ("reml", "ml"):
            seen[0] = False
            est = model.estimate(method)
            out.append((seed, kind, method, est.criterion, bool(est.converged), est.n_evaluations, bool(seen[0])))
    except hr.exceptions.HierregError as error:
        out.append((seed, kind, "none", 0.0, False, 0, False))
print(json.dumps(out), file=sys.stderr)
"""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.maxima")
    parser.add_argument("--tables", type=int, default=300)
    parser.add_argument("--first", type=int, default=0, help="seed of the first table")
    parser.add_argument("--against", help="commit to compare with; this one without shortcuts by default")
    options = parser.parse_args()

    def answers(tree: Any, *, short: bool) -> list[Any]:
        program = _PROGRAM.replace("{tables}", str(options.tables)).replace("{short}", str(short))
        program = program.replace("{first}", str(options.first))
        return list(json.loads(process(tree, program)[1].splitlines()[-1]))

    with trees(options.against) as folders:
        here = answers(folders["here"], short=True)
        there = answers(folders[options.against or "here"], short=False)
    assert len(here) == len(there)
    rows = []
    for kind in dict.fromkeys(one[1] for one in here):
        pairs = [(one, two) for one, two in zip(here, there, strict=True) if one[1] == kind and one[2] != "none"]
        change = np.array([one[3] - two[3] for one, two in pairs])
        lost = sum(two[4] and not one[4] for one, two in pairs)
        only = sum(one[6] for one, _ in pairs)
        taken = ", ".join(str(int(np.median([pair[i][5] for pair in pairs]))) for i in range(2))
        worse = np.flatnonzero(change > 1e-6)
        rows.append([kind, len(pairs), only, len(worse), int(np.sum(change < -1e-6)), lost, taken])
        for i in worse:
            print(f"worse by {change[i]:.2g}: {pairs[i][0]}, {pairs[i][1]}")
    names = ["tables", "estimates", "one start", "worse", "better", "no longer converged", "evaluations"]
    print(text_table(names, [[str(cell) for cell in row] for row in rows]))


if __name__ == "__main__":
    main()
