"""Values that mean nothing are refused when a configuration is read, by their key; the docs say the ranges."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from commands import CONFIGS

from nearfuture.record import flat_yaml
from nearfuture.record.folder import RunFolder
from nearfuture.refusals import built_from, is_a_librarys, refusing
from nearfuture.run.origin import changed_configuration, digest
from nearfuture.run.settings.keys import RENAMED, with_former_names
from nearfuture.run.settings.load import check, load_configuration
from nearfuture.run.settings.ranges import BY_RANGE, CHOICES, LARGEST, RANGES
from nearfuture.types import UserError

TINY = CONFIGS / "tiny.yaml"
DOCUMENTED = (CONFIGS.parent.parent / "docs" / "configuration.md").read_text()


def refused(**values: Any) -> str:
    overrides = [f"{key}={flat_yaml.dump({'v': value})[3:].strip()}" for key, value in values.items()]
    with pytest.raises(UserError) as error:
        load_configuration(TINY, overrides)
    return str(error.value)


@pytest.mark.parametrize("key", RANGES)
def test_just_outside_of_a_range(key: str) -> None:
    found = RANGES[key]
    for end, is_out, step in ((found.low, found.is_low_out, -1), (found.high, found.is_high_out, 1)):
        if end is not None:
            value = end if is_out else end + step
            said = refused(**{key: value})
            assert said.startswith(f"{key}={value}") and (f"must be {found}" in said or "must be" in said), said


@pytest.mark.parametrize("key", CHOICES)
def test_a_word_that_is_none_of_the_known(key: str) -> None:
    assert refused(**{key: "something"}) == f"{key}='something' is not known. One of: {', '.join(CHOICES[key])}."


@pytest.mark.parametrize("value", [".nan", ".inf", "-.inf", "inf", "nan", "Infinity", "1e999"])
@pytest.mark.parametrize(
    "key", ["learning_rate", "max_pass_rate", "temperature", "autonpo.min_gain", "experience_frac"]
)
def test_every_number_is_finite(key: str, value: str) -> None:
    with pytest.raises(UserError, match=f"{key}=.* is not a finite number"):
        load_configuration(TINY, [f"{key}={value}"])


def test_a_section_of_autonpo_is_its_keys(tmp_path: Path) -> None:
    text = TINY.read_text().replace("\nautonpo", "\n# autonpo") + "\nautonpo: {mode: act, min_prompts: 5}\n"
    (tmp_path / "x.yaml").write_text(text)
    found = load_configuration(tmp_path / "x.yaml", ["autonpo.min_prompts=6"]).autonpo
    assert (found.mode, found.min_prompts) == ("act", 6)
    with pytest.raises(UserError, match=r"autonpo\.mode is set twice"):
        check({"autonpo": {"mode": "act"}, "autonpo.mode": "off"})
    assert "autonpo.mode=act" in refused(autonpo="act")


def test_home_is_home_in_every_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    run = load_configuration(TINY, ["run_dir=~/runs/x", "model=~/y", "task=~/own.py:make"]).run
    assert (run.run_dir, run.model, run.task) == (tmp_path / "runs/x", f"{tmp_path}/y", f"{tmp_path}/own.py:make")
    data = load_configuration(TINY, ["task=null", "dataset_name=~/rows.jsonl", "model=x"]).data
    assert data.dataset_name == f"{tmp_path}/rows.jsonl"


def test_what_people_call_things_is_answered() -> None:
    assert "Plain GRPO is npo without" in refused(method="grpo")
    assert "the folder you are in" in refused(run_dir=".")
    assert "Set use_peft" in refused(lora_r=8)
    load_configuration(TINY, ["lora_r=8", "use_peft=false"])  # switched off on purpose


def test_no_count_is_larger_than_anything() -> None:
    assert "Give at most" in refused(max_steps=LARGEST + 1)
    assert "Give at most" in refused(generation_kwargs={"a": [LARGEST + 1]})


@pytest.mark.parametrize("key", ["task", "model", "run_dir", "report_to", "dataset_name", "run_name"])
@pytest.mark.parametrize("value", ["", "  ", "a\x00b"])
def test_text_that_is_none(key: str, value: str) -> None:
    assert refused(**{key: value}).startswith(f"{key}=")


@pytest.mark.parametrize("override", ["=1", "seed", "seed=[1,", "seed=!!int x", "seed={a: *b}", "seed=" + "[" * 3000])
def test_an_override_that_is_none(override: str) -> None:
    with pytest.raises(UserError, match=r"not an override|not YAML|seed="):
        load_configuration(TINY, [override])


@pytest.mark.parametrize(
    "text", [b"\xff\xfe\x00", b"a: [1,", b"- 1", b"1: 2", b"[" * 3000, b"\x00", b"a: !!python/object:x {}"]
)
def test_a_file_that_is_no_configuration(text: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_bytes(text)
    with pytest.raises(UserError, match=r"x\.yaml"):
        load_configuration(tmp_path / "x.yaml")


def test_the_documentation_says_the_ranges() -> None:
    for found, keys in BY_RANGE:
        assert f"| {found} | {', '.join(f'`{key}`' for key in keys.split())} |" in DOCUMENTED
    for key, words in CHOICES.items():
        assert f"| `{key}` | {', '.join(f'`{word}`' for word in words)} |" in DOCUMENTED


def test_what_a_library_refuses_is_told_with_the_keys_without_which_it_works() -> None:
    import datasets

    def build(settings: dict[str, Any]) -> Any:
        return datasets.Dataset.from_dict({key: [1] * value for key, value in settings.items()})

    with pytest.raises(UserError) as error:
        built_from(build, {"a": 2, "b": 2, "c": 3}, "rows do not fit")
    assert str(error.value).startswith("rows do not fit: ") and str(error.value).endswith("Set here: c=3.")


def test_a_bug_of_ours_passes() -> None:
    """Inside a library's call, but raised by our own code: no refusal."""
    own: dict[str, Any] = {}
    with pytest.raises(KeyError, match="missing"), refusing("never said", {"a": 1}):
        own["missing"]
    try:
        flat_yaml.dump(own["missing"])
    except KeyError as error:
        assert not is_a_librarys(error)


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_a_key_goes_on_working_under_the_name_it_had(old: str, new: str, caplog: pytest.LogCaptureFixture) -> None:
    """In a file and on the command line; it says what the key is called now."""
    assert RANGES[new].holds(1) and f"`{new}`" in DOCUMENTED and f"`{old}`" in DOCUMENTED
    config = load_configuration(TINY, [f"{old}=1"])
    assert config.as_dict()[new] == 1 and old not in config.as_dict()
    assert f"{old} is called {new} now" in caplog.text
    assert refused(**{old: -1}).startswith(f"{new}=-1")


def test_a_key_has_one_name_at_a_time() -> None:
    with pytest.raises(UserError, match="guidance_steps now, and both are set"):
        check({"replay_steps": 1, "guidance_steps": 2})


def test_a_run_that_was_begun_under_an_old_name_is_the_same_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = load_configuration(TINY, [f"run_dir={tmp_path}", "guidance_steps=4"])
    text = flat_yaml.dump(with_former_names(config.as_dict()))
    (tmp_path / "lineage.json").touch()
    RunFolder(tmp_path).write("config.yaml", text)
    assert "replay_steps: 4" in text and load_configuration(tmp_path / "config.yaml") == config
    changed_configuration(RunFolder(tmp_path), config, {"config": digest(config)})
    assert not caplog.text, "nobody can change what a run has written"


@pytest.mark.parametrize("half", ["bf16", "fp16"])
def test_a_static_cache_in_two_precisions_is_refused(half: str) -> None:
    keys = ["task=apprentice", "run_dir=runs/x", "max_steps=2", f"{half}=true"]
    dtype = {"bf16": "bfloat16", "fp16": "float16"}[half]
    with pytest.raises(UserError, match=f"a static cache has room for one. Set dtype={dtype}"):
        load_configuration(None, [*keys, "cache_implementation=static"])
    load_configuration(None, [*keys, "cache_implementation=static", f"dtype={dtype}"])
    load_configuration(None, [*keys, "cache_implementation=dynamic"])
