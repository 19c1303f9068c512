"""What a run folder holds, readable without torch: rows, events, costs, clocks, locks.

Not here: writing it while a run goes on (`nearfuture.run`), drawing it (`nearfuture.lab`).
"""
