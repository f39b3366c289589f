"""A posterior for each of several priors, as one report."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.exceptions import HierregError, ModelError
from hierreg.linear.quantity import in_link
from hierreg.reports.draws import mcse_mean, moments
from hierreg.reports.sensitivity import PriorGrid
from hierreg.reports.table import percent
from hierreg.studies.prior_sensitivity.refits import Refit, refit
from hierreg.warning import kept_warnings, warn

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from hierreg.sampling.request import SampleRequest
    from hierreg.studies.prior_sensitivity.points import AnyProblem, Point
    from hierreg.studies.prior_sensitivity.quantities import Quantities

    Array = NDArray[np.float64]


def prior_grid(
    problem: AnyProblem, points: list[Point], quantities: Quantities, request: SampleRequest, ci_prob: float
) -> PriorGrid:
    """Return the posterior of the quantities under each set of priors.

    Raises
    ------
    HierregError
        As `Model.sample` does; names the priors.
    """
    evaluate, names = quantities.recorder()
    fits: list[Refit] = []
    quantities_of: list[list[str]] = []
    for point in points:
        last = fits[-1] if fits else None
        one = partial(refit, evaluate=evaluate, request=request, last=last, with_groups=quantities.reads_groups)
        fits.append(_refit(problem, point, one))
        quantities_of.append(list(names))
    every = [name for name in quantities_of[0] if all(name in own for own in quantities_of)]
    values = [
        fit.values[:, :, [own.index(name) for name in every]] for fit, own in zip(fits, quantities_of, strict=True)
    ]
    return _report(problem, points, every, values, [fit.pareto_k for fit in fits], ci_prob)


def _refit(problem: AnyProblem, point: Point, fit: Callable[[AnyProblem], Refit]) -> Refit:
    """Return the fit under one set of priors, with warnings that name it."""
    try:
        with kept_warnings() as kept:
            found = fit(point.make(problem))
    except HierregError as error:
        raise type(error)(f"priors {point.name!r}: {error}") from error
    for category, message in dict.fromkeys(kept):
        warn(f"priors {point.name!r}: {message}", category)
    return found


def _response(problem: AnyProblem) -> str:
    """Return what coefficients are in units of."""
    response, family = str(problem.labels.response), getattr(problem, "family", None)
    return response if family is None else in_link(response, str(family), str(family.link))


def _report(  # what the columns are made of
    problem: AnyProblem, points: list[Point], names: list[str], values: list[Array], k: list[float], ci_prob: float
) -> PriorGrid:
    if not names:
        raise ModelError("no quantity exists under all of these priors: name one that does, quantities=[...].")
    each = [moments(own, ci_prob) | {"mcse": mcse_mean(own)} for own in values]
    over = ("quantity", "prior")
    data: dict[str, Any] = {
        key: (over, np.stack([one[key] for one in each], axis=1)) for key in ("mean", "sd", "lower", "upper", "mcse")
    }
    mean, sd = data["mean"][1], data["sd"][1]
    with np.errstate(invalid="ignore", divide="ignore"):
        moved = (mean - mean[:, :1]) / sd[:, :1]
    data["moved"] = (over, np.where(sd[:, :1] > 0, moved, np.nan))
    data["draws"] = (
        ("prior", "chain", "draw", "quantity"),
        np.stack(values),
    )
    data["pareto_k"] = (("prior",), np.array(k))
    heading = f"{problem.formula}: {len(points)} fits, {values[0].shape[0]} x {values[0].shape[1]} draws each"
    return PriorGrid(
        data,
        coords={
            "quantity": names,
            "prior": [point.name for point in points],
            "kind_of_prior": ("prior", [point.kind for point in points]),
            "level": ("prior", np.array([point.level for point in points])),
            "of": ("prior", [point.of for point in points]),
        },
        attrs={
            "heading": f"{heading}; equal-tailed {percent(ci_prob)} intervals",
            "ci_prob": ci_prob,
            "response": _response(problem),
            "note": f"moved: change of the mean from the fit {points[0].name!r}, in its standard deviations.",
        },
    )
