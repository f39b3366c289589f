"""The verdict on one case: answered and equal to the oracle, refused by an exception of hierreg, or a failure.

Tolerances, of a case with n rows where the oracle finds a log density d with quadratic form Q:

- log density, relative to |d| + n: 1e-8, plus 8 eps times what the *input of the likelihood* has lost before hierreg
  sees it (`Point.lost`: Lambda and the errors are doubles in user units), plus 4 eps times the condition number of the
  scaled and centred population columns. Hierreg orthogonalises rows before it multiplies them, so that the square of
  it is not allowed for. An offset of a column or of the response is allowed nothing: it can be taken off exactly; nor
  is the ratio of group to error standard deviations.
- a directional derivative, relative to n + Q + the sum of its absolute terms: ten times that.
- coefficients: the same ten-fold, relative to their standard error and their size.
- densities of several factors, and of groups that errors link and that do not go together, which there are products of
  alone: 1e-7. Where groups differ by many thousand error standard deviations products lose eps times the square (what
  rows say of a coefficient over what groups leave of it, which `SplitBlocks.most_subtracted` bounds): where errors link
  groups, a density and the criterion of an estimate may be as far off as that, up to 1e-6.
- coefficients of such groups, where they differ by 300 error standard deviations and more: 1e-3 of a standard error.
- where groups differ by a million error standard deviations: besides, eps times that contrast times the response's over
  the errors, relative to a standard error (or to Q, of a derivative). The rotations of a group's rows and the factor of
  its covariance are both rounded, and residuals enlarge one by the other.
- gradients of groups that errors link: besides, relative, eps times the square of that contrast, up to 1e-4.
- besides, ten times what the exact answer changes where data and covariances are shaken by their last bit (`shaken`).
"""

from __future__ import annotations

import re
import traceback
import warnings
from dataclasses import dataclass

import numpy as np

import hierreg as hr
from tests.fuzz import models, relations
from tests.fuzz.cases import NOT_ORDINARY, make
from tests.fuzz.columns import Columns, condition, rows_of
from tests.fuzz.exact import exact, number, numbers, product
from tests.fuzz.oracle import Dense
from tests.fuzz.points import condition_of_covariance, contrast, contrast_of_response, random_point
from tests.fuzz.shaken import Shaken

EPS = np.finfo(float).eps
STEP = 2.0**-60


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What came of a case: outcome "answered", "refused" or "failure"; its kind, and the particulars."""

    seed: int
    outcome: str
    kind: str = ""
    detail: str = ""


class WrongAnswerError(Exception):
    """An answer that is not the oracle's."""

    def __init__(self, kind, detail=""):
        super().__init__(f"{kind}: {detail}")
        self.kind, self.detail = kind, detail


def verdict(seed):
    """Return the verdict on the case of a seed."""
    case = make(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", hr.exceptions.HierregWarning)
        try:
            check(case)
        except hr.exceptions.HierregError as error:
            return refusal(case, error)
        except WrongAnswerError as wrong:
            return Verdict(seed=seed, outcome="failure", kind=wrong.kind, detail=f"{case.formula}: {wrong.detail}")
        except Exception as error:  # noqa: BLE001  # what is not hierreg's own is the failure that is looked for
            where = [frame for frame in traceback.extract_tb(error.__traceback__) if "hierreg/" in frame.filename]
            at = f" at {where[-1].filename.split('hierreg/')[-1]}:{where[-1].name}" if where else " in the fuzzer"
            kind = f"foreign {type(error).__name__}{at}"
            return Verdict(seed=seed, outcome="failure", kind=kind, detail=f"{case.formula}: {error}")
    return Verdict(seed=seed, outcome="answered")


# Reasons to refuse that small random tables give by themselves, beside those that a case is tagged with.
BY_CHANCE = (
    *("collinear", "but only .* rows", "is zero in every row", "is constant", "single level", "single group"),
    *("a group of .* of its own", "are the same", "no unit of", "are the units of errors", "cannot be told"),
    *("each unit must lie within one", "fitted exactly", "cannot be solved at these covariances"),
    *(
        "fewer than eight digits",
        "rows in several strata",
        "has the single level",
        "groups",
        "would share names",
        "has the name of a dimension",
    ),
)


def refusal(case, error):
    """Return the verdict on an exception of hierreg: a failure where the case is an ordinary one."""
    text = str(error)
    kind = f"{type(error).__name__}: {_shape(text)}"
    ordinary = not case.tags & NOT_ORDINARY and not any(re.search(reason, text) for reason in BY_CHANCE)
    if ordinary:
        return Verdict(seed=case.seed, outcome="failure", kind=f"refused an ordinary case, {kind}", detail=text)
    return Verdict(seed=case.seed, outcome="refused", kind=kind, detail=text)


def _shape(text):
    """Return a message without names and numbers."""
    text = re.sub(r"'[^']*'|`[^`]*`|\"[^\"]*\"", "_", text)
    text = re.sub(r"-?\d[\d.e+-]*", "#", text)
    return " ".join(text.split()[:14])


def check(case):
    """Raise `WrongAnswerError`, or whatever hierreg raises, unless every answer on a case is the oracle's."""
    model = models.make_model(case)
    if "duplicate column" in case.tags and "x1" in case.formula and "x0" in case.formula:
        _must_have_dropped(case, model)
    _check_dropped(case, model)
    labels = model.problem.labels
    rows = rows_of(case, labels.coef, [factor.coef for factor in labels.factors], list(model.problem.layout.labels))
    rng = np.random.default_rng([11, case.seed])
    dense, shaken = Dense(rows), Shaken(rows, np.random.default_rng([12, case.seed]))
    for attempt in range(2):
        point = random_point(model, rows, rng, centred=attempt == 1)
        _check_densities(model, rows, (dense, shaken), point, rng)
        if attempt == 0:
            _check_solution(model, rows, (dense, shaken), point)
    _check_target(model, rows, (dense, shaken), rng)
    if rng.random() < 0.3:
        for name, (gap, allowed) in relations.gaps(case, model, rng).items():
            if not gap <= allowed:
                raise WrongAnswerError(f"{name} changes the answer", f"by {gap:.2e}, {allowed:.1e} allowed")
    # Dozens of correlated data sets have hundreds of parameters: right to be tried, but not in milliseconds.
    if rng.random() < 0.6 and model.problem.parameters.n_free <= 40:
        _check_estimates(model, rows, (dense, shaken), rng)
    if rng.random() < 0.01:
        _check_draws(model)


def _must_have_dropped(case, model):
    if {"x0", "x1"} <= set(model.problem.labels.coef):
        raise WrongAnswerError("accepted a column twice", str(model.problem.labels.coef))


def _check_dropped(case, model):
    """What was left out is a linear combination of what is kept, to the tolerance that hierreg states.

    That is 1e-7 of its own size, about its mean where a column is constant.
    """
    for determined in model.problem.state.determined.values():
        columns = Columns(case)
        kept = columns.matrix([determined.names[j] for j in determined.kept])
        own = columns.matrix([determined.names[j] for j in determined.dropped])
        scale = np.linalg.norm(kept, axis=0)
        basis = np.linalg.qr(kept / np.where(scale > 0, scale, 1.0))[0]
        centred = own - own.mean(axis=0) if np.any(np.ptp(kept, axis=0) == 0) else own
        left = own - basis @ (basis.T @ own)
        left = left - basis @ (basis.T @ left)
        rounding = 1e-15 * np.linalg.norm(own, axis=0) * len(own)
        if np.any(np.linalg.norm(left, axis=0) > 2e-7 * np.linalg.norm(centred, axis=0) + rounding):
            raise WrongAnswerError("dropped a column that others do not determine", str(determined.dropped_names))


# ---- densities


def relative_tolerance(rows, lost, model=None):
    gram = None if model is None else model.problem.gram
    digits = 1e-7 if gram is not None and len(gram.factors) > 0 and not gram.has_triangles else 1e-8
    return digits + EPS * (4.0 * condition(rows.X) + 8.0 * lost)


def of_products(model, rows, Lambda, error_cov, most):
    """Return what products of groups that errors link lose, which nothing better is known of; at most ``most``."""
    if not model.problem.gram.has_links or model.problem.gram.has_triangles:
        return 0.0
    return min(most, EPS * contrast(rows, Lambda, error_cov) ** 2)


def extreme(rows, point):
    """Return what two roundings add where groups differ by a million error standard deviations; else zero."""
    groups = contrast(rows, point.Lambda, point.error_cov)
    return EPS * groups * contrast_of_response(rows, point.error_cov) if groups > 1e6 else 0.0


def _check_densities(model, rows, oracles, point, rng):
    direction = rng.normal(size=point.Lambda.shape) * point.Lambda
    if rows.kind == "correlated":
        # A derivative is taken where covariances are: of nearly singular ones a third of their size is far outside.
        root, changes = np.linalg.cholesky(point.error_cov), 0.1 * rng.normal(size=point.error_cov.shape)
        error_direction = root @ (changes + changes.T) @ root.T
        error_direction = (error_direction + error_direction.T) / 2
    elif rows.kind == "ar1":
        variance, rho = point.error_cov[0, 0], point.error_cov[0, 1] / point.error_cov[0, 0]
        changes = 0.3 * rng.normal(size=2)
        error_direction = changes[0] * point.error_cov
        error_direction[[0, 1], [1, 0]] += changes[1] * variance * (1.0 - abs(rho))
    else:
        error_direction = np.diag(rng.normal(size=len(point.error_cov)) * np.diagonal(point.error_cov))
    if not model.problem.labels.n_error_sd:
        error_direction = np.zeros_like(error_direction)
    for method in models.LIKELIHOODS:
        beta = models.beta_of(model, method)
        if beta is None:
            continue
        value, g_Lambda, g_error = models.value_and_gradient(model, method, point.Lambda, point.error_cov)
        if value == -np.inf:
            _must_be_refused(model, rows, point, beta)
        want = _check_density((model, method, value), rows, oracles, point, beta)
        parts = np.concatenate([(g_Lambda * direction).ravel(), (g_error * error_direction).ravel()])
        relative = relative_tolerance(rows, point.lost, model)
        relative += of_products(model, rows, point.Lambda, point.error_cov, 1e-5)
        allowed = 10.0 * (relative + extreme(rows, point)) * (want.n + number(want.quadratic) + np.abs(parts).sum())
        _check_slope((method, parts.sum(), allowed), rows, oracles, point, beta, (direction, error_direction))


def _check_density(answer, rows, oracles, point, beta):
    """Compare a log density with the oracle's, which is returned."""
    (model, method, value), (dense, shaken) = answer, oracles
    Lambda, error_cov = exact(point.Lambda), exact(point.error_cov)
    want = dense.density(Lambda, error_cov, beta)
    if want is None:
        raise WrongAnswerError("accepted columns that are exactly singular", method)
    relative = relative_tolerance(rows, point.lost, model)
    relative += of_products(model, rows, point.Lambda, point.error_cov, 1e-6)
    allowed = relative * (abs(want.value) + want.n)
    if not abs(value - want.value) <= allowed:
        allowed += shaken.excuse(
            lambda one, shake: one.density(shake.factor(Lambda), shake.symmetric(error_cov), beta).value, want.value
        )
    if not abs(value - want.value) <= allowed:
        off = value - want.value
        detail = f"{method}: {value!r}, oracle {want.value!r}, off by {off:.2e}, {allowed:.1e} allowed"
        raise WrongAnswerError(f"log density of {method} ({_of(rows, point.Lambda, point.error_cov)})", detail)
    return want


def _check_slope(answer, rows, oracles, point, beta, directions):
    """Compare the slope of a log density along directions of Lambda and the errors with the oracle's."""
    (method, found, allowed), (dense, shaken) = answer, oracles
    Lambda, error_cov = exact(point.Lambda), exact(point.error_cov)
    steps = [_step(direction) for direction in directions]

    def slope(one, at):
        ahead, behind = (one.density(at + sign * steps[0], error_cov + sign * steps[1], beta) for sign in (1, -1))
        return ahead.minus(behind) / (2.0 * STEP)

    want = slope(dense, Lambda)
    if not abs(found - want) <= allowed:
        allowed += shaken.excuse(lambda one, shake: slope(one, shake.factor(Lambda)), want)
    if not abs(found - want) <= allowed:
        detail = f"{method}: {found!r}, oracle {want!r}, {allowed:.1e} allowed"
        raise WrongAnswerError(f"gradient ({_of(rows, point.Lambda, point.error_cov)})", detail)


def _must_be_refused(model, rows, point, beta):
    """Where there is no density for want of digits, equations are refused.

    Those are several factors, and groups that errors link, from 300 error standard deviations on; others where double
    precision itself ends.
    """
    groups = contrast(rows, point.Lambda, point.error_cov)
    largest = max(groups, contrast_of_response(rows, point.error_cov))
    gram = model.problem.gram
    products_alone = (gram.has_links and not gram.has_triangles) or len(rows.Z) > 1
    # Of correlated errors, products are larger than variances say by what the others take from each.
    growth = float(np.max(np.diagonal(np.linalg.inv(point.error_cov)) * np.diagonal(point.error_cov), initial=1.0))
    if largest * np.sqrt(growth if products_alone else 1.0) < (300 if products_alone else 1e10):
        if beta is not None and beta.prior is not None and _is_far_narrower(rows, point, beta):
            raise hr.exceptions.ModelError("fewer than eight digits beside the priors")
        return
    names = [factor.name for factor in model.problem.labels.factors]
    blocks = [point.Lambda[own, own] for own in rows.factor_slices()]
    cov = {name: root @ root.T for name, root in zip(names, blocks, strict=True)}
    model.solve(cov, point.error_argument)
    # With priors of its own a likelihood may have fewer digits than the equations, whose beta is flat.
    if all(row.origin == "default" for row in model.priors.rows):
        raise WrongAnswerError("no density where the equations are solved")
    raise hr.exceptions.ModelError("fewer than eight digits beside the priors")


def _is_far_narrower(rows, point, beta):
    """Return whether a prior says what it says 1e10 times as precisely as the rows could."""
    rms = np.sqrt(np.mean(rows.X**2, axis=0))
    sizes = [row[2] * one for row, one in zip(beta.prior, rms, strict=True) if row[0] == "normal"]
    return bool(sizes) and np.sqrt(np.diagonal(point.error_cov).min() / len(rows.y)) > 1e10 * min(sizes)


def _step(direction):
    return exact(direction) >> 60


def _of(rows, Lambda, error_cov):
    """Return in words which engine was asked, and whether groups differ by far more than the errors."""
    engine = ("no factor", "one factor", "several factors")[min(2, len(rows.Z))]
    return engine + (", errors far smaller than groups" if contrast(rows, Lambda, error_cov) > 1e3 else "")


# ---- coefficients


def _check_solution(model, rows, oracles, point):
    dense, shaken = oracles
    if model.problem.fixed.is_fixed.any():
        return
    # With several factors there are products alone, as for densities.
    own = model if len(rows.Z) > 1 else None
    relative = 10.0 * (relative_tolerance(rows, point.lost, own) + extreme(rows, point))
    gram = model.problem.gram
    if gram.has_links and gram.factors and not gram.has_triangles:
        relative += 1e-3 if contrast(rows, point.Lambda, point.error_cov) > 300 else 0.0
    Lambda = exact(point.Lambda)
    Sigma = [product(Lambda[own, own], Lambda[own, own].T) for own in rows.factor_slices()]
    of = _of(rows, point.Lambda, point.error_cov)
    names = [factor.name for factor in model.problem.labels.factors]
    cov = {name: numbers(own) for name, own in zip(names, Sigma, strict=True)}
    try:
        found = model.solve(cov or None, point.error_argument)
    except hr.exceptions.ModelError as refusal:
        if _is_ordinary(rows, point):
            raise WrongAnswerError("refused ordinary equations", str(refusal)) from refusal
        raise
    error_cov = exact(point.error_cov)
    beta, beta_cov, effects = dense.solution(Lambda, error_cov)
    se = np.sqrt(np.diagonal(beta_cov))

    def excuse(part, want):
        return shaken.excuse(
            lambda one, shake: part(one.solution(shake.factor(Lambda), shake.symmetric(error_cov))), want
        )

    def se_of(solution):
        return np.sqrt(np.diagonal(solution[1]))

    allowed = relative * (se + np.abs(beta))
    _compare(f"solve, beta ({of})", found.beta.values, beta, allowed, lambda: excuse(lambda of: of[0], beta))
    _compare(f"solve, standard errors ({of})", found.beta_se.values, se, relative * se, lambda: excuse(se_of, se))
    for k, (name, factor, group) in enumerate(zip(names, model.problem.labels.factors, rows.group, strict=True)):
        b = effects[k]
        first = {int(j): r for r, j in reversed(list(enumerate(group.tolist())))}
        mine = found.b[name].values
        order = _level_order(model, factor, group, first)
        sd = np.sqrt(np.diagonal(cov[name]))
        allowed = relative * (sd + np.abs(b).max(axis=0))
        _compare(f"solve, b ({of})", mine[order], b, allowed, lambda k=k, b=b: excuse(lambda of: of[2][k], b))


def _is_ordinary(rows, point):
    """Return whether no standard deviation is many orders of magnitude from the others."""
    sd = np.sqrt(np.diagonal(point.error_cov))
    groups = contrast(rows, point.Lambda, point.error_cov)
    return groups < 1e3 and sd.max() < 1e3 * sd.min() and point.lost < 1e6


def _level_order(model, factor, group, first):
    """Return which of hierreg's levels each group of the oracle is, by the row where it is first met."""
    design = next(own for own in model.problem.design.factors if own.name == factor.name)
    return np.array([design.index[first[j]] for j in range(int(group.max()) + 1)])


def _compare(what, found, want, allowed, excuse):
    gap = np.abs(np.asarray(found) - want)
    if not np.all(gap <= allowed):
        allowed = allowed + excuse()
    if not np.all(gap <= allowed):
        at = np.unravel_index(int(np.argmax(np.where(np.isnan(gap), np.inf, gap - allowed))), gap.shape)
        raise WrongAnswerError(
            what, f"{np.asarray(found)[at]!r}, oracle {want[at]!r}, {np.broadcast_to(allowed, gap.shape)[at]:.1e}"
        )


# ---- the posterior


def _check_target(model, rows, oracles, rng):
    """Compare the density of sds and correlations, where every prior was given."""
    dense, shaken = oracles
    beta = models.beta_of(model, "prior")
    given = all(row.origin == "given" for row in model.priors.rows)
    u = models.random_unconstrained(model, rows, rng)
    point = models.covariances_at(model, u)
    point.lost = condition_of_covariance(rows.V if rows.kind == "known_cov" else point.error_cov)
    if point.lost > 1e8:
        return
    target = models.target_of(model, natural=True)
    value, gradient = target(u)
    if value == -np.inf:
        _must_be_refused(model, rows, point, beta)
    if not (np.isfinite(value) and np.isfinite(gradient).all()):
        raise WrongAnswerError("the posterior density is not finite at an ordinary point", f"{value} {gradient}")
    if beta is None or not given:
        return
    want = dense.density(exact(point.Lambda), exact(point.error_cov), beta)
    prior = models.log_prior(model, point)
    total = want.value + prior
    allowed = relative_tolerance(rows, point.lost, model) * (abs(want.value) + abs(prior) + want.n)
    if not abs(value - total) <= allowed:
        Lambda, error_cov = exact(point.Lambda), exact(point.error_cov)
        allowed += shaken.excuse(
            lambda one, shake: one.density(shake.factor(Lambda), shake.symmetric(error_cov), beta).value, want.value
        )
    if not abs(value - total) <= allowed:
        raise WrongAnswerError(
            f"posterior density ({_of(rows, point.Lambda, point.error_cov)})",
            f"{value!r}, oracle {total!r}, {allowed:.1e} allowed",
        )


def _check_draws(model):
    """A posterior by importance sampling is finite, or refused."""
    tree = model.sample(draws=50, chains=2, seed=1, method="psis", progress=False)
    for name, values in tree["posterior"].data_vars.items():
        if not np.isfinite(values.values).all():
            raise WrongAnswerError("draws that are not finite", name)


# ---- estimates


def _check_estimates(model, rows, oracles, rng):
    dense, shaken = oracles
    method = ["reml", "ml"][int(rng.integers(2))]
    found = model.estimate(method)
    point = models.point_of_estimate(model, found)
    beta = models.beta_of(model, method)
    want = dense.density(exact(point.Lambda), exact(point.error_cov), beta)
    if _is_degenerate(rows, point.error_cov):
        said = any("error" in words for words in found.boundary)
        if found.converged and not said and _falls_no_lower(dense, point, beta):
            raise WrongAnswerError(
                f"{method}: an error sd of zero, converged and not a word", f"{found.error_sd.values}"
            )
        return
    lost = max((_offset(Z) for Z in rows.Z), default=1.0) ** 2
    lost = max(lost, condition_of_covariance(rows.V if rows.kind == "known_cov" else point.error_cov))
    lost = max(lost, _lost_in_sigma(found, contrast(rows, point.Lambda, point.error_cov)))
    if rows.kind == "exchangeable":  # its correlation may be near a bound, where a variance is a small difference
        lost = max(lost, float(np.diagonal(point.error_cov).max() / np.diagonal(point.error_cov).min()))
    relative = relative_tolerance(rows, lost, model)
    relative += of_products(model, rows, point.Lambda, point.error_cov, 1e-6)
    if want is not None and relative < 1e-3 and found.converged:
        criterion = -2.0 * want.value
        allowed = 2.0 * relative * (abs(criterion) + want.n)
        if not abs(found.criterion - criterion) <= allowed:
            Lambda, error_cov = exact(point.Lambda), exact(point.error_cov)
            allowed += shaken.excuse(
                lambda one, shake: -2.0 * one.density(shake.factor(Lambda), shake.components(error_cov), beta).value,
                criterion,
            )
        if not abs(found.criterion - criterion) <= allowed:
            of = _of(rows, point.Lambda, point.error_cov)
            raise WrongAnswerError(
                f"criterion of {method} ({of})", f"{found.criterion!r}, oracle {criterion!r}, {allowed:.1e} allowed"
            )
    if found.converged:
        best, where = models.best_of_random_points(model, rows, method, rng)
        if best > -0.5 * found.criterion + 1e-3 * (1.0 + 1e-6 * abs(best)):
            raise WrongAnswerError(
                f"{method}: a better point exists", f"{-2 * best!r} < {found.criterion!r}, at u = {where}"
            )


def _falls_no_lower(dense, point, beta):
    """Return whether the density where the smallest error sd is an eighth is hardly less: its maximum is at zero."""
    Lambda, error_cov = exact(point.Lambda), np.asarray(point.error_cov, dtype=float)
    smaller = np.ones(len(error_cov))
    smaller[np.argmin(np.diagonal(error_cov))] = 0.125
    here, there = (dense.density(Lambda, exact(S), beta) for S in (error_cov, error_cov * np.outer(smaller, smaller)))
    return here is None or there is None or there.minus(here) > -1e-2


def _is_degenerate(rows, error_cov):
    """Return whether an error sd is nothing beside the response: the likelihood has no maximum."""
    return not rows.kind.startswith("known") and bool(np.sqrt(np.diagonal(error_cov)).min() < 1e-6 * rows.y.std())


def _lost_in_sigma(found, groups):
    """Return by what the rounding of reported covariances of groups is enlarged, beside errors.

    Of a singular one an ulp of its largest entry is an ulp of the square of ``groups``, the contrast, beside errors.
    """
    conditions = [1.0]
    for cov in found.cov.values():
        own = cov.values[np.ix_(np.diagonal(cov.values) > 0, np.diagonal(cov.values) > 0)]
        conditions.append(condition_of_covariance(own) if len(own) > 1 else 1.0)
    return min(max(conditions), groups**2)


def _offset(Z):
    """Return the largest mean / sd of varying columns beside a constant one."""
    sd = Z.std(axis=0)
    if not np.any(sd == 0) or np.all(sd == 0):
        return 1.0
    return 1.0 + float(np.max(np.abs(Z.mean(axis=0)[sd > 0]) / sd[sd > 0]))
