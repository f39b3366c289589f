"""What the command line understands, with help that teaches."""

from __future__ import annotations

import argparse
from pathlib import Path

from hierreg import __version__

_ABOUT = """\
Hierarchical and correlated linear regressions, with a calibrated posterior in seconds.

  hierreg demo                                        two worked examples, with figures
  hierreg fit data.csv "y ~ x + (x | g)" -o fit.nc    fit, print a summary, keep the posterior
  hierreg report fit.nc                               every table of a kept posterior
  hierreg check fit.nc                                what the data say against the model, and what to do
  hierreg predict fit.nc new.csv -o predictions.csv   predictions of new rows, from the kept posterior alone
  hierreg loo fit.nc --by School                      how well it predicts rows or groups that are left out
"""

_FIT = """\
Fit  y = X beta + Z b + e  to a table and print a summary; with --family, link(mean of y) = X beta + Z b.

The formula is lme4's:
  "y ~ x + (x | g)"               a line for each group g around a common one
  "y ~ x + (1 | g)"               only the intercept differs between groups
  "y ~ x + (x || g)"              intercepts and slopes uncorrelated
  "y ~ 0 + d + d:x"               a regression for each data set d (use --correlated)
Categories, interactions, log(x), center(x), poly(x, 2) and more are understood; a formula is never run as code.
"""

_FIT_MORE = """\
priors, any number of them, names as the summary prints them; the families are PyMC's:
  --prior "beta.Days = Normal(0, 5)"      --prior "sd.Subject = HalfNormal(50)"
  --prior "sd.Subject.Days = Exponential(0.1)"    --prior "corr.Subject = LKJ(2)"
  --prior "error_sd = HalfStudentT(3, 50)"        --prior "error_corr = LKJ(2)"
or all of them in a file, --priors priors.toml (or the same tables as .json), beside which --prior may add others:
  error_sd = "HalfStudentT(3, 50)"
  beta = { Days = "Normal(0, 5)" }
  sd.Subject = { Intercept = "HalfNormal(50)", Days = "Exponential(0.1)" }

responses that are not normal:
  --family binomial, with "cbind(sick, size - sick) ~ x + (1 | g)", "sick / size ~ ..." or --trials size
  --family poisson --offset log_time        --family negative_binomial --by sex --prior "dispersion = HalfNormal(1)"
  --family bernoulli --success yes          --family cumulative --categories "low,middle,high"

--json prints one object for programs: tables (lists of records, numbers to the last bit, null where one is missing),
about, files and warnings; nothing else goes to the standard output.

exit codes: 0 done; 1 the input cannot be used; 2 wrong command line; 3 done, but read the warnings.
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    raw = argparse.RawDescriptionHelpFormatter
    top = argparse.ArgumentParser(prog="hierreg", description=_ABOUT, formatter_class=raw)
    top.add_argument("--version", action="version", version=f"hierreg {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="{demo,fit,report,check,predict,loo}")

    demo = commands.add_parser("demo", help="two worked examples on real data, with figures")
    demo.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("hierreg-demo"),
        help="folder for figures and fits (%(default)s)",
    )
    demo.add_argument("--quiet", action="store_true", help="no progress bar")

    fit = commands.add_parser(
        "fit", help="fit a model to a table", description=_FIT, epilog=_FIT_MORE, formatter_class=raw
    )
    fit.add_argument(
        "data",
        type=Path,
        help="table: .csv, .tsv, .parquet or .feather; or a folder or pattern of them, 'rows/*.parquet', that need not "
        "fit into memory (normal responses)",
    )
    fit.add_argument("formula", help="for example 'Reaction ~ Days + (Days | Subject)'")
    fit.add_argument("-o", "--output", type=Path, help="keep the posterior: a name ending in .nc or .zarr")
    fit.add_argument(
        "--method",
        choices=("sample", "psis", "reml", "ml", "map", "laplace", "quadrature"),
        default="sample",
        help="full posterior, by NUTS (sample) or importance sampling (psis), or a point estimate; of a family that is "
        "laplace or quadrature (%(default)s)",
    )
    fit.add_argument("--nodes", type=int, help="of --method quadrature, on each axis (9)")
    fit.add_argument(
        "--as-category",
        action="append",
        default=[],
        metavar="COLUMN",
        help="treat a column of numbers as labels",
    )
    fit.add_argument("--prior", action="append", default=[], metavar="'NAME = FAMILY(...)'", help="see below")
    fit.add_argument("--priors", type=Path, metavar="FILE", help="a .toml or .json file of priors, see below")
    fit.add_argument(
        "--effects",
        action="append",
        default=[],
        metavar="FACTOR=student_t[:NU]",
        help="group effects with heavy tails, student_t or student_t:4, or from several populations, mixture:2; normal "
        "otherwise",
    )
    _add_family(fit)
    _add_errors(fit)
    _add_sampling(fit)

    report = commands.add_parser("report", help="print the tables of a kept posterior")
    report.add_argument("fit", type=Path, help="file written by `hierreg fit -o` or hr.save")
    report.add_argument("--figures", type=Path, metavar="FOLDER", help="write the figures there too")
    report.add_argument("--tables", type=Path, metavar="FOLDER", help="write the tables there as CSV too")
    report.add_argument("--html", type=Path, metavar="FILE", dest="page", help="write one page of all that to a file")
    check = commands.add_parser("check", help="what the data say against the model of a kept posterior")
    _add_check(check)
    predict = commands.add_parser("predict", help="predict new rows from a kept posterior")
    _add_predict(predict)
    loo = commands.add_parser("loo", help="leave rows or groups out of a kept posterior")
    _add_loo(loo)
    for command in (fit, report, check, predict, loo):
        command.add_argument(
            "--json",
            action="store_true",
            help="print tables and warnings as one JSON object, and nothing else, to the standard output",
        )
    return top


def _add_check(check: argparse.ArgumentParser) -> None:
    check.add_argument("fit", type=Path, help="file written by `hierreg fit -o` or hr.save")
    check.add_argument(
        "--level",
        type=float,
        default=0.05,
        metavar="P",
        help="probability that a right model has an alarm (%(default)s)",
    )
    check.add_argument("--time", metavar="COLUMN", help="column of numbers by which rows are in order")
    check.add_argument("--unit", metavar="COLUMN", help="column of labels of rows whose errors may be correlated")
    check.add_argument("--figure", type=Path, metavar="FILE", help="draw residuals and groups there too")
    check.add_argument("--seed", type=int, default=1, metavar="N", help="of replicates (%(default)s)")


def _add_predict(predict: argparse.ArgumentParser) -> None:
    predict.add_argument("fit", type=Path, help="file written by `hierreg fit -o` or hr.save")
    predict.add_argument("data", type=Path, help="new rows: .csv, .tsv, .parquet or .feather, with a header")
    predict.add_argument("-o", "--output", type=Path, metavar="FILE.csv", help="write the predictions there too")
    predict.add_argument(
        "--level",
        choices=["group", "new-group", "population"],
        default="group",
        help="of groups that were observed (%(default)s), of these or new ones, or of the population without groups",
    )
    predict.add_argument(
        "--given",
        type=Path,
        metavar="FILE",
        help="rows observed after the fit, with their response: predictions are those given them too",
    )
    predict.add_argument(
        "--scale", choices=["response", "link"], default="response", help="with a family (%(default)s)"
    )
    predict.add_argument("--ci", type=float, default=0.95, metavar="P", help="probability of intervals (%(default)s)")
    predict.add_argument("--no-observation", action="store_true", help="expected values alone, without new errors")
    predict.add_argument("--seed", type=int, metavar="N", help="of new groups and errors; by default that of the fit")


def _add_loo(loo: argparse.ArgumentParser) -> None:
    loo.add_argument("fit", type=Path, nargs="+", help="files written by `hierreg fit -o` or hr.save; several compare")
    loo.add_argument("--by", metavar="COLUMN", help="leave out all rows of a group; single rows by default")
    loo.add_argument("--draws", type=int, metavar="N", help="draws per chain that are used (all)")
    loo.add_argument("--refit", action="store_true", help="fit again without what importance sampling cannot leave out")
    loo.add_argument("-o", "--output", type=Path, metavar="FILE.csv", help="write the value of each row or group there")


def _add_family(fit: argparse.ArgumentParser) -> None:
    group = fit.add_argument_group("responses that are not normal")
    group.add_argument(
        "--family",
        metavar="NAME",
        help="bernoulli, binomial, poisson, negative_binomial, gamma, lognormal, beta, student_t or cumulative",
    )
    group.add_argument("--link", metavar="NAME", help="logit, probit or cloglog, where a family has several")
    group.add_argument("--offset", metavar="COLUMN", help="added to the linear predictor, such as log exposure")
    group.add_argument("--trials", metavar="COLUMN", help="numbers of trials, where the formula does not name them")
    group.add_argument("--success", metavar="LABEL", help="which of two labels is success (the second in order)")
    group.add_argument("--categories", metavar="'A,B,C'", help="ordered labels of the response, lowest first")


def _add_errors(fit: argparse.ArgumentParser) -> None:
    group = fit.add_argument_group("errors (independent with one standard deviation, if nothing is given)")
    one = group.add_mutually_exclusive_group()
    one.add_argument(
        "--by",
        metavar="COLUMN",
        help="one error standard deviation per level of a column; with --family a dispersion, shape, precision, scale",
    )
    one.add_argument(
        "--correlated",
        nargs=2,
        metavar=("DATASET", "UNIT"),
        help="errors correlated between data sets observed on the same unit; units may miss data sets",
    )
    one.add_argument(
        "--exchangeable",
        metavar="UNIT",
        help="one correlation, possibly negative, between any two errors of a unit",
    )
    one.add_argument(
        "--ar1",
        nargs=2,
        metavar=("TIME", "UNIT"),
        help="errors of a unit with the correlation rho^distance between two times, which are whole numbers",
    )
    one.add_argument("--known-se", metavar="COLUMN", help="known standard errors")
    one.add_argument("--known-cov", type=Path, metavar="FILE", help="known covariance of the rows: CSV without header")
    group.add_argument("--weights", metavar="COLUMN", help="divide error variances by a column of weights")
    group.add_argument("--scale", action="store_true", help="known errors are known up to one factor")


def _add_sampling(fit: argparse.ArgumentParser) -> None:
    group = fit.add_argument_group("sampling")
    group.add_argument("--draws", type=int, default=1000, help="draws kept per chain (%(default)s)")
    group.add_argument("--tune", type=int, help="warm-up draws per chain (100 to 200)")
    group.add_argument("--chains", type=int, default=4, help="(%(default)s)")
    group.add_argument("--cores", type=int, help="chains at once (all available)")
    group.add_argument("--target-accept", type=float, help="nearer to 1: smaller steps (0.8)")
    group.add_argument("--seed", type=int, help="makes the draws reproducible")
    group.add_argument("--quiet", action="store_true", help="no progress bar")
