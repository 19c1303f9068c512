"""Guidance from and for other frameworks, with the task and the tokenizer of a run or a configuration.

Not here: formats and checks (`nearfuture.guidance.interop`).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nearfuture.guidance import GuidanceCache
from nearfuture.guidance.files import check_replaceable, write_text
from nearfuture.guidance.header import CacheHeader, CollectionCounts
from nearfuture.guidance.interop import Codec, Exporter, Importer, KnownPrompts, Problem, Report, format_named
from nearfuture.guidance.interop.prompts import has_images
from nearfuture.guidance.interop.published import file_of_rows, is_data_set, write_data_set
from nearfuture.guidance.interop.rows import read_rows, write_rows
from nearfuture.run import build
from nearfuture.run.collect import config_of, writing_cache
from nearfuture.run.rows import rows_by_id
from nearfuture.run.settings.config import Configuration
from nearfuture.run.settings.load import load_configuration
from nearfuture.tasks import Task, judge
from nearfuture.tasks.identity import prompt_hash
from nearfuture.train import factory
from nearfuture.train.npo_config import sampling
from nearfuture.train.tokenizer import load_codec
from nearfuture.types import PolicyRef, UserError

UNVERIFIED = "unverified"
"""Verifier version of a cache whose verdicts were taken over from the file it came from."""


@dataclass(frozen=True)
class Setting:
    """A configuration and its task: where prompts, verdicts and the tokenizer come from."""

    config: Configuration
    task: Task

    @classmethod
    def load(cls, path: Path) -> Setting:
        """Read a configuration and load its task."""
        config = load_configuration(path)
        return cls(config, build.load_run_task(config))

    def rows(self) -> dict[str, dict[str, Any]]:
        """Training rows by prompt id."""
        return rows_by_id(build.training_rows(self.task))

    def codec(self) -> Codec:
        """The tokenizer of the base model."""
        settings = self.config.model_settings
        kwargs = {there: settings[here] for here, there in _TOKENIZER_SETTINGS.items() if here in settings}
        return load_codec(build.base_model(self.config, self.task), **kwargs)

    def header(self, codec: Codec) -> CacheHeader:
        """The header of a cache for this configuration."""
        with tempfile.TemporaryDirectory() as scratch:
            found = sampling(factory.make_args(Path(scratch), self.config.training_settings))
        return CacheHeader(
            tokenizer_hash=codec.tokenizer_hash,
            eos_token_ids=codec.eos_token_ids,
            verifier_version=self.task.verifier_version,
            sampling=found,
            guide=PolicyRef(0, 0, ""),
            counts=CollectionCounts(0, 0, 0),
        )


_TOKENIZER_SETTINGS = {"model_revision": "revision", "trust_remote_code": "trust_remote_code"}


def import_file(
    source: Path, format_name: str, folder: Path, *, like: Path | None = None, config: Path | None = None
) -> tuple[GuidanceCache, Report]:
    """Read trajectories from a file into a cache.

    Args:
        source: the file of rows, or a folder with one; see `nearfuture.guidance.interop`.
        format_name: the format of the rows.
        folder: the cache's folder; what was left out goes to `<folder>.left_out.jsonl` beside it.
        like: a cache whose sampling settings, tokenizer and prompts the new one takes over.
        config: a configuration with the task, the tokenizer and (without `like`) the sampling settings; default: that
            of the run that contains `like`.

    Raises:
        NoSignalError: no row can be used.
        UserError: neither is given, they do not fit together, the file cannot be read, or another process writes there.
    """
    if like is None and config is None:
        raise UserError(
            "it is not known which prompts and which tokenizer are meant. Give --like CACHE or --config CONFIG."
        )
    with writing_cache(folder):
        return _import_file(source, format_name, folder, like, config)


def _import_file(
    source: Path, format_name: str, folder: Path, like: Path | None, config: Path | None
) -> tuple[GuidanceCache, Report]:
    base = None if like is None else GuidanceCache.open(like)
    path = config or (None if like is None else config_of(like))
    setting = None if path is None else Setting.load(path)
    if setting is not None:
        return import_for(setting, source, format_name, folder, None if base is None else base.header)
    assert base is not None
    codec = _fitting(base.header, _guide_codec(base))
    header = replace(base.header, verifier_version=UNVERIFIED)
    return _import(
        Importer(format_named(format_name), header, KnownPrompts.of_cache(base), codec, None), source, folder
    )


def import_for(
    setting: Setting, source: Path, format_name: str, folder: Path, header: CacheHeader | None = None
) -> tuple[GuidanceCache, Report]:
    """Read trajectories from a file into a cache for a task, verified with its verifier; see `import_file`.

    Args:
        setting: task, tokenizer and sampling settings.
        source: the file.
        format_name: the format of its rows.
        folder: the cache's folder.
        header: the header of a cache that the new one has to match, instead of the setting's own.
    """
    codec = setting.codec()
    header = setting.header(codec) if header is None else header
    rows, task = setting.rows(), setting.task
    importer = Importer(
        format_named(format_name),
        replace(header, verifier_version=task.verifier_version),
        KnownPrompts.of_rows(rows.values()),
        _fitting(header, codec),
        lambda prompt_id, text: judge(task.verify, text, rows[prompt_id]),
    )
    return _import(importer, source, folder)


def _import(importer: Importer, source: Path, folder: Path) -> tuple[GuidanceCache, Report]:
    check_replaceable(folder.absolute())
    source = file_of_rows(source)
    importer.header = replace(importer.header, guide=PolicyRef(0, 0, str(source)), fingerprint="")
    importer.take(read_rows(source))
    if importer.judge is None:
        importer.report.remarks.append(
            "verdicts: not checked, as there is no task; `nearfuture guide verify --config` and the trainer check them"
        )
    try:
        cache = importer.write(folder)
    finally:
        _write_findings(importer.report, folder)
    return cache, importer.report


def _write_findings(report: Report, output: Path) -> None:
    """Write every finding to a file beside the output, since a summary names only some."""
    path = output.with_name(output.name + ".left_out.jsonl")
    path.unlink(missing_ok=True)
    if report.findings:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, report.as_jsonl())
        report.remarks.append(f"all rows left out, or kept with a remark: {path}")


def _guide_codec(cache: GuidanceCache) -> Codec:
    """Return the tokenizer of the guide if the cache names a model folder."""
    guide = Path(cache.header.guide.path)
    if not (guide / "config.json").is_file():
        raise UserError(
            f"{cache.folder} lies in no run, and its guide {str(guide)!r} is not a model folder, so its tokenizer is "
            "unknown. Give --config CONFIG.yaml."
        )
    return load_codec(str(guide))


def _fitting(header: CacheHeader, codec: Codec) -> Codec:
    if codec.tokenizer_hash != header.tokenizer_hash:
        raise UserError(
            f"the cache was made with tokenizer {header.tokenizer_hash[:8]}..., the model at hand has "
            f"{codec.tokenizer_hash[:8]}.... Token ids would not mean the same text; give the --config it belongs to."
        )
    return codec


def export_file(folder: Path, format_name: str, output: Path, *, config: Path | None = None) -> Report:
    """Write a cache as rows of another framework.

    Args:
        folder: the cache's folder.
        format_name: the format of the rows.
        output: the file, whose ending decides its kind; without an ending the folder of a data set with a card.
        config: a configuration with the task, for the text of the prompts; default: that of the run with the cache.

    Raises:
        UserError: the format needs prompts but the task is not known, or nothing can be written.
    """
    cache, wanted = GuidanceCache.open(folder), format_named(format_name)
    path = config or config_of(folder)
    if path is None and wanted.needs_prompt:
        raise UserError(
            f"format {format_name} needs the text of the prompts, and {folder} lies in no run. "
            "Give --config CONFIG.yaml."
        )
    setting = None if path is None else Setting.load(path)
    questions = {} if setting is None else _questions(setting)
    codec = _fitting(cache.header, setting.codec()) if setting is not None and wanted.needs_prompt else None
    exporter = Exporter(wanted, cache, questions, codec)
    if is_data_set(output):
        write_data_set(output, _some_rows(exporter), cache, format_name)
    else:
        write_rows(output, _some_rows(exporter))
    _write_findings(exporter.report, output)
    if questions and not any(question.answer for question in questions.values()):
        exporter.report.remarks.append("the task has no column `answer` and no gold_column, so the answers are empty")
    return exporter.report


def _some_rows(exporter: Exporter) -> Iterator[dict[str, Any]]:
    yield from exporter.rows()
    if not exporter.report.num_kept:
        counts = "; ".join(f"{number} x {reason}" for reason, number in exporter.report.counts().items())
        raise UserError(
            f"none of the {exporter.cache.num_trajectories} trajectories can be written ({counts}). "
            "Give the --config of the task they were collected for."
        )


def _questions(setting: Setting) -> Mapping[str, Problem]:
    task = setting.task
    return {
        prompt_id: Problem(
            prompt_id=prompt_id,
            prompt_hash=prompt_hash(row),
            prompt=row["prompt"],
            answer=str(row.get("answer", row.get(task.gold_column or "answer")) or ""),
            source=task.name,
            has_images=has_images(row),
        )
        for prompt_id, row in setting.rows().items()
    }
