"""Every name of a result as the name of a column, in every role: several of them in each model.

A model has several roles for columns (`KINDS`), and gives each of them another name at once; from model to model the
names move on, so that each has stood in every role once. Names that a result derives from a column, such as ``sd_H`` of
a factor H, are made from what that column is called in the model, so that there is something to be mistaken for.
"""

import re
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
import pytest

import hierreg as hr

N, PARTS = 36, 6
RNG = np.random.default_rng(5)
TABLE = {
    "Y": RNG.normal(size=N) + np.repeat(RNG.normal(size=6), 6),
    "X": RNG.normal(size=N),
    "G": np.repeat(np.arange(6), 6),
    "H": np.tile(np.arange(6), 6),
    "S": np.tile(["a", "b"], 18),
    "T": np.repeat(["a", "b"], 18),
    "U": np.arange(N) // 2,
    "V": np.full(N, 0.5),
    "W": np.tile(np.arange(6), 6),
}


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A model whose columns have names of their own in several roles.

    `roles` gives the column of each role that is gone through; `owners`, for G, H and S of names of results, the column
    that stands for it here, without which names derived from it are left out; `unit`, what is new in predictions.
    """

    formula: str
    errors: object
    roles: dict[str, str]
    owners: dict[str, str]
    weights: str | None = None
    unit: str | None = None


KINDS = {
    "strata": Kind(
        formula="{Y} ~ {X} + ({X} | {G}) + (1 | {H})",
        errors=lambda c: hr.by(c["S"]),
        roles={
            "response": "Y",
            "predictor": "X",
            "first factor": "G",
            "second factor": "H",
            "stratum": "S",
            "weights": "V",
        },
        owners={"G": "G", "H": "H", "S": "S"},
        weights="V",
    ),
    "known errors": Kind(
        formula="{Y} ~ {X} + ({X} | {G})",
        errors=lambda c: hr.known_se(c["V"], scale=True),
        roles={"factor": "G", "standard error": "V", "response": "Y", "predictor": "X"},
        owners={"G": "G"},
    ),
    "data sets": Kind(
        formula="{Y} ~ {X} + ({X} | {S})",
        errors=lambda c: hr.correlated(c["S"], unit=c["U"]),
        roles={"data set": "S", "unit": "U", "predictor": "X"},
        owners={"G": "S", "S": "S"},
        unit="U",
    ),
    "exchangeable": Kind(
        formula="{Y} ~ {X} + (1 | {H})",
        errors=lambda c: hr.exchangeable(c["U"], by=c["T"]),
        roles={"exchangeable stratum": "T", "exchangeable unit": "U", "response": "Y"},
        owners={"G": "H", "S": "T"},
        unit="U",
    ),
    "in time": Kind(
        formula="{Y} ~ {X} + (1 | {H})",
        errors=lambda c: hr.ar1(c["W"], unit=c["G"]),
        roles={"time": "W", "unit in time": "G", "factor": "H"},
        owners={"G": "H"},
        unit="G",
    ),
}
# The factor cov_H beside H: `b_cov_H` would be both the covariance of b of H and b of cov_H.
REFUSED = {("strata", "first factor", "cov_{H}"), ("strata", "second factor", "cov_{G}")}
MORE_NAMES = {"error", "pattern", "group_pattern", "obs", "unit", "dataset", "y"}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::hierreg.exceptions.HierregWarning"),
]


def sampled(model, **arguments):
    return model.sample(draws=25, chains=2, seed=1, progress=False, method="psis", **arguments)


def model_of(kind, names):
    """Return the model and its table, with names for some columns."""
    called = {column: names.get(column, column) for column in TABLE}
    table = pd.DataFrame({called[column]: values for column, values in TABLE.items()})
    formula = kind.formula.format_map({column: f"`{name}`" for column, name in called.items()})
    weights = called[kind.weights] if kind.weights else None
    return hr.Model(formula, table, kind.errors(called), weights=weights), table, called


@cache
def templates():
    """Return every dimension, coordinate and variable of trees of all kinds, with {G}, {H}, {S} for columns."""
    out = set(MORE_NAMES)
    for kind in KINDS.values():
        model, _, _ = model_of(kind, {})
        back = {}
        for letter in ("S", "H", "G"):
            if letter in kind.owners:
                back[kind.owners[letter]] = letter
        for effects in ("draws", "summary"):
            for group in sampled(model, group_effects=effects).children.values():
                dataset = group.to_dataset()
                for name in map(str, (*dataset.dims, *dataset.coords, *dataset.data_vars)):
                    if name not in TABLE:
                        parts = (f"{{{back[part]}}}" if part in back else part for part in name.split("_"))
                        out.add("_".join(parts))
    return sorted(out)


def assignments(kind_name):
    """Return, model by model, the template of each role: every template in every role once."""
    kind = KINDS[kind_name]
    left = {
        role: [
            one
            for one in templates()
            if set(re.findall(r"{(\w)}", one)) <= kind.owners.keys() and (kind_name, role, one) not in REFUSED
        ]
        for role in kind.roles
    }
    for shift, role in enumerate(left):
        start = shift * len(left[role]) // len(left)
        left[role] = left[role][start:] + left[role][:start]
    out = []
    while any(left.values()):
        mine = {}
        for role, waiting in left.items():
            free = next((one for one in waiting if is_possible(kind, mine, role, one)), None)
            if free is not None:
                waiting.remove(free)
                mine[role] = free
        out.append(mine)
    return out


def is_possible(kind, mine, role, template):
    """Return whether a template may stand in a role beside those that are in others."""
    try:
        names = filled(kind, mine | {role: template})
    except RecursionError:
        return False
    return len({*names.values()} | (TABLE.keys() - names.keys())) == len(TABLE)


def filled(kind, mine):
    """Return the name of the column of each role, of templates by role.

    What a template derives from a column is derived from the column's name here, or from its letter for itself.

    Raises
    ------
    RecursionError
        If two names derive from each other.
    """
    given = {kind.roles[role]: one for role, one in mine.items()}

    def name_of(column, above=()):
        if column in above:
            raise RecursionError
        one = given.get(column, column)
        owners = {letter: kind.owners[letter] for letter in re.findall(r"{(\w)}", one)}
        return one.format_map(
            {letter: owner if owner == column else name_of(owner, (*above, column)) for letter, owner in owners.items()}
        )

    return {column: name_of(column) for column in given}


def run_everything(kind, names, path):
    """Estimate, sample, save, load, make every report, predict and replicate; finite throughout."""
    model, table, called = model_of(kind, names)
    estimate = model.estimate()
    assert repr(estimate)
    drawn, short = sampled(model), sampled(model, group_effects="summary")
    kept = hr.load(hr.save(drawn, path))
    for tree in (kept, short):
        reports = [hr.summary(tree), hr.correlations(tree), hr.contrasts(tree, {"c": {"Intercept": 1.0}})]
        reports += [hr.shrinkage(tree, factor=factor) for factor in model.problem.labels.factor_names]
        reports += [hr.r2(tree), hr.comparisons(model, tree, called["X"], by=called["T"])]
        assert all(str(report.text()) for report in reports)
    of_estimate = [hr.summary(estimate), hr.r2(estimate), hr.means(model, estimate, {called["X"]: [0.0, 1.0]})]
    for factor in model.problem.labels.factor_names:
        of_estimate += [hr.ranks(kept, factor=factor, pairwise=True), hr.shrinkage(estimate, factor=factor)]
    assert all(str(report.text()) for report in of_estimate)
    new = table.drop(columns=called["Y"]).head(2)
    if kind.unit is not None:
        new = new.assign(**{called[kind.unit]: [998, 999]})
    for result in (kept, estimate):
        assert np.isfinite(hr.predict(model, new, at=result, observation=False)["mean"]).all()
    assert "posterior_predictive" in hr.posterior_predictive(drawn, model).children


def fault(kind, names, path):
    """Return what goes wrong with the names, or nothing."""
    try:
        run_everything(kind, names, path)
    except Exception as error:  # noqa: BLE001  # whatever it is, it is reported with the role and the name
        return f"{type(error).__name__}: {error}"
    return ""


def faults(kind, mine, path):
    """Return what goes wrong with the templates of some roles, by role and name: alone, or together if only so."""
    together = fault(kind, filled(kind, mine), path)
    if not together:
        return []
    alone = []
    for role, one in mine.items():
        names = filled(kind, {role: one})
        found = fault(kind, names, path)
        if found:
            alone.append(f"{role} called {names[kind.roles[role]]!r}: {found}")
    names = filled(kind, mine)
    roles = ", ".join(f"{role} {names[kind.roles[role]]!r}" for role in mine)
    return alone or [f"only together, {roles}: {together}"]


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("kind", KINDS)
def test_every_name_of_a_result_can_be_a_column(kind, part, tmp_path):
    found = []
    for mine in assignments(kind)[part::PARTS]:
        found += faults(KINDS[kind], mine, tmp_path / "tree.nc")
    assert not found, "\n".join(found)


@pytest.mark.parametrize("kind", KINDS)
def test_every_name_stands_in_every_role_once(kind):
    models = assignments(kind)
    own = [one for one in templates() if set(re.findall(r"{(\w)}", one)) <= KINDS[kind].owners.keys()]
    assert len(own) > 50
    for role in KINDS[kind].roles:
        refused = {one for of, where, one in REFUSED if (of, where) == (kind, role)}
        assert sorted([mine[role] for mine in models if role in mine] + sorted(refused)) == own
    assert len(models) < len(own) + 12


@pytest.mark.parametrize(("kind", "role", "template"), sorted(REFUSED))
def test_names_of_two_factors_that_would_be_one_of_a_result_are_refused(kind, role, template):
    assert template in templates()
    with pytest.raises(hr.exceptions.ModelError, match="would share names of results"):
        model_of(KINDS[kind], filled(KINDS[kind], {role: template}))
