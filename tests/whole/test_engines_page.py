"""`notebooks/engines.md`: the engines that it names take the models that it says, and what it says is refused is."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import hierreg as hr
from hierreg.exceptions import HierregError

PAGE = (Path(__file__).parents[2] / "notebooks" / "engines.md").read_text(encoding="utf-8")
RNG = np.random.default_rng(0)
N = 48
TABLE = pd.DataFrame(
    {
        **{name: RNG.normal(size=N) for name in ("y", "x", "z", "w")},
        "count": RNG.poisson(2, N),
        "level": RNG.integers(0, 3, N),
        "g": np.repeat([f"g{i}" for i in range(8)], 6),
        "h": np.tile([f"h{i}" for i in range(6)], 8),
        "d": np.tile(["a", "b"], N // 2),
        "u": np.repeat(np.arange(N // 2), 2),
    }
)
T = {"g": hr.StudentT(4)}


def model(terms, *, response="y", **options):
    """Return a model of the table; of counts, Poisson."""
    family = {"family": hr.Poisson()} if response == "count" else {}
    return hr.Model(f"{response} ~ x + {terms}" if terms else f"{response} ~ x", TABLE, **family | options)


def counts(terms="(1 | g)", **options):
    return model(terms, response="count", **options)


def rows_of(heading):
    """Return the cells of the table below a heading, without its head."""
    part = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    found = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in part.splitlines() if line[:1] == "|"]
    return found[2:]


ENGINES = {
    "least squares": lambda: model(""),
    "strips": lambda: model("(1 | g)"),
    "theta strips": lambda: model("(x | g)"),
    "tiles": lambda: model("(x + z | g)"),
    "rows": lambda: model("(x + z | g)", errors=hr.correlated("d", unit="u")),
    "crossed": lambda: model("(1 | g) + (1 | h)"),
    "heavy tails": lambda: model("(1 | g)", effects=T),
    "mixture": lambda: model("(1 | g)", effects={"g": hr.Mixture(2)}),
    "node tables": lambda: counts("(x | g)"),
    "quadrature": lambda: counts("(1 | g)"),
    "joint": lambda: counts("(x + z + w | g)"),
}


def test_every_engine_of_the_page_has_an_example():
    named = [name for row in rows_of("Who takes what") for name in re.findall(r"`([^`]*)`", row[0])]
    assert named == list(ENGINES)


def test_student_t_responses_are_sampled_jointly_and_estimated_by_quadrature():
    own = model("(1 | g)", family=hr.StudentT())
    assert "engine: joint\n" in f"{own!r}\n"
    assert own.estimate().method == "quadrature"


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_takes_what_the_page_says(engine):
    assert f"engine: {engine}\n" in f"{ENGINES[engine]()!r}\n"


REFUSED = {
    "`family=` with `errors=`": lambda: counts(errors=hr.by("d")),
    "`family=` with `effects=`": lambda: counts(effects=T),
    "`family=`, priors of `error_sd`": lambda: counts(priors=hr.Priors(error_sd=hr.HalfNormal(1))),
    '`family=`, `estimate("reml")`': lambda: counts().estimate("reml"),
    '`family=`, `estimate("map")`': lambda: counts().estimate("map"),
    '`family=`, several factors, `estimate("quadrature")`': lambda: counts("(1 | g) + (1 | h)").estimate("quadrature"),
    '`family=`, four coefficients a group, `estimate("quadrature")`': lambda: counts("(x + z + w | g)").estimate(
        "quadrature"
    ),
    '`family=`, several factors, `sample(method="psis")`': lambda: counts("(1 | g) + (1 | h)").sample(method="psis"),
    "`family=`, more than 4,096 nodes a group": lambda: counts("(x | g)").estimate("quadrature", nodes=65),
    '`family=`, `estimate("laplace", nodes=9)`': lambda: counts().estimate("laplace", nodes=9),
    "`family=`, `Model.gram` or `Model.solve`": lambda: counts().gram,
    "`family=`, `to_pymc()`": lambda: counts().to_pymc(),
    '`family=`, `sample(sampler="pymc")`': lambda: counts().sample(sampler="pymc"),
    '`family=`, `sample(group_effects="summary")`': lambda: counts().sample(group_effects="summary"),
    "`hr.Cumulative()` without an intercept": lambda: hr.Model("level ~ 0 + x", TABLE, family=hr.Cumulative()),
    "`effects=`, several factors": lambda: model("(1 | g) + (1 | h)", effects=T),
    "`effects=`, errors correlated between rows": lambda: model(
        "(1 | g)", errors=hr.correlated("d", unit="u"), effects=T
    ),
    "`hr.Mixture(5)` of eight groups": lambda: model("(1 | g)", effects={"g": hr.Mixture(5)}),
    '`effects=`, `estimate("reml")`': lambda: model("(1 | g)", effects=T).estimate("reml"),
    "`effects=`, `Model.gram`": lambda: model("(1 | g)", effects=T).gram,
    '`effects=`, `sample(group_effects="none")`': lambda: model("(1 | g)", effects=T).sample(group_effects="none"),
    "`effects=`, `Model.solve`": lambda: model("(1 | g)", effects=T).solve({"g": [[1.0]]}, 1.0),
    "`effects=`, `to_pymc()`": lambda: model("(1 | g)", effects=T).to_pymc(),
    '`hr.Mixture`, `to_pymc("noncentered")`': lambda: model("(1 | g)", effects={"g": hr.Mixture(2)}).to_pymc(
        "noncentered"
    ),
    '`effects=`, `sample(parametrization="centered")`': lambda: model("(1 | g)", effects=T).sample(
        parametrization="centered"
    ),
    '`effects=`, `sample(sampler="pymc")`': lambda: model("(1 | g)", effects=T).sample(sampler="pymc"),
    "`effects=`, `hr.predict` at an estimate": lambda: hr.predict(
        m := model("(1 | g)", effects=T), TABLE, at=m.estimate()
    ),
    "`effects=`, `hr.contrasts` of an estimate": lambda: hr.contrasts(
        model("(1 | g)", effects=T).estimate(), {"x": {"x": 1}}
    ),
    'normal response, `estimate("laplace")`': lambda: model("(1 | g)").estimate("laplace"),
    "normal response, `nodes=`": lambda: model("(1 | g)").estimate(nodes=9),
    "normal response, `offset=`": lambda: model("(1 | g)", offset="z"),
    "several factors, a unit of correlated errors in more than one group": lambda: model(
        "(1 | g) + (1 | h)", errors=hr.correlated("d", unit="u")
    ),
}


def test_every_refusal_of_the_page_is_tried():
    assert [row[0] for row in rows_of("What is refused")] == list(REFUSED)


@pytest.mark.parametrize(("asked", "said", "_instead"), rows_of("What is refused"))
def test_refused_in_the_words_of_the_page(asked, said, _instead):
    with pytest.raises(HierregError) as caught:
        REFUSED[asked]()
    assert said in str(caught.value)


def test_the_code_of_the_page_runs(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    exec(compile(code, "engines.md", "exec"), {})  # noqa: S102  # the project's own text
    printed = capsys.readouterr().out
    assert "quadrature_error" in printed
    assert "sd_herd[Intercept]" in printed
