"""Statistics of means, seeds and clusters of prompts, for whoever compares runs.

Not here: the signal of a guide (`nearfuture.method.signal`), tables and figures (`nearfuture.lab`).
"""
