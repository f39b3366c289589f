"""How often `hr.check` is right: alarms of right models, and faults that it sees. `python -m tests.criticism.power`.

Prints two tables in Markdown, of many simulated data sets by fixed seeds.
"""

from __future__ import annotations

import argparse
import warnings
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pandas as pd

from hierreg.exceptions import HierregWarning
from tests.criticism.designs import DESIGNS, checked

RIGHT = "none"


def alarms(
    design: str, fault: str, seed: int, replicates: int, *, posterior: bool
) -> tuple[set[str], dict[str, float]]:
    """Return the checks that gave an alarm, and the p-values."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HierregWarning)
        found = checked(design, fault, seed, replicates=replicates, posterior=posterior)
    return set(found.index[found["verdict"] == "alarm"]), found["p"].dropna().to_dict()


def many(
    design: str, fault: str, n: int, replicates: int, *, posterior: bool = False
) -> list[tuple[set[str], dict[str, float]]]:
    """Return what is said of n tables."""
    return [alarms(design, fault, seed, replicates, posterior=posterior) for seed in range(n)]


def rates_of_right(found: list[tuple[set[str], dict[str, float]]]) -> dict[str, float]:
    """Return the share of tables with any alarm, with an alarm of each check, and with its p below 0.05."""
    names = sorted({name for _, p in found for name in p})
    out = {"any": float(np.mean([bool(a) for a, _ in found]))}
    for name in names:
        out[name] = float(np.mean([name in a for a, _ in found]))
        out[f"{name} p"] = float(np.mean([p[name] < 0.05 for _, p in found if name in p]))
    return out


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--right", type=int, default=200, help="data sets of each right model")
    parser.add_argument("--wrong", type=int, default=100, help="data sets of each fault")
    parser.add_argument("--replicates", type=int, default=499)
    parser.add_argument("--designs", nargs="+", choices=list(DESIGNS), default=list(DESIGNS), metavar="NAME")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    with ProcessPoolExecutor(options.jobs) as pool:
        right = {
            (name, where): pool.submit(many, name, RIGHT, options.right, options.replicates, posterior=where != "REML")
            for name in options.designs
            for where in (("REML", "posterior") if DESIGNS[name].has_estimate else ("posterior",))
        }
        wrong = {
            (name, fault): pool.submit(many, name, fault, options.wrong, options.replicates)
            for name in options.designs
            for fault in DESIGNS[name].faults
        }
        clean = {f"{name}, {where}": rates_of_right(one.result()) for (name, where), one in right.items()}
        print(table_of_right(clean))
        print()
        print("| design | fault | its check | its alarms | tables with an alarm | other alarms |")
        print("| :-- | :-- | :-- | --: | --: | :-- |")
        for (name, fault), one in wrong.items():
            print(row_of_wrong(name, fault, [a for a, _ in one.result()]))


def table_of_right(clean: dict[str, dict[str, float]]) -> str:
    """Return alarms of right models: after Holm, and in brackets p below 0.05."""
    checks = [name for name in pd.DataFrame(clean).index if name != "any" and not name.endswith(" p")]
    lines = ["| right model | any | " + " | ".join(checks) + " |", "| :-- | --: |" + " --: |" * len(checks)]
    for name, rates in clean.items():
        cells = [
            f"{100 * rates[check]:.1f} ({100 * rates[f'{check} p']:.1f})" if check in rates else "" for check in checks
        ]
        lines.append(f"| {name} | {100 * rates['any']:.1f} | {' | '.join(cells)} |")
    return "\n".join(lines)


def row_of_wrong(name: str, fault: str, found: list[set[str]]) -> str:
    """Return a row: how often the check of a fault saw it, and what else was said."""
    own = DESIGNS[name].faults[fault]
    others = sorted({check for one in found for check in one} - {own})
    said = ", ".join(
        f"{check} {share:.0f}"
        for check in others
        if (share := 100 * float(np.mean([check in one for one in found]))) >= 5
    )
    rate, any_rate = (100 * float(np.mean(one)) for one in ([own in a for a in found], [bool(a) for a in found]))
    return f"| {name} | {fault} | {own} | {rate:.0f} | {any_rate:.0f} | {said} |"


if __name__ == "__main__":
    main()
