"""`ResolvedPriors`: one prior for every parameter of a model, printable as a table."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from hierreg.display import Column, Row, Section, Shown, Table
from hierreg.priors.correlation import LKJ, Fixed
from hierreg.priors.families import FloatArray
from hierreg.priors.requested import BetaChoice, CorrChoice, SdChoice

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GroupFrame:
    """The frame of the priors of one grouping factor: b = to_raw b*, where sds and correlations are those of b*.

    Parameters
    ----------
    to_raw : array (q, q)
        Block diagonal over bar terms, |det| = 1; Sigma = to_raw Sigma* to_raw'.
    from_raw : array (q, q)
        Its inverse.
    internal : array (q, q)
        b_internal = internal b*, for the internal coordinates of the factor's columns (`gram.frame`).
    """

    to_raw: FloatArray
    from_raw: FloatArray
    internal: FloatArray

    @property
    def is_plain(self) -> bool:
        """Whether sds and correlations are those of the coefficients themselves."""
        return bool(np.array_equal(self.to_raw, np.eye(len(self.to_raw))))


_WIDTH = 88


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorRow:
    """One line of the table: parameter, its prior in words, and "default" or "given"."""

    parameter: str
    prior: str
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class ResolvedPriors(Shown):
    """One prior for every parameter.

    Parameters
    ----------
    beta : tuple (p,)
        Priors of the rows of `beta_basis @ beta`, independent of each other.
    beta_basis : array (p, p)
        Map, |det| = 1, from the coefficients to what the priors in `beta` describe: coefficients of columns made
        orthogonal one after the other where priors are defaults, rows of the identity where they are given
        (`priors.frames`).
    sd : dict of tuples (q,)
        Per grouping factor, a prior per group coefficient, in its frame.
    corr : dict of tuples (terms,)
        Per grouping factor, a prior per bar term, in its frame; None where the term has no correlations.
    error_sd : tuple (n_sd,)
    error_corr : LKJ, Fixed or None
        Of exchangeable errors a tuple of them, one for each stratum.
    rows : tuple of PriorRow
        The table that is printed.
    beta_inner : array (p, p) or None
        ``beta_basis`` in internal coordinates of the columns, where it is known more exactly than by multiplication.
    frames : dict of GroupFrame
        Per grouping factor; the coefficients themselves where it is missing.
    notes : tuple of str
        What the words of the table mean, printed below it.
    """

    beta: tuple[BetaChoice, ...]
    beta_basis: FloatArray
    sd: Mapping[str, tuple[SdChoice, ...]] = field(default_factory=dict)
    corr: Mapping[str, tuple[CorrChoice | None, ...]] = field(default_factory=dict)
    error_sd: tuple[SdChoice, ...] = ()
    error_corr: LKJ | Fixed | tuple[CorrChoice, ...] | None = None
    rows: tuple[PriorRow, ...] = ()
    beta_inner: FloatArray | None = None
    frames: Mapping[str, GroupFrame] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def for_files(self) -> str:
        """Return the table as text that does not depend on a terminal."""
        lines = [PriorRow(parameter="parameter", prior="prior", origin="origin"), *self.rows]
        first, second = (max(len(getattr(line, name)) for line in lines) for name in ("parameter", "prior"))
        table = [f"{line.parameter:<{first}}  {line.prior:<{second}}  {line.origin}" for line in lines]
        notes = [wrapped for note in self.notes for wrapped in ("", *textwrap.wrap(note, _WIDTH))]
        return "\n".join([*table, *notes])

    def to_pandas(self) -> pd.DataFrame:
        """Return a row for each parameter: its name, its prior in words, and whether that is a default."""
        import pandas as pd

        columns = ("parameter", "prior", "origin")
        return pd.DataFrame([[getattr(row, name) for name in columns] for row in self.rows], columns=list(columns))

    def _table(self, most: int | None = None) -> Table:  # noqa: ARG002  # every parameter is shown
        rows = [Row(name=row.parameter, values={"prior": row.prior, "origin": row.origin}) for row in self.rows]
        return Table(
            columns=(
                Column(key="prior", head="prior", form="text"),
                Column(key="origin", head="origin", form="text", fold=1),
            ),
            sections=(Section(title="parameter", rows=rows),),
            notes=self.notes,
        )
