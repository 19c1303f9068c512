"""Turn a benchmark's question into a prompt: images where the text mentions them, options, the form of the answer.

The paper's evaluation prompt is not published. Ours asks for reasoning and a box, which is what `verify` looks for
first; `instruction` replaces that sentence, for a policy that was trained to answer in another form.

Not here: which columns hold the question (the files of the benchmarks), how an answer is found and judged
(`nearfuture.verify`).
"""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Mapping, Sequence
from typing import Any

CHOICE = "Think step by step. Then give the letter of the right option in \\boxed{}."
FREE = "Think step by step. Then give the final answer in \\boxed{}."
SHOWN = "Answer the question that the image shows."
PLACEHOLDER = re.compile(r"<image[ _]?(\d*)>")
LETTERS = string.ascii_uppercase[:10]
WORDS = r"[^\W\d_]{2,}(?:[ '-][^\W\d_]+)*"
"""A phrase without digits or formulas, its first word of two letters or more."""


def ask(
    question: str,
    images: Sequence[Any],
    *,
    kind: str,
    options: Sequence[str] = (),
    hint: str = "",
    instruction: str | None = None,
) -> tuple[list[dict[str, Any]], list[Any]]:
    """Make the messages of a question, and its images in the order in which the messages show them.

    Args:
        question: its text, with placeholders as upstream writes them.
        images: all images that came with it.
        kind: the kind of answer, which decides the last sentence.
        options: options to list under the question with letters; empty if the text or the image lists them.
        hint: information to put before the question.
        instruction: replaces the last sentence.

    Returns:
        One user message whose content is a list of blocks, and the images of its image blocks.
    """
    listed = [f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False)]
    closing = instruction or (CHOICE if kind == "mcq" else FREE)
    text = "\n".join(part for part in (hint, question, *listed, closing) if part)
    blocks, shown = with_images(text, images)
    return [{"role": "user", "content": blocks}], shown


def with_images(text: str, images: Sequence[Any]) -> tuple[list[dict[str, str]], list[Any]]:
    """Split a text at its image placeholders; images that no placeholder mentions go before it.

    `<image>` is the next image not mentioned so far, `<image 2>` (or `<image2>`, `<image_2>`) is the second, even if
    it was mentioned before. A placeholder without an image stays text.

    Example:
        >>> blocks, shown = with_images("Is <image 2> larger?", ["a", "b"])
        >>> [block.get("text", "image") for block in blocks], shown
        (['image', 'Is ', 'image', ' larger?'], ['a', 'b'])
    """
    blocks: list[dict[str, str]] = []
    shown: list[int] = []
    start = 0
    for found in PLACEHOLDER.finditer(text):
        number = int(found[1]) - 1 if found[1] else len(set(shown))
        if not 0 <= number < len(images):
            continue
        blocks += [{"type": "text", "text": text[start : found.start()]}, {"type": "image"}]
        shown.append(number)
        start = found.end()
    blocks.append({"type": "text", "text": text[start:]})
    before = [number for number in range(len(images)) if number not in shown]
    blocks = [{"type": "image"}] * len(before) + [block for block in blocks if block.get("text") != ""]
    return blocks, [images[number] for number in (*before, *shown)]


def images_of(doc: Mapping[str, Any], *columns: str) -> list[Any]:
    """Return the images a row has in these columns, in order; a column may hold one, a list, or nothing."""
    found: list[Any] = []
    for column in columns:
        value = doc.get(column)
        found += value if isinstance(value, list) else [value]
    return [image for image in found if image is not None]


def written_list(value: str | Sequence[str]) -> list[str]:
    """Read options that upstream stores as the text of a Python list.

    Example:
        >>> written_list("['$6', \\"it's 7\\"]")
        ['$6', "it's 7"]
    """
    return [str(option) for option in (ast.literal_eval(value) if isinstance(value, str) else value)]


def lettered_options(text: str) -> list[str]:
    """Read options from a text: `A: left, B: right`, `A. 1; B. 2`, `(A) on (B) off`; empty if there are none.

    Example:
        >>> lettered_options("Where is it?\\nOptions: A: left, near B., B: right, C: nowhere")
        ['left, near B.', 'right', 'nowhere']
    """
    start = max(text.rfind("Options:"), text.rfind("Choices:"), 0)
    marks: list[re.Match[str]] = []
    for letter in LETTERS:
        mark = re.compile(rf"(?:^|[\s;,])\(?{letter}\s*[.:)]\s+|(?:^|[\n;])\(?{letter}[.:)]").search(text, start)
        if mark is None:
            break
        marks.append(mark)
        start = mark.end()
    if len(marks) < 2:
        return []
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    return [text[mark.end() : end].strip(" \n;,") for mark, end in zip(marks, ends, strict=True)]


def letter_of(answer: str, options: Sequence[str]) -> str:
    """Return the letter of the option whose text is the answer; the answer itself if no option or several match.

    Example:
        >>> letter_of("No ", ["Yes", "No"])
        'B'
    """
    matching = [letter for letter, option in zip(LETTERS, options, strict=False) if option.strip() == answer.strip()]
    return matching[0] if len(matching) == 1 else answer


def kind_of(gold: str) -> str:
    """Guess how to compare a free answer if upstream does not say: numeric, bool, list, text or math.

    Example:
        >>> [kind_of(gold) for gold in ("1,024", "-3.5", "yes", "red, blue", "North Sea", "\\\\frac{1}{2}", "2x")]
        ['numeric', 'numeric', 'bool', 'list', 'text', 'math', 'math']
        >>> [kind_of(gold) for gold in ("$1,200", "1,234 km", "-2, 1")]  # two roots have no order
        ['math', 'math', 'math']
        >>> [kind_of(gold) for gold in ("2024-05-01", "3-2", "12:30")]  # a date, a score, a time: nothing to compute
        ['text', 'text', 'text']
    """
    plain = gold.strip()
    if re.fullmatch(r"\d+(-\d+)+|\d+(:\d\d)+|\d{1,2}[./]\d{1,2}[./]\d{4}", plain):
        return "text"
    if re.fullmatch(r"[+-]?(\d{1,3}(,\d{3})+|\d+)?(\.\d+)?", plain) and any(map(str.isdigit, plain)):
        return "numeric"
    if plain.lower() in ("yes", "no", "true", "false"):
        return "bool"
    if re.fullmatch(rf"{WORDS}(,\s*{WORDS})+", plain):
        return "list"
    return "text" if re.fullmatch(WORDS, plain) else "math"
