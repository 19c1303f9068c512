"""What is fuzzed: a kind is a function from a seeded generator to the commands of one case, in a folder of its own.

Every command must end with an exit code of the documentation and without a traceback, and one that is refused must
leave what it was given as it was.

Not here: the values (`fuzz_values`), running the cases (`fuzz_runner`).
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints

import fuzz_values as values
import pyarrow as pa
import pyarrow.parquet as pq
from commands import CONFIGS, MODEL
from run_folders import auto_run, grpo_run, npo_run

from nearfuture.guidance import GuidanceCache
from nearfuture.guidance.header import CacheHeader, CollectionCounts, digest
from nearfuture.method.trigger_config import TriggerConfig
from nearfuture.options.data import DataConfig
from nearfuture.run.settings.config import AutoNPOConfig, RunConfig
from nearfuture.train.npo_config import ModelConfig, NPOConfig
from nearfuture.types import Guidance, PolicyRef, Sampling, Verdict
from nearfuture.verify.choices import read_options
from nearfuture.verify.decide import Case, ask, decide
from nearfuture.verify.numbers import read_tolerance
from nearfuture.verify.verifier import Item

Command = list[str] | Callable[[], object]
Kind = Callable[[random.Random, Path], list[Command]]

TINY = str(CONFIGS / "tiny.yaml")
SMALL = ["max_steps=2", "scout_steps=0", "guide_step=null", "rollback_to=null", "eval_every=0"]
SMALL += ["per_device_train_batch_size=8", "num_generations=4", "max_completion_length=4"]
HINTS: dict[str, Any] = {
    name: hint
    for source, prefix in (
        (ModelConfig, ""),
        (NPOConfig, ""),
        (DataConfig, ""),
        (RunConfig, ""),
        (AutoNPOConfig, "autonpo."),
        (TriggerConfig, "autonpo."),
    )
    for name, hint in ((f"{prefix}{key}", hint) for key, hint in get_type_hints(source).items())
}
KEYS = sorted(HINTS)
SPEAKS_TO_SERVERS = ("push_to_hub", "hub_", "trackio", "vllm_server", "log_completions_hub_repo", "ddp_", "local_rank")
"""Keys whose values are addresses: what answers there is not ours to try."""


def configurations(rng: random.Random, folder: Path) -> list[Command]:
    """One to three keys with any value, typed or written, and the dry run of it."""
    return [["train", *_configured(rng, folder), "--dry-run"]]


def starts(rng: random.Random, folder: Path) -> list[Command]:
    """The same, begun in earnest: two steps of the smallest model."""
    return [["train", *_configured(rng, folder, num_keys=1), "--quiet"]]


def plans(rng: random.Random, folder: Path) -> list[Command]:
    """A plan on paper of any configuration, for any machine."""
    hints = {"gpus": int, "nodes": int, "gpu-memory": float, "sharding": str, "tokens-per-second": float}
    hints |= {"teraflops": float, "prompt-tokens": int, "completion-tokens": int, "images": int}
    options = [f"--{name}={values.value_for(rng, hints[name])}" for name in rng.sample(sorted(hints), 2)]
    return [["plan", *_configured(rng, folder), *(option.replace("\x00", "") for option in options)]]


def _configured(rng: random.Random, folder: Path, num_keys: int = 3) -> Command:
    keys = [key for key in KEYS if not key.startswith(SPEAKS_TO_SERVERS) and key != "run_dir"]
    drawn = [values.override(rng, key, HINTS[key]) for key in rng.sample(keys, rng.randint(1, num_keys))]
    run_dir = f"run_dir={folder / 'run'}"
    if rng.random() < 0.8:
        return [TINY, run_dir, *SMALL, *drawn]
    written = {key: values.value_for(rng, HINTS[key]) for key in rng.sample(keys, rng.randint(1, num_keys))}
    (folder / "config.yaml").write_bytes(values.dumped(rng, {"task": "apprentice", "max_steps": 2, **written}))
    return [str(folder / "config.yaml"), run_dir, *SMALL]


ROWS: tuple[dict[str, Any], ...] = (
    {"question": "What is 1 + 1?", "answer": "2"},
    {"problem": "What is 1 + 1?", "solution": "It is \\boxed{2}.", "answer": "2"},
    {"prompt": "1+1=", "answer": "2"},
    {"prompt": [{"role": "user", "content": "1+1="}], "answer": "2"},
    {
        "data_source": "x",
        "prompt": [{"role": "user", "content": "1+1="}],
        "reward_model": {"style": "rule", "ground_truth": "2"},
        "extra_info": {"index": 0},
    },
    {
        "problem_id": 1,
        "problem": "1+1?",
        "options": ["A. 1", "B. 2"],
        "solution": "<answer>B</answer>",
        "data_type": "text",
    },
    {"messages": [{"role": "user", "content": "1+1?"}, {"role": "assistant", "content": "2"}], "difficulty": 0.5},
)


def data(rng: random.Random, folder: Path) -> list[Command]:
    """A file of rows of a known form, some of them changed, as JSON lines, JSON, CSV or parquet."""
    row = rng.choice(ROWS)
    rows = [values.changed(rng, row) if rng.random() < 0.5 else dict(row, id=i) for i in range(rng.randrange(4))]
    path = folder / f"rows{rng.choice(('.jsonl', '.json', '.csv', '.parquet', '.txt', ''))}"
    _write_rows(rng, path, rows)
    config = [TINY, "task=null", f"dataset_name={path}", f"run_dir={folder / 'run'}"]
    config += [f"model={MODEL}"] if rng.random() < 0.3 else []
    more = [
        values.override(rng, key, HINTS[key]) for key in rng.sample([k for k in KEYS if k.startswith("dataset_")], 1)
    ]
    return [["data", "check", *config, *(more if rng.random() < 0.3 else [])]]


def _write_rows(rng: random.Random, path: Path, rows: list[Any]) -> None:
    if path.suffix == ".parquet":
        try:
            pq.write_table(pa.Table.from_pylist(rows), path)
        except (pa.ArrowException, TypeError, ValueError, OverflowError, AttributeError):
            path.write_bytes(b"PAR1")
        path.write_bytes(values.damaged(rng, path.read_bytes()) if rng.random() < 0.3 else path.read_bytes())
    elif path.suffix == ".json":
        path.write_bytes(values.dumped(rng, rows))
    else:
        path.write_bytes(b"\n".join(values.dumped(rng, row) for row in rows))


TRACES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("luffy", {"prompt": [{"role": "user", "content": "(1+2)="}], "target": [{"role": "assistant", "content": "3"}]}),
    ("rlep", {"prompt": "(1+2)=", "reward_model": {"ground_truth": "3", "candidates": ["3", "4"]}}),
    ("easyvideor1", {"prompt": "(1+2)=", "has_offline_trajectory": True, "offline_output": "3"}),
    (
        "jsonl",
        {
            "prompt_id": "a",
            "prompt_hash": "b",
            "completion": "3",
            "completion_ids": [1, 2],
            "behavior_logps": [-1.0, -2.0],
        },
    ),
)


def traces(rng: random.Random, folder: Path) -> list[Command]:
    """Trajectories of another framework, some of them changed, imported."""
    name, row = rng.choice(TRACES)
    rows = [values.changed(rng, row) for _ in range(rng.randrange(4))]
    path = folder / f"traces{rng.choice(('.jsonl', '.json', '.parquet'))}"
    _write_rows(rng, path, rows)
    return [["guide", "import", str(path), "--format", name, "--output", str(folder / "cache"), "--config", TINY]]


def caches(rng: random.Random, folder: Path) -> list[Command]:
    """A cache whose header or table was changed or damaged: shown, verified, exported."""
    cache = folder / "cache"
    sampling = Sampling(max_completion_length=512)
    header = CacheHeader("0" * 16, (0,), "1", sampling, PolicyRef(0, 1, "x"), CollectionCounts(3, 3, 8))
    GuidanceCache.write(cache, header, [(_guidance(name), "3") for name in "abc"])
    path = cache / rng.choice(("header.json", "guidance.parquet"))
    if path.suffix == ".json" and rng.random() < 0.8:
        fields = values.changed(rng, {k: v for k, v in json.loads(path.read_text()).items() if k != "checksum"})
        path.write_text(_signed(fields))
    elif path.suffix == ".parquet" and rng.random() < 0.6:
        _rewrite_table(rng, cache)
    else:
        path.write_bytes(values.damaged(rng, path.read_bytes()))
    export = ["guide", "export", str(cache), "--format", rng.choice(("luffy", "jsonl", "rlep")), "--config", TINY]
    commands = [
        ["guide", "show", str(cache)],
        ["guide", "verify", str(cache), *(["--config", TINY] if rng.random() < 0.5 else [])],
        [*export, "--output", str(folder / "rows.jsonl")],
    ]
    return [rng.choice(commands)]


def _guidance(name: str) -> Guidance:
    return Guidance(name, name * 8, (4, 5, 0), (-1.0, -0.5, -0.1), 0, 1, Verdict.CORRECT, 2, 1)


def _signed(fields: dict[str, Any]) -> str:
    try:
        return json.dumps({**fields, "checksum": digest(fields)})
    except (ValueError, TypeError):
        return json.dumps({**fields, "checksum": ""})


def _rewrite_table(rng: random.Random, cache: Path) -> None:
    """A table that Arrow reads and no collection wrote, with a header that fits its size."""
    path = cache / "guidance.parquet"
    rows = values.changed(rng, pq.read_table(path).to_pylist())
    try:
        pq.write_table(pa.Table.from_pylist(rows), path)
    except (pa.ArrowException, TypeError, ValueError, OverflowError, AttributeError):
        path.write_bytes(b"PAR1")
    fields = json.loads((cache / "header.json").read_text())
    del fields["checksum"]
    (cache / "header.json").write_text(_signed({**fields, "num_bytes": path.stat().st_size, "num_entries": len(rows)}))


def lineages(rng: random.Random, folder: Path) -> list[Command]:
    """A run folder whose lineage, configuration or environment was changed or damaged: told, drawn, gone on with."""
    run = rng.choice((grpo_run, npo_run, auto_run))(folder / "run")
    name = rng.choice(("lineage.json", "lineage.json", "lineage.json", "config.yaml", "env.json"))
    path = run / name
    if name == "config.yaml":
        path.write_bytes(values.damaged(rng, path.read_bytes()))
    elif rng.random() < 0.8:
        path.write_text(json.dumps(values.changed(rng, json.loads(path.read_text()))))
    else:
        path.write_bytes(values.damaged(rng, path.read_bytes()))
    commands = [
        ["report", str(run)],
        ["explain", str(run), "--json", str(folder / "facts.json")],
        ["advise", str(run)],
        ["signal", str(run), "--num-prompts", "4"],
        ["evaluate", str(run), "--suite", "task", "--limit", "1", "--num-samples", "1"],
        ["train", TINY, f"run_dir={run}", *SMALL, "--resume", "--quiet"],
    ]
    return [rng.choice(commands)]


def logs(rng: random.Random, folder: Path) -> list[Command]:
    """A run folder whose metrics, events or samples were changed or damaged: told and drawn."""
    run = rng.choice((grpo_run, npo_run, auto_run))(folder / "run")
    path = run / f"{rng.choice(('metrics', 'events', 'samples'))}.jsonl"
    lines = path.read_text().splitlines() or ["{}"]
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(lines))
        lines[at] = json.dumps(values.changed(rng, _object(lines[at])))
    path.write_bytes("\n".join(lines).encode())
    if rng.random() < 0.3:
        path.write_bytes(values.damaged(rng, path.read_bytes()))
    commands = [
        ["report", str(run)],
        ["explain", str(run), "--json", str(folder / "facts.json")],
        ["advise", str(run)],
    ]
    return [rng.choice(commands)]


def _object(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return {}


def foreign_logs(rng: random.Random, folder: Path) -> list[Command]:
    """A log of another trainer, changed or damaged."""
    rows = [{"step": i, "reward": i / 50, "entropy": 1 - i / 90, "data": {"x": 1}} for i in range(40)]
    name = rng.choice(
        ("log.jsonl", "trainer_state.json", "log.csv", "log.json", "events.out.tfevents.1", "log.txt", "log")
    )
    path = folder / name
    if name.endswith("csv"):
        lines = ["step,reward,entropy", *(f"{row['step']},{row['reward']},{row['entropy']}" for row in rows)]
        path.write_bytes(values.damaged(rng, "\n".join(lines).encode()))
    elif "tfevents" in name:
        shutil.copy(Path(__file__).parent / "data" / "events.out.tfevents.torch", path)
        path.write_bytes(values.damaged(rng, path.read_bytes()))
    elif name.endswith("json"):
        path.write_bytes(values.dumped(rng, values.changed(rng, {"log_history": rows, "global_step": 40})))
    else:
        changed = [values.changed(rng, row) if rng.random() < 0.2 else row for row in rows]
        path.write_bytes(b"\n".join(values.dumped(rng, row) for row in changed))
    options = {
        "min-stretch": int,
        "min-evidence": float,
        "patience": int,
        "warmup": int,
        "cooldown": int,
        "reward": str,
    }
    drawn = [f"--{name}={values.value_for(rng, options[name])}" for name in rng.sample(sorted(options), 1)]
    log = folder if rng.random() < 0.2 else path
    return [["advise", str(log), *(option.replace("\x00", "") for option in drawn if rng.random() < 0.3)]]


def paths(rng: random.Random, folder: Path) -> list[Command]:
    """Every command with a file for a folder, a folder for a file, nothing, something binary, cut off or empty."""
    wrong = _wrong_paths(rng, folder)
    one = lambda: str(rng.choice(wrong))  # noqa: E731
    forms: tuple[Command, ...] = (
        ["train", one()],
        ["train", TINY, f"run_dir={one()}", *SMALL, f"model={one()}"],
        ["train", TINY, f"run_dir={one()}", *SMALL, "--dry-run"],
        ["train", TINY, f"run_dir={folder / 'run'}", *SMALL, f"task={one()}:make"],
        ["train", TINY, f"run_dir={folder / 'run'}", *SMALL, "source=traces", f"traces={one()}"],
        ["train", TINY, f"run_dir={folder / 'run'}", *SMALL, "task=null", f"dataset_name={one()}"],
        ["plan", one()],
        ["plan", TINY, f"model={one()}", f"--json={one()}"],
        ["compare", one()],
        ["report", one()],
        ["report", one(), one(), "--output", one()],
        ["evaluate", one(), "--suite", rng.choice(("task", "mathvista", one()))],
        ["evaluate", str(MODEL), "--suite", one(), "--output", one(), "--limit", "1"],
        ["data", "check", one()],
        ["data", "check", TINY, "task=null", f"dataset_name={one()}", f"verifier={one()}:f", "--benchmarks", one()],
        ["data", "difficulty", TINY, "task=null", f"dataset_name={one()}", "--output", one()],
        ["guide", "collect", TINY, "--guide", one(), "--output", one()],
        ["guide", "collect", one(), "--guide", str(MODEL), "--output", one()],
        ["guide", "show", one()],
        ["guide", "verify", one(), "--config", one()],
        ["guide", "import", one(), "--format", "luffy", "--output", one(), "--config", TINY],
        ["guide", "import", one(), "--format", "jsonl", "--output", one(), "--like", one()],
        ["guide", "export", one(), "--format", "jsonl", "--output", one()],
        ["signal", one(), "--output", one()],
        ["signal", one(), "--config", one(), "--json", one()],
        ["explain", one(), "--output", one(), "--json", one()],
        ["advise", one(), "--json", one()],
    )
    return [rng.choice(forms)]


def _wrong_paths(rng: random.Random, folder: Path) -> list[Path]:
    (folder / "empty").touch()
    (folder / "empty.yaml").touch()
    (folder / "binary.yaml").write_bytes(rng.randbytes(300))
    (folder / "binary.jsonl").write_bytes(rng.randbytes(300))
    (folder / "latin.py").write_bytes("def make():\n    return 'caf\xe9'".encode("latin-1"))
    (folder / "broken.py").write_text("def make(:\n")
    (folder / "raises.py").write_text("def make():\n    return 1 / 0\n")
    (folder / "empty_folder").mkdir()
    run = npo_run(folder / "a_run")
    (folder / "half_model").mkdir()
    shutil.copy(MODEL / "config.json", folder / "half_model")
    shutil.copytree(MODEL, folder / "model")
    weights = (MODEL / "model.safetensors").read_bytes()
    cut = folder / "cut_model"
    shutil.copytree(MODEL, cut)
    (cut / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    names = ["empty", "empty.yaml", "binary.yaml", "binary.jsonl", "latin.py", "broken.py", "raises.py", "empty_folder"]
    names += ["half_model", "cut_model", "not/there", "empty/below_a_file", "x" * 300, "a_run", "a_run/metrics.jsonl"]
    names += ["a_run/lineage.json"]
    return [
        *(folder / name for name in names),
        folder / "model",
        run,
        Path("/proc/self/mem"),
        Path("/proc/nowhere"),
    ]


def studies(rng: random.Random, folder: Path) -> list[Command]:
    """A comparison whose file was changed so that it must be refused, or is damaged."""
    study = {
        "base": {"task": "apprentice", "max_steps": 2, "per_device_train_batch_size": 8, "num_generations": 4},
        "methods": {"grpo": {}, "early": {"scout_steps": 1}},
        "run_dir": str(folder / "study"),
        "num_seeds": 1,
        "test_num_samples": 1,
        "pass_at": [1],
        "reference": "early",
    }
    study = values.changed(rng, study)
    study["no_such_key"] = 1  # whatever it says, it is not run
    (folder / "study.yaml").write_bytes(values.dumped(rng, study))
    return [["compare", str(folder / "study.yaml"), f"num_seeds={values.value_for(rng, int)}"]]


ANSWER_KINDS = ("math", "numeric", "mcq", "bool", "text", "list", "nonsense")


def responses(rng: random.Random, folder: Path) -> list[Command]:
    """A response and a gold answer of pieces that meet nowhere else, judged by the rules."""

    def text() -> str:
        return rng.choice(("", " ", "\n")).join(rng.choice(values.ANSWERS) for _ in range(rng.randrange(1, 7)))

    gold = text() if rng.random() < 0.8 else values.value(rng)
    options = values.value(rng) if rng.random() < 0.3 else rng.choice((None, ["1", "2"], {"A": "1", "B": "2"}))
    item = Item(text(), gold, rng.choice(ANSWER_KINDS), options, values.value(rng) if rng.random() < 0.2 else None)
    is_strict = rng.random() < 0.5
    return [lambda: by_rules(item, is_strict=is_strict)]


def by_rules(item: Item, *, is_strict: bool) -> None:
    """What the verifier does before it asks a worker; there an exception would be told as a crash."""
    options, tolerance = read_options(item.options), read_tolerance(item.tolerance)
    case = ask(item.response, str(item.gold), item.kind, options, tolerance, is_strict)
    if isinstance(case, Case):
        decide(case)


KINDS: dict[str, Kind] = {
    "responses": responses,
    "configurations": configurations,
    "starts": starts,
    "plans": plans,
    "data": data,
    "traces": traces,
    "caches": caches,
    "lineages": lineages,
    "logs": logs,
    "foreign_logs": foreign_logs,
    "paths": paths,
    "studies": studies,
}
