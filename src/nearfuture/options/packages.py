"""Which settings need a package, and whether it is installed here. Packages are looked up, not imported.

Not here: packages that are installed but do not work on this machine (`nearfuture.train.needs`).
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple


class Need(NamedTuple):
    """A setting that needs a package; any one of its modules is enough."""

    key: str
    is_set: Callable[[Any], bool]
    modules: tuple[str, ...]
    package: str
    remedy: str

    def absent(self, settings: Mapping[str, Any]) -> str:
        """The message if the setting is set and the package is missing."""
        value = settings[self.key]
        return (
            f"{self.key}={value} needs {self.package}, which is not installed here: {self.remedy}. Or leave "
            f"{self.key} out."
        )

    def is_found(self) -> bool:
        """True if one of the modules is installed."""
        return any(importlib.util.find_spec(module) is not None for module in self.modules)


NEEDS = (
    Need("use_vllm", bool, ("vllm",), "vLLM", "pip install -c constraints.txt -e '.[vllm]'"),
    Need("use_liger_kernel", bool, ("liger_kernel",), "liger-kernel", "pip install liger-kernel"),
    Need("load_in_4bit", bool, ("bitsandbytes",), "bitsandbytes", "pip install bitsandbytes"),
    Need("load_in_8bit", bool, ("bitsandbytes",), "bitsandbytes", "pip install bitsandbytes"),
    Need(
        "attn_implementation",
        lambda value: value == "flash_attention_2",
        ("flash_attn",),
        "flash-attn and a GPU",
        "pip install flash-attn",
    ),
    Need(
        "cache_implementation",
        lambda value: value == "quantized",
        ("optimum", "hqq"),
        "optimum-quanto or hqq",
        "pip install optimum-quanto",
    ),
)
REPORTERS = ("wandb", "trackio", "mlflow", "swanlab", "comet_ml", "clearml", "dvclive", "codecarbon")
"""Values of `report_to` that have the name of the module they need."""


def absent(settings: Mapping[str, Any]) -> Iterator[str]:
    """Say what is not installed here, one sentence per setting."""
    for need in NEEDS:
        if need.is_set(settings.get(need.key)) and not need.is_found():
            yield need.absent(settings)
    given = settings.get("report_to") or []
    for name in [given] if isinstance(given, str) else given:
        if name in REPORTERS and importlib.util.find_spec(name) is None:
            yield f"report_to={name} needs {name}, which is not installed here: pip install {name}. Or leave it out."
