"""What a run would do, without doing it: the resolved configuration, the batch arithmetic, the stages, the disk.

Not here: the checks themselves (`nearfuture.run.config`, `nearfuture.run.disk`).
"""

from __future__ import annotations

from nearfuture.run import build, flat_yaml
from nearfuture.run.config import Configuration
from nearfuture.run.disk import disk_plan
from nearfuture.run.plan import segments_ahead
from nearfuture.train import factory


def dry_run_report(config: Configuration) -> str:
    """Resolve everything that can be resolved without loading a weight, as text.

    Raises:
        UserError: whatever would stop the run before its first step.
    """
    task = build.load_checked_task(config)
    build.check_needs(config, task)
    model = build.base_model(config, task)
    args = factory.make_args(config.run.run_dir, config.training)
    factory.check_batch(args, len(task.train))
    spans = segments_ahead(config)
    stages = [f"segment {i}: step {start} to {end}" for i, (start, end) in enumerate(spans)]
    total = sum(end - start for start, end in spans)
    lines = [
        flat_yaml.dump(config.as_dict()).rstrip(),
        "",
        f"model:  {model}",
        f"device: {args.device} (bf16={args.bf16}, gradient_checkpointing={args.gradient_checkpointing})",
        f"data:   {len(task.train)} training prompts, {len(task.evaluation)} held-out prompts",
        *(f"data:   {note}" for note in task.notes),
        f"batch:  {factory.batch_arithmetic(args)}",
        *(f"plan:   {stage}" for stage in stages),
        f"steps:  {config.max_steps} on the path, {total} paid for",
        f"disk:   {disk_plan(config, model, len(task.train))}",
    ]
    return "\n".join(lines)
