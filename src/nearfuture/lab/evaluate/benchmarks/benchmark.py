"""What a benchmark is: where its rows lie upstream, how one becomes a row of ours, and what is averaged over them.

A row has the project's schema; what a metric needs beside the verdicts (cluster, composite problem, version) lies in
its `meta`, which is JSON.

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
"""Of each question, of each sample: correct or not, None where nothing was judged."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a metric knows of a question.

    Attributes:
        uid: its id, unlike any other.
        cluster: questions of one cluster are not independent draws.
        part: of the benchmark it comes from.
        facts: what its metrics tell questions apart by.
    """

    uid: str
    cluster: str
    part: str = ""
    facts: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Question:
        """The question of a row: `meta` with `cluster` and `part` where it has them."""
        meta = json.loads(row.get("meta") or "{}")
        facts = {"family": row.get("family"), **meta}
        return cls(row["uid"], str(meta.get("cluster") or row["uid"]), str(meta.get("part") or ""), facts)

    def fact(self, name: str) -> str:
        """A fact as text, `none` where the row has none."""
        value = self.part if name == "part" else (self.facts or {}).get(name)
        return "none" if value is None else str(value)


@dataclass(frozen=True, slots=True)
class Unit:
    """One summand of a metric: its value is the mean over the samples that were judged, NaN without any."""

    cluster: str
    stratum: str
    value: float


@dataclass(frozen=True, slots=True)
class Metric:
    """A mean over strata of means over units; `units` gives the same units in the same order for every model."""

    name: str
    units: Callable[[Sequence[Question], Correct], list[Unit]]


@dataclass(frozen=True)
class Draft(schema.Draft):
    """What a benchmark's row says: as of any data set, with what precedes the question, and its cluster.

    `uid` is upstream's own id, and the cluster where none is given; `meta` holds the facts that a metric needs.
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
        """Make a row of the project's schema of one of upstream's; `instruction` replaces the end of the prompt."""
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
        name: what the command line calls it.
        title: what the paper's table calls it.
        parts: the splits it is made of.
        metric: the number of the table.
        others: further numbers.
        licence: of the data, as its card states it.
        note: what to know when reading the number.
        remark: what to know of the questions that are there.
    """

    name: str
    title: str
    parts: tuple[Part, ...]
    metric: Metric
    others: tuple[Metric, ...] = ()
    licence: str = ""
    note: str = ""
    remark: Callable[[Sequence[Question]], str] = lambda questions: ""
