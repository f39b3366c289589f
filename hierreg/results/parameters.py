"""Which variables of a posterior are parameters of the model, rather than of its groups."""

from __future__ import annotations

import xarray as xr

from hierreg.exceptions import ModelError
from hierreg.problem.labels import factors_of


def parameters(tree: xr.DataTree) -> list[str]:
    """Return the names of the variables of a posterior that have no value for each group or row.

    What `arviz_stats.summary`, `arviz_plots.plot_trace` and the like are about in models of many groups::

        az.plot_trace(tree, var_names=hr.parameters(tree))

    Parameters
    ----------
    tree : DataTree
        From `Model.sample` or `hr.load`.

    Returns
    -------
    list of str
        Population coefficients, standard deviations, correlations, and further parameters of a family.

    Raises
    ------
    ModelError
        If it is no result with a posterior.

    See Also
    --------
    hierreg.summary : A table of them, beside the point estimates.

    Examples
    --------
    >>> import hierreg as hr
    >>> model = hr.Model("Reaction ~ Days + (Days | Subject)", hr.load_dataset("sleepstudy"))
    >>> hr.parameters(model.sample(draws=100, seed=1, method="psis"))
    ['beta', 'sd_Subject', 'corr_Subject', 'error_sd']
    """
    if not isinstance(tree, xr.DataTree) or "posterior" not in tree.children or "factors" not in tree.attrs:
        raise ModelError(f"tree has type {type(tree).__name__} and is no result of Model.sample with a posterior.")
    posterior = tree["posterior"].to_dataset()
    of_groups = {"obs"}
    for factor in factors_of(tree.attrs):
        if f"b_{factor}" in posterior:
            of_groups.add(str(posterior[f"b_{factor}"].dims[2]))
    return [str(name) for name, values in posterior.data_vars.items() if not of_groups & set(values.dims)]
