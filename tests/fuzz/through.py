"""Random small models through everything: sampling, every report, saving and loading.

`python -m tests.fuzz.through --cases 200 --seed 0`, or one case alone with `--case 17`. No oracle here: each step
works, or refuses by an exception of hierreg, and what is saved is what is loaded.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

import hierreg as hr
from tests.fuzz import models
from tests.fuzz.cases import make
from tests.fuzz.check import Verdict, refusal
from tests.fuzz.run import report

DRAWS, CHAINS = 50, 2
MOST_PARAMETERS = 15  # of the variances: dozens of correlated data sets take minutes
GROUPS = ("log_likelihood", "posterior_predictive")
# What a report needs and the run was not asked for, or is not given here.
NEEDED = ("only summaries", "new_cov is missing")
INCLUDED = ("log_likelihood", "posterior_predictive", "log_prior", "prior", "prior_predictive")


class BrokenChainError(Exception):
    """A step that gives what it must not."""


def verdict(seed):
    """Return what came of a case: "answered" with what was refused on the way, "refused" before sampling, "failure"."""
    case = make(seed)
    steps = _Steps(case=case)
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", hr.exceptions.HierregWarning)
        try:
            _through(case, steps, Path(folder))
        except hr.exceptions.HierregError as error:
            return refusal(case, error)
        except BrokenChainError as broken:
            return Verdict(seed=seed, outcome="failure", kind=f"{steps.now}: {broken}", detail=case.formula)
        except Exception as error:  # noqa: BLE001  # what is not hierreg's own is the failure that is looked for
            where = [frame for frame in traceback.extract_tb(error.__traceback__) if "hierreg/" in frame.filename]
            at = f" at {where[-1].filename.split('hierreg/')[-1]}:{where[-1].name}" if where else ""
            kind = f"{steps.now}: foreign {type(error).__name__}{at}"
            return Verdict(seed=seed, outcome="failure", kind=kind, detail=f"{case.formula}: {error}")
    return Verdict(seed=seed, outcome="answered", kind="; ".join(sorted(set(steps.refused))))


@dataclass(kw_only=True)
class _Steps:
    """What is being done, and what was refused."""

    case: object
    now: str = "model"

    def __post_init__(self):
        self.refused = []

    def do(self, name, function, *arguments, **options):
        """Return what a step gives; None where it refuses."""
        self.now = name
        try:
            return function(*arguments, **options)
        except hr.exceptions.HierregError as error:
            found = refusal(self.case, error)
            if found.outcome == "failure" and not any(words in found.detail for words in NEEDED):
                raise BrokenChainError(f"refused an ordinary case, {error}") from error
            self.refused.append(f"{name}: {found.kind.removeprefix('refused an ordinary case, ')}")
            return None


def _through(case, steps, folder):
    model = models.make_model(case)
    if model.problem.parameters.n_free > MOST_PARAMETERS:
        return
    rng = np.random.default_rng([19, case.seed])
    steps.now = "sample"
    has_prior = case.priors == "default" and not case.errors[0].startswith("known")
    included = [name for name in INCLUDED if has_prior or not name.startswith("prior")]
    effects = str(rng.choice(["auto", "draws", "summary"])) if case.factors else "auto"
    if effects == "summary":
        included = [name for name in included if name not in {*GROUPS, "log_prior"}]
    tree = model.sample(
        draws=DRAWS,
        chains=CHAINS,
        seed=int(rng.integers(1000)),
        cores=1,
        method="psis" if rng.random() < 0.4 else "nuts",
        group_effects=effects,
        include=tuple(name for name in included if rng.random() < 0.3),
        progress=False,
    )
    for name, values in tree["posterior"].data_vars.items():
        # A correlation with a standard deviation of zero is none.
        if not np.isfinite(values.values).all() and not name.startswith(("corr_", "error_corr")):
            raise BrokenChainError(f"draws of {name} that are not finite")
    said = _reports(case, model, tree, steps)
    loaded = _saved_and_loaded(tree, folder / ("result.zarr" if rng.random() < 0.15 else "result.nc"), steps)
    steps.now = "reports of a loaded tree"
    again = _reports(case, model, loaded, steps)
    if changed := [name for name in said if said[name] != again.get(name)]:
        raise BrokenChainError(f"a loaded tree says something else: {changed}")


def _saved_and_loaded(tree, path, steps):
    """Return the tree after a file; raise where it is another."""
    steps.now = "save"
    hr.save(tree, path)
    steps.now = "load"
    loaded = hr.load(path)
    if [node.path for node in tree.subtree] != [node.path for node in loaded.subtree]:
        raise BrokenChainError("other groups than were saved")
    for node in tree.subtree:
        own, other = node.to_dataset(), loaded[node.path].to_dataset()
        if changed := _changed(own, other):
            raise BrokenChainError(f"{node.path} changed: {changed}")
    return loaded


def _reports(case, model, tree, steps):
    """Return what every report says, in words."""
    coef = tree["posterior"].coords["coef"].values.tolist() if "coef" in tree["posterior"].coords else []
    # Rows of a unit that was observed are further rows of it.
    unit = [
        case.errors[i] for kind, i in (("correlated", 2), ("exchangeable", 1), ("ar1", 2)) if case.errors[0] == kind
    ]
    kept = [name for name in case.table if name not in unit or any(name in own for own in case.factors)]
    table = models.LIBRARIES[case.library](case.table[kept])
    calls = {
        "summary": (hr.summary, tree),
        "correlations": (hr.correlations, tree),
        "predict": (hr.predict, model, table, tree),
        "predict, population": (partial(hr.predict, level="population"), model, table, tree),
        "predict, expected": (partial(hr.predict, observation=False), model, table, tree),
        "log_likelihood": (hr.log_likelihood, tree, model),
        "posterior_predictive": (partial(hr.posterior_predictive, seed=1), tree, model),
    }
    for factor in model.problem.labels.factor_names:
        calls[f"shrinkage, {factor}"] = (partial(hr.shrinkage, factor=factor), tree)
    if coef:
        calls["contrasts"] = (hr.contrasts, tree, {"one": {coef[0]: 1.0}})
    said = {}
    for name, (function, *arguments) in calls.items():
        found = steps.do(name, function, *arguments)
        if found is None:
            continue
        if name in GROUPS:
            values = np.concatenate([own.values.ravel() for own in found[name].data_vars.values()])
            said[name] = values.tobytes()
        else:
            said[name] = str(found)
            values = found["mean"].values if name.startswith("predict") else np.zeros(1)
        if not np.isfinite(values).all():
            raise BrokenChainError("values that are not finite")
    return said


def _changed(own, other):
    """Return the variables that differ in values, coordinates or attributes."""
    names = [name for name in own.variables if name not in other.variables or not own[name].equals(other[name])]
    names += [
        name for name in own.variables if name not in names and _attributes(own[name]) != _attributes(other[name])
    ]
    return names + [name for name in other.variables if name not in own.variables]


def _attributes(variable):
    """Return attributes as lists: a file has no list of one."""
    return {name: np.atleast_1d(value).tolist() for name, value in variable.attrs.items()}


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.through", description=__doc__)
    parser.add_argument("--cases", type=int, default=20, help="how many (20)")
    parser.add_argument("--seed", type=int, default=0, help="number of the first case (0)")
    parser.add_argument("--case", type=int, help="try this case alone")
    options = parser.parse_args()
    if options.case is not None:
        found = verdict(options.case)
        print(make(options.case).formula, f"\n{found.outcome} {found.kind}\n{found.detail}")
        return int(found.outcome == "failure")
    verdicts = []
    for seed in range(options.seed, options.seed + options.cases):
        verdicts.append(verdict(seed))
        if verdicts[-1].outcome == "failure":
            print(f"{seed}: {verdicts[-1].kind}", flush=True)
    print(report(verdicts).replace("answered, and equal to the oracle", "went through"))
    refused = Counter(step for found in verdicts if found.outcome == "answered" for step in found.kind.split("; "))
    print("steps refused on the way")
    for step, count in refused.most_common():
        print(f"  {count:6d}  {step}" if step else f"  {count:6d}  (none)")
    return int(any(found.outcome == "failure" for found in verdicts))


if __name__ == "__main__":
    sys.exit(main())
