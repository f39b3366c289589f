"""`PriorScales`: the few facts about data and model that priors are resolved against."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from hierreg.priors.families import FloatArray
from hierreg.priors.frames import Columns


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorScales:
    """The group coefficients of one grouping factor.

    Parameters
    ----------
    coef_names : tuple of str (q,)
    columns : Columns
        The columns of Z.
    z_sd : array (q,)
        Standard deviation of each column of Z; the size of a constant column. Scales of uncorrelated coefficients.
    term_sizes : tuple of int
        Columns of each bar term; sums to q.
    term_correlated : tuple of bool
        Whether the term is `(x | g)` rather than `(x || g)`.
    """

    coef_names: tuple[str, ...]
    columns: Columns
    z_sd: FloatArray
    term_sizes: tuple[int, ...]
    term_correlated: tuple[bool, ...]

    @property
    def corr_sizes(self) -> tuple[int | None, ...]:
        """Per term the size of its correlation matrix, None where it has none."""
        terms = zip(self.term_sizes, self.term_correlated, strict=True)
        return tuple(size if correlated and size > 1 else None for size, correlated in terms)


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorScales:
    """Names and scales of the parameters of one model.

    Parameters
    ----------
    coef_names : tuple of str (p,)
    columns : Columns
        The columns of X.
    y_mean, y_sd, y_rms : float
        Mean, standard deviation and root mean square of the response.
    factors : dict of FactorScales
        By name of the grouping factor.
    error_labels : tuple of str
        Strata or data sets of the errors.
    y_sd_by_label : array (n labels,)
        Standard deviation of the response within each label.
    n_error_sd : int
        Unknown error standard deviations: 0, 1 or one per label.
    has_error_corr : bool
        Whether the errors of data sets are correlated.
    error_corr_labels : tuple of str
        Strata of exchangeable errors, each with a correlation within units of its own; none for other errors.
    error_corr_lowest : tuple of float
        Lower bound of each.
    error_corr_ranges : tuple of str
        What each may be fixed with, in words.
    error_factor : float or None
        Where the error sd is a factor on known standard errors or a known covariance: the root mean square of the
        response about its mean in units of the known errors.
    """

    coef_names: tuple[str, ...]
    columns: Columns
    y_mean: float
    y_sd: float
    y_rms: float
    factors: Mapping[str, FactorScales] = field(default_factory=dict)
    error_labels: tuple[str, ...]
    y_sd_by_label: FloatArray
    n_error_sd: int
    has_error_corr: bool = False
    error_corr_labels: tuple[str, ...] = ()
    error_corr_lowest: tuple[float, ...] = ()
    error_corr_ranges: tuple[str, ...] = ()
    error_factor: float | None = None
