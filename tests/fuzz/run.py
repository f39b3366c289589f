"""Many cases, on one or several processes, and what came of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from concurrent.futures import ProcessPoolExecutor

from tests.fuzz.check import verdict


def run(seeds, *, jobs=1):
    """Return the verdicts on cases, in the order of their seeds."""
    if jobs == 1:
        return [verdict(seed) for seed in seeds]
    with ProcessPoolExecutor(max_workers=jobs) as pool:
        return list(pool.map(verdict, seeds, chunksize=20))


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
