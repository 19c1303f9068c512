"""FSDP2 and DeepSpeed: which setups allow going back, and how a policy that is not trained is spread over devices.

A trainer shards its model when `train()` begins. Guides, probes and comparisons never call it, so their weights would
be whole on every device, and TRL could not pass them to vLLM, since it reads them shard by shard. Under FSDP2 they are
divided as in training. DeepSpeed's ZeRO 3 gathers weights only for what it trains, so such a run can only train.

Not here: what FSDP does while a policy trains (accelerate), who else refuses it (`distill`).
"""

from __future__ import annotations

from typing import Any

from accelerate import FullyShardedDataParallelPlugin, PartialState
from accelerate.utils import DistributedType, fsdp2_prepare_model, parse_flag_from_env
from torch import nn
from torch.distributed.fsdp import FSDPModule, StateDictType, register_fsdp_forward_method
from transformers import TrainingArguments
from trl import GRPOTrainer

from nearfuture.types import UserError


def place(trainer: GRPOTrainer) -> None:
    """Place a model that will not train as training would: on its device, or in shards on all devices.

    Raises:
        UserError: FSDP or DeepSpeed is set up in a way that a run cannot go back with.
    """
    refuse_zero3(trainer.args)
    if not trainer.is_fsdp_enabled:
        trainer.model.to(trainer.args.device)
        return
    check(trainer.accelerator.state.fsdp_plugin)
    trainer.model = trainer.model_wrapped = fsdp2_prepare_model(trainer.accelerator, trainer.model)
    register_fsdp_forward_method(trainer.model, "generate")


def reshard(model: nn.Module) -> None:
    """Release what a forward pass without a backward pass has gathered, so that every weight is a shard again."""
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


def check(plugin: FullyShardedDataParallelPlugin) -> None:
    """Refuse setups with which a run cannot go back.

    Guides, rollback points and the final policy are read in one piece, and only FSDP2 can shard what is sampled.

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


def check_run(args: TrainingArguments, *, only_trains: bool, distils: bool) -> None:
    """Refuse, before a run begins, a setup in which it could not finish.

    Args:
        args: the arguments with what accelerate's launcher and `deepspeed` requested.
        only_trains: whether the run has no guide, probe or rollback.
        distils: whether a guide scores beside the policy.

    Raises:
        UserError: with the setting to change.
    """
    if args.deepspeed and (args.use_cpu or parse_flag_from_env("ACCELERATE_USE_CPU")):
        raise UserError(
            f"deepspeed={args.deepspeed} and a CPU (use_cpu, or ACCELERATE_USE_CPU in the environment): accelerate "
            "leaves DeepSpeed out without a word and trains with plain DDP. Unset the one or the other."
        )
    plugin = fsdp_plugin(args)
    if plugin is not None:
        check(plugin)
        _refuse_on_cpu()
    if distils:
        refuse_distilling(is_sharded=args.deepspeed_plugin is not None or plugin is not None)
    if not only_trains:
        refuse_zero3(args)
    if is_zero3(args) and not _zero(args).get("stage3_gather_16bit_weights_on_model_save"):
        raise UserError(
            "ZeRO 3 without stage3_gather_16bit_weights_on_model_save: checkpoints would hold no weights in one piece, "
            "and there would be no final policy. Set it to true in DeepSpeed's configuration, or use stage 2."
        )


def fsdp_plugin(args: TrainingArguments) -> FullyShardedDataParallelPlugin | None:
    """Return FSDP's plugin, as the launcher's file or the setting `fsdp` defines it; None without FSDP.

    Raises:
        UserError: accelerate cannot do that here.
    """
    if args.fsdp_plugin_args is None and not parse_flag_from_env("ACCELERATE_USE_FSDP"):
        return None
    try:
        return FullyShardedDataParallelPlugin(**(args.fsdp_plugin_args or {}))
    except (RuntimeError, ValueError) as error:
        raise UserError(
            f"accelerate refuses what is set for FSDP here: {error} Set it in the file you give to accelerate as "
            "recipes/accelerate_1x8.yaml does."
        ) from None


def _refuse_on_cpu() -> None:
    if PartialState().distributed_type in (DistributedType.MULTI_CPU, DistributedType.NO):
        raise UserError(
            "FSDP on a CPU or with one process: accelerate leaves FSDP out without a word. Launch several processes "
            "with an accelerator each, or take a file without FSDP (recipes/accelerate_1x8_ddp.yaml)."
        )


def refuse_distilling(*, is_sharded: bool) -> None:
    """Refuse a guide beside a policy whose weights are sharded: it would have to be sharded as well.

    Raises:
        UserError: with the setting to change.
    """
    if is_sharded:
        raise UserError(
            "distill_coef needs the guide whole beside the policy, which DeepSpeed and FSDP shard. Train with DDP, or "
            "set distill_coef=0."
        )


def refuse_second_weights(key: str, *, is_sharded: bool) -> None:
    """Refuse to put other weights into the policy temporarily if its weights are sharded.

    Raises:
        UserError: with the setting to change.
    """
    if is_sharded:
        raise UserError(
            f"{key} needs the policy's weights whole on every device, which DeepSpeed and FSDP shard. Train with DDP, "
            f"or leave {key} at its default."
        )


def refuse_zero3(args: TrainingArguments) -> None:
    """Refuse ZeRO 3 if a policy is sampled or scored that is not trained.

    Raises:
        UserError: with the setting to change.
    """
    if is_zero3(args):
        raise UserError(
            "DeepSpeed's ZeRO 3 gathers weights for a policy that trains; guides, probes and comparisons only sample "
            "and score, which this run needs. Set zero_optimization.stage to 2 in DeepSpeed's configuration, shard "
            "with FSDP2 (recipes/accelerate_4x8.yaml), or leave out scout_steps, guide_step, resample_steps and "
            "autonpo."
        )


def is_zero3(args: TrainingArguments) -> bool:
    """True if DeepSpeed divides the weights themselves."""
    return _zero(args).get("stage") == 3


def _zero(args: TrainingArguments) -> dict[str, Any]:
    """The part of DeepSpeed's configuration about sharding; empty without DeepSpeed."""
    plugin = args.deepspeed_plugin
    found: dict[str, Any] = {} if plugin is None else plugin.deepspeed_config.get("zero_optimization", {})
    return found
