"""Keys that no option of the table sets, by the reason.

Not here: the options (`matrix_table`); keys that a configuration refuses anyway (`nearfuture.run.settings.keys`).
"""

from __future__ import annotations

EXCLUDED: dict[str, tuple[str, ...]] = {
    "the folder of the run, which every case sets for itself": ("run_dir",),
    "what a method sets; without one it is refused beside a guide, as the method is": ("source",),
    "one row per step: any other value is refused": ("logging_steps",),
    "a file that another command measures of the same task, which has a test of its own": ("task_difficulty",),
    "a configuration of a data set on the Hub, and there is no network in a test": ("dataset_config",),
    "vLLM, which needs an engine of its own": (
        *(
            "use_vllm",
            "vllm_dtype",
            "vllm_mode",
            "vllm_model_impl",
            "vllm_enable_sleep_mode",
            "vllm_structured_outputs_regex",
        ),
        *("vllm_server_base_url", "vllm_server_host", "vllm_server_port", "vllm_server_timeout", "vllm_group_port"),
        *("vllm_gpu_memory_utilization", "vllm_max_model_length", "vllm_tensor_parallel_size"),
        *("vllm_importance_sampling_correction", "vllm_importance_sampling_mode", "vllm_importance_sampling_cap"),
        *("vllm_importance_sampling_clip_max", "vllm_importance_sampling_clip_min"),
    ),
    "several processes, which have tests of their own": (
        *("deepspeed", "ds3_gather_for_generation", "fsdp", "fsdp_config", "parallelism_config", "local_rank"),
        *("ddp_backend", "ddp_broadcast_buffers", "ddp_bucket_cap_mb", "ddp_find_unused_parameters", "ddp_timeout"),
        *("ddp_static_graph", "average_tokens_across_devices", "log_on_each_node", "save_on_each_node"),
        "log_level_replica",
    ),
    "an accelerator, or a package that is installed for one": (
        *("fp16", "tf32", "torch_empty_cache_steps", "load_in_4bit", "load_in_8bit", "bnb_4bit_quant_type"),
        *("bnb_4bit_quant_storage", "use_bnb_nested_quant", "use_liger_kernel", "liger_kernel_config"),
        *("dataloader_pin_memory", "optim_target_modules"),
    ),
    "an informed self needs a column of the rows, branches exclude guides: both have tests of their own": (
        *("informed_strength", "informed_steps", "informed_clip", "informed_sync_steps", "informed_column"),
        *("informed_template", "informed_by", "parallel_branches", "parallel_own_steps", "parallel_peer_steps"),
        "parallel_column",
    ),
    "a compiler, which takes longer than all of the matrix": (
        *("torch_compile", "torch_compile_backend", "torch_compile_mode"),
    ),
    "the Hub or another service, and there is no network in a test": (
        *(
            "project",
            "trackio_space_id",
            "trackio_bucket_id",
            "trackio_static_space_id",
            "model_revision",
            "trust_remote_code",
        ),
    ),
    "mixtures of experts, or parameters that are no module, which no model here has": (
        *("router_aux_loss_coef", "lora_target_parameters"),
    ),
    "refused by TRL's configuration in its own words": ("auto_find_batch_size",),
    "an older name of another key": ("use_transformers_paged", "gradient_checkpointing_kwargs"),
    "an accelerator: on a CPU continuous batching is refused without it": ("transformers_continuous_batching_config",),
    "passed to the model as it is; what is in the table goes the same way": ("model_init_kwargs", "lora_task_type"),
    "what is printed or measured beside the run, with no part in it": (
        *("log_level", "debug", "skip_memory_metrics", "include_num_input_tokens_seen", "logging_nan_inf_filter"),
        *("enable_jit_checkpoint", "use_cache", "dataloader_in_order", "neftune_noise_alpha"),
    ),
}
