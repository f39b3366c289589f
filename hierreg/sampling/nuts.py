"""NUTS over the unconstrained variance parameters, from the mode, preconditioned by the Hessian there.

The chain runs in x with u = mode + C x, where C C' is the inverse of the negative Hessian of the log density at
its mode; standard deviations that may be zero are signed (`signed`), and where the density is nearly normal a draw is
one rotation (`trajectories`). nutpie calls the cached kernel (`native`); nothing is compiled per model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.estimate.mode import best_mode, names_of_difference
from hierreg.exceptions import ConvergenceWarning, ModelError
from hierreg.sampling.approximation import Mode, scale_of
from hierreg.sampling.extension import has, raw_trace
from hierreg.sampling.interrupted import kept
from hierreg.sampling.signed import coordinates
from hierreg.sampling.trajectories import trajectories
from hierreg.warning import warn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hierreg.estimate.optimise import Optimum
    from hierreg.likelihood.posterior import Target
    from hierreg.sampling.density import Density

    Array = NDArray[np.float64]

# Starts, in posterior sds: apart enough for R-hat to mean something, near enough for a short warm-up.
_START_SCALE = 0.7
# Of a second mode beside the first, above which it is said.
_SMALLEST_SHARE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How to sample.

    Attributes
    ----------
    draws, chains : int
        Per chain draws kept.
    tune : int or None
        Warm-up draws before them; None for the default.
    seed : int
        The draws depend on it alone, whatever `cores`.
    cores : int
        Chains that run at once.
    progress : bool
        Show nutpie's progress bar.
    target_accept : float or None
        Acceptance probability that the step size is tuned to; None for the defaults.
    default_accept : (float, float, float) or None
        That where nothing is asked for, of densities that are sampled with nutpie's own steps: where all standard
        deviations are far from zero, one may come near it, zero is as likely as others. None for what `trajectories`
        chooses.
    """

    draws: int
    tune: int | None
    chains: int
    seed: int
    cores: int
    progress: bool
    target_accept: float | None = None
    default_accept: tuple[float, float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chains:
    """Draws of the unconstrained variance parameters.

    Attributes
    ----------
    u : array (chains, draws, n)
    stats : dict of arrays (chains, draws)
        ArviZ's names: lp, diverging, acceptance_rate, step_size, n_steps, tree_depth, energy,
        reached_max_treedepth.
    n_warmup_steps : int
        Gradients spent on warm-up, all chains.
    sign : array (chains, draws, columns) or None
        Signs of the standard deviations as they were sampled, where some were signed.
    interrupted : str
        What is missing where a user interrupted; else empty. There may be fewer chains and draws then.
    """

    u: Array
    stats: dict[str, NDArray[Any]]
    n_warmup_steps: int
    interrupted: str = ""
    sign: Array | None = None


def find_mode(target: Target, starts: Sequence[Array] = ()) -> Mode:
    """Return the mode of the log density of u, the best of several searches, and the scale of the posterior there.

    Parameters
    ----------
    target : Target
    starts : sequence of arrays (n,)
        Where to start beside moments, such as the REML estimate (`estimate.mode.start_at`).
    """
    optimum, others = best_mode(target, starts=starts, tolerance=1e-8, with_hessian=True)
    if not np.isfinite(optimum.value):
        raise ModelError(
            "the posterior density is not finite at any starting value: check that the priors allow standard "
            f"deviations of the size of the data ({', '.join(target.parameters.free_names)})."
        )
    _warn_about_modes(target, optimum, others)
    return Mode(
        u=optimum.x,
        scale=scale_of(optimum.hessian),
        log_density=optimum.value,
        converged=optimum.converged,
    )


def _warn_about_modes(target: Target, optimum: Optimum, others: Sequence[Optimum]) -> None:
    """Warn of a second mode that has a share of the posterior worth mentioning, by Laplace's approximation."""
    mass = [one.value - 0.5 * _log_det(one.hessian) for one in (optimum, *others)]
    for other, share in zip(others, np.exp(np.array(mass[1:]) - mass[0]), strict=True):
        if share > _SMALLEST_SHARE:
            where = names_of_difference(target.parameters, optimum.x, other.x)
            warn(
                f"the posterior has two modes, with log densities {optimum.value:.2f} and {other.value:.2f}; they "
                f"differ in {where}. Chains start at the first. Compare method='nuts' with method='psis', and give "
                "priors that say what you know of these parameters.",
                ConvergenceWarning,
            )
            return


def _log_det(hessian: Array) -> float:
    values = np.linalg.eigvalsh(-hessian)
    return float(np.sum(np.log(np.maximum(values, 1e-3))))


def sample_chains(
    target: Density, mode: Mode, settings: Settings, *, marginal: tuple[Density, Mode] | None = None
) -> Chains:
    """Return NUTS draws of u.

    Parameters
    ----------
    target : Density
    mode : Mode
        Where the chains start and how they are scaled.
    settings : Settings
    marginal : (Density, Mode), optional
        Of the first elements alone, where there is one: by it it is decided which standard deviations are signed.

    Raises
    ------
    KeyboardInterrupt
        Where a user interrupted before any draw was finished; later, what is finished is returned.
    """
    draws, chains = settings.draws, settings.chains
    n = len(mode.u)
    if n == 0:
        return Chains(u=np.empty((chains, draws, 0)), stats=_constant_stats(chains, draws), n_warmup_steps=0)
    signed = coordinates(target.on_threads(settings.cores), mode) if marginal is None else coordinates(*marginal)
    own, default_tune = trajectories(
        target, mode, signed, settings.default_accept, asked=settings.target_accept, threads=settings.cores
    )
    tune = default_tune if settings.tune is None else settings.tune
    if signed is not None:
        target, mode = target.with_signed(signed.unit), signed.approximation(mode)
    trace = raw_trace(
        nutpie_model(target, mode),
        {"num_draws": draws, "num_tune": tune, "num_chains": chains} | own,
        cores=settings.cores,
        seed=settings.seed,
        progress=settings.progress,
    )
    points, stats = trace.get_arrow_trace()
    # nutpie takes an interrupt for the end of all chains, wherever they are.
    whole = kept([max(0, chain.num_rows - tune) for chain in points], chains=chains, draws=draws)
    points, stats = [points[i] for i in whole.chains], [stats[i] for i in whole.chains]
    here = slice(tune, tune + whole.draws)
    x = np.stack([_column(chain, "x").reshape(-1, n)[here] for chain in points])
    kept_stats = {
        name: np.stack([_column(chain, theirs)[here] for chain in stats])
        for name, theirs in _STATS.items()
        if theirs in stats[0].column_names
    }
    if "maxdepth" in own and "reached_max_treedepth" in kept_stats:
        # One step is all that was to be taken: nothing was cut short.
        kept_stats["reached_max_treedepth"] = np.zeros_like(kept_stats["reached_max_treedepth"])
    u, sign = mode.at(x), None
    if signed is not None:
        sign = signed.signs(u)
        u, change = signed.to_log(u)
        kept_stats["lp"] = kept_stats["lp"] + change
    return Chains(
        u=u,
        stats=kept_stats,
        n_warmup_steps=sum(int(_column(chain, "n_steps")[:tune].sum()) for chain in stats),
        interrupted=whole.message,
        sign=sign,
    )


def _column(batch: Any, name: str) -> NDArray[Any]:
    """Return a column of an arrow batch, lists end to end."""
    import pyarrow as pa

    column = pa.array(batch.column(name))
    values = column.flatten() if pa.types.is_nested(column.type) else column
    return np.asarray(values.to_numpy(zero_copy_only=False))


def nutpie_model(target: Density, mode: Mode, *, native: bool = True) -> Any:
    """Return the target as nutpie samples it, in x with u = mode + C x.

    Parameters
    ----------
    target : Density
    mode : Mode
    native : bool
        Hand over compiled code, so that chains do not wait for each other at the interpreter; False calls the same
        kernel through a Python function.
    """
    n = len(mode.u)

    def start(chain_seed: int) -> Array:
        return _START_SCALE * np.random.default_rng(chain_seed).standard_normal(n)

    if native and has("PyMcModel", "LogpFunc", "ExpandFunc"):
        from hierreg.sampling.native import native_model

        model = native_model(target, mode.u, mode.scale, start)
        if model is not None:
            return model
    from nutpie.compiled_pyfunc import from_pyfunc

    return from_pyfunc(
        ndim=n,
        make_logp_fn=lambda: _log_density_in_x(target, mode),
        make_expand_fn=lambda *_: lambda x: {"x": np.asarray(x, dtype=np.float64)},
        expanded_dtypes=[np.dtype("float64")],
        expanded_shapes=[(n,)],
        expanded_names=["x"],
        dims={"x": ("parameter",)},
        coords={"parameter": np.arange(n)},
        make_initial_point_fn=start,
    )


def _log_density_in_x(target: Density, mode: Mode) -> Any:
    k = len(mode.scale)
    back, evaluate = np.ascontiguousarray(mode.scale.T), target.evaluator()

    def log_density(x: Array) -> tuple[float, Array]:
        value, gradient = evaluate(mode.at(x))
        return value, np.concatenate([back @ gradient[:k], gradient[k:]])

    return log_density


_STATS = {
    "lp": "logp",
    "diverging": "diverging",
    "step_size": "step_size",
    "n_steps": "n_steps",
    "tree_depth": "depth",
    "energy": "energy",
    "acceptance_rate": "mean_tree_accept",
    "reached_max_treedepth": "maxdepth_reached",
}


def _constant_stats(chains: int, draws: int) -> dict[str, NDArray[Any]]:
    shape = (chains, draws)
    return {
        "lp": np.zeros(shape),
        "diverging": np.zeros(shape, dtype=bool),
        "n_steps": np.zeros(shape, dtype=np.int64),
    }
