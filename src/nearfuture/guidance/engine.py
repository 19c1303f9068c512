"""What a collection asks of the guide: sample, score, decode, and agree between processes.

Not here: the implementation over a trainer (`train`), the collection itself (`collect`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from nearfuture.types import Sampling

Row = dict[str, Any]
T = TypeVar("T")


class Engine(Protocol):
    """A policy that samples and scores.

    With several processes, all of them call every method except `decode` with the same arguments, and each gets all
    results. `decode` is local and may be called by some of them only.
    """

    @property
    def sampling(self) -> Sampling:
        """The settings `generate` samples with."""
        ...

    @property
    def tokenizer_hash(self) -> str:
        """Identifies the meaning of token ids."""
        ...

    @property
    def eos_token_ids(self) -> tuple[int, ...]:
        """The tokens that end a completion."""
        ...

    @property
    def is_main(self) -> bool:
        """True on the one process that writes files."""
        ...

    def generate(self, rows: Sequence[Row], seed: int) -> list[list[int]]:
        """Sample one completion per row: a function of (weights, rows, seed). A finished completion ends with EOS."""
        ...

    def score(self, rows: Sequence[Row], completion_ids: Sequence[list[int]]) -> list[list[float]]:
        """Return the log-prob of every token at the sampling temperature (nats), from the training stack."""
        ...

    def decode(self, rows: Sequence[Row], completion_ids: Sequence[list[int]]) -> list[str]:
        """Return the texts that the verifier reads."""
        ...

    def prompt_lengths(self, rows: Sequence[Row]) -> list[int]:
        """Return the lengths of prompts in tokens."""
        ...

    def broadcast(self, value: T) -> T:
        """Return the main process's value on every process; all processes synchronise here."""
        ...

    def shared(self, work: Callable[[Sequence[int]], Sequence[T]], num_rows: int) -> list[T]:
        """Return the results of `work` for rows 0 to `num_rows` - 1, one result per row, on every process.

        Each process works on a part of the rows. A failure on one is a failure on all.
        """
        ...
