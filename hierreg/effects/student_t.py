"""`StudentT`: heavy tails."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from hierreg.exceptions import PriorError
from hierreg.priors.families import Gamma, SdPrior
from hierreg.response.student_t import LOWEST_NU, StudentTResponse

__all__ = ["DEFAULT_NU", "LOWEST_NU", "StudentT"]

# Of those that are given: above one the mean exists, and theta is about beta.
LOWEST_GIVEN = 1.0
DEFAULT_NU = Gamma(2.0, 0.1)


@final
@dataclass(frozen=True)
class StudentT:
    """A (multivariate) Student t distribution: most groups, or most rows, alike, some far out.

    Of group effects, ``hr.Model(..., effects={"Subject": hr.StudentT()})``: b_j | s_j ~ N(0, s_j Sigma) with
    s_j ~ inverse gamma(nu / 2, nu / 2), so that b_j has nu degrees of freedom and the scale matrix Sigma. One s_j
    serves all coefficients of a group. An outlying group is pulled in less than under a normal distribution, and pulls
    the population less.

    Of responses, ``hr.Model(..., family=hr.StudentT())``: y = X beta + Z b + error_scale t, where t has nu degrees of
    freedom, so that outlying rows pull less than others, the farther the less (`hr.row_weights`). ``error_scale`` is
    the scale of the t distribution, not the standard deviation, which is error_scale sqrt(nu / (nu - 2)). All effects
    are sampled. Where the rows of a group say two things, its effects have two modes; that chains do not see both is
    said. Responses of which too many rows can be fitted exactly, about two thirds where nu is not known, are refused.

    Parameters
    ----------
    nu : float, a prior, or None
        Degrees of freedom: known (above 1), or with a prior on nu > 2, of any family of standard deviations, restricted
        to that. By default gamma(2, 0.1) (Juarez and Steel 2010). Above 2 the covariance exists, nu / (nu - 2) Sigma,
        and with it every standard deviation that is reported; tails heavier than that have to be asked for by a number.
    error_scale : prior or float, optional
        Of responses alone: prior of the scale, or its value; by default half Student t of three degrees of freedom with
        the standard deviation of the response as its scale.
    by : str, optional
        Of responses alone: column of strata, each with a scale of its own.

    See Also
    --------
    Mixture : Groups of several kinds.
    row_weights : How much each row counts.
    shrinkage : How much each group is pulled in.
    Model : Its arguments ``effects`` and ``family``.

    References
    ----------
    Lange, K. L., Little, R. J. A. and Taylor, J. M. G. (1989). Robust statistical modeling using the t distribution.
    Journal of the American Statistical Association 84, 881-896.

    Juarez, M. A. and Steel, M. F. J. (2010). Model-based clustering of non-Gaussian panel data based on skew-t
    distributions. Journal of Business and Economic Statistics 28, 52-66.

    Examples
    --------
    >>> print(StudentT(4))
    StudentT(nu=4)
    """

    nu: float | SdPrior | None = None
    error_scale: object = None
    by: str | None = None

    def __post_init__(self) -> None:
        if self.nu is not None and not isinstance(self.nu, SdPrior):
            object.__setattr__(self, "nu", _checked(self.nu))

    def __repr__(self) -> str:
        given = {"nu": self.nu, "error_scale": self.error_scale, "by": self.by}
        return f"StudentT({', '.join(f'{name}={value!r}' for name, value in given.items() if value is not None)})"

    def __str__(self) -> str:
        return f"StudentT(nu={self.nu:g})" if isinstance(self.nu, float) else f"StudentT(nu ~ {self.prior}, nu > 2)"

    @property
    def response(self) -> StudentTResponse:
        """The family of responses."""
        return StudentTResponse(nu=self.nu, error_scale=self.error_scale, by=self.by)

    @property
    def prior(self) -> SdPrior | None:
        """Prior of nu, before it is restricted to nu > 2; None where it is known."""
        if isinstance(self.nu, float):
            return None
        return DEFAULT_NU if self.nu is None else self.nu


def _checked(nu: Any) -> float:
    is_number = isinstance(nu, int | float | np.integer | np.floating) and not isinstance(nu, bool | np.bool_)
    if not is_number or not (math.isfinite(nu) and nu > LOWEST_GIVEN):
        raise PriorError(
            f"StudentT(nu={nu!r}): degrees of freedom are a number above 1, or a prior of them such as "
            "hr.Gamma(2, 0.1). For normal group effects leave the factor out of effects, for normal errors the family."
        )
    return float(nu)
