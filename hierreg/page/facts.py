"""What a page says of the data, of the draws, and of how they were made."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.design_matrices import as_table
from hierreg.display import Column, Row, Section, Table
from hierreg.exceptions import DataError
from hierreg.problem.given import Given

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr

    from hierreg.model import Model
    from hierreg.reports.table import Report

# Versions that are shown: those that numbers depend on.
_SUFFIX = "_version"
_OTHER_VERSIONS = {"creation_library_version", "inference_library_version", "arviz_base_version"}
# Names that stand below `hr`.
_PUBLIC = re.compile(r"(?<![\w.'])([A-Z][A-Za-z]+)\(")


def data_table(model: Model) -> Table:
    """Return what is known of the columns that a model reads: ranges of numbers, levels of what are labels."""
    problem, rows = model.problem, []
    if model.data is not None:
        table = as_table(model.data)
        kept = problem.kept
        names = list(table.columns) if kept is None or kept.columns is None else list(kept.columns)
        rows = [Row(name=name, values=_of_column(table[name].to_numpy())) for name in names]
    factors = ", ".join(f"{len(factor.levels):,} groups of {factor.name}" for factor in problem.labels.factors)
    return Table(
        columns=(
            Column(key="levels", head="levels", form="count"),
            *(Column(key=key, head=key, form="significant", digits=4) for key in ("mean", "sd", "least", "largest")),
        ),
        sections=(Section(title="column", rows=rows),),
        heading=f"{problem.n_rows:,} rows" + (f", {factors}" if factors else ""),
        notes=() if rows else ("The rows are elsewhere: the posterior has their cross-products.",),
    )


def _of_column(values: Any) -> dict[str, float]:
    if values.dtype.kind in "iuf":
        x = values.astype(float)
        sd = float(x.std(ddof=1)) if len(x) > 1 else 0.0
        return {"mean": float(x.mean()), "sd": sd, "least": float(x.min()), "largest": float(x.max())}
    return {"levels": float(len({str(value) for value in values}))}


def draws_table(tree: xr.DataTree, summary: Report) -> Table:
    """Return how well the draws stand for the posterior, of which `summary` has the diagnostics."""
    posterior, stats, attrs = tree["posterior"], tree["sample_stats"], tree.attrs
    facts: dict[str, str] = {
        "draws": f"{posterior.sizes['chain']} chains of {posterior.sizes['draw']:,}",
        "sampler": ", ".join(str(attrs[name]) for name in ("method", "sampler", "engine") if name in attrs),
    }
    least = {name: _extreme(summary, name, np.nanmin) for name in ("ess_bulk", "ess_tail")}
    facts |= {f"least effective draws, {name[4:]}": f"{value:,.0f}" for name, value in least.items() if value}
    worst = _extreme(summary, "r_hat", np.nanmax)
    facts |= {"largest R-hat": f"{worst:.3f}"} if worst else {}
    if "diverging" in stats:
        facts["divergences"] = f"{int(stats['diverging'].sum())}"
    if "pareto_k" in stats.attrs:
        facts["Pareto k of the importance weights"] = f"{stats.attrs['pareto_k']:.2f}"
    if "quadrature_error" in stats.attrs:
        facts["error of the log density, by quadrature"] = f"{stats.attrs['quadrature_error']:.2g}"
    facts |= {name: str(attrs[name]) for name in ("interrupted", "unidentified") if attrs.get(name)}
    if "sampling_time" in attrs:
        facts["seconds of sampling"] = f"{attrs['sampling_time']:.2g}"
    return Table(
        columns=(Column(key="value", head="", form="text"),),
        sections=(Section(title="", rows=[Row(name=name, values={"value": value}) for name, value in facts.items()]),),
    )


def _extreme(summary: Any, name: str, which: Any) -> float | None:
    """Return the least or the largest of a variable; None where it has no number."""
    if name not in summary:
        return None
    values = summary[name].to_numpy().astype(float)
    return float(which(values)) if np.isfinite(values).any() else None


def code_of(tree: xr.DataTree) -> str:
    """Return Python that makes the posterior again, given the table."""
    attrs = tree.attrs
    options = {"draws": tree["posterior"].sizes["draw"], "chains": tree["posterior"].sizes["chain"]}
    options |= {name: attrs[name] for name in ("seed", "method", "parametrization") if name in attrs}
    # Of a file, numbers are NumPy's.
    plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in options.items()}
    sample = ", ".join(f"{name}={value!r}" for name, value in plain.items())
    return "\n".join(["import hierreg as hr", "", *_model_code(tree), f"tree = model.sample({sample})"])


def _model_code(tree: xr.DataTree) -> list[str]:
    if "model" not in tree.children:
        about = {name: tree.attrs.get(name, "") for name in ("formula", "errors")}
        return [f"# model: {about['formula']}, errors {about['errors']}; the posterior does not carry it"]
    try:
        given = Given.from_json(json.loads(str(tree["model"]["arguments"].item())))
    except DataError:
        return ["# model: what the result says of it is damaged"]
    written = [repr(given.formula), "data"]
    if given.errors is not None:
        written.append(f"errors=hr.{given.errors}")
    for name in ("priors", "family", "effects"):
        value = getattr(given, name)
        if value is not None:
            written.append(f"{name}={_PUBLIC.sub(r'hr.\1(', _python(value))}")
    defaults, texts = Given(formula=""), ("collinear", "weights", "offset", "trials")
    changed = [name for name in texts if getattr(given, name) != getattr(defaults, name)]
    written += [f"{name}={getattr(given, name)!r}" for name in changed]
    if "statistics" in tree["model"]:
        return ["# gram: the cross-products, hr.Gram", "model = hr.Model.from_gram(gram)"]
    return ["# data: the table", f"model = hr.Model({', '.join(written)})"]


def _python(value: Any) -> str:
    """Return a value as Python writes it; a family as it is printed, which is how it is written."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {_python(one)}" for key, one in value.items()) + "}"
    return str(value)


def versions_of(attrs: Mapping[Any, Any]) -> str:
    """Return by what a posterior was made, and when."""
    made = [
        f"{name.removesuffix(_SUFFIX)} {attrs[name]}"
        for name in attrs
        if name.endswith(_SUFFIX) and name not in _OTHER_VERSIONS
    ]
    when = [f"made {attrs['created_at']}"] if "created_at" in attrs else []
    return ", ".join([*made, *when]) + "."
