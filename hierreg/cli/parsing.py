"""Priors and group effects of the command line: texts that describe values, never run as code."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from hierreg import priors as families
from hierreg.checks import listed
from hierreg.effects import Mixture, StudentT
from hierreg.exceptions import ModelError, PriorError
from hierreg.priors import Priors
from hierreg.priors.families import SD_FAMILY_NAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_FAMILIES = ("Normal", "Flat", "Fixed", *SD_FAMILY_NAMES, "LKJ")
_PARTS = ("beta", "sd", "corr", "error_sd", "error_corr")
_EFFECTS: dict[str, Callable[..., Any]] = {"StudentT": StudentT, "Mixture": Mixture}
# Short forms, NAME or NAME:NUMBER: the distribution, and how its number is read.
_SHORT: dict[str, tuple[Callable[..., Any], Callable[[str], Any]]] = {
    "student_t": (StudentT, float),
    "mixture": (Mixture, int),
}


def split_priors(texts: Sequence[str], further: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
    """Return the texts that are priors of the model, and the priors of further parameters of a family.

    Parameters
    ----------
    texts : sequence of str
    further : sequence of str
        Names of these parameters.

    Examples
    --------
    >>> split_priors(["beta.x = Normal(0, 1)", "dispersion = HalfNormal(1)"], ["dispersion"])
    (['beta.x = Normal(0, 1)'], {'dispersion': HalfNormal(sigma=1.0)})
    """
    others: list[str] = []
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, family = (piece.strip() for piece in text.partition("="))
        first = name.split(".")[0]
        if first not in further or not equals:
            others.append(text)
            continue
        if first != name:
            raise PriorError(f"--prior {text!r}: {first} has one prior for all strata; write {first!r} alone.")
        if name in found:
            raise PriorError(f"--prior {text!r}: {name} has a prior already.")
        found[name] = _parse_family(family, text)
    return others, found


def parse_priors(texts: Sequence[str], further: Sequence[str] = ()) -> Priors | None:
    """Return the priors that "NAME = FAMILY(numbers)" texts describe; nothing in them is run as code.

    Parameters
    ----------
    texts : sequence of str
    further : sequence of str
        Other names that a prior may have, for the message.

    Examples
    --------
    >>> parse_priors(["beta.Days = Normal(0, 5)", "sd.Subject = HalfNormal(50)"])
    Priors(beta={'Days': Normal(mu=0.0, sigma=5.0)}, sd={'Subject': HalfNormal(sigma=50.0)})
    """
    if not texts:
        return None
    parts: dict[str, Any] = {}
    for text in texts:
        name, equals, family = (piece.strip() for piece in text.partition("="))
        part, *path = name.split(".")
        if not equals or part not in _PARTS or len(path) > 2:
            raise PriorError(
                f"--prior {text!r}: write NAME = FAMILY(numbers), where NAME begins with one of "
                f"{listed([*_PARTS, *further])}, as in 'sd.Subject.Days = HalfNormal(50)'."
            )
        _put(parts, [part, *path], _parse_family(family, text), text)
    return Priors(**parts)


def parse_effects(texts: Sequence[str]) -> dict[str, Any] | None:
    """Return the group effects that "FACTOR=NAME" or "FACTOR=NAME:NUMBER" texts describe.

    "FACTOR = StudentT(4)" is the same with all arguments of the distribution; nothing is run as code.

    Examples
    --------
    >>> parse_effects(["Subject=student_t:4"])
    {'Subject': StudentT(nu=4.0)}
    """
    out: dict[str, Any] = {}
    for text in texts:
        factor, equals, distribution = (piece.strip() for piece in text.partition("="))
        problem = ModelError(
            f"--effects {text!r}: write FACTOR=student_t, FACTOR=student_t:4 (degrees of freedom) or FACTOR=mixture:2 "
            "(components), or with further arguments as in 'FACTOR = Mixture(2, common=False)'; each factor once."
        )
        if not equals or not factor or factor in out:
            raise problem
        name, colon, number = (piece.strip() for piece in distribution.partition(":"))
        if name in _SHORT:
            make, read = _SHORT[name]
            try:
                out[factor] = make(read(number)) if colon else make()
            except ValueError as error:
                if isinstance(error, PriorError):
                    raise
                raise problem from error
        else:
            out[factor] = _call(distribution, _EFFECTS, problem)
    return out or None


def _put(parts: dict[str, Any], path: list[str], prior: Any, text: str) -> None:
    *parents, last = path
    here = parts
    for parent in parents:
        here = here.setdefault(parent, {})
        if not isinstance(here, dict):
            raise PriorError(f"--prior {text!r}: {parent!r} already has a prior for all of its parameters.")
    if last in here:
        raise PriorError(f"--prior {text!r}: {'.'.join(path)} has a prior already.")
    here[last] = prior


def _parse_family(family: str, text: str) -> Any:
    problem = PriorError(
        f"--prior {text!r}: {family!r} is not a family with numbers, such as HalfNormal(50); the families are "
        f"{', '.join(_FAMILIES)}."
    )
    return _call(family, {name: getattr(families, name) for name in _FAMILIES}, problem)


def _call(text: str, known: Mapping[str, Callable[..., Any]], problem: Exception) -> Any:
    """Return what a call with literal arguments makes, as in HalfNormal(50); nothing is run as code."""
    try:
        call = ast.parse(text, mode="eval").body
    except SyntaxError:
        raise problem from None
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in known):
        raise problem
    try:
        positional = [ast.literal_eval(argument) for argument in call.args]
        named = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
        return known[call.func.id](*positional, **named)
    except (ValueError, TypeError) as error:
        if isinstance(error, PriorError):
            raise
        raise problem from error
