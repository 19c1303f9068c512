"""Tools that look at runs: forecasts, studies, measurements, evaluations, and the pages that show them.

Not here: what a run is (`nearfuture.run`), what its folder contains (`nearfuture.record`).
"""
