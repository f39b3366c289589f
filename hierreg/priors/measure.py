"""Location and scale of response and columns, which the default priors are scaled to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.compound_symmetry import components_of, lowest_correlation
from hierreg.priors.scales import FactorScales, PriorScales

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.design import Design, FactorDesign
    from hierreg.error_structure import ErrorLayout
    from hierreg.gram import Gram
    from hierreg.gram.frame import Frame

    Array = NDArray[np.float64]


def measure_scales(design: Design, layout: ErrorLayout) -> PriorScales:
    """Return the facts about data and model that default priors need.

    Parameters
    ----------
    design : Design
    layout : ErrorLayout
        The error structure over the same rows.
    """
    y, X = design.y, design.X
    x_sd = X.std(axis=0)
    constant = np.flatnonzero((x_sd == 0) & (X[0] != 0)) if len(X) else np.empty(0, dtype=np.intp)
    labels, stratum = layout.labels, layout.stratum
    corr: dict[str, Any] = {}
    if layout.kind == "exchangeable":
        lowest = lowest_correlation(components_of(layout)[0].largest)
        corr = {"error_corr_labels": layout.labels, "error_corr_lowest": tuple(lowest.tolist())}
        if layout.common_sd:
            labels, stratum = ("sigma",), np.zeros_like(stratum)
    return PriorScales(
        coef_names=design.coef_names,
        intercept=int(constant[0]) if len(constant) else None,
        y_mean=float(y.mean()),
        y_sd=float(y.std()),
        y_rms=_rms(y),
        x_mean=X.mean(axis=0),
        x_sd=x_sd,
        x_rms=np.sqrt(np.einsum("ij,ij->j", X, X) / len(X)),
        factors={factor.name: _factor_scales(factor, x_sd if factor.Z is X else None) for factor in design.factors},
        error_labels=labels,
        y_sd_by_label=_sd_by_label(y, stratum, len(labels)) * _weight(layout),
        n_error_sd=layout.n_sd,
        has_error_corr=layout.has_corr,
        error_is_factor=layout.kind in {"known_se", "known_cov"},
        **corr,
    )


def scales_of_gram(gram: Gram, design: Design, layout: ErrorLayout) -> PriorScales:
    """Return the same facts from cross-products.

    Parameters
    ----------
    gram : Gram
    design : Design
        Names and terms; its rows are not looked at.
    layout : ErrorLayout
        The error structure; its rows are not looked at.
    """
    frame, response = gram.frame, gram.response
    assert frame is not None
    assert response is not None
    p = frame.n_predictors
    y_sd = float(frame.sd[p])
    within = np.sqrt(response.squares / np.maximum(response.n, 1))
    labels, corr = layout.labels, {}
    if gram.terms.components is not None:
        lowest = lowest_correlation(gram.terms.components.largest)
        corr = {"error_corr_labels": layout.labels, "error_corr_lowest": tuple(lowest.tolist())}
        if layout.common_sd:
            labels, within = ("sigma",), np.array([y_sd])
    constant = np.flatnonzero(frame.is_constant[:p])
    return PriorScales(
        coef_names=design.coef_names,
        intercept=int(constant[0]) if len(constant) else None,
        y_mean=float(frame.mean[p]),
        y_sd=y_sd,
        y_rms=float(frame.rms[p]),
        x_mean=frame.mean[:p],
        x_sd=frame.sd[:p],
        x_rms=frame.rms[:p],
        factors={
            factor.name: _scales_of_frame(factor, groups.frame)
            for factor, groups in zip(design.factors, gram.factors, strict=True)
        },
        error_labels=labels,
        y_sd_by_label=np.where(within > 0, within, y_sd) * _weight_of_gram(gram),
        n_error_sd=layout.n_sd,
        has_error_corr=layout.has_corr,
        error_is_factor=layout.kind in {"known_se", "known_cov"},
        **corr,
    )


def _scales_of_frame(factor: FactorDesign, frame: Frame | None) -> FactorScales:
    assert frame is not None
    sd = frame.sd if frame.is_constant.any() else frame.rms
    return FactorScales(
        coef_names=factor.coef_names,
        z_sd=np.where(frame.is_constant, 1.0, sd),
        term_sizes=factor.term_sizes,
        term_correlated=factor.term_correlated,
    )


def _factor_scales(factor: FactorDesign, known_sd: Array | None) -> FactorScales:
    sd = factor.Z.std(axis=0) if known_sd is None else known_sd
    constant = (sd == 0) & (factor.Z[0] != 0)
    if not constant.any():
        sd = np.sqrt(np.einsum("ij,ij->j", factor.Z, factor.Z) / len(factor.Z))
    return FactorScales(
        coef_names=factor.coef_names,
        z_sd=np.where(constant, 1.0, sd),
        term_sizes=factor.term_sizes,
        term_correlated=factor.term_correlated,
    )


def _sd_by_label(y: Array, stratum: NDArray[np.intp], n: int) -> Array:
    """Return the standard deviation of y within each label; that of all y where a label does not vary."""
    overall = float(y.std())
    within = np.array([y[stratum == d].std() if np.any(stratum == d) else 0.0 for d in range(n)])
    return np.where(within > 0, within, overall)


def _weight(layout: ErrorLayout) -> float:
    """Return the root of the geometric mean of the weights: the error sd is that of rows of weight one."""
    if layout.se is None or layout.kind == "known_se":
        return 1.0
    return float(np.exp(-np.mean(np.log(layout.se))))


def _weight_of_gram(gram: Gram) -> float:
    weighted = gram.terms.kind in {"independent", "by"}
    return float(np.exp(-0.5 * gram.terms.log_det_known / gram.n)) if weighted else 1.0


def _rms(x: Array) -> float:
    return float(np.sqrt(x @ x / len(x)))
