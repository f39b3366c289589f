"""`ResolvedPriors`: one prior for every parameter of a model, printable as a table."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from hierreg.priors.correlation import LKJ, Fixed
from hierreg.priors.families import FloatArray
from hierreg.priors.requested import BetaChoice, CorrChoice, SdChoice


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorRow:
    """One line of the printed table: parameter, its prior in words, and "default" or "given"."""

    parameter: str
    prior: str
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ResolvedPriors:
    """One prior for every parameter.

    Parameters
    ----------
    beta : tuple (p,)
        Priors of the rows of `beta_basis @ beta`, independent of each other.
    beta_basis : array (p, p)
        Unit-determinant map from the coefficients to what the priors in `beta` describe: the identity,
        except that the row of a default intercept is the intercept at the predictors' means.
    sd : dict of tuples (q,)
        Per grouping factor, a prior per group coefficient.
    corr : dict of tuples (terms,)
        Per grouping factor, a prior per bar term; None where the term has no correlations.
    error_sd : tuple (n_sd,)
    error_corr : LKJ, Fixed or None
        Of exchangeable errors a tuple of them, one for each stratum.
    rows : tuple of PriorRow
        The table that `str` prints.
    """

    beta: tuple[BetaChoice, ...]
    beta_basis: FloatArray
    sd: Mapping[str, tuple[SdChoice, ...]] = field(default_factory=dict)
    corr: Mapping[str, tuple[CorrChoice | None, ...]] = field(default_factory=dict)
    error_sd: tuple[SdChoice, ...] = ()
    error_corr: LKJ | Fixed | tuple[CorrChoice, ...] | None = None
    rows: tuple[PriorRow, ...] = ()

    def __str__(self) -> str:
        lines = [PriorRow(parameter="parameter", prior="prior", origin="origin"), *self.rows]
        first, second = (max(len(getattr(line, name)) for line in lines) for name in ("parameter", "prior"))
        return "\n".join(f"{line.parameter:<{first}}  {line.prior:<{second}}  {line.origin}" for line in lines)
