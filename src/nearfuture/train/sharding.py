"""FSDP2: a policy that is only sampled and scored is divided among the processes as training divides it.

A trainer shards its model when `train()` begins. Guides, probes and comparisons never call it; their weights would lie
whole on every device, and TRL could not hand them to vLLM, which it reads shard by shard.

Not here: what FSDP does while a policy trains (accelerate), who else refuses it (`distill`).
"""

from __future__ import annotations

from accelerate import FullyShardedDataParallelPlugin
from accelerate.utils import fsdp2_prepare_model
from torch import nn
from torch.distributed.fsdp import FSDPModule, StateDictType, register_fsdp_forward_method
from trl import GRPOTrainer

from nearfuture.types import UserError


def place(trainer: GRPOTrainer) -> None:
    """Put a model that will not train where training would put it: on its device, or in shards on all of them.

    Raises:
        UserError: FSDP is set up in a way that a run cannot go back with.
    """
    if not trainer.is_fsdp_enabled:
        trainer.model.to(trainer.args.device)
        return
    check(trainer.accelerator.state.fsdp_plugin)
    trainer.model = trainer.model_wrapped = fsdp2_prepare_model(trainer.accelerator, trainer.model)
    register_fsdp_forward_method(trainer.model, "generate")


def reshard(model: nn.Module) -> None:
    """Give back what a forward pass without a backward pass has gathered, so that every weight is a shard again."""
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


def check(plugin: FullyShardedDataParallelPlugin) -> None:
    """Refuse what a run cannot go back with.

    Guides, rollback points and the final policy are read in one piece, and what is sampled is sharded by FSDP2 only.

    Raises:
        UserError: with the setting to change.
    """
    if plugin.fsdp_version != 2:
        raise UserError(
            f"fsdp_version={plugin.fsdp_version} is not supported. Set fsdp_version: 2 in the file you give to "
            "accelerate, as recipes/accelerate_4x8.yaml does."
        )
    if plugin.state_dict_type is not StateDictType.FULL_STATE_DICT:
        raise UserError(
            f"fsdp_state_dict_type={plugin.state_dict_type.name}: checkpoints would be shards, from which no guide can "
            "be loaded. Set fsdp_state_dict_type: FULL_STATE_DICT in the file you give to accelerate, as "
            "recipes/accelerate_4x8.yaml does."
        )
