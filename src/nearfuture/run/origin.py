"""The configuration and data that a run started with, and whether it is resumed with the same.

    lineage.json   origin: digests of the configuration and of the training and held-out rows, with counts
    data.json      a hash of every row, so that the first one that differs can be named

Not here: hashing rows (`nearfuture.tasks.fingerprint`), writing the files (`start`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nearfuture import seal
from nearfuture.record import flat_yaml
from nearfuture.record.folder import RunFolder
from nearfuture.record.reading import read_object
from nearfuture.run.changes import changed, refuse_changes
from nearfuture.run.settings.config import Configuration
from nearfuture.run.settings.keys import RETIRED, with_former_names, with_present_names
from nearfuture.tasks import Task
from nearfuture.tasks.fingerprint import HASH_LENGTH, Fingerprint, difference, digest_of, fingerprint
from nearfuture.types import UserError

DATA = "data.json"
SPLITS = {"train": "training rows", "evaluation": "held-out rows"}
PLACES = ("run_dir", "dataset_name", "task_difficulty")
"""Keys that say where something is, not what it is."""


@dataclass(frozen=True)
class Origin:
    """Configuration and data as they are now.

    Attributes:
        config: a digest of everything that is not a place.
        source: the name of the data.
        data: the fingerprint of every split.
    """

    config: str
    source: str
    data: Mapping[str, Fingerprint]

    @classmethod
    def of(cls, config: Configuration, task: Task, train: Any) -> Origin:
        """Read the data of a run; `train` are its training rows with their ids."""
        held_out = task.evaluation if len(task.evaluation) else []
        return cls(digest(config), task.name, {"train": fingerprint(train), "evaluation": fingerprint(held_out)})

    def facts(self) -> dict[str, Any]:
        """The facts that the lineage remembers."""
        data = {split: found.facts() for split, found in self.data.items()}
        return {"config": self.config, "source": self.source, "data": data}

    def hashes(self) -> str:
        """The text of `data.json`."""
        return json.dumps({split: "".join(found.hashes) for split, found in self.data.items()}, indent=1)


def digest(config: Configuration) -> str:
    """Digest a configuration, wherever it and its data are."""
    values = {key: value for key, value in with_former_names(config.as_dict()).items() if key not in PLACES}
    return digest_of(json.dumps(flat_yaml.load(flat_yaml.dump(values)), sort_keys=True, default=str))


def changed_configuration(
    folder: RunFolder, config: Configuration, origin: Mapping[str, Any] | None
) -> dict[str, tuple[Any, Any]]:
    """Return what differs from the configuration that a run started with, where a resumed run may differ.

    A damaged file is written again.

    Raises:
        UserError: something differs that must not change on resume.
    """
    if origin is not None and seal.state(folder.config.read_bytes() if folder.config.exists() else b"") != "whole":
        if origin["config"] != digest(config):
            raise UserError(
                f"{folder.config} is damaged, and the run was begun with a different configuration from the one "
                "given now. Resume with the same one (it is then restored), or choose another run_dir."
            )
        folder.write(folder.config.name, flat_yaml.dump(config.as_dict()))
        return {}
    written = read_object(folder.config)
    if old := sorted(RETIRED.keys() & written.keys()):
        raise UserError(
            f"run_dir={folder.path} was begun with the trigger of the release before ({', '.join(old)}), which judges "
            "otherwise: continued here, it would be no run of either. End it with that release, or choose another "
            "run_dir."
        )
    before = with_present_names(written, is_told=False)
    now = flat_yaml.load(flat_yaml.dump(config.as_dict()))
    changes = changed(before, now, PLACES if origin is not None else ("run_dir",))
    refuse_changes(changes, config)
    return changes


def refuse_other_data(folder: RunFolder, now: Origin, origin: Mapping[str, Any]) -> None:
    """Refuse to continue with rows other than those the run started with; equal rows in another place are accepted.

    Raises:
        UserError: rows differ; the message says which.
    """
    hashes = _hashes(folder)
    if origin["source"] != now.source and _together(hashes.values()) == _together(
        found.hashes for found in now.data.values()
    ):
        raise UserError(
            f"run_dir={folder.path}: the rows are the same, but their source is called {now.source} where it was "
            f"{origin['source']}, and so are their ids, under which guidance is kept and rows are held out. Give the "
            "file the name it had."
        )
    for split, called in SPLITS.items():
        before, found = origin["data"][split], now.data[split]
        if (before["digest"], before["names"]) != (found.digest, found.names):
            raise UserError(
                f"run_dir={folder.path} was begun with other {called} ({origin['source']}): "
                f"{_said(hashes[split], found, before)}. Resume with the data it was "
                "begun with, or choose another run_dir."
            )
    if seal.state((folder.path / DATA).read_bytes() if (folder.path / DATA).exists() else b"") != "whole":
        folder.write(DATA, now.hashes())  # a damaged file can be written again: the data is the same


def _said(then: tuple[str, ...], now: Fingerprint, before: Mapping[str, Any]) -> str:
    """Say which rows differ, as far as `data.json` shows."""
    if before["digest"] == now.digest:
        return "the ids of the rows differ"
    if len(then) != before["num_rows"]:
        return f"{before['num_rows']} rows then, {len(now.hashes)} now; {DATA} cannot tell which differ"
    return difference(then, now.hashes)


def _hashes(folder: RunFolder) -> dict[str, tuple[str, ...]]:
    """Return the hashes in `data.json`; none if it is damaged."""
    try:
        found = read_object(folder.path / DATA)
    except UserError:
        found = {}
    return {split: _cut(str(found.get(split, ""))) for split in SPLITS}


def _cut(text: str) -> tuple[str, ...]:
    return tuple(text[i : i + HASH_LENGTH] for i in range(0, len(text), HASH_LENGTH))


def _together(splits: Iterable[Sequence[str]]) -> list[str]:
    return sorted(one for hashes in splits for one in hashes)
