"""A run: its start, its execution, its guides; `settings` has its configuration and plan, `auto` has AutoNPO.

Not here: training (`nearfuture.train`), what a run folder holds (`nearfuture.record`), parsing and printing
(`nearfuture.cli`).
"""
