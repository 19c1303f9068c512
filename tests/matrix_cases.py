"""Cases of the matrix: an array in which every admissible pair of options meets, each option alone, every refusal.

Not here: the options and refusals themselves (`matrix_table`, `matrix_refusals`), running a case (`matrix_drive`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

from matrix_draw import draw, is_met
from matrix_refusals import REFUSALS, Refusal
from matrix_table import ALWAYS, FACTORS, Settings

DEFAULTS = {factor: next(iter(options)) for factor, options in FACTORS.items()}
KILLS = ("metrics.jsonl", "segments/000/checkpoint-{save_steps}/optimizer.pt", "segments/001", "final.tmp")
"""The moment of the kill: the process stops itself once the file is there. Where it never is, the run ends alone."""


@dataclass(frozen=True)
class Case:
    """One combination: the option of every factor, what may refuse it (none: it must train), and its kill.

    Where several refusals forbid a combination, any of them may speak first.
    """

    name: str
    options: Mapping[str, str]
    refusals: tuple[Refusal, ...] = ()
    kill: str = KILLS[0]

    @property
    def settings(self) -> Settings:
        """Keys and values; a later factor overrides an earlier one."""
        found = dict(ALWAYS)
        for factor, option in self.options.items():
            found |= FACTORS[factor][option]
        return found

    @property
    def told(self) -> dict[str, str]:
        """The options that are no default."""
        return {factor: option for factor, option in self.options.items() if option != DEFAULTS[factor]}

    @property
    def digest(self) -> str:
        """Of everything that makes the case what it is."""
        text = json.dumps([self.settings, self.kill, [refusal.says for refusal in self.refusals]], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def pairs() -> list[Case]:
    """Cases that train, in which every pair of options that no refusal forbids occurs."""
    return [Case(f"pairs-{i:03d}", row, kill=KILLS[i % len(KILLS)]) for i, row in enumerate(_drawn(strength=2))]


def slice_of_each() -> list[Case]:
    """A few cases in which every option occurs once."""
    return [Case(f"slice-{i}", row, kill=KILLS[i % len(KILLS)]) for i, row in enumerate(_drawn(strength=1))]


def _drawn(strength: int) -> list[dict[str, str]]:
    return draw(FACTORS, [refusal.of for refusal in REFUSALS], strength)


def singles() -> list[Case]:
    """Each option beside nothing but defaults, and the defaults alone; those that are refused on their own left out."""
    found = [Case("default", DEFAULTS)]
    for factor, options in FACTORS.items():
        for option in options:
            case = Case(f"{factor}: {option}", {**DEFAULTS, factor: option})
            if option != DEFAULTS[factor] and not any(is_met(refusal.of, case.options) for refusal in REFUSALS):
                found.append(case)
    return found


def refusals() -> list[Case]:
    """Every combination of options that a refusal names, beside defaults."""
    found = []
    for refusal in REFUSALS:
        for chosen in product(*refusal.of.values()):
            told = dict(zip(refusal.of, chosen, strict=True))
            options = {**DEFAULTS, **told}
            others = (one for one in REFUSALS if one is not refusal and is_met(one.of, options))
            name = "refused " + ", ".join(f"{f}: {o}" for f, o in told.items())
            found.append(Case(name, options, (refusal, *others)))
    return found
