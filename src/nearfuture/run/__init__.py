"""What a run is: its configuration, its plan and execution, its folder, its records and its report.

`records`, `ledger` and `report` need no torch; the other modules train.

Not here: the training layer (`nearfuture.train`), parsing and printing (`nearfuture.cli`).
"""
