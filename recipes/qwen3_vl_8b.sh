#!/usr/bin/env bash
# The paper's recipe: train one method on Qwen3-VL-8B-Instruct and MMFineReason-123K, then ask the eight benchmarks.
#
#   recipes/qwen3_vl_8b.sh npo_early                        4 nodes x 8 GPUs: start it on every node, with NODE_RANK
#   SETUP=1x8 recipes/qwen3_vl_8b.sh autonpo                one node of 8 GPUs, the same update
#   SETUP=1x1 recipes/qwen3_vl_8b.sh npo_early              one GPU: LoRA on a smaller model (MODEL_SIZE=2b or 4b)
#   recipes/qwen3_vl_8b.sh npo_early save_steps=20          further key=value go to `nearfuture train`
#
# Methods: grpo npo_early npo_early_late autonpo luffy exgrpo rlep (SETUP=1x1: npo_early).
#
# Environment
#   SETUP         4x8 (default), 1x8 or 1x1
#   MODEL_SIZE    2b (default) or 4b, for SETUP=1x1
#   NODE_RANK     4x8: rank of this node, 0 to 3; taken from SLURM_NODEID where that is set
#   MAIN_ADDRESS  4x8: host name of the node with rank 0
#   MAIN_PORT     4x8: a free port there (default 29500)
#   RUN_DIR       folder of the run, on a disk that all nodes share (default: runs/paper/<method>)
#   SHARED_DISK_DELAY  4x8: seconds after a stage until every node sees what the first one wrote (default 60)
#   ONE_STAGE     1: a fresh process, and with it a fresh vLLM engine, for every stage (default: one for the whole run)
#   SUITES        suites of the final evaluation (default: paper, all eight); empty leaves it out
#   PYTHON        interpreter with nearfuture and its extra vllm (default: python)
#
# Started again with the same arguments it goes on where the run stopped. What it needs, and what it costs:
#   nearfuture plan configs/paper/qwen3_vl_8b_npo_early.yaml --nodes 4 --gpus 8 --gpu-memory 140 --sharding fsdp2
# The model and the data set are downloaded first (docs/recipes.md).
set -euo pipefail

readonly HERE="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
readonly ROOT="$(dirname "$HERE")"
readonly METHOD="${1:?which method? For example: recipes/qwen3_vl_8b.sh npo_early}"
shift
readonly SETUP="${SETUP:-4x8}"
readonly PYTHON="${PYTHON:-python}"
readonly SUITES="${SUITES-paper}"

case "$SETUP" in
  4x8) name="qwen3_vl_8b_$METHOD" settings=() ;;
  # 2 a device x 128 x 8 devices = 2048 rollouts an update, as 2 x 32 x 32 are.
  1x8) name="qwen3_vl_8b_$METHOD" settings=(gradient_accumulation_steps=128) ;;
  1x1) name="qwen3_vl_${MODEL_SIZE:-2b}_lora_$METHOD" settings=() ;;
  *) echo "SETUP=$SETUP is not known. One of: 4x8, 1x8, 1x1." >&2; exit 2 ;;
esac
readonly CONFIG="$ROOT/configs/paper/$name.yaml"
if [[ ! -f "$CONFIG" ]]; then
  echo "$CONFIG does not exist. Methods: see the head of this file." >&2
  exit 2
fi
readonly RUN_DIR="${RUN_DIR:-$ROOT/runs/paper/$name}"

launch=(accelerate.commands.launch --config_file "$HERE/accelerate_$SETUP.yaml")
rank=0
if [[ "$SETUP" == 4x8 ]]; then
  rank="${NODE_RANK:-${SLURM_NODEID:?set NODE_RANK to the rank of this node, 0 to 3}}"
  launch+=(--machine_rank "$rank" --main_process_port "${MAIN_PORT:-29500}")
  launch+=(--main_process_ip "${MAIN_ADDRESS:?set MAIN_ADDRESS to the host name of the node with rank 0}")
fi

# LUFFY's teacher: the traces that the data set ships, one file that all nodes see.
if [[ "$METHOD" == luffy ]]; then
  traces="$ROOT/data/mmfinereason_traces.jsonl"
  if [[ "$rank" == 0 && ! -f "$traces" ]]; then
    "$PYTHON" "$HERE/teacher_traces.py" --output "$traces"
  fi
  until [[ -f "$traces" ]]; do sleep 10; done
  settings+=("traces=$traces")
fi

# All stages share a process and its vLLM engine, whose start takes minutes. Nobody has seen on a GPU that this leaves enough
# memory; if it does not, start the script again with ONE_STAGE=1. --resume begins a run that is not there yet, so that all
# nodes can say the same.
stages=()
if [[ "${ONE_STAGE:-}" == 1 ]]; then
  stages=(--one-stage)
fi
until [[ -d "$RUN_DIR/final" ]]; do
  "$PYTHON" -m "${launch[@]}" -m nearfuture train "$CONFIG" "run_dir=$RUN_DIR" "${settings[@]}" "$@" --resume "${stages[@]}"
  if [[ "$SETUP" == 4x8 ]]; then
    sleep "${SHARED_DISK_DELAY:-60}"
  fi
done

if [[ -n "$SUITES" && "$rank" == 0 ]]; then
  "$PYTHON" -m nearfuture evaluate "$RUN_DIR" --suite "$SUITES" use_vllm=true
fi
