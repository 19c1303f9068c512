"""The paper's table 1 as reported, to be shown beside our numbers; we have not reproduced it.

From "Near-Future Policy Optimization" (arXiv:2604.20733), table 1, Qwen3-VL-8B-Instruct. Averages are printed as the
paper prints them; that of `NPO early + late` is not the mean of its row (62.785), so one of its cells is misprinted.

Not here: its protocol, as far as the numbers reveal it (docs/evaluation.md).
"""

from __future__ import annotations

COLUMNS = ("mmmu_pro", "mathvista", "mathvision", "zerobench_sub", "wemath", "mmbench", "mmstar", "mathverse")
"""Our names for the paper's columns, in its order; the average comes last."""

REPORTED: dict[str, tuple[float, ...]] = {
    "Base (Qwen3-VL-8B-Instruct)": (51.75, 73.80, 47.37, 19.76, 54.10, 89.79, 71.83, 54.61, 57.88),
    "LUFFY": (54.23, 73.80, 54.00, 20.51, 52.38, 89.49, 69.47, 55.58, 58.68),
    "GRPO": (55.78, 76.20, 48.82, 22.60, 56.57, 90.29, 72.20, 59.52, 60.25),
    "ExGRPO": (55.49, 77.30, 55.46, 19.01, 62.67, 90.44, 72.00, 56.89, 61.16),
    "RLEP": (55.38, 78.50, 54.23, 19.61, 62.48, 90.45, 72.27, 58.91, 61.48),
    "NPO early": (56.85, 76.60, 54.31, 26.35, 62.76, 90.41, 70.30, 59.38, 62.12),
    "NPO early + late": (57.07, 76.30, 54.61, 24.85, 66.95, 90.30, 72.20, 60.00, 62.84),
    "AutoNPO": (57.24, 79.20, 55.72, 24.70, 66.00, 90.63, 72.63, 59.11, 63.15),
}
"""Percentages in the order of `COLUMNS`, then the average."""


def reported_cells(method: str, names: list[str]) -> list[float | None]:
    """Return what the paper reports for a method in these columns; None for a column it does not have.

    Example:
        >>> reported_cells("GRPO", ["mathvista", "rows"])
        [76.2, None]
    """
    row = REPORTED[method]
    return [row[COLUMNS.index(name)] if name in COLUMNS else None for name in names]
