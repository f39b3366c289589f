"""What must not change an answer, tried on a random case without an oracle.

The zero and the unit of a predictor, the unit of the response, and statistics from batches in place of one table.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

import hierreg as hr
from hierreg.exceptions import HierregError
from hierreg.variances.parameters import covariances
from tests.fuzz import models
from tests.fuzz.columns import Columns, condition
from tests.fuzz.draft import quoted

EPS = np.finfo(float).eps


def gaps(case, model, rng):
    """Return by name of a relation the largest change of log densities, and what is allowed."""
    out = {}
    if case.priors == "default":
        for name, changed in _changes(case, rng):
            out[name] = _posterior_gap(case, model, *changed)
    in_parts = case.errors[0] not in {"known_cov", "correlated", "exchangeable", "ar1"} and "poly" not in case.formula
    if in_parts and not model.problem.fixed.is_fixed.any():
        out["rows in batches"] = _batch_gap(case, model, rng)
    return {name: found for name, found in out.items() if found is not None}


def _changes(case, rng):
    """Yield the name of a change, the changed case, and what each degree of x and y are multiplied with."""
    y = np.asarray(case.table[case.response], dtype=float)
    if case.errors[0] not in {"known_se", "known_cov"}:
        yield "unit of y", (replace(case, table=case.table.assign(**{case.response: y * 2.0**20})), None, 1.0, 2.0**20)
    used = [x for x in case.numeric if np.std(np.asarray(case.table[x], dtype=float)) > 0]
    if not used:
        return
    x = used[int(rng.integers(len(used)))]
    values = np.asarray(case.table[x], dtype=float)
    yield "unit of x", (replace(case, table=case.table.assign(**{x: values * 2.0**-12})), x, 2.0**-12, 1.0)
    if "0 +" in case.formula or "||" in case.formula or abs(values.mean()) > 100 * values.std():
        return
    size = 2.0 ** np.ceil(np.log2(values.std()))
    moved = np.round(values / size * 2.0**40) * size / 2.0**40  # so that no digit is lost with the shift
    first = replace(case, table=case.table.assign(**{x: moved}))
    yield "zero of x", (replace(case, table=case.table.assign(**{x: moved + 64.0 * size})), x, 1.0, 1.0, first)


def _posterior_gap(case, model, changed, x, x_unit, y_unit, first=None):
    """Return the largest change of differences between posterior densities at three points."""
    mine = model if first is None else models.make_model(first)
    other = models.make_model(changed)
    parameters = mine.problem.parameters
    factors = [y_unit / x_unit ** _degree(name, x) for names in parameters.factor_coef_names for name in names] + [
        1.0 if case.errors[0].startswith("known") else y_unit
    ] * len(parameters.error_labels)
    log_factors = np.log(np.array(factors)[parameters.sd_is_free])
    rows = models.plain_rows(case, mine)
    rng = np.random.default_rng([13, case.seed])
    one, two = (models.target_of(m, natural=True) for m in (mine, other))
    found, sizes = [], []
    for _ in range(3):
        u = models.random_unconstrained(mine, rows, rng)
        moved = u.copy()
        moved[: len(log_factors)] += log_factors
        found.append(two(moved)[0] - one(u)[0])
        sizes.append(abs(one(u)[0]) + len(rows.y))
    return float(np.ptp(found)), 1e-8 * max(sizes)


def _degree(name, x):
    """Return the power of x in a column."""
    if x is None:
        return 0
    powers = dict.fromkeys((x, quoted(x)), 1) | {f"I({text} ** 2)": 2 for text in (x, quoted(x))}
    return sum(powers.get(part, 0) for part in name.split(":"))


def _batch_gap(case, model, rng):
    """Return the change of the restricted likelihood when rows come in three batches.

    Of a batch with fewer rows than columns no column is orthogonal to the others, so that nearly collinear ones lose
    the square of their condition there. Without a constant column a response far from zero is not centred: what is
    taken off in each batch is rounded by eps times that.
    """
    cuts = np.sort(rng.integers(0, len(case.table) + 1, 2))
    tables = [
        part for part in (case.table[: cuts[0]], case.table[cuts[0] : cuts[1]], case.table[cuts[1] :]) if len(part)
    ]
    try:
        options = {"collinear": case.collinear, "weights": case.weights}
        other = hr.Model.from_gram(hr.Gram.from_batches(tables, case.formula, models.error_spec(case), **options))
    except HierregError:
        if case.tags:
            return None
        raise
    u = models.random_unconstrained(model, models.plain_rows(case, model), rng)
    at = covariances(model.problem.parameters, u[None])
    # Strata of categories may stand in another order.
    labels = [list(m.problem.layout.labels) for m in (model, other)]
    order = [labels[0].index(label) for label in labels[1]]
    one = model.problem.likelihood("reml").value_and_gradient(at.Lambda[0], at.error_cov[0])[0]
    two = other.problem.likelihood("reml").value_and_gradient(at.Lambda[0], at.error_cov[0][np.ix_(order, order)])[0]
    names = model.problem.labels.coef
    X, y = Columns(case).matrix(names), np.asarray(case.table[case.response], dtype=float)
    lost = condition(X) ** 2 if min(map(len, tables)) <= len(names) else 1.0
    if not np.any(np.ptp(X, axis=0) == 0):
        lost += abs(y.mean()) / np.sqrt(at.error_cov[0].diagonal().min())
    return abs(one - two), (1e-8 + EPS * lost) * (abs(one) + len(case.table))
