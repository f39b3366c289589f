"""Pages that are made of something else: the reference, the gallery of notebooks, the worked models.

Sphinx runs `pages` before it reads anything (see `conf.py`). Nothing here is kept: the folder is made anew.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hierreg as hr
from models import catalogue

if TYPE_CHECKING:
    from collections.abc import Iterable

NOTEBOOKS = Path(__file__).parents[1]
# The order of the gallery. What is not named here comes after these.
ORDER = (
    "start_here",
    "workflow",
    "two_correlated_quantities",
    "schools",
    "blups_and_shrinkage",
    "correlations_out_of_a_mixed_model",
    "crossed_ratings",
    "counts_and_proportions",
    "outlying_groups",
    "two_populations",
    "predictive_checks",
    "prior_sensitivity",
    "is_my_model_calibrated",
    "planning_a_study",
    "ten_million_rows",
)
# Public names by what they are for. What is not named here is a section of its own, "More".
TOPICS = {
    "Models": ("Model", "Gram", "stack", "map_fits", "map_chains"),
    "Simulated studies": ("calibrate", "design"),
    "Errors": (
        *("independent", "by", "correlated", "exchangeable", "ar1", "known_se", "known_cov"),
        "covariance_from_samples",
    ),
    "Responses that are not normal": (
        *("Bernoulli", "Binomial", "Poisson", "NegativeBinomial", "Gamma", "LogNormal", "Beta", "Cumulative"),
        "StudentT",
    ),
    "Group effects that are not normal": ("StudentT", "Mixture"),
    "Priors": (
        *("Priors", "Normal", "Flat", "HalfNormal", "HalfStudentT", "HalfCauchy", "Exponential", "Gamma"),
        *("InverseGamma", "LogNormal", "Fixed", "LKJ", "sensitivity"),
    ),
    "Reports": ("summary", "correlations", "shrinkage", "ranks", "r2", "table", "row_weights", "report"),
    "Functions of coefficients": ("contrasts", "predict", "comparisons", "slopes", "means", "datagrid"),
    "Criticism of a model": ("check",),
    "Point estimates": ("t_tests", "intervals", "compare_fits", "residuals"),
    "Draws": (
        *("parameters", "correlation_matrices", "posterior_predictive", "prior_predictive"),
        *("log_likelihood", "log_prior", "group_effects"),
    ),
    "Predictive checks": ("prior_check", "predictive_check", "loo"),
    "Files": ("save", "load"),
    "Data sets": ("available_datasets", "describe_dataset", "load_dataset"),
    "Errors and warnings": ("HierregError",),
}
# What public functions return, which is made by nothing else.
RETURNED = (
    "hierreg.results.point.Estimate",
    "hierreg.results.point.Coefficients",
    "hierreg.results.effects.EffectsEstimate",
    "hierreg.reports.table.Report",
)


def pages(folder: Path) -> None:
    """Write all pages into a folder, which is emptied before."""
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("api", "models", "thumbnails"):
        (folder / name).mkdir(parents=True)
    (folder / "api" / "index.rst").write_text(reference(), encoding="utf-8")
    (folder / "gallery.md").write_text(gallery(folder / "thumbnails"), encoding="utf-8")
    (folder / "models" / "index.md").write_text(worked_models(), encoding="utf-8")
    for name in catalogue.names():
        (folder / "models" / f"{name}.md").write_text(worked_model(name), encoding="utf-8")


def sections() -> dict[str, tuple[str, ...]]:
    """Return every public name, with its module, by title of its section."""
    found = {title: tuple(f"hierreg.{name}" for name in names) for title, names in TOPICS.items()}
    named = {name for names in TOPICS.values() for name in names} | {"plots", "exceptions"}
    if rest := [name for name in hr.__all__ if name not in named]:
        found["More"] = tuple(f"hierreg.{name}" for name in rest)
    found["Figures"] = tuple(f"hierreg.plots.{name}" for name in hr.plots.__all__)
    errors = (name for name in hr.exceptions.__all__ if name not in hr.__all__)
    found["Errors and warnings"] += tuple(f"hierreg.exceptions.{name}" for name in errors)
    found["What is returned"] = RETURNED
    return found


def reference() -> str:
    """Return the index of the reference, of which autosummary makes a page for each name."""
    parts = ["Reference", "=========", "", "``import hierreg as hr`` has all names but those of the last section.", ""]
    seen: set[str] = set()
    for title, names in sections().items():
        parts += [title, "-" * len(title), ""]
        for option, some in (("   :toctree: .", set(names) - seen), ("   :nosignatures:", set(names) & seen)):
            listed = [f"   {name}" for name in names if name in some]
            parts += [".. autosummary::", option, "", *listed, ""] if listed else []
        seen |= set(names)
    return "\n".join(parts)


def names() -> list[str]:
    """Return the names of the notebooks, in the order of the gallery."""
    kept = {path.stem for path in NOTEBOOKS.glob("*.ipynb")}
    return [name for name in ORDER if name in kept] + sorted(kept - set(ORDER))


def gallery(thumbnails: Path) -> str:
    """Return the page with a card for each notebook, and write their figures."""
    cards = []
    for name in names():
        notebook = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8"))
        (thumbnails / f"{name}.png").write_bytes(figure(notebook["cells"]))
        title, sentence = question(notebook["cells"])
        head = f":::{{grid-item-card}} {title}\n:link: /{name}\n:link-type: doc\n:img-bottom: thumbnails/{name}.png"
        cards.append(f"{head}\n\n{sentence}\n:::\n")
    intro = ("One question each, with its data, code and figures.", "", "::::{grid} 1 2 2 3", ":gutter: 3")
    listed = toctree(f"/{name}" for name in names())
    return "\n".join(["# Notebooks", "", *intro, "", *cards, "::::", "", *listed])


def question(cells: list[dict[str, Any]]) -> tuple[str, str]:
    """Return the title of a notebook, and the first sentence below it; the first two, if it is short."""
    title, text = "".join(cells[0]["source"]).removeprefix("# ").split("\n", maxsplit=1)
    first, *more = re.split(r"(?<=[.?])\s", " ".join(text.split()))
    return title, first if len(first) > 60 else " ".join([first, *more[:1]])


def figure(cells: list[dict[str, Any]]) -> bytes:
    """Return the figure that stands for a notebook: that of the cell with the tag `thumbnail`, or the first."""
    outputs = [(cell, output) for cell in cells for output in cell.get("outputs", [])]
    drawn = [(cell, output["data"]["image/png"]) for cell, output in outputs if "image/png" in output.get("data", {})]
    chosen = [png for cell, png in drawn if "thumbnail" in cell["metadata"].get("tags", [])] or [drawn[0][1]]
    return base64.b64decode("".join(chosen[0]))


def worked_models() -> str:
    """Return the index of the worked models: a question each."""
    rows = [f"- [{title}]({name}.md): {text}" for name in catalogue.names() for title, text in [of_readme(name)]]
    intro = (
        "Complete problems whose answers are known from closed forms, other software or the truth of a simulation. "
        "In a clone, `python -m models NAME` compares the answers with those of hierreg."
    )
    return "\n".join(["# Worked models", "", intro, "", *rows, "", *toctree(catalogue.names())])


def of_readme(name: str) -> tuple[str, str]:
    """Return the title of a worked model and the first sentences of its question."""
    text = (catalogue.HERE / name / "README.md").read_text(encoding="utf-8")
    title = text.splitlines()[0].removeprefix("# ")
    asked = re.search(r"\*\*Question\.\*\* (.*?)\n\n", text, flags=re.DOTALL)
    return title, " ".join(asked[1].split()) if asked else ""


def worked_model(name: str) -> str:
    """Return the page of a worked model: its README, and its code."""
    at = f"../../../models/{name}"
    readme = (f"```{{include}} {at}/README.md", "```", "")
    code = (f"```{{literalinclude}} {at}/model.py", ":language: python", "```", "")
    return "\n".join([*readme, "## Code", "", *code])


def toctree(documents: Iterable[str]) -> list[str]:
    """Return the lines of a hidden list of documents."""
    return ["```{toctree}", ":hidden:", "", *documents, "```", ""]
