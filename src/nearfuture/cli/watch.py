"""`nearfuture watch`: the page of a run or a study, live on this machine.

Not here: the server (`nearfuture.lab.report.watching`).
"""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from nearfuture.cli.base import app, example, told_to_user


@app.command(epilog=example("watch runs/tiny"))
def watch(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders, or the folder of a study.")],
    port: Annotated[int | None, typer.Option(help="Default: 7474, or the next that is free. 0: any.")] = None,
    every: Annotated[float, typer.Option(help="Seconds between two updates.", min=0.2)] = 5.0,
    open_browser: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
) -> None:
    """Serve the page of a run while it goes on, at an address of this machine; Ctrl-C ends it, never the run."""
    with told_to_user():
        from nearfuture.lab.report.watching import Watched, start, url

        server = start(Watched(runs, every), port)
        print(f"{url(server)}  (Ctrl-C ends the watching; the run goes on)", flush=True)
        if open_browser:
            webbrowser.open(url(server))
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("no longer watching")
        finally:
            server.server_close()
