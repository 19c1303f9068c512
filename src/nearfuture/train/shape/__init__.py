"""Models without weights: how many parameters, layers and patches they have.

Not here: bytes and hours (`nearfuture.lab.forecast`).
"""
