"""What expected values are of, in the words of an axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hierreg.problem.family import FamilyProblem
from hierreg.response import Bernoulli, Binomial

if TYPE_CHECKING:
    from hierreg.problem.problem import Problem


def quantity(problem: Problem | FamilyProblem, scale: str) -> str:
    """Return what an expected value is, on one of the scales "response" and "link".

    Examples
    --------
    >>> import hierreg as hr
    >>> data = hr.load_dataset("cbpp")
    >>> model = hr.Model("incidence / size ~ period + (1 | herd)", data, family=hr.Binomial())
    >>> quantity(model.problem, "response"), quantity(model.problem, "link")
    ('probability of incidence', 'logit(incidence)')
    """
    response = str(problem.labels.response)
    if not isinstance(problem, FamilyProblem):
        return response
    family, link = problem.family, problem.family.link
    if scale == "link":
        return in_link(response, str(family), link)
    if isinstance(family, Bernoulli):
        success = problem.observed.categories
        return f"probability of {response}" + (f" = {success[1]}" if len(success) == 2 else "")
    if isinstance(family, Binomial):
        return f"probability of {response}"
    return f"expected {response}" if family.has_level else f"probability of each {response}"


def in_link(response: str, family: str, link: str) -> str:
    """Return what coefficients are about: the response, or where it is not normal the link of its mean.

    Examples
    --------
    >>> in_link("y", "", "identity"), in_link("y", "Poisson()", "log"), in_link("y", "LogNormal()", "identity")
    ('y', 'log(y)', 'log(y)')
    """
    link = "log" if family.startswith("LogNormal") else link
    return response if link == "identity" else f"{link}({response})"
