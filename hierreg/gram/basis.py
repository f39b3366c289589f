"""The Gram basis: every cross-product of the rows that the likelihood needs, collected in one pass.

With W = [X y] the precision of the errors is R^-1 = sum_k omega[k] K[k] (see `errors.base`), so the
data enter only through ``Z'K[k]Z``, ``Z'K[k]W`` and ``W'K[k]W``. They are stored by term, and for Z by pair
of group levels, so that two collections can be added.

Cross-products square the condition number. The columns are therefore centred, scaled and orthogonalised
before they are multiplied, the least-squares fit is taken off y, and the maps that undo this are kept::

    X_internal = X x_map        beta = y_shift + x_map beta_internal
    Z_internal = Z z_map        b    = z_map b_internal
    y_internal = y - X y_shift

Rows that a group can fit by itself have a likelihood that products cannot tell: W'V^-1 W is small then beside
W'R^-1 W. With one grouping factor the rows [Z W] of each group and term are kept as a triangle too, made by rotations
(`gram.triangles`), and what is left of W, as few rows: its squares are those around each group's own least-squares
fit.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hierreg.checks import listed
from hierreg.display import Column, Row, Section, Shown, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path
    from typing import Any, Literal

    from numpy.typing import NDArray

    from hierreg.errors.base import ErrorSpec
    from hierreg.gram.frame import Frame
    from hierreg.gram.labels import LabelledMoments
    from hierreg.gram.origin import Origin
    from hierreg.gram.terms import ErrorTerms

    Array = NDArray[np.float64]

# What `Gram.<TAB>` offers; the other attributes are for the likelihood.
_PUBLIC = ("coef_names", "factors", "n", "from_batches", "from_dask", "load", "save", "scan")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class GroupProducts:
    """Cross-products of the columns of one grouping factor.

    Attributes
    ----------
    name : str
        Grouping factor.
    coef_names : tuple of str
        The q columns of Z.
    levels : array (J,)
        Labels of the groups.
    z_map : array (q, q)
        See the module's docstring.
    pair_term, pair_row, pair_col : int arrays (E,)
        Term and pair of levels (row <= col) of each entry of ``ZtZ``.
    ZtZ : array (E, q, q)
        Internal scale; only the entries that occur.
    level_term, level_index : int arrays (F,)
        Term and level of each entry of ``ZtW``.
    ZtW : array (F, q, p + 1)
        Z'K[k][X y], internal scale.
    triangle : array (F, h, q + p + 1)
        [C D] of each of those entries: C'C = Z'K[k]Z and C'D = Z'K[k][X y]; h is q times the most rows of a unit. Of
        correlated errors see `gram.triangles`. No entries (0, h, q + p + 1) where there are several factors, or errors
        link groups that do not go together.
    frame : Frame or None
        The internal coordinates, exactly, with location and scale of the columns.
    """

    name: str
    coef_names: tuple[str, ...]
    levels: NDArray[np.generic]
    z_map: Array
    pair_term: NDArray[np.intp]
    pair_row: NDArray[np.intp]
    pair_col: NDArray[np.intp]
    ZtZ: Array
    level_term: NDArray[np.intp]
    level_index: NDArray[np.intp]
    ZtW: Array
    triangle: Array
    frame: Frame | None = None

    def __repr__(self) -> str:
        return f"GroupProducts: {self.n_levels:,} groups of {self.name}, columns {listed(self.coef_names)}"

    @property
    def n_levels(self) -> int:
        """Number of groups J."""
        return len(self.levels)

    @property
    def n_coef(self) -> int:
        """Number of columns q."""
        return len(self.coef_names)

    @property
    def has_links(self) -> bool:
        """Whether errors correlate rows of different groups."""
        return bool(np.any(self.pair_row != self.pair_col))


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossProducts:
    """Cross-products between the columns of two grouping factors: the pairs of their levels that share rows.

    Attributes
    ----------
    first, second : int
        Places of the two factors in `Gram.factors`, first < second.
    term, row, col : int arrays (E,)
        Term, level of the first and level of the second factor of each entry.
    ZtZ : array (E, q_first, q_second)
        Internal scale.
    """

    first: int
    second: int
    term: NDArray[np.intp]
    row: NDArray[np.intp]
    col: NDArray[np.intp]
    ZtZ: Array


class _PublicOnly(abc.ABCMeta):
    """A class whose `dir` has what is meant to be used."""

    def __dir__(cls) -> list[str]:
        return [*_PUBLIC, *(name for name in super().__dir__() if name.startswith("__"))]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Gram(Shown, metaclass=_PublicOnly):
    """Cross-products of one table under one error structure.

    Attributes
    ----------
    coef_names : tuple of str
        The p columns of X.
    factors : tuple of GroupProducts
        Grouping factors, in the order of the formula.
    crossed : tuple of CrossProducts
        One for each pair of factors.
    terms : ErrorTerms
        The K terms of the error precision, and the counts that log|R| needs.
    n : int
        Number of rows.
    WtW : array (K, p + 1, p + 1)
        [X y]'K[k][X y], internal scale.
    left : array (R, p + 1)
    left_term : int array (R,)
        What the triangles of the groups leave of [X y], and the term of each row (see `gram.triangles.Left`); no rows
        where there are no triangles. Without groups that is all.
    x_map : array (p, p)
    y_shift : array (p,)
        The maps of the module's docstring.
    frame : Frame or None
        The internal coordinates of [X y], exactly, with location and scale of the columns; None in a basis that was
        derived from another, and cannot be added.
    response : LabelledMoments or None
        Location and scale of y in each data set or stratum of the errors.
    own : Gram or None
        The same rows with each group seeing its own alone, where errors link groups (`GroupProducts.has_links`).
    origin : Origin or None
        Formula, errors and what the columns were learned to be: what a model needs (`Model.from_gram`).

    See Also
    --------
    Model.from_gram : The model of them.
    Gram.from_batches : From tables in memory; also `Gram.scan` and `Gram.from_dask`.

    Examples
    --------
    >>> import hierreg as hr
    >>> table, formula = hr.load_dataset("sleepstudy"), "Reaction ~ Days + (Days | Subject)"
    >>> one, other = (hr.Gram.from_batches([part], formula) for part in (table[:90], table[90:]))
    >>> (one + other).n
    180
    """

    coef_names: tuple[str, ...]
    factors: tuple[GroupProducts, ...]
    crossed: tuple[CrossProducts, ...]
    terms: ErrorTerms
    n: int
    WtW: Array
    left: Array
    left_term: NDArray[np.intp]
    x_map: Array
    y_shift: Array
    frame: Frame | None = None
    response: LabelledMoments | None = None
    own: Gram | None = None
    origin: Origin | None = None

    def __dir__(self) -> list[str]:
        return dir(type(self))

    def _table(self, most: int | None = None) -> Table:  # noqa: ARG002  # factors are few
        parts = [("the population", float("nan"), self.coef_names)]
        parts += [(factor.name, float(factor.n_levels), factor.coef_names) for factor in self.factors]
        rows = [
            Row(
                name=name,
                values={"groups": groups, "columns": float(len(coefs)), "names": listed(coefs).replace("'", "")},
            )
            for name, groups, coefs in parts
        ]
        formula = "" if self.origin is None else f": {self.origin.learned.formula}"
        errors = self.terms.kind if self.origin is None else str(self.origin.errors)
        return Table(
            columns=(
                Column(key="groups", head="groups", form="count"),
                Column(key="columns", head="columns", form="count"),
                Column(key="names", head="which", form="text"),
            ),
            sections=(Section(title="cross-products of", rows=rows),),
            heading=f"hierreg.Gram{formula}\n{self.n:,} rows; errors: {errors}",
            notes=("hr.Model.from_gram(gram) is the model; .save(path) keeps it; + joins those of further rows.",),
            of_all=".factors has all",
        )

    @property
    def has_links(self) -> bool:
        """Whether errors correlate rows of different groups."""
        return any(factor.has_links for factor in self.factors)

    @property
    def has_triangles(self) -> bool:
        """Whether the rows of each group are there as triangles; without groups, whether those of the table are."""
        if not self.factors:
            return len(self.left_term) > 0
        return len(self.factors) == 1 and 0 < len(self.factors[0].level_term) == len(self.factors[0].triangle)

    @property
    def remainder(self) -> Array:
        """What no group fits of WtW (K, p + 1, p + 1); all of it where there are no triangles."""
        if not self.has_triangles:
            return self.WtW
        from hierreg.gram.triangles import Left, products_of

        return products_of(Left(rows=self.left, term=self.left_term), self.terms.table)

    @property
    def n_coef(self) -> int:
        """Number of columns q of all grouping factors."""
        return sum(factor.n_coef for factor in self.factors)

    @property
    def factor_slices(self) -> tuple[slice, ...]:
        """The columns of each factor among those of all."""
        stops = np.cumsum([factor.n_coef for factor in self.factors], dtype=int).tolist()
        return tuple(slice(stop - factor.n_coef, stop) for factor, stop in zip(self.factors, stops, strict=True))

    @property
    def z_map(self) -> Array:
        """Map of the columns of all factors, block diagonal (q, q)."""
        out = np.zeros((self.n_coef, self.n_coef))
        for factor, own in zip(self.factors, self.factor_slices, strict=True):
            out[own, own] = factor.z_map
        return out

    def __add__(self, other: Gram) -> Gram:
        """Return the Gram basis of the rows of both.

        Exact to rounding: cross-products agree with those of one table to 1e-10 of their size, also where columns are
        a billion away from zero (`gram.frame` says why). What tables with fewer rows than columns say of columns that
        are nearly collinear loses more, the square of their condition number. Errors of the two tables are taken to be
        independent.
        """
        if not isinstance(other, Gram):
            return NotImplemented
        from hierreg.gram.addition import add

        return add(self, other)

    @staticmethod
    def from_batches(
        batches: Iterable[Any] | Callable[[], Iterable[Any]],
        formula: str,
        errors: ErrorSpec | None = None,
        *,
        levels: Mapping[str, Sequence[Any]] | None = None,
        collinear: Literal["refuse", "drop"] = "refuse",
        weights: str | None = None,
    ) -> Gram:
        """Return the statistics of a table that comes in parts, as if it were one.

        Memory does not depend on the number of rows: it holds a few batches and a few times the statistics of all
        groups (for errors correlated within units also eight bytes a unit, which find units that are cut in two).
        Batches are worked out on as many threads as there are cores, up to four; the result does not depend on their
        number. Levels of grouping factors are collected on the way. Levels of categorical predictors, and what
        transforms learn (``scale(x)``, ``poly(x, 3)``, ``bs(x, ...)``), must be known of all rows before the first is
        used: a pass of its own finds them, so such batches are gone through twice.

        Offsets of predictors and response cost no digits where the formula has an intercept. Without one (``0 + ...``)
        a response whose mean is 10^k error standard deviations has 15 - k of them.

        Parameters
        ----------
        batches : iterable of tables, or function that returns one
            Tables as `Model` takes them, of any number of rows; empty ones are left out. A list, or a function that
            starts anew, can be gone through twice; a generator cannot.
        formula : str
        errors : error structure, optional
            Not `hr.known_cov`. All rows of a unit must be in one batch.
        levels : dict column -> sequence, optional
            Levels of categorical predictors, in order, where they are known.
        collinear : {"refuse", "drop"}
            As for `Model`; judged when all rows have been seen.
        weights : str, optional
            Column of weights; see `Model`.

        Raises
        ------
        FormulaError, DataError, ModelError
            As for `Model`; also if a second pass is needed and not possible, or a unit is in two batches.

        See Also
        --------
        Gram.scan : Of files.
        Gram.from_dask : Of a cluster.
        Model.from_gram : The model of the statistics.

        Examples
        --------
        >>> import hierreg as hr
        >>> table = hr.load_dataset("sleepstudy")
        >>> batches = [table[:70], table[70:75], table[75:]]
        >>> gram = hr.Gram.from_batches(batches, "Reaction ~ Days + (Days | Subject)")
        >>> gram.n, gram.factors[0].n_levels
        (180, 18)
        """
        from hierreg.errors.structures import weighted
        from hierreg.gram.batches import from_batches

        return from_batches(batches, formula, weighted(errors, weights), levels, collinear)

    @staticmethod
    def scan(  # noqa: PLR0913  # the public signature: every argument has a default
        files: str | Path | Iterable[str | Path],
        formula: str,
        errors: ErrorSpec | None = None,
        *,
        levels: Mapping[str, Sequence[Any]] | None = None,
        batch_rows: int = 1 << 20,
        progress: bool = True,
        checkpoint: str | Path | None = None,
        collinear: Literal["refuse", "drop"] = "refuse",
        weights: str | None = None,
    ) -> Gram:
        """Return the statistics of files that need not fit into memory.

        Only the columns that formula and errors name are read, `batch_rows` rows at a time; see `Gram.from_batches` for
        what has to be known of all rows first. Rows of one unit of correlated errors must stand next to each other.
        The type of a column is settled over all files before rows are used, so that the answer is that of the table in
        memory; text says it in no other way than by its rows, so that it is read once more for that.

        Parameters
        ----------
        files : path, pattern or list of paths
            A file, a folder, ``"rows/*.parquet"``, or a list. Parquet (.parquet, .parq, .pq), Arrow (.arrow,
            .feather) or text with commas (.csv) or tabs (.tsv), which may be compressed (.gz, .bz2, .zst, .lz4).
            Every file of a folder is read, or an error names it; hidden files (a dot in front) and the markers of
            other programs (_SUCCESS, _metadata, _common_metadata) are left out, as is customary.
        formula : str
        errors : error structure, optional
            Not `hr.known_cov`.
        levels : dict column -> sequence, optional
            Levels of categorical predictors, where they are known.
        batch_rows : int
            Batches are worked out on as many threads as there are cores, up to four, and one more is read meanwhile.
            The result does not depend on the number of threads.
        progress : bool
            Show rows done and rows per second.
        checkpoint : path, optional
            Ending in ``.npz``. What has been done is written there every sixteen batches, and a scan that finds the
            file goes on from it, with the same result. Formula, errors and files (names, sizes, times of change) must
            be the same. The file stays when the scan is complete, so that it can be deleted with the result in hand.
        collinear : {"refuse", "drop"}
            As for `Model`; judged when all rows have been seen.
        weights : str, optional
            Column of weights; see `Model`.

        Raises
        ------
        FormulaError, DataError, ModelError
            As for `Gram.from_batches`; also if files are missing, cannot be read, lack columns or have columns of
            types that do not go together (numbers and text), or a checkpoint is of another scan.

        See Also
        --------
        Gram.from_batches : Of tables in memory.
        Gram.from_dask : Of a cluster.
        Model.from_gram : The model of the statistics.

        Examples
        --------
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> import hierreg as hr
        >>> table, formula = hr.load_dataset("sleepstudy"), "Reaction ~ Days + (Days | Subject)"
        >>> with TemporaryDirectory() as folder:
        ...     for part, rows in enumerate((table[:100], table[100:])):
        ...         rows.to_csv(Path(folder) / f"part{part}.csv", index=False)
        ...     gram = hr.Gram.scan(folder, formula, progress=False)
        >>> round(hr.Model.from_gram(gram).estimate("reml").criterion, 4)
        1743.6283
        """
        from hierreg.errors.structures import weighted
        from hierreg.gram.scan import scan

        errors = weighted(errors, weights)
        return scan(
            files,
            formula,
            errors,
            levels=levels,
            batch_rows=batch_rows,
            progress=progress,
            checkpoint=checkpoint,
            collinear=collinear,
        )

    @staticmethod
    def from_dask(  # noqa: PLR0913  # the public signature: every argument has a default
        ddf: Any,
        formula: str,
        errors: ErrorSpec | None = None,
        *,
        levels: Mapping[str, Sequence[Any]] | None = None,
        client: Any = None,
        collinear: Literal["refuse", "drop"] = "refuse",
        weights: str | None = None,
    ) -> Gram:
        """Return the statistics of a Dask dataframe, collected where its partitions are and joined here.

        Rows stay on the workers; only statistics travel, each as soon as it is made, and this process joins them. So a
        lost worker costs the partitions that it had begun and not delivered, which Dask reads again. The result is the
        same, bit by bit: it depends on the partitions and nothing else. Memory here is some times the statistics of all
        groups, and of workers that of a few partitions. Needs ``hierreg[dask]``.

        Parameters
        ----------
        ddf : dask.dataframe.DataFrame
        formula : str
        errors : error structure, optional
            Not `hr.known_cov`. All rows of a unit must be in one partition.
        levels : dict column -> sequence, optional
            Levels of categorical predictors, where they are known; see `Gram.from_batches`.
        client : distributed.Client, optional
            By default whatever Dask would use.
        collinear : {"refuse", "drop"}
            As for `Model`; judged when all rows have been seen.
        weights : str, optional
            Column of weights; see `Model`.

        Raises
        ------
        FormulaError, DataError, ModelError
            As for `Gram.from_batches`; also if Dask is not installed.

        See Also
        --------
        Gram.scan : Of files, on one machine.
        Gram.from_batches : Of tables in memory.
        Model.from_gram : The model of the statistics.

        Examples
        --------
        >>> import dask.dataframe as dd
        >>> import hierreg as hr
        >>> rows = dd.from_pandas(hr.load_dataset("sleepstudy"), npartitions=3)
        >>> gram = hr.Gram.from_dask(rows, "Reaction ~ Days + (Days | Subject)")
        >>> gram.n
        180
        """
        from hierreg.errors.structures import weighted
        from hierreg.gram.dask import from_dask

        return from_dask(ddf, formula, weighted(errors, weights), levels, client, collinear)

    def save(self, path: str | Path) -> Path:
        """Write the statistics to one file, from which `Gram.load` reads them.

        The file has cross-products by group, not rows. It is not anonymous for that: the statistics of a group of one
        row are that row, and those of a few rows say much about each of them. Treat the file like the rows.

        Parameters
        ----------
        path : str or Path
            Ending in ``.npz``: NumPy's format, without pickle.

        Returns
        -------
        Path
            Where it was written.

        Raises
        ------
        DataError
            If the ending is another or the folder does not exist.

        See Also
        --------
        Gram.load : Reads it.
        hierreg.save : Of a posterior.

        Examples
        --------
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> import hierreg as hr
        >>> table, formula = hr.load_dataset("sleepstudy"), "Reaction ~ Days + (Days | Subject)"
        >>> gram = hr.Gram.from_batches([table], formula)
        >>> with TemporaryDirectory() as folder:
        ...     gram.save(Path(folder) / "statistics.npz").name
        'statistics.npz'
        """
        from hierreg.gram.files import save

        return save(self, path)

    @staticmethod
    def load(path: str | Path) -> Gram:
        """Return statistics written by `Gram.save`; everything in the file is checked.

        Raises
        ------
        DataError
            If there is no such file, it is of another version, or damaged.

        See Also
        --------
        Gram.save : Writes it.
        Model.from_gram : The model of the statistics.

        Examples
        --------
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> import hierreg as hr
        >>> table, formula = hr.load_dataset("sleepstudy"), "Reaction ~ Days + (Days | Subject)"
        >>> with TemporaryDirectory() as folder:
        ...     gram = hr.Gram.load(hr.Gram.from_batches([table], formula).save(Path(folder) / "statistics.npz"))
        >>> gram.n
        180
        """
        from hierreg.gram.files import load

        return load(path)
