"""The arguments of `Model.sample`, checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from hierreg.checks import check_choice, check_whole
from hierreg.exceptions import ModelError

# What only NUTS has, as it is by default.
_OF_NUTS = {"tune": None, "target_accept": None, "parametrization": "marginal", "sampler": "nutpie"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleRequest:
    """The arguments of `Model.sample`."""

    draws: int
    tune: int | None
    chains: int
    seed: int | None
    cores: int | None
    parametrization: str
    sampler: str
    progress: bool
    target_accept: float | None
    group_effects: str
    include: tuple[str, ...]
    method: str = "nuts"

    @classmethod
    def plain(  # what studies of many fits choose; the rest is as by default
        cls,
        *,
        draws: int,
        chains: int,
        seed: int,
        method: str,
        cores: int | None = None,
        group_effects: str = "auto",
    ) -> Self:
        """Return a request in which everything else is as by default, and no progress is shown."""
        return cls(
            draws=draws,
            tune=None,
            chains=chains,
            seed=seed,
            cores=cores,
            parametrization="marginal",
            sampler="nutpie",
            progress=False,
            target_accept=None,
            group_effects=group_effects,
            include=(),
            method=method,
        )

    def check(self) -> None:
        """Raise where an argument is impossible."""
        for name, least in (("draws", 1), ("tune", 0), ("chains", 1), ("cores", 1), ("seed", 0)):
            value = getattr(self, name)
            if value is not None or name not in {"tune", "cores", "seed"}:
                check_whole(name, value, least=least)
        accept = 0.5 if self.target_accept is None else self.target_accept
        if not isinstance(accept, (float, int)) or not 0 < accept < 1:
            raise ModelError(f"target_accept={self.target_accept!r} must be a number between 0 and 1, such as 0.95.")
        check_choice(self.method, ("nuts", "psis"), argument="method", error=ModelError)
        check_choice(
            self.parametrization,
            ("marginal", "noncentered", "centered"),
            argument="parametrization",
            error=ModelError,
        )
        check_choice(self.sampler, ("nutpie", "pymc"), argument="sampler", error=ModelError)
        check_choice(
            self.group_effects, ("auto", "draws", "summary", "none"), argument="group_effects", error=ModelError
        )
        if self.group_effects in {"summary", "none"} and self.parametrization != "marginal":
            raise ModelError(
                f"group_effects={self.group_effects!r} with parametrization={self.parametrization!r}, which samples "
                "all coefficients: only parametrization='marginal' integrates those of groups out, and knows their "
                "exact conditional distributions. Use that, or group_effects='draws'."
            )
        if self.method == "psis":
            self._check_importance()

    @property
    def could_be_importance(self) -> bool:
        """Whether nothing is asked for that means nothing to importance sampling."""
        return all(getattr(self, name) == value for name, value in _OF_NUTS.items())

    def _check_importance(self) -> None:
        for name, value in _OF_NUTS.items():
            if getattr(self, name) != value:
                raise ModelError(
                    f"{name}={getattr(self, name)!r} means nothing with method='psis', which weighs draws from an "
                    f"approximation of the marginal posterior: no warm-up, no steps. Leave {name} out, or use "
                    "method='nuts'."
                )
