"""Evaluations that REML takes to converge where covariances have low rank, and where they have full rank.

python -m tests.benchmarks.singular [--seeds 5] [--against COMMIT]

`y ~ a * c + (a * c | g)` of 1,000 rows in 40 groups, a with three levels, c numeric: six group columns, whose effects
are drawn with a covariance of the rank that is said; sleepstudy and 20,000 rows in 500 groups besides. Least, median
and most over seeds, how many converged, and processor milliseconds of one estimate, formula and table not counted.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tests.benchmarks.cold import process, trees
from tests.benchmarks.table import text_table

if TYPE_CHECKING:
    from typing import Any

_PROGRAM = """
import importlib.util, json, sys, time, warnings
warnings.simplefilter("ignore")
import hierreg as hr

def loaded(path):
    spec = importlib.util.spec_from_file_location(path.split("/")[-1][:-3] + "_of_here", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module

singular, data = loaded("{here}/helpers/singular.py"), loaded("{here}/benchmarks/data.py")

def measured(model):
    found = [model.estimate()]
    times = []
    for _ in range(3):
        begin = time.process_time()
        model.estimate()
        times.append(time.process_time() - begin)
    return found[0].n_evaluations, bool(found[0].converged), found[0].criterion, min(times)

out = {}
for rank in (1, 2, 3, 4, 6):
    models = [hr.Model(singular.FORMULA, singular.table(seed, rank)) for seed in range({seeds})]
    out[f"rank {rank} of 6"] = [measured(model) for model in models]
sleep = hr.load_dataset("sleepstudy")
out["sleepstudy"] = [measured(hr.Model("Reaction ~ Days + (Days | Subject)", sleep))]
case = data.CASES["b"]
out["(x | g), 500 groups"] = [measured(hr.Model(case.formula, data.table_of(case)))]
print(json.dumps(out), file=sys.stderr)
"""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.singular")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--against", help="commit to compare with")
    options = parser.parse_args()
    program = _PROGRAM.replace("{seeds}", str(options.seeds)).replace("{here}", str(Path(__file__).parents[1]))
    with trees(options.against) as folders:
        found: dict[str, dict[str, Any]] = {
            name: json.loads(process(tree, program)[1].splitlines()[-1]) for name, tree in folders.items()
        }
    rows = []
    for case in next(iter(found.values())):
        best = np.min([[one[2] for one in of[case]] for of in found.values()], axis=0)
        for name, of in found.items():
            evaluations, converged, criteria, seconds = map(np.array, zip(*of[case], strict=True))
            counts = f"{evaluations.min():,}, {np.median(evaluations):,.0f}, {evaluations.max():,}"
            above = f"{np.max(criteria - best):.1e}"
            ms = f"{1e3 * np.median(seconds):.1f}"
            rows.append([case, name[:8], counts, f"{converged.sum()} of {len(converged)}", above, ms])
    columns = ["covariance", "tree", "evaluations: least, median, most", "converged", "criterion above best", "CPU ms"]
    print(text_table(columns, rows))


if __name__ == "__main__":
    main()
