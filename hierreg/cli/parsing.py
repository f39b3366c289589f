"""Priors and group effects of the command line: texts that describe values, never run as code."""

from __future__ import annotations

import ast
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One prior, not read yet.

    Attributes
    ----------
    path : tuple of str
        What it is of, as in ("sd", "Subject", "Days").
    family : str
        As in "HalfNormal(50)".
    where : str
        Where it stands, for messages.
    """

    path: tuple[str, ...]
    family: str
    where: str


def entries_of(texts: Sequence[str]) -> list[Entry]:
    """Return the priors of "NAME = FAMILY(numbers)" texts.

    Examples
    --------
    >>> entries_of(["sd.Subject = HalfNormal(50)"])[0].path
    ('sd', 'Subject')
    """
    out = []
    for text in texts:
        name, _, family = (piece.strip() for piece in text.partition("="))
        out.append(Entry(path=tuple(name.split(".")), family=family, where=f"--prior {text!r}"))
    return out


def split_priors(entries: Sequence[Entry], further: Sequence[str]) -> tuple[list[Entry], dict[str, Any]]:
    """Return the priors of the model, and those of further parameters of a family.

    Parameters
    ----------
    entries : sequence of Entry
    further : sequence of str
        Names of these parameters.

    Examples
    --------
    >>> split_priors(entries_of(["dispersion = HalfNormal(1)"]), ["dispersion"])
    ([], {'dispersion': HalfNormal(sigma=1.0)})
    """
    others: list[Entry] = []
    found: dict[str, Any] = {}
    for entry in entries:
        name = entry.path[0]
        if name not in further or not entry.family:
            others.append(entry)
            continue
        if len(entry.path) > 1:
            raise PriorError(f"{entry.where}: {name} has one prior for all strata; write {name!r} alone.")
        if name in found:
            raise PriorError(f"{entry.where}: {name} has a prior already.")
        found[name] = _parse_family(entry)
    return others, found


def parse_priors(entries: Sequence[Entry], further: Sequence[str] = ()) -> Priors | None:
    """Return the priors that texts describe; nothing in them is run as code.

    Parameters
    ----------
    entries : sequence of Entry
    further : sequence of str
        Other names that a prior may have, for the message.

    Examples
    --------
    >>> parse_priors(entries_of(["beta.Days = Normal(0, 5)", "sd.Subject = HalfNormal(50)"]))
    Priors(beta={'Days': Normal(mu=0.0, sigma=5.0)}, sd={'Subject': HalfNormal(sigma=50.0)})
    """
    if not entries:
        return None
    parts: dict[str, Any] = {}
    for entry in entries:
        part, *path = entry.path
        if not entry.family or part not in _PARTS or len(path) > 2:
            raise PriorError(
                f"{entry.where}: write NAME = FAMILY(numbers), where NAME begins with one of "
                f"{listed([*_PARTS, *further])}, as in 'sd.Subject.Days = HalfNormal(50)'."
            )
        _put(parts, entry)
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


def _put(parts: dict[str, Any], entry: Entry) -> None:
    *parents, last = entry.path
    here = parts
    for parent in parents:
        here = here.setdefault(parent, {})
        if not isinstance(here, dict):
            raise PriorError(f"{entry.where}: {parent!r} already has a prior for all of its parameters.")
    if last in here:
        raise PriorError(f"{entry.where}: {'.'.join(entry.path)} has a prior already.")
    here[last] = _parse_family(entry)


def _parse_family(entry: Entry) -> Any:
    problem = PriorError(
        f"{entry.where}: {entry.family!r} is not a family with numbers, such as HalfNormal(50); the families are "
        f"{', '.join(_FAMILIES)}."
    )
    return _call(entry.family, {name: getattr(families, name) for name in _FAMILIES}, problem)


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
