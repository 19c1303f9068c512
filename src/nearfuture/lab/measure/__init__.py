"""What is measured on runs and logs: the signal, the difficulty of prompts, advice, exactness.

Not here: the pages that show it (`nearfuture.lab.report`).
"""
