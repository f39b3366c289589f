"""Predictions given rows that were observed after the fit: against fits with these rows, and a dense joint normal."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import hierreg as hr
from tests.helpers import report_trees as trees
from tests.oracles import dense

SIGMA = np.array([[0.9, 0.2], [0.2, 0.4]])
FORMULA = "y ~ x + w + (x | g)"
COVARIANCE = np.array([[0.5, 0.3, -0.1], [0.3, 0.8, 0.2], [-0.1, 0.2, 0.6]])
# The matrix of a dense formula, and what `Model.solve` takes.
DENSE = {
    "independent": np.array([[0.7]]),
    "weighted": np.array([[0.7]]),
    "by": np.diag([0.5, 0.8, 0.6]),
    "correlated": COVARIANCE,
    "exchangeable": None,
    "ar1": np.array([[0.7, 0.35], [0.35, 0.7]]),
    "known_se": np.eye(1),
    "known_se, scaled": np.array([[2.5]]),
    "known_cov": np.eye(1),
    "known_cov, scaled": np.array([[2.5]]),
}
# Rows that come after the fit and rows to predict: of units of both, of either, and of those of the fit; some of group
# "b", whose other rows are in the fit, and all rows of group "d", which is new.
D = np.flatnonzero(trees.table()["g"] == "d")
LATER = np.unique([0, 4, 9, 16, 27, *D[:3]])
WANTED = np.setdiff1d([1, 3, 5, 10, 17, 25, 28, 31, 35, *D[3:]], LATER)
FITTED = np.setdiff1d(np.arange(36), [*LATER, *WANTED])


def table():
    """Return the table with times, weights and three units of ten to fourteen rows for errors within units."""
    frame = trees.table()
    frame["weight"] = np.random.default_rng(2).integers(1, 6, len(frame))
    frame["person"], frame["time"] = np.arange(36) % 3, 2 * (np.arange(36) // 3) + (np.arange(36) % 5 == 0)
    return frame


def model_of(structure, keep, formula=FORMULA, priors=None):
    kind, _, scaled = structure.partition(", ")
    errors = {
        "independent": hr.independent(),
        "weighted": hr.independent(),
        "by": hr.by("set"),
        "correlated": hr.correlated("set", unit="unit"),
        "exchangeable": hr.exchangeable("person"),
        "ar1": hr.ar1("time", unit="person"),
        "known_se": hr.known_se("se", scale=bool(scaled)),
        "known_cov": hr.known_cov(trees.known_cov()[np.ix_(keep, keep)], scale=bool(scaled)),
    }[kind]
    weights = "weight" if kind == "weighted" else None
    return hr.Model(formula, table().iloc[keep], errors=errors, priors=priors, weights=weights)


def solution(structure, model, grouped=True):
    S = {
        "exchangeable": {"sd": np.sqrt(0.7), "corr": 0.4},
        "ar1": {"sd": np.sqrt(0.7), "corr": 0.5},
        "known_se": None,
        "known_cov": None,
    }.get(structure, DENSE[structure])
    return model.solve({"g": SIGMA} if grouped else None, S)


def matrices(structure, old, new):
    if not structure.startswith("known_cov"):
        return {}
    V = trees.known_cov()
    return {"cross_cov": V[np.ix_(new, old)], "new_cov": V[np.ix_(new, new)]}


def predicted_given(structure, later=LATER, wanted=WANTED, formula=FORMULA, **options):
    model = model_of(structure, FITTED, formula)
    at = solution(structure, model, "|" in formula)
    options |= matrices(structure, FITTED, np.concatenate([later, wanted]))
    rows = table()
    return hr.predict(
        model, rows.iloc[wanted], at, given=rows.iloc[later], level="new group", covariance=True, **options
    )


def same(one, other, names=("mean", "sd", "sd_new", "cov", "cov_new", "lower", "upper_new")):
    for name in names:
        np.testing.assert_allclose(one[name], other[name], rtol=1e-8, atol=1e-10, err_msg=name)


@pytest.mark.parametrize("formula", [FORMULA, "y ~ x + w"])
@pytest.mark.parametrize("structure", DENSE)
def test_given_rows_are_as_good_as_rows_of_the_fit(structure, formula):
    """At fixed variances: solving without rows and giving them is solving with them."""
    both = np.sort([*FITTED, *LATER])
    model = model_of(structure, both, formula)
    rows, more = table().iloc[WANTED], matrices(structure, both, WANTED)
    at = solution(structure, model, "|" in formula)
    whole = hr.predict(model, rows, at, level="new group", covariance=True, **more)
    same(predicted_given(structure, formula=formula), whole)
    without = hr.predict(
        model_of(structure, FITTED, formula),
        rows,
        level="new group",
        covariance=True,
        **(
            {"at": solution(structure, model_of(structure, FITTED, formula), "|" in formula)}
            | matrices(structure, FITTED, WANTED)
        ),
    )
    assert np.abs(without["mean"] - whole["mean"]).max() > 0.05


def dense_prediction(structure, later=LATER, wanted=WANTED):
    """E[y*|y] and Var[y*|y] by partitioning one covariance of all rows."""
    whole = model_of(structure, np.arange(36)).problem
    old = np.sort([*FITTED, *later])
    if structure == "exchangeable":
        R = dense.compound_symmetry(whole.layout, [np.sqrt(0.7)], [0.4])
    else:
        R = dense.error_covariance(whole.layout, DENSE[structure])
    if structure == "weighted":
        R = R / table()["weight"].to_numpy()
    Z = dense.spread_z(whole.design)
    V = Z @ dense.group_covariance(whole.design, SIGMA) @ Z.T + R
    X, y = whole.design.X, whole.design.y
    V_inv, psi = np.linalg.inv(V[np.ix_(old, old)]), V[np.ix_(wanted, old)]
    beta_cov = np.linalg.inv(X[old].T @ V_inv @ X[old])
    beta = beta_cov @ X[old].T @ V_inv @ y[old]
    rest = X[wanted] - psi @ V_inv @ X[old]
    mean = X[wanted] @ beta + psi @ V_inv @ (y[old] - X[old] @ beta)
    cov = V[np.ix_(wanted, wanted)] - psi @ V_inv @ psi.T + rest @ beta_cov @ rest.T
    K = R[np.ix_(wanted, old)]
    return mean, cov, R[np.ix_(wanted, wanted)] - K @ np.linalg.solve(R[np.ix_(old, old)], K.T)


@pytest.mark.parametrize("structure", DENSE)
def test_predictions_are_those_of_the_joint_normal_of_all_rows(structure):
    mean, cov, error = dense_prediction(structure)
    report = predicted_given(structure)
    np.testing.assert_allclose(report["mean"], mean, rtol=1e-8)
    np.testing.assert_allclose(report["cov_new"], cov, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(report["cov"], cov - error, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("structure", ["correlated", "exchangeable", "ar1", "known_se"])
def test_the_order_of_rows_changes_nothing(structure):
    rng = np.random.default_rng(4)
    order = rng.permutation(len(WANTED))
    shuffled = predicted_given(structure, later=rng.permutation(LATER), wanted=WANTED[order])
    report = predicted_given(structure)
    same(shuffled, report.isel(row=order, row_col=order))
    alone = predicted_given(structure, observation=False)
    same(alone, report, ("mean", "sd", "cov"))
    assert "sd_new" not in alone


@pytest.mark.parametrize("empty", [None, {}, {"x": [], "y": []}, table().iloc[:0]])
@pytest.mark.parametrize("posterior", [True, False])
def test_an_empty_table_is_none(empty, posterior):
    model = trees.model("by")
    at = trees.tree("by") if posterior else model.estimate()
    rows = trees.table().iloc[:5]
    xr.testing.assert_identical(hr.predict(model, rows, at, given=empty), hr.predict(model, rows, at))


def test_rows_that_say_nothing_of_others_change_only_what_beta_learns():
    """A new group's rows under known population coefficients leave the predictions of other groups alone."""
    priors = hr.Priors(beta={"Intercept": hr.Fixed(1.0), "x": hr.Fixed(0.5), "w": hr.Fixed(0.3)})
    model = model_of("independent", FITTED, priors=priors)
    at, rows = solution("independent", model), table().iloc[FITTED[:4]].drop(columns="y")
    one = hr.predict(model, rows, at, given=table().iloc[D[:3]])
    same(one, hr.predict(model, rows, at), ("mean", "sd", "sd_new"))


# ---- groups of given rows


@pytest.fixture(scope="module")
def crossed():
    rng = np.random.default_rng(6)
    frame = pd.DataFrame({"s": rng.integers(0, 9, 150), "d": rng.integers(0, 6, 150), "x": rng.normal(size=150)})
    frame["y"] = frame["x"] + rng.normal(0, 1, 9)[frame["s"]] + rng.normal(0, 1, 6)[frame["d"]]
    frame["y"] += rng.normal(0, 0.5, 150)
    return frame


def test_crossed_groups_new_by_one_factor_and_known_by_the_other(crossed):
    old, formula = crossed[(crossed["s"] != 8) & (crossed["d"] != 5)], "y ~ x + (x | s) + (1 | d)"
    rest = crossed.drop(old.index)
    given, wanted = rest.iloc[:12], rest.iloc[12:]
    Sigma = {"s": SIGMA, "d": [[0.6]]}
    model, with_rows = hr.Model(formula, old), hr.Model(formula, pd.concat([old, given]))
    options = {"level": "new group", "covariance": True}
    whole = hr.predict(with_rows, wanted, with_rows.solve(Sigma, 0.3), **options)
    report = hr.predict(model, wanted, model.solve(Sigma, 0.3), given=given, **options)
    same(report, whole)
    # Of the population the given rows tell what the fit would tell.
    population = {"level": {"s": "population", "d": "new group"}, "covariance": True}
    whole = hr.predict(with_rows, wanted, with_rows.solve(Sigma, 0.3), **population)
    same(hr.predict(model, wanted, model.solve(Sigma, 0.3), given=given, **population), whole)


def test_a_group_that_was_given_is_observed():
    data = hr.load_dataset("sleepstudy")
    model = hr.Model("Reaction ~ Days + (Days | Subject)", data)
    est = model.estimate()
    given = {"Days": [0, 1], "Subject": ["new", "new"], "Reaction": [300.0, 310.0]}
    rows = {"Days": [5, 5], "Subject": ["new", "308"]}
    report = hr.predict(est, rows, given=given)
    assert list(report["group"].values) == ["new", "308"]
    assert report.attrs["n_given"] == 2
    assert "given 2 further rows" in str(report)
    same(report, hr.predict(est, rows, given=given, level="new group"), ("mean", "sd", "sd_new"))
    with pytest.raises(hr.exceptions.DataError, match="newdata has groups of 'Subject' that the model has not seen"):
        hr.predict(est, {"Days": [5], "Subject": ["another"]}, given=given)


# ---- draws


def priors_of(structure):
    sd = np.sqrt(np.diagonal(SIGMA))
    priors = {
        "beta": hr.Flat(),
        "sd": {"g": {"Intercept": hr.Fixed(sd[0]), "x": hr.Fixed(sd[1])}},
        "corr": {"g": hr.Fixed(SIGMA / np.outer(sd, sd))},
    }
    error = np.sqrt(np.diagonal(COVARIANCE))
    if structure == "correlated":
        priors["error_sd"] = {name: hr.Fixed(v) for name, v in zip("pqr", error, strict=True)}
        priors["error_corr"] = hr.Fixed(COVARIANCE / np.outer(error, error))
    elif structure not in {"known_se", "known_cov"}:
        priors["error_sd"] = hr.Fixed(float(np.sqrt(0.7)))
        if structure in {"exchangeable", "ar1"}:
            priors["error_corr"] = hr.Fixed(0.4 if structure == "exchangeable" else 0.5)
    return hr.Priors(**priors)


@pytest.mark.parametrize("structure", ["independent", "correlated", "exchangeable", "ar1", "known_se", "known_cov"])
def test_draws_agree_with_the_closed_form_where_the_variances_are_known(structure):
    """Weighted draws of the coefficients: mean and covariance, known and new groups, units of both tables."""
    tree = trees.run(model_of(structure, FITTED, priors=priors_of(structure)), draws=4000, chains=4)
    later = np.array([9, *D[:2]])
    exact = predicted_given(structure, later=later)
    rows, more = table(), matrices(structure, FITTED, np.concatenate([later, WANTED]))
    options = {"given": rows.iloc[later], "level": "new group", "covariance": True, "draws": True}
    drawn = hr.predict(tree, rows.iloc[WANTED], **options, **more)
    ess = drawn.attrs["given_ess"]
    assert ess > 400
    assert drawn.attrs["pareto_k"] < 0.7
    for suffix in ("", "_new"):
        sd = exact[f"sd{suffix}"].to_numpy()
        mean = drawn[f"draws{suffix}"].mean(("chain", "draw"))
        assert np.all(np.abs(mean - exact["mean"]) < 4.5 * sd / np.sqrt(ess))
        gap = (drawn[f"cov{suffix}"] - exact[f"cov{suffix}"]) / np.outer(sd, sd)
        assert np.abs(gap).max() < 4.5 * np.sqrt(2 / ess)


@pytest.mark.parametrize("effects", ["draws", "summary"])
def test_weighted_draws_are_those_of_a_fit_with_the_rows(effects):
    """Variances unknown: they learn from the given rows of a new group as in a fit that has them."""
    data = hr.load_dataset("sleepstudy")
    is_late = (data["Subject"].astype(str) == "372").to_numpy()
    mine, old = data[is_late], data[~is_late]
    given, wanted = mine.iloc[:4], mine.iloc[4:]
    formula, options = "Reaction ~ Days + (Days | Subject)", {"draws": 2000, "chains": 4}
    tree = trees.run(hr.Model(formula, old), group_effects=effects, **options)
    whole = trees.run(hr.Model(formula, pd.concat([old, given], ignore_index=True)), **options)
    report, expected = hr.predict(tree, wanted, given=given), hr.predict(whole, wanted)
    error = 4.5 / np.sqrt(min(report.attrs["given_ess"], 2000))
    assert np.all(np.abs(report["mean"] - expected["mean"]) < error * expected["sd"])
    assert np.all(np.abs(report["sd"] / expected["sd"] - 1) < error)
    assert np.all(np.abs(report["sd_new"] / expected["sd_new"] - 1) < error)
    before = hr.predict(tree, wanted, level="new group")
    assert np.all(before["sd"] > 1.2 * report["sd"])
    assert "Pareto k" in str(report)
    xr.testing.assert_identical(report, hr.predict(tree, wanted, given=given))


def test_variances_learn_from_given_rows():
    """Few rows, then five of a new group that lie close together: the error sd becomes smaller, as in a fit of all."""
    rng = np.random.default_rng(11)
    old = pd.DataFrame({"g": np.repeat(list("abcd"), 3)})
    old["y"] = rng.normal(0, 1, 4)[np.repeat(np.arange(4), 3)] + rng.normal(0, 1, 12)
    given = pd.DataFrame({"g": ["e"] * 5, "y": [0.3, 0.6, -0.3, 0.1, 0.9]})
    options = {"draws": 4000, "chains": 4, "method": "psis"}
    tree = trees.run(hr.Model("y ~ 1 + (1 | g)", old), **options)
    whole = trees.run(hr.Model("y ~ 1 + (1 | g)", pd.concat([old, given], ignore_index=True)), **options)
    rows = {"g": ["a", "e"]}

    def error_sd(report):
        return (report["draws_new"] - report["draws"]).std(("chain", "draw")).to_numpy()

    before = error_sd(hr.predict(tree, rows, level="new group", draws=True))
    report, expected = hr.predict(tree, rows, given=given, draws=True), hr.predict(whole, rows, draws=True)
    after, wanted = error_sd(report), error_sd(expected)
    tolerance = 5 / np.sqrt(2 * report.attrs["given_ess"])
    np.testing.assert_allclose(after, wanted, rtol=tolerance)
    assert np.all(np.abs(before / wanted - 1) > 1.5 * tolerance), (before, wanted, tolerance)
    np.testing.assert_allclose(report["sd"], expected["sd"], rtol=tolerance)


def test_given_rows_that_the_posterior_did_not_expect_are_refused():
    data = hr.load_dataset("sleepstudy")
    tree = trees.run(hr.Model("Reaction ~ Days + (Days | Subject)", data), draws=200)
    far = {"Days": np.arange(10), "Subject": ["308"] * 10, "Reaction": np.linspace(600, 100, 10)}
    with pytest.raises(hr.exceptions.SamplingError, match=r"10 given rows move the posterior too far.*fit again"):
        hr.predict(tree, {"Days": [3], "Subject": ["308"]}, given=far)


@pytest.mark.filterwarnings("ignore::hierreg.exceptions.HierregWarning")
def test_heavy_tails_of_known_groups_are_weighted_and_those_of_new_ones_refused():
    data = hr.load_dataset("sleepstudy")
    model = hr.Model("Reaction ~ Days + (1 | Subject)", data, effects={"Subject": hr.StudentT()})
    tree = model.sample(draws=500, chains=2, seed=3, progress=False)
    known = {"Days": [5.5], "Subject": ["308"], "Reaction": [460.0]}
    rows = {"Days": [9, 9], "Subject": ["308", "new"]}
    before = hr.predict(tree, rows, level="new group")
    after = hr.predict(tree, rows, level="new group", given=known)
    assert float(after["mean"][0]) > float(before["mean"][0])
    assert float(after["sd"][1]) > 2 * float(after["sd"][0])
    with pytest.raises(hr.exceptions.ModelError, match=r"new groups of 'Subject'.*fit again"):
        hr.predict(tree, rows, level="new group", given=known | {"Subject": ["new"]})


# ---- what cannot be


def test_rows_of_the_fit_are_warned_of_or_refused():
    model = model_of("independent", FITTED)
    rows, at = table(), solution("independent", model)
    with pytest.warns(hr.exceptions.HierregWarning, match=r"given has 2 of 3 rows that equal rows of the model"):
        hr.predict(model, rows.iloc[WANTED], at, level="new group", given=rows.iloc[[LATER[0], *FITTED[:2]]])
    for structure in ("correlated", "ar1"):
        model = model_of(structure, FITTED)
        at = solution(structure, model)
        changed = rows.iloc[FITTED[:2]].assign(y=0.0)
        with pytest.raises(hr.exceptions.DataError, match=r"given and newdata together.*observed"):
            hr.predict(model, rows.iloc[WANTED], at, level="new group", given=changed)


@pytest.mark.parametrize(
    ("structure", "change", "words"),
    [
        ("independent", {"given": {"x": [1.0], "w": [0.0], "g": ["a"]}}, "given.*'y'"),
        ("independent", {"given": {"x": [1.0], "g": ["a"], "y": [0.0]}}, "given.*'w'"),
        ("independent", {"given": {"x": [1.0], "w": [0.0], "y": [0.0]}}, "given has no column 'g'"),
        ("independent", {"given": {"x": [1.0], "w": [0.0], "g": ["a"], "y": [np.nan]}}, "given.*missing"),
        ("independent", {"given": 3}, "given.*must be a pandas"),
        ("by", {"given": table().iloc[LATER].drop(columns="set")}, "newdata has the column 'set'.*given has not"),
        ("correlated", {"newdata": table().iloc[WANTED].drop(columns="unit")}, "given has the column 'unit'.*out of"),
        ("correlated", {"newdata": table().iloc[LATER]}, "given and newdata together has more than one row of"),
        ("ar1", {"newdata": table().iloc[LATER]}, "given and newdata together has more than one row of"),
        ("by", {"given": table().iloc[LATER].assign(set="z")}, "given and newdata together.*'set'.*unknown.*'z'"),
        ("known_cov", {"new_cov": np.eye(3), "cross_cov": None}, r"new_cov has shape \(3, 3\)"),
    ],
)
def test_what_cannot_be_given_is_said(structure, change, words):
    model, rows = model_of(structure, FITTED), table()
    arguments = {"newdata": rows.iloc[WANTED], "given": rows.iloc[LATER], "level": "new group"} | change
    with pytest.raises((hr.exceptions.ModelError, hr.exceptions.DataError), match=words):
        hr.predict(model, at=solution(structure, model), **arguments)


def test_a_response_that_is_determined_cannot_be_given():
    x = np.linspace(0, 3, 7)
    K = np.exp(-((x[:, None] - x) ** 2))
    model = hr.Model("y ~ x", {"x": x, "y": np.cos(x)}, errors=hr.known_cov(K))
    given = {"x": [x[2]], "y": [5.0]}
    both = [2, 3]
    with pytest.raises(hr.exceptions.ModelError, match="determine"):
        hr.predict(model.estimate(), {"x": [x[3]]}, given=given, cross_cov=K[both], new_cov=K[np.ix_(both, both)])


def test_families_refuse_given_rows():
    data = hr.load_dataset("cbpp")
    model = hr.Model("incidence / size ~ period + (1 | herd)", data, family=hr.Binomial())
    rows = data.iloc[:2]
    with pytest.raises(hr.exceptions.ModelError, match=r"given with family=.*fit again"):
        hr.predict(model, rows, model.estimate("laplace"), given=rows)
