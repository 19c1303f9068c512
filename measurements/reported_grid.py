"""What the paper's table says about its protocol: which numbers of questions and samples can give its figures.

    python measurements/reported_grid.py

A mean over N questions of k samples is a multiple of 1 / (N k). A column whose eight figures all are, to two decimals,
fits; by chance that happens with the probability (printable multiples / 10,001)^8. Then the noise that the draw of the
questions alone leaves in the row AutoNPO, and what two policies must differ by to be told apart.

Not here: the evaluation (`nearfuture evaluate`), what follows (docs/evaluation.md).
"""

from __future__ import annotations

import math

from nearfuture.lab.evaluate.reported import COLUMNS, REPORTED
from nearfuture.stats.significance import detectable_difference

GRIDS = {
    "mmmu_pro": [(3460, 2), (3460, 1), (1730, 4), (1730, 2)],
    "mathvista": [(1000, 1), (1000, 2)],
    "mathvision": [(3040, 2), (3040, 1), (304, 2)],
    "zerobench_sub": [(334, 2), (334, 1), (100, 2), (434, 2)],
    "wemath": [(525, 2), (1740, 1), (1740, 2)],
    "mmbench": [(4329, 2), (4329, 1), (1164, 2), (1292, 2), (1784, 2)],
    "mmstar": [(1500, 2), (1500, 1)],
    "mathverse": [(3940, 2), (3940, 1), (788, 2)],
}
"""Candidates: questions, and samples per question. We-Math's score of one run counts halves of 525: (525, 2)."""
SIZES = {name: grids[0][0] for name, grids in GRIDS.items()}
CORRELATION = 0.5


def printable(num_questions: int, num_samples: int) -> set[str]:
    """The figures that a mean over so many can be printed as."""
    number = num_questions * num_samples
    return {f"{100 * m / number:.2f}" for m in range(number + 1)}


def main() -> None:
    """Print grids, noise, and what can be told apart."""
    print("column          N     k  fits  by chance")
    for at, name in enumerate(COLUMNS):
        figures = [f"{row[at]:.2f}" for row in REPORTED.values()]
        for num_questions, num_samples in GRIDS[name]:
            grid = printable(num_questions, num_samples)
            fits = sum(figure in grid for figure in figures)
            chance = (len(grid) / 10_001) ** len(figures)
            print(f"{name:14s} {num_questions:5d} {num_samples:3d}  {fits}/8   {chance:.1e}")
    shares = [value / 100 for value in REPORTED["AutoNPO"][:-1]]
    variances = [p * (1 - p) / SIZES[name] for p, name in zip(shares, COLUMNS, strict=True)]
    print("\nAutoNPO, 95 % half width from the draw of questions, single samples, questions independent:")
    for name, variance in zip(COLUMNS, variances, strict=True):
        print(f"{name:14s} {100 * 1.96 * math.sqrt(variance):.2f}")
    error = math.sqrt(sum(variances)) / len(variances)
    small = sum(v for v, name in zip(variances, COLUMNS, strict=True) if name in ("zerobench_sub", "wemath"))
    share = small / sum(variances)
    print(f"average        {100 * 1.96 * error:.2f}; zerobench_sub and wemath are {share:.0%} of its variance")
    paired = error * math.sqrt(2 * (1 - CORRELATION))
    print(f"\ndifference of two averages, answers correlated at {CORRELATION}: standard error {100 * paired:.2f},")
    print(f"found four times in five from {100 * detectable_difference(paired):.2f} points on")


if __name__ == "__main__":
    main()
