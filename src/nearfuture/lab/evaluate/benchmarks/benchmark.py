"""What a benchmark is: where its rows lie upstream, how one becomes a row of ours, and what is averaged over them.

A row has the project's schema; what a metric needs beside the verdicts (cluster, composite problem, version) lies in
its `meta`, which is JSON.

Not here: the benchmarks (the files beside this one), reading them (`loading`), the metrics (`metrics`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nearfuture.tasks.data.asking import ask

Row = dict[str, Any]
ToRow = Callable[[Mapping[str, Any], str | None], Row]
Correct = Sequence[Sequence[bool | None]]
"""Of each question, of each sample: correct or not, None where nothing was judged."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a metric knows of a question.

    Attributes:
        uid: its id, unlike any other.
        cluster: questions of one cluster are no independent draws.
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
        value = (self.facts or {}).get(name)
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


@dataclass(frozen=True, slots=True)
class Part:
    """One split of one repository on the Hub, and how its rows become ours."""

    name: str
    repo: str
    config: str | None
    split: str
    to_row: ToRow


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


def make_row(
    part: str,
    upstream_id: Any,
    question: str,
    images: Sequence[Any],
    *,
    gold: str,
    kind: str,
    options: Sequence[str] | None = None,
    is_listed: bool = False,
    hint: str = "",
    instruction: str | None = None,
    tolerance: Mapping[str, float] | None = None,
    family: str | None = None,
    cluster: Any = None,
    difficulty: float | None = None,
    **facts: Any,
) -> Row:
    """Put a question into the project's row schema.

    Args:
        part: name of the part; the source of the uid.
        upstream_id: upstream's own id.
        question: its text.
        images: that came with it.
        gold: the answer.
        kind: of the answer.
        options: option texts, for the verifier.
        is_listed: the question or the image lists the options already.
        hint: before the question.
        instruction: another sentence at the end of the prompt.
        tolerance: of the answer.
        family: what kind of question it is.
        cluster: of questions that are no independent draws; upstream's id where nothing is given.
        difficulty: as upstream states it.
        facts: what a metric needs.
    """
    prompt, shown = ask(
        question,
        images,
        kind=kind,
        options=() if is_listed else options or (),
        hint=hint,
        instruction=instruction,
    )
    content = json.dumps([str(upstream_id), question, list(options or [])], ensure_ascii=False)
    meta = {"id": str(upstream_id), "cluster": str(upstream_id if cluster is None else cluster), "part": part, **facts}
    return {
        "prompt": prompt,
        "images": shown or None,
        "gold": str(gold).strip(),
        "kind": kind,
        "options": list(options) if options else None,
        "tolerance": dict(tolerance) if tolerance else None,
        "uid": f"{part}:{hashlib.sha256(content.encode()).hexdigest()[:16]}",
        "source": part,
        "difficulty": difficulty,
        "family": family,
        "meta": json.dumps(meta, ensure_ascii=False),
    }
