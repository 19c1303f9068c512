"""TRL's server mode without a server, which needs CUDA: the client's calls go to an engine of this process.

The channel for weights is vLLM's own on the trainer's side: it binds the port and keeps it. What goes through it is
handed over directly.

Not here: the laws (`test_vllm`).
"""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import vllm
from trl.generation.vllm_client import VLLMClient
from trl.generation.vllm_generation import extract_logprobs
from vllm.distributed.utils import StatelessProcessGroup

from nearfuture.train.vllm_training import engine_model


class StandIn:
    """A server around an engine.

    Args:
        engine: what answers.
    """

    def __init__(self, engine: vllm.LLM) -> None:
        self.engine = engine
        self.num_channels = 0

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Have every client of this process talk to it."""
        monkeypatch.setattr(VLLMClient, "check_server", lambda client, *args: None)
        monkeypatch.setattr(VLLMClient, "_get", lambda client, url, **kwargs: {"data": [{"id": "policy"}]})
        monkeypatch.setattr(VLLMClient, "get_server_info", lambda client: SERVER)
        monkeypatch.setattr(VLLMClient, "init_communicator", lambda client, device=0: self.open(client))
        monkeypatch.setattr(VLLMClient, "update_named_params", lambda client, metadata, pairs: self._load(pairs))
        monkeypatch.setattr(VLLMClient, "reset_prefix_cache", lambda client: self.engine.reset_prefix_cache())
        monkeypatch.setattr(VLLMClient, "generate", lambda client, **kwargs: self._generate(**kwargs))

    def open(self, client: VLLMClient) -> None:
        """Bind the port of the channel for weights, for as long as the client keeps it."""
        group = StatelessProcessGroup.create("127.0.0.1", client.group_port, 0, 1)
        client.communicator = SimpleNamespace(group=group)
        self.num_channels += 1

    def _load(self, pairs: Iterator[tuple[str, Any]]) -> None:
        engine_model(self.engine).load_weights(list(pairs))

    def _generate(
        self, prompts: list[list[int]], n: int, temperature: float, max_tokens: int, logprobs: int, **kwargs: Any
    ) -> dict[str, Any]:
        params = vllm.SamplingParams(n=n, temperature=temperature, max_tokens=max_tokens, logprobs=logprobs)
        asked = [{"prompt_token_ids": ids} for ids in prompts]
        outputs = self.engine.generate(asked, params, use_tqdm=False)
        logprobs_found, ids = extract_logprobs(outputs)
        return {
            "prompt_ids": prompts,
            "completion_ids": [one.token_ids for output in outputs for one in output.outputs],
            "logprobs": logprobs_found,
            "logprob_token_ids": ids,
        }


SERVER = {"model_config": {"logprobs_mode": "processed_logprobs"}, "weight_transfer_config": {"backend": "nccl"}}
