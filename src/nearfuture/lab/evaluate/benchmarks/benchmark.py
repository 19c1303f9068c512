"""What a benchmark is: where its rows are upstream, how they become rows of this project, and what is averaged.

A row has the project's schema; its `meta`, which is JSON, holds what a metric needs beside the verdicts (cluster,
composite problem, version).

Not here: the benchmarks (`paper`, `wemath`), reading them (`loading`), the metrics (`metrics`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nearfuture.tasks.data import schema
from nearfuture.tasks.data.asking import ask

Row = dict[str, Any]
Correct = Sequence[Sequence[bool | None]]
"""For each question and each sample: correct or not, None if it was not judged."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a metric knows about a question.

    Attributes:
        uid: its unique id.
        cluster: questions of one cluster are not independent draws.
        part: the part of the benchmark it comes from.
        facts: what metrics group questions by.
    """

    uid: str
    cluster: str
    part: str = ""
    facts: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Question:
        """The question of a row: its `meta`, with `cluster` and `part` if it has them."""
        meta = json.loads(row.get("meta") or "{}")
        facts = {"family": row.get("family"), **meta}
        cluster = row["uid"] if meta.get("cluster") is None else str(meta["cluster"])
        return cls(row["uid"], cluster, str(meta.get("part") or ""), facts)

    def fact(self, name: str) -> str:
        """A fact as text; `none` if the row does not have it."""
        value = self.part if name == "part" else (self.facts or {}).get(name)
        return "none" if value is None else str(value)


@dataclass(frozen=True, slots=True)
class Unit:
    """One summand of a metric: its value is the mean over the judged samples, NaN if there are none."""

    cluster: str
    stratum: str
    value: float


@dataclass(frozen=True, slots=True)
class Metric:
    """A mean over strata of means over units; `units` returns the same units in the same order for every model."""

    name: str
    units: Callable[[Sequence[Question], Correct], list[Unit]]


@dataclass(frozen=True)
class Draft(schema.Draft):
    """The content of a benchmark's row: that of any data set, the text before the question, and its cluster.

    `uid` is upstream's own id, which is also the cluster if none is given; `meta` holds the facts that a metric needs.
    """

    hint: str = ""
    cluster: Any = None


@dataclass(frozen=True, slots=True)
class Part:
    """One split of one repository on the Hub, and how its rows are read."""

    name: str
    repo: str
    config: str | None
    split: str
    read: Callable[[Mapping[str, Any]], Draft]

    def row(self, doc: Mapping[str, Any], instruction: str | None = None) -> Row:
        """Turn an upstream row into a row of the project's schema; `instruction` replaces the end of the prompt."""
        draft = self.read(doc)
        options = list(draft.options)
        listed = () if draft.has_options else options
        prompt, shown = ask(
            draft.question, draft.images, kind=draft.kind, options=listed, hint=draft.hint, instruction=instruction
        )
        own_id = str(draft.uid)
        content = json.dumps([own_id, draft.question, options], ensure_ascii=False)
        cluster = own_id if draft.cluster is None else str(draft.cluster)
        meta = {"id": own_id, "cluster": cluster, "part": self.name, **draft.meta}
        return {
            "prompt": prompt,
            "images": shown or None,
            "gold": str(draft.gold).strip(),
            "kind": draft.kind,
            "options": options or None,
            "tolerance": dict(draft.tolerance) if draft.tolerance else None,
            "uid": f"{self.name}:{hashlib.sha256(content.encode()).hexdigest()[:16]}",
            "source": self.name,
            "difficulty": draft.difficulty,
            "family": draft.family,
            "meta": json.dumps(meta, ensure_ascii=False),
        }


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A benchmark.

    Attributes:
        name: its name on the command line.
        title: its name in the paper's table.
        parts: the splits it is made of.
        metric: the number in the table.
        others: further numbers.
        licence: the licence of the data, as its card states it.
        note: what to know when reading the number.
        remark: what to know about the questions that are present.
    """

    name: str
    title: str
    parts: tuple[Part, ...]
    metric: Metric
    others: tuple[Metric, ...] = ()
    licence: str = ""
    note: str = ""
    remark: Callable[[Sequence[Question]], str] = lambda questions: ""
