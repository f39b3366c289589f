"""Changes of a model's coding that must not change what it says: `python -m tests.fuzz.invariances` prints the table.

Three numbers for each model and transformation, the largest differences of log densities over a few points after a
constant (a unit's Jacobian) is taken off: the restricted and the profiled likelihood at the transformed covariances,
and the posterior under default priors at the transformed unconstrained vector. A change of columns Z' = Z T, T
triangular in the order of the formula, makes Lambda' = T^-1 Lambda, and in the frame of orthogonalised columns
sd*' = sd* / T_ii.
"""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

import hierreg as hr
from hierreg.likelihood.posterior import Target
from hierreg.variances.parameters import covariances
from tests.fuzz.cases import Case
from tests.fuzz.columns import Columns
from tests.fuzz.exact import eliminate, exact, numbers, product, zeros
from tests.fuzz.models import error_spec


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A model before or after a transformation.

    `formula` has {x} where the first predictor stands. `order` are the rows of the first setting in this one's order;
    `unit` is what y was multiplied with, `error_unit` what a factor on known errors must be (1 where they are in the
    unit of y); `strata` the places of the first setting's strata; `parts` the number of batches that the statistics are
    collected from, none for one table.
    """

    formula: str
    table: pd.DataFrame
    errors: tuple = ("independent",)
    x: str = "x"
    order: np.ndarray | None = None
    unit: float = 1.0
    error_unit: float | None = None
    strata: tuple[int, ...] = ()
    parts: int = 0

    def case(self):
        return Case(
            seed=0,
            formula=self.formula.format(x=self.x),
            table=self.table,
            numeric=("x", "w"),
            categorical=("a",),
            errors=self.errors,
        )

    def model(self):
        case = self.case()
        if not self.parts:
            return hr.Model(case.formula, self.table, errors=error_spec(case))
        batches = np.array_split(np.arange(len(self.table)), self.parts)
        tables = [self.table.iloc[rows] for rows in batches]
        return hr.Model.from_gram(hr.Gram.from_batches(tables, case.formula, error_spec(case)))


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table; None where a difference has no meaning."""

    model: str
    transformation: str
    reml: float
    ml: float
    posterior: float | None
    problem: str = ""
    notes: dict = field(default_factory=dict)


# ---- models


def table_of(n_groups=8, size=6, seed=1):
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(n_groups), size)
    n = len(g)
    x = _short(rng.normal(size=n))  # so that shifts of it are exact
    frame = pd.DataFrame({
        "x": x,
        "w": _short(rng.normal(size=n)),
        "a": np.where(g % 2, "treated", "control"),
        "g": [f"g{j:02d}" for j in g],
        "h": np.tile(["p", "q", "r"], n // 3),
        "s": np.where(rng.permutation(n) % 3 == 0, "one", "two"),
        "d": np.tile(["d1", "d2"], n // 2),
        "u": np.repeat(np.arange(n // 2), 2),
        "se": np.exp(rng.normal(-0.5, 0.3, n)),
    })  # fmt: skip
    b = rng.normal(size=(n_groups, 2)) * [0.7, 0.5]
    frame["y"] = _short(1 + 0.5 * x + b[g, 0] + b[g, 1] * x + 0.3 * x * (g % 2) + rng.normal(size=n))
    return frame


def _short(values):
    """Return values with ten binary places."""
    return np.round(values * 1024.0) / 1024.0


def settings():
    """Return the models by name."""
    table = table_of()
    A = np.random.default_rng(2).normal(size=(len(table), 2 * len(table)))
    V = A @ A.T / len(table)
    formulas = {
        "y ~ x": "y ~ {x}",
        "y ~ a * x": "y ~ a * {x}",
        "y ~ x + (x | g)": "y ~ {x} + ({x} | g)",
        "y ~ a * x + (x | g)": "y ~ a * {x} + ({x} | g)",
        "y ~ x * w + (x | g)": "y ~ {x} * w + ({x} | g)",
        "y ~ x + w + (x + w | g)": "y ~ {x} + w + ({x} + w | g)",
        "y ~ x + (1 | g)": "y ~ {x} + (1 | g)",
        "y ~ x + (x | g) + (1 | h)": "y ~ {x} + ({x} | g) + (1 | h)",
        "y ~ x + (1 | h/g)": "y ~ {x} + (1 | h/g)",
    }
    out = {name: Setting(formula=formula, table=table) for name, formula in formulas.items()}
    slopes = "y ~ {x} + ({x} | g)"
    out["by(s)"] = Setting(formula=slopes, table=table, errors=("by", "s"))
    out["correlated(d, unit=u)"] = Setting(formula=slopes, table=table, errors=("correlated", "d", "u"))
    out["exchangeable(u)"] = Setting(formula=slopes, table=table, errors=("exchangeable", "u", None, True))
    out["known_se(se)"] = Setting(formula=slopes, table=table, errors=("known_se", "se", False))
    out["known_se(se, scale=True)"] = Setting(formula=slopes, table=table, errors=("known_se", "se", True))
    out["known_cov(V, scale=True)"] = Setting(formula=slopes, table=table, errors=("known_cov", V, True))
    return out


def quadratic():
    """Return the models with a quadratic in powers, by name."""
    table = table_of()
    powers = "x + I(x ** 2)"
    return {
        "y ~ x + I(x ** 2)": Setting(formula="y ~ {x}", table=table, x=powers),
        "y ~ x + I(x ** 2) + (1 | g)": Setting(formula="y ~ {x} + (1 | g)", table=table, x=powers),
        "y ~ x + I(x ** 2) + (x + I(x ** 2) | g)": Setting(formula="y ~ {x} + ({x} | g)", table=table, x=powers),
    }


# ---- transformations


def _with(setting, **columns):
    return replace(setting, table=setting.table.assign(**columns))


def shift_of_x(by):
    return lambda s: _with(s, x=s.table["x"] + by)


def unit_of_x(factor):
    return lambda s: _with(s, x=s.table["x"] * factor)


def in_formula(text):
    return lambda s: replace(s, x=text)


def shift_of_y(by):
    return lambda s: _with(s, y=s.table["y"] + by)


def unit_of_y(factor):
    def change(s):
        errors = s.errors
        if errors[0] == "known_cov":
            errors = (errors[0], errors[1] * factor**2, *errors[2:])
        return replace(
            s, table=s.table.assign(y=s.table["y"] * factor, se=s.table["se"] * factor), errors=errors, unit=factor
        )

    return change


def unit_of_errors(factor):
    """Known errors in another unit than y: their factor takes it up."""

    def change(s):
        errors = s.errors
        if errors[0] == "known_cov":
            errors = (errors[0], errors[1] * factor**2, *errors[2:])
        return replace(_with(s, se=s.table["se"] * factor), errors=errors, error_unit=1.0 / factor)

    return change


def order_of_rows(s):
    order = np.random.default_rng(5).permutation(len(s.table))
    errors = s.errors
    if errors[0] == "known_cov":
        errors = (errors[0], errors[1][np.ix_(order, order)], *errors[2:])
    return replace(s, table=s.table.iloc[order].reset_index(drop=True), errors=errors, order=order)


def order_of_groups(s):
    """Groups by other names, which sort in another order."""
    names = sorted(set(s.table["g"]))
    new = dict(zip(names, np.random.default_rng(6).permutation(names), strict=True))
    return _with(s, g=s.table["g"].map(new))


def labels_as_integers(s):
    return _with(s, g=[17 - 3 * int(name[1:]) for name in s.table["g"]], u=[f"u{u}" for u in s.table["u"]])


def labels_as_categories(s):
    """Categories in the order of the rows, one of them unused."""
    levels = [*dict.fromkeys(s.table["g"]), "unused"]
    return _with(s, g=pd.Categorical(s.table["g"], categories=levels[::-1]))


def order_of_strata(s):
    return replace(
        _with(s, s=s.table["s"].map({"one": "z", "two": "b"}), d=s.table["d"].map({"d1": "y", "d2": "c"})),
        strata=(1, 0),
    )


def in_batches(s):
    return replace(s, parts=3)


FOR_ALL = {
    "x + 3": shift_of_x(3.0),
    "x + 2000": shift_of_x(2000.0),
    "x + 1e6": shift_of_x(1e6),
    "x * 1000": unit_of_x(1000.0),
    "x * 1e-9": unit_of_x(1e-9),
    "I(x - 7) for x": in_formula("I(x - 7)"),
    "y + 1e4": shift_of_y(1e4),
    "y * 1e6": unit_of_y(1e6),
    "y * 1e-12": unit_of_y(1e-12),
    "order of rows": order_of_rows,
    "order of groups": order_of_groups,
    "integers as labels": labels_as_integers,
    "categories as labels": labels_as_categories,
    "order of strata": order_of_strata,
    "known errors * 1000": unit_of_errors(1000.0),
    "three batches": in_batches,
}
FOR_QUADRATIC = {
    "poly(x, 2)": in_formula("poly(x, 2)"),
    "x + 3": shift_of_x(3.0),
    "x + 2000": shift_of_x(2000.0),
    "x * 1000": unit_of_x(1000.0),
    "three batches": in_batches,
}


# ---- differences


def change_of_columns(Z, other):
    """Return T (q, q), exact, with Z T = other for the same rows; the least-squares one."""
    q = Z.shape[1]
    A, B = exact(Z), exact(other)
    normal = zeros(3 * q, 3 * q)
    normal[:q, :q] = product(A.T, A)
    normal[:q, q : 2 * q] = product(A.T, B)
    normal[q : 2 * q, :q] = normal[:q, q : 2 * q].T
    normal[:q, 2 * q :] = normal[2 * q :, :q] = exact(np.eye(q))
    return -eliminate(normal, q)[1][q:, :q]


def inverse(T):
    """Return T^-1 of an exact matrix: (T'T)^-1 T'."""
    q = len(T)
    square = zeros(3 * q, 3 * q)
    square[:q, :q] = product(T.T, T)
    square[:q, q : 2 * q] = T.T
    square[q : 2 * q, :q] = T
    square[:q, 2 * q :] = square[2 * q :, :q] = exact(np.eye(q))
    return -eliminate(square, q)[1][q:, :q]


def columns_of(setting, model):
    """Return Z (n, q) of each factor, rows in the order of the first setting."""
    case = setting.case()
    columns = Columns(case)
    if "I(x - 7)" in setting.x:
        columns.known["I(x - 7)"] = columns.known["x"] - 7.0
    out = [columns.matrix(factor.coef) for factor in model.problem.labels.factors]
    if setting.order is not None:
        out = [Z[np.argsort(setting.order)] for Z in out]
    return out


def points_of(model, rng, count=4):
    """Return unconstrained vectors at ordinary covariances."""
    n_sd = int(model.problem.parameters.sd_is_free.sum())
    u = rng.normal(0.0, 0.5, (count, model.problem.parameters.n_free))
    u[:, :n_sd] -= 0.5
    return u


def compared(name, transformation, first, second):
    """Return the row of the table for two settings."""
    try:
        mine, other = first.model(), second.model()
    except hr.exceptions.HierregError as error:
        return Row(model=name, transformation=transformation, reml=0.0, ml=0.0, posterior=None, problem=str(error)[:60])
    maps = [change_of_columns(*pair) for pair in zip(columns_of(first, mine), columns_of(second, other), strict=True)]
    rng = np.random.default_rng(4)
    u = points_of(mine, rng)
    likelihood = {}
    for method in ("reml", "ml"):
        gaps = []
        for one in u:
            at = covariances(mine.problem.parameters, one[None])
            Lambda, error_cov = at.Lambda[0], at.error_cov[0]
            value = mine.problem.likelihood(method).value_and_gradient(Lambda, error_cov)[0]
            changed = other.problem.likelihood(method).value_and_gradient(*_mapped(maps, Lambda, error_cov, second))[0]
            gaps.append(changed - value)
        likelihood[method] = float(np.ptp(gaps))
    posterior = _posterior_gap(mine, other, maps, u, second)
    return Row(model=name, transformation=transformation, posterior=posterior, **likelihood)


def _mapped(maps, Lambda, error_cov, setting):
    out, start = np.zeros_like(Lambda), 0
    for T in maps:
        own = slice(start, start + len(T))
        out[own, own] = numbers(product(inverse(T), exact(Lambda[own, own])))
        start = own.stop
    if setting.strata and len(error_cov) == len(setting.strata) > 1 and setting.errors[0] in {"by", "correlated"}:
        error_cov = error_cov[np.ix_(setting.strata, setting.strata)]
    return out * setting.unit, error_cov * _error_unit(setting) ** 2


def _error_unit(setting):
    """Return what the error sd, or the factor on known ones, is multiplied with."""
    if setting.errors[0].startswith("known"):
        return setting.error_unit or 1.0
    return setting.unit


def _posterior_gap(mine, other, maps, u, setting):
    factors = [setting.unit / abs(T) for matrix in maps for T in numbers(matrix)[np.diag_indices(len(matrix))]]
    parameters = other.problem.parameters
    n_error = parameters.n_columns - parameters.n_factor
    factors += [_error_unit(setting)] * n_error
    factors = np.array(factors)[parameters.sd_is_free]
    place = np.arange(u.shape[1])
    if setting.strata and setting.errors[0] in {"by", "correlated"}:
        first = int(parameters.sd_is_free[: parameters.n_factor].sum())
        place[first : first + 2] = place[[first + 1, first]]
    first_target, second_target = (
        Target(parameters=m.problem.parameters, likelihood=m.problem.likelihood("prior"), natural=True)
        for m in (mine, other)
    )
    gaps = [second_target(scaled(other, one[place], factors))[0] - first_target(one)[0] for one in u]
    return float(np.ptp(gaps))


def scaled(model, u, factors):
    """Return u with standard deviations multiplied, whether u holds them or their logs."""
    n = len(factors)
    volume = sum(np.log(factors))
    for shifted in (u[:n] + np.log(factors), u[:n] * factors):
        out = np.concatenate([shifted, u[n:]])
        if np.isclose(log_volume(model, out) - log_volume(model, u), volume, rtol=1e-8, atol=1e-8):
            return out
    raise AssertionError("u holds neither standard deviations nor their logs")


def log_volume(model, u):
    """Return log|det| of Lambda, plus the logs of the free error sds."""
    parameters = model.problem.parameters
    at = covariances(parameters, u[None])
    errors = np.log(at.error_sd[0][parameters.sd_is_free[parameters.n_factor :]])
    return float(np.linalg.slogdet(at.Lambda[0])[1] + errors.sum())


def pairs():
    """Return all lines of the table, before they are worked out: name, transformation and two settings."""
    for models, changes in ((settings(), FOR_ALL), (quadratic(), FOR_QUADRATIC)):
        for name, setting in models.items():
            kind = setting.errors[0]
            for transformation, change in changes.items():
                if transformation == "three batches" and kind == "known_cov":
                    continue
                if transformation == "order of strata" and kind not in {"by", "correlated"}:
                    continue
                if change is FOR_ALL["known errors * 1000"] and not (kind.startswith("known") and setting.errors[-1]):
                    continue
                yield name, transformation, setting, change(setting)


def main():
    warnings.simplefilter("ignore", hr.exceptions.HierregWarning)
    print(f"{'model':42s} {'transformation':22s} {'REML':>9s} {'ML':>9s} {'posterior':>10s}")
    worst = 0.0
    for row in (compared(*pair) for pair in pairs()):
        if row.problem:
            print(f"{row.model:42s} {row.transformation:22s} refused: {row.problem}")
            continue
        print(f"{row.model:42s} {row.transformation:22s} {row.reml:9.1e} {row.ml:9.1e} {row.posterior:10.1e}")
        worst = max(worst, row.reml, row.ml, row.posterior)
    print(f"largest difference {worst:.1e}")
    return int(worst > 1e-6)


if __name__ == "__main__":
    sys.exit(main())
