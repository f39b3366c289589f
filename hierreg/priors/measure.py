"""Location and scale of response and columns, which the default priors are scaled to, from the cross-products."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hierreg.priors.frames import Columns
from hierreg.priors.scales import FactorScales, PriorScales

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.design_matrices import Design, FactorDesign
    from hierreg.errors.base import ErrorLayout
    from hierreg.gram import Gram
    from hierreg.gram.frame import Frame

    Array = NDArray[np.float64]


def measure_scales(gram: Gram, design: Design, layout: ErrorLayout) -> PriorScales:
    """Return the facts about data and model that default priors need.

    Parameters
    ----------
    gram : Gram
        Of all rows, with its frames.
    design : Design
        Names and terms; its rows are not looked at.
    layout : ErrorLayout
        The error structure; its rows are not looked at.
    """
    frame, response = gram.frame, gram.response
    assert frame is not None
    assert response is not None
    p = frame.n_predictors
    known = layout.spec.is_known
    # Known errors are a scale of their own, where the response does not vary beside them.
    of_errors = float(np.exp(0.5 * gram.terms.log_det_known / gram.n)) if known else 0.0
    y_sd = float(frame.sd[p]) or of_errors
    within = np.sqrt(response.squares / np.maximum(response.n, 1))
    labels = layout.labels
    corr_labels: tuple[str, ...] = ()
    corr_lowest: tuple[float, ...] = ()
    if gram.terms.components is not None:
        lowest = gram.terms.components.lowest
        corr_labels, corr_lowest = layout.labels, tuple(lowest.tolist())
        if layout.common_sd:
            labels, within = ("sigma",), np.array([y_sd])
    return PriorScales(
        coef_names=design.coef_names,
        columns=columns_of(frame.predictors),
        y_mean=float(frame.mean[p]),
        y_sd=y_sd,
        y_rms=float(frame.rms[p]) or of_errors,
        factors={
            factor.name: _factor_scales(factor, groups.frame)
            for factor, groups in zip(design.factors, gram.factors, strict=True)
        },
        error_labels=labels,
        y_sd_by_label=np.where(within > 0, within, y_sd) * _weight_of_gram(gram),
        n_error_sd=layout.n_sd,
        has_error_corr=layout.has_corr,
        error_corr_labels=corr_labels,
        error_corr_lowest=corr_lowest,
        error_corr_ranges=tuple(layout.spec.range_of_corr(one) for one in corr_lowest),
        error_factor=_error_factor(gram) if known and layout.n_sd else None,
    )


def columns_of(frame: Frame) -> Columns:
    """Return the second moments of the predictors of a frame."""
    m = frame.n_predictors
    return Columns(
        root=np.linalg.cholesky(frame.products / frame.n).T if m else np.empty((0, 0)),
        inverse=np.linalg.inv(frame.basis) if m else np.empty((0, 0)),
        centre=frame.centre,
        constant=frame.constant,
        value=frame.value,
        mean=frame.mean,
    )


def _factor_scales(factor: FactorDesign, frame: Frame | None) -> FactorScales:
    assert frame is not None
    sd = frame.sd if frame.is_constant.any() else frame.rms
    return FactorScales(
        coef_names=factor.coef_names,
        columns=columns_of(frame),
        z_sd=np.where(frame.is_constant & (frame.rms > 0), frame.rms, sd),
        term_sizes=factor.term_sizes,
        term_correlated=factor.term_correlated,
    )


def _error_factor(gram: Gram) -> float:
    """Return the root mean square of y about its mean, where columns of X hold one, in units of known errors.

    The mean is that of generalised least squares, so that the factor follows the units of y and of the errors alike.
    """
    frame = gram.frame
    assert frame is not None
    p = frame.n_predictors
    columns = columns_of(frame.predictors)
    # y - centre = y_internal + X_internal s, with s the least-squares fit that the frame took off.
    y = np.ones(p + 1)
    y[:p] = -columns.inverse @ frame.basis[:p, p]
    products = gram.WtW.sum(axis=0)
    t = columns.ones()
    if t is None:
        return float(np.sqrt(max(float(y @ products @ y), 0.0) / gram.n))
    one = np.zeros(p + 1)
    one[:p] = columns.constant_column(t)
    # A response far from zero is brought near it before anything is squared: first in its coordinates, once more by
    # what is left of it.
    y -= (frame.mean[p] - frame.centre[p]) * one
    y -= float(one @ products @ y) / float(one @ products @ one) * one
    total = float(y @ products @ y)
    return float(np.sqrt(max(total, 0.0) / gram.n))


def _weight_of_gram(gram: Gram) -> float:
    """Return the root of the geometric mean of the weights: the error sd is that of rows of weight one."""
    weighted = not gram.terms.structure.no_weights
    return float(np.exp(-0.5 * gram.terms.log_det_known / gram.n)) if weighted else 1.0
