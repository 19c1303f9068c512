"""Make small stand-ins of the benchmarks: upstream's repositories, configurations and columns, with made-up questions.

    python scripts/build_benchmark_fixtures.py --output fixtures
    nearfuture evaluate fixtures/model --suite paper --data fixtures --num-samples 2 max_completion_length=16

Nothing in them comes from upstream: questions are sums, pictures are coloured squares. `fixtures/model` is a random
Qwen3-VL of 91 thousand parameters that reads bytes; it answers nonsense, which is enough to see every part work.

Not here: the real data (docs/evaluation.md says how to get it).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, Features, Image, List, Value
from PIL import Image as Pictures
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen3VLConfig, Qwen3VLForConditionalGeneration
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from nearfuture.train.vision.processor import Qwen3VLProcessor

Row = dict[str, Any]
LETTERS = "ABCDEFGHIJ"
TEXT, WHOLE, REAL, PICTURE = Value("string"), Value("int64"), Value("float64"), Image()
SPECIAL = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
    *("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"),
)
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% if message.content is string %}{{ message.content }}{% else %}{% for block in message.content %}"
    "{% if block.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ block.text }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def picture(number: int) -> Pictures.Image:
    """A square whose colour and size tell it from the others."""
    return Pictures.new("RGB", (24 + 8 * (number % 3), 24), (40 * number % 256, 200 - 20 * (number % 10), 90))


def sums(count: int, num_options: int) -> Iterator[tuple[str, list[str], int]]:
    """Questions with options, and the number of the right one."""
    for n in range(count):
        options = [str(n + 2 + shift) for shift in range(num_options)]
        yield f"How much is {n} plus 2?", options, 0


def mmmu_pro(count: int) -> dict[str, tuple[list[Row], Features]]:
    """Standard with ten options as the text of a list and up to seven images; vision without a question."""
    absent = {f"image_{number}": None for number in range(3, 8)}
    standard = [
        {"id": f"test_Sums_{n}", "question": f"{text} See <image 1> and <image 2>.", "options": repr(options)}
        | {"explanation": "", "image_1": picture(n), "image_2": picture(n + 1), **absent, "img_type": "['Photographs']"}
        | {"answer": LETTERS[right], "topic_difficulty": "Easy", "subject": "Sums"}
        for n, (text, options, right) in enumerate(sums(count, 10))
    ]
    vision = [
        {"id": f"test_Sums_{n}", "image": picture(n), "options": repr(options), "answer": LETTERS[right]}
        | {"subject": "Sums"}
        for n, (_, options, right) in enumerate(sums(count, 10))
    ]
    texts = ("id", "question", "options", "explanation", "img_type", "answer", "topic_difficulty", "subject")
    images = {f"image_{number}": PICTURE for number in range(1, 8)}
    return {
        "standard (10 options)": (standard, Features({**dict.fromkeys(texts, TEXT), **images})),
        "vision": (vision, features("id options answer subject", image=PICTURE)),
    }


def mathvista(count: int) -> list[Row]:
    """One of each kind: choice, integer, float with a precision, list."""
    kinds = (
        ("multi_choice", "text", ["red", "blue", "green"], "blue", None),
        ("free_form", "integer", None, "7", None),
        ("free_form", "float", None, "1.25", 2.0),
        ("free_form", "list", None, "[1, 4]", None),
    )
    metadata = {"category": "general-vqa", "context": "synthetic", "grade": "none", "language": "english"}
    rows = []
    for n in range(count):
        question_type, answer_type, choices, answer, precision = kinds[n % len(kinds)]
        rows.append(
            {"pid": str(n + 1), "question": "What does the picture say?", "image": f"images/{n}.png"}
            | {"decoded_image": picture(n), "choices": choices, "unit": "cm" if answer_type == "float" else None}
            | {"precision": precision, "answer": answer, "question_type": question_type, "answer_type": answer_type}
            | {"metadata": metadata | {"task": "made up", "source": "made up"}, "query": ""}
        )
    return rows


def mathvision(count: int) -> list[Row]:
    """Half of them with bare letters as options, half free."""
    return [
        {"id": str(n + 1), "question": "<image1> How many squares?", "image": f"images/{n}.jpg"}
        | {"options": list("ABCDE") if n % 2 else [], "decoded_image": picture(n), "solution": None}
        | {"answer": "C" if n % 2 else "\\frac{1}{2}", "level": n % 5 + 1, "subject": "counting"}
        for n in range(count)
    ]


def zerobench(count: int) -> dict[str, list[Row]]:
    """Main questions, and two sub-questions of each."""
    answers = ("12", "north", "3, 5", "0.5")

    def row(name: str, n: int) -> Row:
        return {
            "question_id": name,
            "question_text": "What number is shown?",
            "question_images": [f"images/{name}.png"],
            "question_answer": answers[n % len(answers)],
            "question_images_decoded": [picture(n)],
            "image_attribution": "made up",
        }

    subquestions = [row(f"{n // 2 + 1}_{n % 2 + 1}", n) for n in range(count)]
    return {"zerobench": [row(str(n + 1), n) for n in range(count)], "zerobench_subquestions": subquestions}


def wemath(count: int) -> list[Row]:
    """Composite problems of two and three steps in turn, each with its steps and the whole."""
    rows: list[Row] = []
    problem = 0
    while len(rows) < count:
        steps = 2 + problem % 2
        for place in (*range(1, steps + 1), "multi"):
            rows.append(
                {"ID": str(problem // 2), "split": "testmini", "knowledge concept": "sums"}
                | {
                    "question": f"Part {place} of problem {problem}?",
                    "option": "A. 1; B. 2; C. 3; D. None of them",
                }
                | {"answer": "B", "image_path": picture(problem), "key": f"{steps}steps_{place}"}
                | {"question number": len(rows), "knowledge concept description": "adding"}
            )
        problem += 1
    return rows


def mmbench(count: int) -> list[Row]:
    """Each question with all shifts of its options; every third has three options."""
    rows: list[Row] = []
    question = 0
    while len(rows) < count:
        options = ["up", "down", "left", "right"][: 3 if question % 3 == 2 else 4]
        for shift in range(len(options)):
            moved = options[shift:] + options[:shift]
            absent = {letter: "nan" for letter in "ABCD"[len(options) :]}
            rows.append(
                {"index": question + 1_000_000 * shift, "question": "Where does it point?", "hint": "nan"}
                | {"answer": LETTERS[moved.index("up")], **dict(zip("ABCD", moved, strict=False)), **absent}
                | {"category": "spatial", "image": picture(question), "source": "made up", "L2-category": "spatial"}
                | {"comment": "nan", "split": "dev"}
            )
        question += 1
    return rows


def mmstar(count: int) -> list[Row]:
    """Options inside the question."""
    return [
        {"index": n, "question": "What colour is it?\nOptions: A: red, B: blue, C: green, D: grey", "image": picture(n)}
        | {"answer": LETTERS[n % 4], "category": "coarse perception", "l2_category": f"fine {n % 3}"}
        | {"meta_info": {"source": "made up", "split": "val", "image_path": f"images/{n}.jpg"}}
        for n in range(count)
    ]


VERSIONS = ("Text Dominant", "Text Lite", "Vision Intensive", "Vision Dominant", "Vision Only")


def mathverse(count: int) -> list[Row]:
    """Five versions of each problem; every second one is free."""
    rows = []
    for n in range(count):
        problem = n // len(VERSIONS)
        is_choice = problem % 2 == 0
        question = "Find the angle." + ("\nChoices:\nA:30°\nB:60°\nC:90°\nD:120°" if is_choice else "")
        version = VERSIONS[n % len(VERSIONS)]
        rows.append(
            {"sample_index": str(n + 1), "problem_index": str(problem + 1), "problem_version": version}
            | {"question": "" if version == "Vision Only" else question, "image": picture(n)}
            | {"answer": "B" if is_choice else "2\\sqrt{3}", "question_for_eval": question}
            | {"question_type": "multi-choice" if is_choice else "free-form", "query_wo": "", "query_cot": ""}
            | {"metadata": {"split": "testmini", "source": "made up", "subject": "geometry", "subfield": "angle"}}
        )
    return rows


def features(texts: str, **others: Any) -> Features:
    """Columns of text, and others."""
    return Features({**dict.fromkeys(texts.split(), TEXT), **others})


def repositories(count: int) -> dict[str, dict[tuple[str, str], tuple[list[Row], Features]]]:
    """Every repository's configurations and splits, with about `count` rows each."""
    pro = {(config, "test"): found for config, found in mmmu_pro(count).items()}
    meta = {name: TEXT for name in ("category", "context", "grade", "language", "task", "source")}
    vista = features("pid question image unit answer question_type answer_type query", decoded_image=PICTURE)
    vista |= {"choices": List(TEXT), "precision": REAL, "metadata": meta}
    vision = features(
        "id question image answer solution subject", options=List(TEXT), decoded_image=PICTURE, level=WHOLE
    )
    zero = features("question_id question_text question_answer image_attribution", question_images=List(TEXT))
    zero |= {"question_images_decoded": List(PICTURE)}
    we = features("ID split question option answer key", image_path=PICTURE)
    we |= {"knowledge concept": TEXT, "question number": WHOLE, "knowledge concept description": TEXT}
    bench = features("question hint answer A B C D category source comment split", index=WHOLE, image=PICTURE)
    bench |= {"L2-category": TEXT}
    star = features("question answer category l2_category", index=WHOLE, image=PICTURE)
    star |= {"meta_info": {name: TEXT for name in ("source", "split", "image_path")}}
    verse = features("sample_index problem_index problem_version question answer question_type", image=PICTURE)
    verse |= features("query_wo query_cot question_for_eval")
    verse |= {"metadata": {name: TEXT for name in ("split", "source", "subject", "subfield")}}
    zeros = zerobench(count)
    return {
        "MMMU/MMMU_Pro": pro,
        "AI4Math/MathVista": {("default", "testmini"): (mathvista(count), vista)},
        "MathLLMs/MathVision": {("default", split): (mathvision(count), vision) for split in ("test", "testmini")},
        "jonathan-roberts1/zerobench": {("default", split): (rows, zero) for split, rows in zeros.items()},
        "We-Math/We-Math": {("default", "testmini"): (wemath(count), we)},
        "lmms-lab/MMBench": {("en", "dev"): (mmbench(count), bench)},
        "Lin-Chen/MMStar": {("default", "val"): (mmstar(count), star)},
        "AI4Math/MathVerse": {("testmini", "testmini"): (mathverse(count), verse)},
    }


def write_repositories(folder: Path, count: int) -> None:
    """Write every repository as the Hub has it: parquet files, and a README that names them by configuration."""
    for repo, splits in repositories(count).items():
        configs: dict[str, list[Row]] = {}
        for (config, split), (rows, columns) in splits.items():
            name = f"{config.split()[0]}-{split}.parquet"
            path = folder / repo / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Dataset.from_list(rows, features=Features(columns)).to_parquet(str(path))
            configs.setdefault(config, []).append({"split": split, "path": f"data/{name}"})
        header = [{"config_name": config, "data_files": files} for config, files in configs.items()]
        (folder / repo / "README.md").write_text(f"---\nconfigs: {json.dumps(header)}\n---\n")


def build_model(folder: Path) -> int:
    """Write the random model and return how many parameters it has."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={character: i for i, character in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
    ends = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "chat_template": TEMPLATE}
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, padding_side="left", **ends)
    ids = {token: fast.convert_tokens_to_ids(token) for token in SPECIAL}
    rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [4, 2, 2], "mrope_interleaved": True}
    config = Qwen3VLConfig(
        text_config={"vocab_size": len(fast), "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
        | {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16, "rope_parameters": rope},
        vision_config={"depth": 1, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "patch_size": 8}
        | {"temporal_patch_size": 2, "spatial_merge_size": 2, "out_hidden_size": 32, "num_position_embeddings": 36}
        | {"deepstack_visual_indexes": [0]},
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=True,
    )
    torch.manual_seed(0)
    model = Qwen3VLForConditionalGeneration(config)
    model.generation_config.eos_token_id = ids["<|im_end|>"]
    model.generation_config.pad_token_id = ids["<|endoftext|>"]
    model.save_pretrained(folder)
    size = {"shortest_edge": 16 * 16, "longest_edge": 48 * 48}
    images = Qwen2VLImageProcessorPil(patch_size=8, temporal_patch_size=2, merge_size=2, size=size)
    Qwen3VLProcessor(images, fast, chat_template=TEMPLATE).save_pretrained(folder)
    videos = {
        "video_processor_type": "Qwen3VLVideoProcessor",
        "patch_size": 8,
        "temporal_patch_size": 2,
        "merge_size": 2,
    }
    (folder / "video_preprocessor_config.json").write_text(json.dumps(videos))  # the stock processor wants one
    return int(model.num_parameters())


def main() -> None:
    """Write fixtures and model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="folder, mirrors the repository ids")
    parser.add_argument("--rows", type=int, default=20, help="rows a split, about")
    arguments = parser.parse_args()
    write_repositories(arguments.output, arguments.rows)
    print(f"{len(repositories(1))} repositories in {arguments.output}")
    print(f"model with {build_model(arguments.output / 'model'):,} parameters in {arguments.output / 'model'}")


if __name__ == "__main__":
    main()
