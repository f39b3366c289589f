"""``python -m models`` runs every worked model; ``python -m models NAME`` shows expected against found of one."""

import sys

from models.catalogue import HERE, Run, names, part, run


def main(arguments: list[str]) -> int:
    """Print the list, or one model, and return the exit status."""
    known = names()
    if not arguments:
        return _all(known)
    if arguments[0] not in known:
        sys.stderr.write(f"{arguments[0]!r} is not a worked model; choose from: {', '.join(known)}\n")
        return 2
    return _one(arguments[0])


def _all(known: tuple[str, ...]) -> int:
    _say(f"{'model':<32}{'rows':>7}{'groups':>8}{'coefs':>7}{'expectations':>14}{'seconds':>9}")
    ok = True
    for name in known:
        result = run(name)
        met = sum(outcome.passed for outcome in result.outcomes)
        status = "passed" if result.passed else "FAILED"
        _say(
            f"{name:<32}{result.rows:>7}{result.groups:>8}{result.coefficients:>7}"
            f"{f'{met}/{len(result.outcomes)}':>14}{result.seconds:>9.1f}  {status}"
        )
        ok &= result.passed
    return 0 if ok else 1


def _one(name: str) -> int:
    _say((HERE / name / "README.md").read_text(encoding="utf-8"))
    if (HERE / name / "tables.py").exists():
        for title, table in part(name, "tables").tables().items():
            _say(f"{title}\n\n{table.to_string()}\n")
    result = run(name)
    _say(_comparison(result))
    return 0 if result.passed else 1


def _comparison(result: Run) -> str:
    lines = [f"{'':<54}{'expected':>16}{'found':>16}  {'tolerance'}"]
    for outcome in result.outcomes:
        e = outcome.expectation
        many = f" ({outcome.n_values} values)" if outcome.n_values > 1 else ""
        status = "" if outcome.passed else "  FAILED"
        lines.append(f"{e.name + many:<54}{outcome.expected:>16.9g}{outcome.found:>16.9g}  {e.tolerance}{status}")
        lines.append(f"    {e.kind}: {e.source}")
    met = sum(outcome.passed for outcome in result.outcomes)
    return "\n".join([*lines, f"{met} of {len(result.outcomes)} met in {result.seconds:.1f} s"])


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
