"""Many cases, on one or several processes, and what came of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

from tests.fuzz.check import verdict


def run(seeds, *, jobs=1, tell=None):
    """Return the verdicts on cases, in the order of their seeds; `tell` is called with each failure as it is found."""
    out = []
    with _mapped(seeds, jobs) as verdicts:
        for found in verdicts:
            out.append(found)
            if tell is not None and found.outcome == "failure":
                tell(found)
    return out


@contextmanager
def _mapped(seeds, jobs):
    if jobs == 1:
        yield map(verdict, seeds)
        return
    with ProcessPoolExecutor(max_workers=jobs) as pool:
        yield pool.map(verdict, seeds, chunksize=20)


def report(verdicts):
    """Return the counts in words, and every kind of failure with its case numbers."""
    outcomes = Counter(found.outcome for found in verdicts)
    lines = [f"tried {len(verdicts)}", f"answered, and equal to the oracle {outcomes['answered']}"]
    lines.append(f"refused by an exception of hierreg {outcomes['refused']}")
    refused = Counter(found.kind for found in verdicts if found.outcome == "refused")
    lines += [f"  {count:6d}  {kind}" for kind, count in refused.most_common()]
    lines.append(f"failures {outcomes['failure']}")
    failures = defaultdict(list)
    for found in verdicts:
        if found.outcome == "failure":
            failures[found.kind].append(found)
    for kind, mine in sorted(failures.items(), key=lambda item: -len(item[1])):
        lines.append(f"  {len(mine):6d}  {kind}")
        lines.append(f"          cases {', '.join(str(found.seed) for found in mine[:12])}")
        lines.append(f"          {mine[0].detail[:300]}")
    return "\n".join(lines)
