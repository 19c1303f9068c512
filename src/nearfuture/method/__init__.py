"""The method as pure functions and values: the gate (needs torch), the lineage (standard library only).

Import from the modules: `nearfuture.method.gate`, `nearfuture.method.lineage`.

Not here: reading guidance (`nearfuture.guidance`), training (`nearfuture.train`), running (`nearfuture.run`).
"""
