"""`nearfuture verify`: is everything in a run folder as it was written?

Not here: the checks (`nearfuture.run.integrity`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nearfuture.cli.base import app, example, hush, told_to_user
from nearfuture.method.lineage import Lineage
from nearfuture.types import UserError


@app.command(epilog=example("verify runs/tiny"))
def verify(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, even one that is being trained.")],
) -> None:
    """Check every byte of a run that has a checksum, and name each file that is damaged."""
    with told_to_user():
        if not (run / "lineage.json").exists():
            Lineage.read(run / "lineage.json")  # says what is missing before anything heavy is imported
        hush()
        from nearfuture.run.integrity import damages

        found = damages(run)
        for damage in found:
            print(damage)
        if found:
            raise UserError(
                f"{len(found)} of the files in {run} are not as they were written. `train --resume` continues without "
                "them where they can be made again, and says what it did."
            )
        print(f"{run}: every file is as it was written")
