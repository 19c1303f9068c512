"""Models that answer without a trainer: transformers and vLLM.

Not here: questions and verdicts (`nearfuture.lab.evaluate`).
"""
