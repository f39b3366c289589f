"""Variances that are estimated at the edge of their space, or that no data of this design tell apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hierreg.criticism.values import Finding

if TYPE_CHECKING:
    from hierreg.criticism.examined import Examined


def boundary(x: Examined) -> Finding:
    """Say what the estimate says of itself; of a posterior the plug-in estimate beside it."""
    if x.estimate is not None:
        estimate = x.estimate
        unidentified, edges = list(estimate.unidentified), list(estimate.boundary)
        converged, message = estimate.converged, estimate.message
    else:
        assert x.tree is not None
        unidentified = [name for name in str(x.tree.attrs.get("unidentified", "")).split(", ") if name]
        limit = x.tree["mixed_model_limit"].attrs
        message, converged = str(limit.get("message", "")), bool(limit.get("converged", 1))
        # The message is how the search ended, and then what is on the boundary.
        edges = message.split("; ")[1:] if limit.get("singular", 0) else []
    parts = [f"Not told apart by data of this design: {', '.join(unidentified)}."] if unidentified else []
    parts += [f"On the boundary: {'; '.join(edges)}."] if edges else []
    parts += [] if converged else [f"The search did not converge: {message}."]
    found = "not identified" if unidentified else "on the boundary" if edges else "" if converged else "no convergence"
    return Finding(
        found=found or "inside their space",
        evidence=" ".join(parts) or "All variances are inside their space, and the search converged.",
        remedy="a model without the term, or (x || g) where a correlation is at its end; a posterior, which averages "
        "over what the data leave open; an informative prior",
        is_alarm=bool(unidentified) or not converged,
        is_note=bool(edges),
    )
