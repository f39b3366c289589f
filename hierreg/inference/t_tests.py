"""`t_tests`: coefficients and contrasts of an estimate, with the degrees of freedom that its variances have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, final

import numpy as np

from hierreg.checks import check_choice, listed
from hierreg.display import Column
from hierreg.exceptions import ModelError
from hierreg.inference.kenward_roger import Adjusted, adjusted
from hierreg.inference.satterthwaite import Uncertain, joint_df, uncertain
from hierreg.linear.given import Names, read_weights
from hierreg.reports.reading import check_prob
from hierreg.reports.table import Report
from hierreg.results.of_rows import problem_with_rows
from hierreg.results.point import METHOD_NAMES, Estimate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_METHODS = {"satterthwaite": "Satterthwaite", "kenward-roger": "Kenward and Roger"}
_NOTHING = 1e-10


@final
class TTests(Report):
    """What `t_tests` returns; prints as a table."""

    __slots__ = ()
    whole: ClassVar[dict[str, int]] = {"contrast": 1, "estimate": 1, "se": 1, "df": 1}

    has_every_row: ClassVar[bool] = True

    def _columns(self) -> tuple[Column, ...]:
        return (
            Column(key="estimate", head="estimate", scale="se"),
            Column(key="se", head="se", scale="se"),
            Column(key="df", head="df", form="fixed", digits=2),
            Column(key="statistic", head="t", form="fixed", digits=2, fold=1),
            Column(key="p_value", head="p", form="significant", digits=2),
            *self._interval(scale="se"),
        )

    def _notes(self) -> tuple[str, ...]:
        if "f_statistic" not in self:
            return ()
        n, m, F, p = (float(self[f"f_{name}"]) for name in ("df_numerator", "df_denominator", "statistic", "p_value"))
        return (f"All together: F({n:.0f}, {m:.2f}) = {F:.4g}, p = {p:.3g}",)


def t_tests(
    est: Estimate,
    what: Any = None,
    df: Literal["satterthwaite", "kenward-roger"] = "satterthwaite",
    *,
    joint: bool = False,
    ci_prob: float = 0.95,
) -> TTests:
    """Return population coefficients, or functions of them, with t tests and intervals of few groups.

    An estimate takes its variances as known, so that z and its intervals are too sure where groups are few. Here t has
    the degrees of freedom that the uncertainty of the variances leaves. A posterior has that uncertainty in it, and
    needs none of this.

    Parameters
    ----------
    est : Estimate
        From ``Model.estimate("reml")`` (or "ml"); of a model with normal responses.
    what : dict or matrix, optional
        As `contrasts` takes it, of population coefficients; by default each coefficient.
    df : {"satterthwaite", "kenward-roger"}
        The first works with every error structure and number of rows. The second, of REML, also corrects the standard
        errors; it needs the rows (at most 3000), and a covariance that is linear in its parameters, which AR(1) is not.
    joint : bool
        Test all functions together too, by F.
    ci_prob : float
        Probability of the intervals.

    Returns
    -------
    Dataset
        Over ``contrast``: ``estimate``, ``se``, ``df``, ``statistic`` (t), ``p_value``, ``lower``, ``upper``; with
        `joint` ``f_statistic``, ``f_df_numerator``, ``f_df_denominator``, ``f_p_value``. Parameters on their boundary
        are held there by the first method.

    Raises
    ------
    ModelError
        If `est` is no REML or ML estimate, `what` names something else, or Kenward and Roger's needs are not met.

    See Also
    --------
    contrasts : With the variances taken as known, and of group coefficients; of draws.
    summary : All parameters.
    compare_fits : Likelihood-ratio tests.

    References
    ----------
    Satterthwaite (1946), Biometrics Bulletin 2(6), 110-114; Kenward and Roger (1997), Biometrics 53(3), 983-997;
    Kuznetsova, Brockhoff and Christensen (2017), Journal of Statistical Software 82(13); Halekoh and Højsgaard (2014),
    ibid. 59(9).

    Examples
    --------
    >>> import hierreg as hr
    >>> est = hr.Model("Reaction ~ Days + (Days | Subject)", hr.load_dataset("sleepstudy")).estimate()
    >>> print(hr.t_tests(est))
    Reaction ~ Days + (Days | Subject), REML estimate; degrees of freedom of Satterthwaite
    <BLANKLINE>
                 estimate    se     df      t        p   2.5 %  97.5 %
      Intercept    251.41  6.82  17.00  36.84  1.2e-17  237.01  265.80
      Days          10.47  1.55  17.00   6.77  3.3e-06    7.21   13.73
    """
    from scipy import stats

    prob = check_prob(ci_prob)
    check_choice(df, tuple(_METHODS), argument="df", error=ModelError)
    names, L = _functions(est, what, df)
    beta, found = est.beta.to_numpy(), adjusted(est) if df == "kenward-roger" else uncertain(est)
    if isinstance(found, Adjusted):
        cov, freedom = found.Phi_A, np.array([found.f(row[None])[0] for row in L])
    else:
        cov, freedom = found.cov, found.df(L)
    value, se = L @ beta, np.sqrt(np.einsum("sp,pq,sq->s", L, cov, L))
    with np.errstate(divide="ignore", invalid="ignore"):
        t = value / se
    half = stats.t.ppf((1 + prob) / 2, freedom) * se
    columns: dict[str, Any] = {
        "estimate": value,
        "se": se,
        "df": freedom,
        "statistic": t,
        "p_value": 2.0 * stats.t.sf(np.abs(t), freedom),
        "lower": value - half,
        "upper": value + half,
    }
    variables: dict[str, Any] = {name: (("contrast",), column) for name, column in columns.items()}
    if joint:
        n, F, m = _joint(est, L, found)
        variables |= {"f_statistic": F, "f_df_numerator": n, "f_df_denominator": m}
        variables["f_p_value"] = float(stats.f.sf(F, n, m) if np.isfinite(m) else stats.chi2.sf(n * F, n))
    heading = f"{est.problem.formula}, {METHOD_NAMES[est.method]} estimate; degrees of freedom of {_METHODS[df]}"
    return TTests(variables, coords={"contrast": names}, attrs={"heading": heading, "ci_prob": prob, "df": df})


def _functions(est: Any, what: Any, df: str) -> tuple[list[str], Array]:
    """Return names and weights (s, p) of functions of the population coefficients."""
    if not isinstance(est, Estimate) or est.method not in {"reml", "ml"}:
        of = f"a {METHOD_NAMES[est.method]} estimate" if isinstance(est, Estimate) else f"type {type(est).__name__}"
        raise ModelError(f"est is of {of}; degrees of freedom are those of REML or ML estimates with normal responses.")
    if df == "kenward-roger":
        problem_with_rows(est, "df='kenward-roger'")
        if est.method != "reml":
            raise ModelError("Kenward and Roger's adjustment is that of REML: use estimate('reml').")
    coef = [str(c) for c in est.beta["coef"].values]
    if what is None:
        free = np.flatnonzero(~est.problem.fixed.is_fixed)
        return [coef[i] for i in free], np.eye(len(coef))[free]
    keys = (
        [key for own in what.values() if isinstance(own, Mapping) for key in own] if isinstance(what, Mapping) else []
    )
    if any(isinstance(key, tuple) for key in keys):
        raise ModelError(
            "what has coefficients of groups; degrees of freedom are those of population coefficients. For groups use "
            "hr.contrasts, best of a posterior."
        )
    names, functions = read_weights(what, Names(coef=coef, groups=()))
    variance = np.einsum("sp,pq,sq->s", functions.beta, est.beta_cov.to_numpy(), functions.beta)
    if np.any(variance <= 0):
        wrong = [name for name, v in zip(names, variance, strict=True) if v <= 0]
        raise ModelError(f"what has functions of coefficients that are held fixed, or zero ones: {listed(wrong)}.")
    return names, functions.beta


def _joint(est: Estimate, L: Array, found: Adjusted | Uncertain) -> tuple[int, float, float]:
    """Return rank, F and its denominator degrees of freedom of all functions together."""
    cov = est.beta_cov.to_numpy()
    values, vectors = np.linalg.eigh(L @ cov @ L.T)
    kept = values > _NOTHING * values.max()
    independent = vectors[:, kept].T @ L
    n, phi = len(independent), independent @ est.beta.to_numpy()
    if isinstance(found, Adjusted):
        m, scale = found.f(independent)
        F = scale * float(phi @ np.linalg.solve(independent @ found.Phi_A @ independent.T, phi)) / n
        return n, F, m
    F = float(np.sum(phi**2 / values[kept])) / n
    return n, F, joint_df(found.df(independent))
