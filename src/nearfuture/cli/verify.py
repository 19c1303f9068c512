"""`nearfuture verify`: is everything in a run folder as it was written?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nearfuture.cli.base import app, told_to_user
from nearfuture.types import UserError


@app.command()
def verify(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder; one that is being trained, too.")],
) -> None:
    """Read every byte of a run that has a checksum, and name each file that is not as it was written."""
    with told_to_user():
        from nearfuture.run.integrity import damages

        found = damages(run)
        for damage in found:
            print(damage)
        if found:
            raise UserError(
                f"{len(found)} of the files in {run} are not as they were written. `train --resume` goes on without "
                "what can be made again, and says what it did."
            )
        print(f"{run}: every file is as it was written")
