"""`predictive` and `loo_pit`: replicated data beside those observed, as ArviZ draws them."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hierreg.checks import check_choice, check_whole
from hierreg.exceptions import DataError, ModelError
from hierreg.hints import SEED, understands
from hierreg.plots.literal import names_are_literal
from hierreg.predictive.left_out.sets import problem_and_data
from hierreg.predictive.replicated import replication
from hierreg.predictive_checks.posterior import observed_responses
from hierreg.predictive_checks.sets import check_sets
from hierreg.predictive_checks.shown import shown_replicates

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import xarray as xr
    from matplotlib.figure import Figure

    from hierreg.predictive.of_model import ModelLike

KINDS = ("density", "statistic", "interval")
_MOST_PANELS, _IN_A_ROW = 12, 4
# Replicates that are drawn, by kind: a line each, or what a distribution or interval is made of.
_DRAWS = {"density": 50, "statistic": 1000, "interval": 500}
# Rows that are drawn, in all panels together.
_ROWS = {"density": 20_000, "statistic": 20_000, "interval": 400}
_BY_ARVIZ = {"sd": "std"}
_WITH_AXIS: dict[Any, Any] = {"remove_axis": False}


@understands("plots.predictive", same=SEED)
@names_are_literal
def predictive(  # noqa: PLR0913  # every argument after the first has a default
    tree: xr.DataTree,
    kind: Literal["density", "statistic", "interval"] = "density",
    by: str | None = None,
    *,
    statistic: str | float | Callable[[Any], float] = "mean",
    level: str | Mapping[str, str] = "group",
    given: Any = None,
    model: ModelLike | None = None,
    draws: int | None = None,
    bins: int = 5,
    seed: int | None = None,
    figsize: tuple[float, float] | None = None,
) -> Figure:
    """Return a figure of replicated responses beside those observed, drawn by arviz-plots.

    - "density": a line for each replicate of all rows, and one for the responses that were observed; of whole numbers
      the share of rows up to each, since a density would smooth them away;
    - "statistic": the distribution of a test statistic over replicates, and its observed value;
    - "interval": intervals of 50 and 94 % of each row's replicates, and the observed response.

    With `by` there is a panel for the rows of each group. Large tables are thinned evenly: to 20,000 rows, intervals to
    400.

    Parameters
    ----------
    tree : DataTree
        From `Model.sample`, or one from `load`.
    kind : {"density", "statistic", "interval"}
    by : str, optional
        A grouping factor, data set, stratum or another column of the table, of up to 12 groups; numbers of more values
        are cut into ranges.
    statistic : str, float or function
        Of kind "statistic": "mean", "median", "sd", "var", "min", "max", "iqr", "mad", a number between 0 and 1 (a
        quantile), or a function of an array.
    level, given
        Which replicates; see `hierreg.predictive_check`.
    model : Model, optional
        The model that it was sampled from; by default the one that the tree carries.
    draws : int, optional
        Replicates; 50, 1,000 and 500 of the three kinds by default.
    bins : int
        Ranges that numbers of `by` are cut into.
    seed : int, optional
        By default that of the tree.
    figsize : (float, float), optional
        Inches.

    Returns
    -------
    Figure
        Its `axes` are the panels.

    Raises
    ------
    DataError, ModelError
        If an argument is none of those named, or there are too many groups to draw.

    See Also
    --------
    hierreg.predictive_check : The numbers.
    loo_pit : Predictions of rows that were not seen.

    References
    ----------
    Gabry, J., Simpson, D., Vehtari, A., Betancourt, M. and Gelman, A. (2019). Visualization in Bayesian workflow.
    Journal of the Royal Statistical Society A 182(2), 389-402.

    Examples
    --------
    >>> import hierreg as hr
    >>> model = hr.Model("distance ~ age11 * Sex + (age11 | Subject)", hr.load_dataset("orthodont"))
    >>> tree = model.sample(draws=250, seed=1, method="psis")
    >>> figure = hr.plots.predictive(tree, by="Sex", draws=20)
    >>> [axis.get_title() for axis in figure.axes]
    ['Sex = Female', 'Sex = Male']
    """
    check_choice(kind, KINDS, argument="kind", error=ModelError)
    problem, table = problem_and_data(tree, model)
    what = replication(problem, level, given)
    sets = check_sets(problem, table, by, bins, what.rows)
    if len(sets.labels) > _MOST_PANELS:
        raise ModelError(
            f"by={by!r} has {len(sets.labels)} groups, and at most {_MOST_PANELS} panels are drawn. "
            "hr.predictive_check(tree, by=...) has the numbers of all."
        )
    check_whole("draws", 1 if draws is None else draws, least=1)
    chosen = int(tree.attrs.get("seed", 0)) if seed is None else int(seed)
    shown = shown_replicates(tree, what, sets, (draws or _DRAWS[kind], draws is not None), _ROWS[kind], chosen)
    names = [f"{by} = {label}" if by else problem.labels.response for label in sets.labels]
    is_whole = bool(np.all(observed_responses(problem) % 1 == 0))
    figure = _drawn(kind, shown, (statistic, is_whole), len(names), figsize)
    of_axis = {
        "density": (problem.labels.response, "share of rows" if is_whole else "density"),
        "statistic": (f"{_name(statistic)} of {problem.labels.response}", "density"),
        "interval": ("row", problem.labels.response),
    }[kind]
    for axis, name in zip(figure.axes, names, strict=False):
        axis.set_title(name if by else "", fontsize="medium")
        axis.set(xlabel=of_axis[0], ylabel=of_axis[1])
    figure.set_layout_engine("constrained")
    return figure


def _name(statistic: Any) -> str:
    if isinstance(statistic, float):
        return f"quantile {statistic:g}"
    return str(getattr(statistic, "__name__", statistic))


def _drawn(
    kind: str, shown: xr.DataTree, what: tuple[Any, bool], n_panels: int, figsize: tuple[float, float] | None
) -> Figure:
    """Return ArviZ's figure; `what` is the statistic, and whether responses are whole numbers."""
    with warnings.catch_warnings():
        # Of whole numbers shares are drawn, which is right for zeros and ones; and numbers near 1e-9 are no zeros.
        warnings.filterwarnings("ignore", message=".*look binary", category=UserWarning)
        return _by_arviz(kind, shown, what, n_panels, figsize)


def _by_arviz(
    kind: str, shown: xr.DataTree, what: tuple[Any, bool], n_panels: int, figsize: tuple[float, float] | None
) -> Figure:
    import arviz_plots as azp

    statistic, is_whole = what
    columns = min(n_panels, _IN_A_ROW)
    size = figsize or (max(4.6, 3.2 * columns), 2.9 * -(-n_panels // columns))
    how: dict[str, Any] = {"backend": "matplotlib", "figure_kwargs": {"figsize": size}, "col_wrap": columns}
    if kind == "density":
        of = "ecdf" if is_whole else "kde"
        n = shown["posterior_predictive"].sizes["draw"]
        found = azp.plot_ppc_dist(shown, num_samples=n, kind=of, visuals=_WITH_AXIS, **how)
    elif kind == "interval":
        found = azp.plot_ppc_interval(shown, ci_probs=(0.5, 0.94), **how)
    else:
        asked = _BY_ARVIZ.get(statistic, statistic) if isinstance(statistic, str) else statistic
        try:
            found = azp.plot_ppc_tstat(shown, t_stat=asked, kind="hist", visuals=_WITH_AXIS, **how)
        except ValueError as error:
            raise ModelError(f"statistic={statistic!r} is none that arviz_plots.plot_ppc_tstat has: {error}") from error
    return found.viz["figure"].item()  # type: ignore[no-any-return]  # of a package without types


@names_are_literal
def loo_pit(result: Any, *, coverage: bool = False, figsize: tuple[float, float] | None = None) -> Figure:
    """Return a figure of whether rows lie where all other rows expect them: the probabilities of `hierreg.loo`.

    Of a right model they are uniform, so that the difference of their distribution function from a straight line stays
    near zero; arviz-plots draws it with a test of uniformity. A wave up and then down is a shift; falling first and
    rising last, predictions that are too wide.

    Parameters
    ----------
    result : LeaveOneOut
        What `hierreg.loo` returned for rows.
    coverage : bool
        Show the coverage of central intervals instead.
    figsize : (float, float), optional
        Inches.

    Returns
    -------
    Figure

    Raises
    ------
    DataError
        If it has no probabilities of rows.

    See Also
    --------
    hierreg.loo : The probabilities, ``.pit``.
    predictive : Replicates of the rows that were seen.

    References
    ----------
    Gelfand, A. E., Dey, D. K. and Chang, H. (1992). Model determination using predictive distributions with
    implementation via sampling-based methods. Bayesian Statistics 4, 147-167.
    Säilynoja, T., Bürkner, P.-C. and Vehtari, A. (2022). Graphical test for discrete uniformity and its applications in
    goodness-of-fit evaluation and multiple sample comparison. Statistics and Computing 32, 32.

    Examples
    --------
    >>> import hierreg as hr
    >>> model = hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff"))
    >>> figure = hr.plots.loo_pit(hr.loo(model.sample(draws=500, seed=1, method="psis")))
    >>> figure.axes[0].get_xlabel()
    'P(smaller response | all other rows)'
    """
    import arviz_plots as azp
    import xarray as xr

    pit = getattr(result, "pit", None)
    if pit is None:
        raise DataError(
            f"result has type {type(result).__name__} and no probabilities of rows: give hr.loo(tree) of a model with "
            "normal responses and group effects, rows left out."
        )
    values = pit.to_numpy()
    kept = xr.Dataset({"pit": ("obs", values[np.isfinite(values)])})
    found = azp.plot_ecdf_pit(
        xr.DataTree.from_dict({"loo_pit": kept}),
        group="loo_pit",
        sample_dims=["obs"],
        coverage=coverage,
        backend="matplotlib",
        figure_kwargs={"figsize": figsize or (5.2, 3.2)},
    )
    figure: Figure = found.viz["figure"].item()
    of = "central interval" if coverage else "P(smaller response | all other rows)"
    figure.axes[0].set(xlabel=of, ylabel="share of rows less that expected", title="")
    figure.set_layout_engine("constrained")
    return figure
