"""Models that answer without a trainer: transformers and vLLM.

Not here: what is asked and judged (`nearfuture.lab.evaluate`).
"""
