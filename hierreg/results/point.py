"""Point results with labels: estimates, and solutions of the mixed-model equations."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.display import Shown, Table
from hierreg.exceptions import ModelError
from hierreg.hints import missing
from hierreg.results.of_rows import fitted_values, n_parameters
from hierreg.results.point_tables import (
    beta_section,
    by_factor,
    corr_section,
    estimate_table,
    size_of,
    values_section,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    import xarray as xr

    from hierreg.estimate import VarianceEstimate
    from hierreg.likelihood.solution import Solution
    from hierreg.problem.labels import Labels


# What a method of estimation is called where it stands above its numbers.
METHOD_NAMES = {"reml": "REML", "ml": "ML", "map": "MAP", "laplace": "Laplace", "quadrature": "Quadrature"}

# Names that users of lme4, statsmodels and scikit-learn try first.
_FOREIGN = {
    "summary": "hr.summary(estimate) has standard errors and intervals of all parameters",
    "predict": "hr.predict(estimate, newdata)",
    **dict.fromkeys(("params", "coef", "coef_", "fixef", "fe_params"), "population coefficients are .beta"),
    **dict.fromkeys(("bse", "bse_fe", "std_errors"), "standard errors are .beta_se and .variance_se"),
    **dict.fromkeys(("ranef", "random_effects"), ".b and .theta have them, dictionaries by grouping factor"),
    **dict.fromkeys(("VarCorr", "cov_re", "vcomp"), ".sd, .corr and .cov have them, dictionaries by grouping factor"),
    **dict.fromkeys(("sigma", "scale"), "the standard deviation of errors is .error_sd"),
    **dict.fromkeys(("vcov", "cov_params"), "the covariance of population coefficients is .beta_cov"),
    **dict.fromkeys(("conf_int", "confint"), "intervals are hr.intervals(estimate)"),
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Coefficients(Shown):
    """Solution of the mixed-model equations at known covariances.

    Attributes
    ----------
    beta : DataArray (coef)
        Best linear unbiased estimates; with a prior precision, posterior means.
    beta_cov : DataArray (coef, coef_col)
    b : dict of DataArray (<factor>, <factor>_coef)
        Best linear unbiased predictions, by grouping factor.
    b_cov : dict of DataArray (<factor>, <factor>_coef, <factor>_coef_col)
        Prediction-error covariances, beta estimated.
    b_cond_cov : dict of DataArray
        Conditional covariances, beta taken as known (lme4's condVar).
    theta : dict of DataArray (<factor>, <factor>_coef)
        Group coefficients beta + b where the columns match.
    theta_cov : dict of DataArray (<factor>, <factor>_coef, <factor>_coef_col)
        Their prediction-error covariances.
    solution : Solution
        The same as plain arrays, with what the joint distribution of all coefficients needs.
    problem : Problem or FamilyProblem, optional
        That of the model that it comes from: its rows, errors and labels.
    """

    beta: xr.DataArray
    beta_cov: xr.DataArray
    b: Mapping[str, xr.DataArray]
    b_cov: Mapping[str, xr.DataArray]
    b_cond_cov: Mapping[str, xr.DataArray]
    theta: Mapping[str, xr.DataArray]
    theta_cov: Mapping[str, xr.DataArray]
    solution: Solution
    problem: Any = field(default=None, repr=False)

    @property
    def beta_se(self) -> xr.DataArray:
        """Standard errors of beta (coef)."""
        return _diagonal_root(self.beta_cov, self.beta)

    @property
    def fitted(self) -> xr.DataArray:
        """Fitted values x beta + z b (obs), with the predictions of the groups, as `fitted` of lme4.

        See Also
        --------
        hierreg.residuals : Residuals about these, or about the population, in several units.
        hierreg.predict : Of other rows, with standard errors.

        Examples
        --------
        >>> import hierreg as hr
        >>> est = hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff")).estimate()
        >>> est.fitted.to_numpy()[:2].round(3).tolist()
        [1509.893, 1509.893]
        """
        return _of_rows(fitted_values(self, "fitted", groups=True))

    @property
    def residuals(self) -> xr.DataArray:
        """Response less `fitted` (obs), in units of the response.

        See Also
        --------
        hierreg.residuals : In units of the errors, or about the population.
        """
        values = fitted_values(self, "residuals", groups=True)
        return _of_rows(self.problem.design.y - values)

    if not TYPE_CHECKING:  # type checkers are to see what there is

        def __getattr__(self, name: str) -> Any:
            """Say what to write instead of an attribute that other packages have."""
            raise missing(type(self).__name__, name, _FOREIGN)

    def to_pandas(self) -> pd.DataFrame:
        """Return a row for each parameter that is shown: its kind, its name, its value and its standard error.

        See Also
        --------
        summary : With intervals; of a posterior too.
        to_markdown : As it is printed; also `to_latex`, `to_html` and `to_great_table`.

        Examples
        --------
        >>> import hierreg as hr
        >>> est = hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff")).estimate()
        >>> est.to_pandas()[["name", "estimate"]].round(2)
                          name  estimate
        0      beta[Intercept]   1527.50
        1  sd_Batch[Intercept]     42.00
        2             error_sd     49.51
        """
        return self._table().to_pandas()

    def _table(self, most: int | None = None) -> Table:  # noqa: ARG002  # groups are named, not listed
        notes = [f"Group coefficients of {factor} are in .b[{factor!r}]." for factor in self.b]
        heading = "Generalised least squares at the given covariances"
        return estimate_table([heading, size_of("", 0, self.b)], [beta_section(self.beta, self.beta_se)], notes)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Estimate(Coefficients):
    """REML, ML or MAP estimate of the variances, with the coefficients at it.

    Attributes
    ----------
    method : str
        "reml", "ml" or "map".
    sd, corr, cov : dict of DataArray
        Standard deviations, correlations and covariance of the group coefficients, by grouping factor.
    error_sd : DataArray
        Scalar, or by stratum or data set.
    error_corr : DataArray or None
        By data set twice; of exchangeable errors the correlation within units, scalar or by stratum; of AR(1) errors
        that of rows one step of time apart. None where errors have no data sets.
    error_cov : DataArray or None
        By data set twice; None where there is one data set, or where errors are exchangeable.
    criterion : float
        Minus twice the log likelihood (ML) or restricted log likelihood (REML, lme4's constant); for MAP minus
        twice the log of likelihood times prior density of standard deviations and correlations.
    boundary : tuple of str
        Parameters on the boundary of their space, in words; empty where there is none.
    converged : bool
    message : str
        How the search ended, and the boundary, in words.
    n_evaluations : int
        Evaluations of the criterion with its gradient.
    chi_square : float or None
        (y - X beta)'V^-1 (y - X beta), where V is fully known: REML and ML of a model without groups, with
        `hr.known_se` or `hr.known_cov` and no unknown factor. None for all others: they estimate a variance, which
        makes the fit as good as it has to be.
    degrees_of_freedom : int or None
        Of `chi_square`: rows less coefficients.
    variance_cov : DataArray (parameter, parameter_col)
        Covariance of the estimated standard deviations and correlations: the inverse curvature of minus the log
        (restricted) likelihood, or of minus the log posterior density for MAP, by the delta method. NaN for a
        parameter on the boundary or not identified; that of the others then holds given it.
    unidentified : tuple of str
        Variance parameters that no data of this design tell apart, empty where there are none; `message` says why.
    family : str
        Family of responses; empty for normal ones. Of others `error_sd` is one and means nothing.
    n_nodes : int
        Of the quadrature, on each axis; one is Laplace's approximation. Zero for normal responses, which need none.
    auxiliary : dict of DataArray
        Further parameters of the family: dispersion, shape, precision, error_sd, thresholds.
    """

    method: str
    sd: Mapping[str, xr.DataArray]
    corr: Mapping[str, xr.DataArray]
    cov: Mapping[str, xr.DataArray]
    error_sd: xr.DataArray
    error_corr: xr.DataArray | None
    error_cov: xr.DataArray | None
    criterion: float
    boundary: tuple[str, ...]
    converged: bool
    message: str
    n_evaluations: int
    variance_cov: xr.DataArray
    chi_square: float | None = None
    degrees_of_freedom: int | None = None
    unidentified: tuple[str, ...] = ()
    family: str = ""
    n_nodes: int = 0
    auxiliary: Mapping[str, xr.DataArray] = field(default_factory=dict)

    @property
    def log_likelihood(self) -> float:
        """Log likelihood, or after REML log restricted likelihood (with lme4's constant): minus half the criterion.

        That of REML depends on how the population columns are coded, and compares models with the same columns only.

        Raises
        ------
        ModelError
            Of a MAP estimate, whose criterion has the prior in it.

        Examples
        --------
        >>> import hierreg as hr
        >>> est = hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff")).estimate("ml")
        >>> round(est.log_likelihood, 3), est.n_parameters, round(est.aic, 2), round(est.bic, 2)
        (-163.664, 3, 333.33, 337.53)
        """
        if self.method == "map":
            raise ModelError(
                "the criterion of a MAP estimate is no likelihood, but likelihood times prior: use estimate('ml') or "
                "estimate('reml')."
            )
        return -0.5 * self.criterion

    @property
    def n_parameters(self) -> int:
        """Number of free parameters: population coefficients, standard deviations, correlations, and a family's own."""
        return n_parameters(self._known_problem())

    @property
    def formula(self) -> str:
        """Formula of the model; empty where that is not known."""
        return "" if self.problem is None else str(self.problem.formula)

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return int(self._known_problem().n_rows)

    @property
    def aic(self) -> float:
        """Akaike's information criterion, -2 log likelihood + 2 `n_parameters`; after REML with its own, as in lme4.

        It is the marginal criterion, of groups to come (Vaida and Blanchard 2005, Biometrika 92(2), 351-370).
        """
        return -2.0 * self.log_likelihood + 2.0 * self.n_parameters

    @property
    def bic(self) -> float:
        """Schwarz's criterion, -2 log likelihood + log(rows) `n_parameters`; rows are all rows, as in lme4."""
        return -2.0 * self.log_likelihood + float(np.log(self.n_rows)) * self.n_parameters

    def _of_model(self) -> tuple[str, int]:
        """Return formula and number of rows, as far as they are known."""
        return self.formula, 0 if self.problem is None else self.n_rows

    def _known_problem(self) -> Any:
        if self.problem is None:
            raise ModelError("the estimate does not know its model; take it from Model.estimate.")
        return self.problem

    @property
    def p_value(self) -> float | None:
        """Probability of a chi-square as large or larger, if the model and V are right; None without chi-square."""
        if self.chi_square is None or not self.degrees_of_freedom:
            return None
        from scipy.stats import chi2

        return float(chi2.sf(self.chi_square, self.degrees_of_freedom))

    @property
    def variance_se(self) -> xr.DataArray:
        """Standard errors of the estimated standard deviations and correlations (parameter), by public name.

        Examples
        --------
        >>> import hierreg as hr
        >>> est = hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff")).estimate("ml")
        >>> print(est.variance_se.to_series().round(2).to_dict())
        {'sd_Batch[Intercept]': 14.68, 'error_sd': 7.15}
        """
        import xarray as xr

        root = np.sqrt(np.diagonal(self.variance_cov.to_numpy()))
        names = self.variance_cov["parameter"].values
        return xr.DataArray(root, dims=("parameter",), coords={"parameter": names})

    @property
    def singular(self) -> bool:
        """Whether an estimate is on the boundary of its space."""
        return bool(self.boundary)

    def _table(self, most: int | None = None) -> Table:  # noqa: ARG002  # groups are named, not listed
        nodes = f"{self.n_nodes} {'node' if self.n_nodes == 1 else 'nodes'} on each axis"
        heading = [
            f"{METHOD_NAMES[self.method]} estimate; criterion {self.criterion:.4f}; {self.message}",
            size_of(*self._of_model(), self.b),
            f"Family {self.family}; {nodes}" if self.family else "",
        ]
        se = dict(zip(self.variance_se["parameter"].values.tolist(), self.variance_se.to_numpy().tolist(), strict=True))
        sections = [
            beta_section(self.beta, self.beta_se),
            values_section("sd", by_factor("sd", self.sd), se),
            corr_section("corr", by_factor("corr", self.corr), se),
        ]
        if self.family:
            sections.append(values_section("auxiliary", self.auxiliary, se))
        else:
            sections.append(values_section("error_sd", {"error_sd": self.error_sd}, se))
        if not self.family and self.error_corr is not None:
            sections.append(
                corr_section("error_corr", {"error_corr": self.error_corr}, se, where=_where(self.error_corr))
            )
        notes = []
        if self.p_value is not None:
            df = self.degrees_of_freedom
            notes.append(f"chi-square {self.chi_square:.4g} on {df} degrees of freedom, p = {self.p_value:.3g}")
        return estimate_table(heading, sections, notes)


def _where(error_corr: xr.DataArray) -> str:
    """Return between which errors correlations are that no two labels name."""
    if error_corr.ndim > 1:
        return ""
    return str(error_corr.attrs.get("long_name", "corr within units")).removeprefix("corr ")


def _of_rows(values: np.ndarray) -> xr.DataArray:
    import xarray as xr

    return xr.DataArray(values, dims=("obs",), coords={"obs": np.arange(len(values))})


def _diagonal_root(cov: xr.DataArray, like: xr.DataArray) -> xr.DataArray:
    return like.copy(data=np.sqrt(np.diagonal(cov.to_numpy(), axis1=-2, axis2=-1)))


def coefficients(labels: Labels, solution: Solution) -> Coefficients:
    """Return a solution of the mixed-model equations with labels."""
    return Coefficients(**_coefficient_fields(labels, solution))


def estimate(
    labels: Labels,
    method: str,
    variances: VarianceEstimate,
    solution: Solution,
    criterion: float,
    goodness_of_fit: tuple[float, int] | None = None,
) -> Estimate:
    """Return an estimate with labels; `goodness_of_fit` is chi-square and its degrees of freedom."""
    slices = zip(labels.factors, _slices(labels), strict=True)
    sd, corr, cov = {}, {}, {}
    for factor, mine in slices:
        sd[factor.name] = labels.array("sd", variances.sd[mine], factor=factor)
        corr[factor.name] = labels.array("cov", variances.corr[mine, mine], factor=factor)
        cov[factor.name] = labels.array("cov", variances.cov[mine, mine], factor=factor)
    many = labels.error_dim is not None and not labels.has_corr_by_stratum
    return Estimate(
        method=method,
        sd=sd,
        corr=corr,
        cov=cov,
        error_sd=labels.array("error_sd", variances.error_sd),
        error_corr=_error_correlation(labels, variances) if many or labels.has_corr_by_stratum else None,
        error_cov=labels.array("error_cov", variances.error_cov) if many else None,
        criterion=criterion,
        boundary=variances.boundary,
        converged=variances.converged,
        message="; ".join([variances.message, *variances.boundary]),
        n_evaluations=variances.n_evaluations,
        chi_square=goodness_of_fit[0] if goodness_of_fit else None,
        degrees_of_freedom=goodness_of_fit[1] if goodness_of_fit else None,
        variance_cov=_variance_covariance(variances),
        unidentified=variances.unidentified,
        **_coefficient_fields(labels, solution),
    )


def family_estimate(  # noqa: PLR0913  # the parts of an estimate
    labels: Labels,
    method: str,
    variances: VarianceEstimate,
    solution: Solution,
    criterion: float,
    *,
    family: str,
    n_nodes: int,
    auxiliary: Mapping[str, tuple[tuple[str, ...], np.ndarray]],
    coords: Mapping[str, Any],
) -> Estimate:
    """Return the estimate of a model whose response is not normal, with labels.

    Parameters
    ----------
    auxiliary : dict of (dimensions, values)
        Further parameters of the family, by name.
    coords : dict
        Labels of their dimensions.
    """
    import xarray as xr

    arrays = {
        name: xr.DataArray(values, dims=dims, coords={dim: coords[dim] for dim in dims})
        for name, (dims, values) in auxiliary.items()
    }
    plain = estimate(labels, method, variances, solution, criterion)
    return replace(plain, family=family, n_nodes=n_nodes, auxiliary=arrays)


def _error_correlation(labels: Labels, variances: VarianceEstimate) -> xr.DataArray:
    corr = labels.array("error_corr", variances.error_corr)
    return corr.assign_attrs(long_name=labels.error_corr_name) if labels.error_corr_name else corr


def _variance_covariance(variances: VarianceEstimate) -> xr.DataArray:
    import xarray as xr

    names = list(variances.parameter_names)
    dims = ("parameter", "parameter_col")
    return xr.DataArray(variances.parameter_cov, dims=dims, coords=dict.fromkeys(dims, names))


def _coefficient_fields(labels: Labels, solution: Solution) -> dict[str, Any]:
    out: dict[str, Any] = {
        "beta": labels.array("beta", solution.beta),
        "beta_cov": labels.array("beta_cov", solution.beta_cov),
        "solution": solution,
    }
    out |= {name: {} for name in ("b", "b_cov", "b_cond_cov", "theta", "theta_cov")}
    for f, factor in enumerate(labels.factors):
        arrays = {"b": solution.b[f], "b_cov": solution.b_cov[f], "b_cond_cov": solution.b_cond_cov[f]}
        if factor.has_theta:
            arrays["theta"], arrays["theta_cov"] = theta_moments(labels, solution, f)
        for name, values in arrays.items():
            kind = "b_cov" if values.ndim == 3 else "b"
            out[name][factor.name] = labels.array(kind, values, factor=factor)
    return out


def theta_moments(labels: Labels, solution: Solution, f: int) -> tuple[np.ndarray, np.ndarray]:
    """Return theta = beta + b (J, q) of factor f and its covariances (J, q, q); b alone where a column has no match."""
    columns = labels.factors[f].theta_columns
    E = np.zeros((len(columns), len(labels.coef)))
    for i, column in enumerate(columns):
        if column is not None:
            E[i, column] = 1.0
    cross = E @ solution.beta_b_cov[f]
    cov = solution.b_cov[f] + cross + np.swapaxes(cross, 1, 2) + E @ solution.beta_cov @ E.T
    return solution.b[f] + E @ solution.beta, cov


def _slices(labels: Labels) -> list[slice]:
    """Return the columns of each factor among those of all."""
    ends = np.cumsum([len(factor.coef) for factor in labels.factors]).tolist()
    return [slice(end - len(factor.coef), end) for end, factor in zip(ends, labels.factors, strict=True)]
