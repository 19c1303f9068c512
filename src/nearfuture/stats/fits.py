"""Growth laws over distance: how fast the cost V grows, and where the quality Q saturates.

Every row of a matrix is fitted for itself, so that the resamples of `nearfuture.stats.resampling` give the intervals.

Letters: D distances, R resamples (row 0: the sample itself).

Not here: the estimates that are fitted (`nearfuture.method.signal`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MIN_POINTS = 3
NUM_SCALES = 241
SCALE_FACTOR = 10.0


@dataclass(frozen=True, slots=True)
class PowerLaw:
    """log V = factor * D^exponent, one value per row; NaN if fewer than 3 points can be fitted."""

    factor_R: Floats
    exponent_R: Floats
    num_points: int


@dataclass(frozen=True, slots=True)
class Saturation:
    """Q = start + (end - start) (1 - exp(-D / scale)), one value per row.

    `has_scale_R` is False if the best scale lies at a limit of the search: then the distances measured do not show
    a saturation, and `end` is an extrapolation.
    """

    start_R: Floats
    end_R: Floats
    scale_R: Floats
    has_scale_R: NDArray[np.bool_]


def fit_power_law(distances_D: Floats, log_cost_R_D: Floats) -> PowerLaw:
    """Fit how log V grows with distance.

        log V = a D^b,    by least squares of log log V = log a + b log D over D > 0

    See reconstruction.md 3.2, point 4: parameters that drift straight give b = 2, a random walk b = 1 (the paper's
    exponential), so b is fitted. In double logs relative errors count alike, else the largest distance alone would
    decide. Points with V <= 1 have no double log and are left out (a clipped V may have them).

    Args:
        distances_D: [D] ascending, 0 allowed.
        log_cost_R_D: [R, D] log V.

    Returns:
        The law, one per row; `num_points` is that of row 0.

    Example:
        >>> law = fit_power_law(np.array([0.0, 1.0, 4.0, 9.0]), np.array([[0.0, 0.5, 1.0, 1.5]]))
        >>> round(float(law.factor_R[0]), 6), round(float(law.exponent_R[0]), 6)
        (0.5, 0.5)
    """
    assert log_cost_R_D.shape[1:] == distances_D.shape
    is_point_R_D = (distances_D > 0) & (log_cost_R_D > 0) & np.isfinite(log_cost_R_D)
    x_R_D = np.where(is_point_R_D, np.log(np.where(distances_D > 0, distances_D, 1.0)), 0.0)
    y_R_D = np.log(np.where(is_point_R_D, log_cost_R_D, 1.0))
    num_R = is_point_R_D.sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        x_mean_R, y_mean_R = x_R_D.sum(1) / num_R, y_R_D.sum(1) / num_R
        dx_R_D = np.where(is_point_R_D, x_R_D - x_mean_R[:, None], 0.0)
        exponent_R = (dx_R_D * (y_R_D - y_mean_R[:, None])).sum(1) / (dx_R_D**2).sum(1)
        factor_R = np.exp(y_mean_R - exponent_R * x_mean_R)
    is_fit_R = num_R >= MIN_POINTS
    nan = float("nan")
    return PowerLaw(np.where(is_fit_R, factor_R, nan), np.where(is_fit_R, exponent_R, nan), int(num_R[0]))


def fit_saturation(distances_D: Floats, quality_R_D: Floats) -> Saturation:
    """Fit where the quality of a guide saturates.

        Q(D) = Q0 + (Qinf - Q0) (1 - exp(-D / tau))

    See reconstruction.md 3.2, point 6, where this form gives the maximum of S in closed form. For a given tau the rest
    is linear least squares; tau is searched on a logarithmic grid from a tenth of the smallest distance to ten times
    the largest.

    Args:
        distances_D: [D] ascending, at least 3 of them.
        quality_R_D: [R, D] Q.

    Returns:
        The law, one per row.

    Example:
        >>> distances = np.array([0.0, 10.0, 20.0, 40.0, 80.0])
        >>> law = fit_saturation(distances, 0.1 + 0.5 * (1 - np.exp(-distances[None] / 20)))
        >>> round(float(law.end_R[0]), 2), round(float(law.scale_R[0]))
        (0.6, 20)
    """
    assert quality_R_D.shape[1:] == distances_D.shape and len(distances_D) >= MIN_POINTS
    smallest = distances_D[distances_D > 0].min() / SCALE_FACTOR
    scales = np.geomspace(smallest, distances_D.max() * SCALE_FACTOR, NUM_SCALES)
    best_R = np.full(len(quality_R_D), np.inf)
    fitted_R_3 = np.full((len(quality_R_D), 3), np.nan)
    is_inside_R = np.zeros(len(quality_R_D), dtype=bool)
    for number, scale in enumerate(scales):
        decay_D = np.exp(-distances_D / scale)
        design_D_2 = np.stack([decay_D, 1.0 - decay_D], axis=1)
        start_end_2_R = np.linalg.lstsq(design_D_2, quality_R_D.T, rcond=None)[0]
        error_R = ((design_D_2 @ start_end_2_R - quality_R_D.T) ** 2).sum(0)
        is_better_R = error_R < best_R
        best_R = np.where(is_better_R, error_R, best_R)
        fitted_R_3[is_better_R] = np.column_stack([start_end_2_R.T, np.full(len(best_R), scale)])[is_better_R]
        is_inside_R = np.where(is_better_R, 0 < number < NUM_SCALES - 1, is_inside_R)
    return Saturation(fitted_R_3[:, 0], fitted_R_3[:, 1], fitted_R_3[:, 2], is_inside_R)
