"""Tasks maintained elsewhere: `task: reasoning_gym/NAME`.

Not here: data sets (`nearfuture.tasks.data`), the worlds that ship (`nearfuture.tasks.worlds`).
"""
