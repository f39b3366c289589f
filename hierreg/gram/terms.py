"""The terms of the error precision, R^-1 = sum_k omega[k] K[k], and the rows that each term pairs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hierreg.errors.structures import STRUCTURES
from hierreg.exceptions import ModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.errors.base import ErrorSpec
    from hierreg.errors.within_units import Components

    Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorTerms:
    """The terms of an error structure, apart from any rows.

    Term k belongs to one missingness pattern and one pair of data sets d <= e of it. Terms are ordered by
    pattern, then d, then e; omega[k] is entry (d, e) of inverse(Sigma_e[pattern, pattern]).

    Exchangeable errors are independent along their components (`within_units.Components`), which take the place of
    strata: Sigma_e is diagonal with the variances of the components.

    Attributes
    ----------
    kind : str
        Name of the error structure.
    labels : tuple of str
        The D data sets, strata or components.
    dim : str or None
        Column that the labels come from.
    n_sd : int
        Number of unknown error standard deviations, D or 0 (then Sigma_e is the number one); of exchangeable errors
        one, or one per stratum.
    has_corr : bool
        Whether there are unknown correlations.
    patterns : bool array (M, D)
        Data sets present in the units of each pattern.
    counts : float array (M,)
        Number of units of each pattern.
    log_det_known : float
        Part of log|R| that is known: sum of log se^2, or log|V|.
    components : Components or None
        Those of exchangeable errors; of AR(1) errors two neighbours.
    gaps : int array (M,)
        Steps of time between the two rows of each pattern of AR(1) errors (`errors.ar1`), which are the D = 2
        places of a pattern; a unit's first row has a pattern by itself. Zero there, and for all other errors.
    """

    kind: str
    labels: tuple[str, ...]
    dim: str | None
    n_sd: int
    has_corr: bool
    patterns: NDArray[np.bool_]
    counts: Array
    log_det_known: float
    components: Components | None = None
    gaps: NDArray[np.intp]

    @property
    def structure(self) -> type[ErrorSpec]:
        """The error structure, which says more of itself (`ErrorSpec`)."""
        return STRUCTURES[self.kind]

    @property
    def has_corr_of_sets(self) -> bool:
        """Whether there are unknown correlations between data sets."""
        return self.has_corr and self.components is None

    @property
    def n_labels(self) -> int:
        """Number of data sets or strata D."""
        return int(self.patterns.shape[1])

    @property
    def n_terms(self) -> int:
        """Number of terms K."""
        size = self.patterns.sum(axis=1)
        return int(np.sum(size * (size + 1) // 2))

    @property
    def table(self) -> NDArray[np.intp]:
        """Pattern, d and e of each term, shape (K, 3)."""
        rows = [
            (m, d, e)
            for m, pattern in enumerate(self.patterns)
            for i, d in enumerate(np.flatnonzero(pattern))
            for e in np.flatnonzero(pattern)[i:]
        ]
        return np.array(rows, dtype=np.intp).reshape(-1, 3)

    @property
    def each_row(self) -> NDArray[np.bool_]:
        """Terms (K,) of rows with themselves in which every row stands once: AR(1) errors have rows in several."""
        pattern, d, e = self.table.T
        return np.asarray((d == e) & ((self.gaps[pattern] == 0) | (d == 1)))

    def unite(self, other: ErrorTerms) -> tuple[ErrorTerms, NDArray[np.intp], NDArray[np.intp]]:
        """Return the terms of both, and the place of each term of self and of other among them."""
        for what in ("kind", "dim", "has_corr"):
            if getattr(self, what) != getattr(other, what):
                raise ModelError(
                    f"Gram + Gram: the error structures differ in {what}: "
                    f"{getattr(self, what)!r} and {getattr(other, what)!r}."
                )
        if (self.n_sd == 0) != (other.n_sd == 0):
            raise ModelError(
                "Gram + Gram: the known errors of one table have an unknown factor (scale=True), those of "
                "the other do not."
            )
        components = None
        labels = self.labels + tuple(label for label in other.labels if label not in self.labels)
        if self.components is not None and other.components is not None:
            if self.components.common_sd != other.components.common_sd:
                raise ModelError("Gram + Gram: only one of the tables has one error standard deviation for all strata.")
            components = self.components.unite(other.components)
            labels = components.labels
        # A pattern is its gap and its data sets.
        mine, theirs = (np.column_stack([t.gaps, _relabelled(t.patterns, t.labels, labels)]) for t in (self, other))
        patterns = np.unique(np.concatenate([mine, theirs]), axis=0)
        if components is not None and not components.is_in_time:
            patterns = np.column_stack([np.zeros(len(labels), dtype=np.intp), np.eye(len(labels), dtype=np.intp)])
        united = replace(
            self,
            labels=labels,
            n_sd=components.n_sd if components is not None else len(labels) if self.n_sd else 0,
            patterns=patterns[:, 1:] > 0,
            gaps=np.ascontiguousarray(patterns[:, 0]),
            counts=_counts(patterns, mine, self.counts) + _counts(patterns, theirs, other.counts),
            log_det_known=self.log_det_known + other.log_det_known,
            components=components,
        )
        return united, _places(self, mine, united), _places(other, theirs, united)


def _relabelled(patterns: NDArray[np.bool_], old: tuple[str, ...], new: tuple[str, ...]) -> NDArray[np.bool_]:
    out = np.zeros((len(patterns), len(new)), dtype=bool)
    out[:, [new.index(label) for label in old]] = patterns
    return out


def _counts(patterns: NDArray[np.intp], own: NDArray[np.intp], counts: Array) -> Array:
    same = (patterns[:, None, :] == own[None, :, :]).all(axis=2)
    total: Array = same.astype(float) @ counts
    return total


def _places(old: ErrorTerms, relabelled: NDArray[np.intp], new: ErrorTerms) -> NDArray[np.intp]:
    """Return, for each term of old, the term of new with the same pattern and the same pair of labels."""
    where = {tuple(row): k for k, row in enumerate(new.table.tolist())}
    patterns = np.column_stack([new.gaps, new.patterns])
    pattern_of = [int(np.flatnonzero((patterns == p).all(axis=1))[0]) for p in relabelled]
    label_of = [new.labels.index(label) for label in old.labels]
    places = []
    for m, d, e in old.table.tolist():
        pair = sorted((label_of[d], label_of[e]))
        places.append(where[pattern_of[m], pair[0], pair[1]])
    return np.array(places, dtype=np.intp)
