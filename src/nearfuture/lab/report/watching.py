"""Serve the page of one run, several runs or a study on this machine, and update it while they go on.

Only programs on this machine can reach it: it listens on 127.0.0.1 and refuses requests from pages of another host.
It only reads, so a run is not affected.

Not here: the pages (`report_page`, `explain_page`, `progress_page`, `study_page`), how a page polls for news
(`nearfuture.lab.page`).
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from nearfuture.lab.page.page import Live, Page, Text
from nearfuture.lab.report.explain_page import explanation_page
from nearfuture.lab.report.progress_page import progress_page
from nearfuture.lab.report.report_page import Runs, is_study, report_page
from nearfuture.record.formats import command_line
from nearfuture.types import UserError

HOST, PORT = "127.0.0.1", 7474
NUM_PORTS = 20
"""How many ports are tried, one after another, if none was asked for."""
LOGS = ("lineage.json", "metrics.jsonl", "events.jsonl", "samples.jsonl", "test.json", "grid.json")
MakePage = Callable[[], Page]


class Watched:
    """The pages of some folders, each remade only when a log has changed.

    Args:
        folders: run folders, or one study.
        seconds: how often a page polls for news.

    Raises:
        UserError: a folder does not exist, or a study is named together with something else.
    """

    def __init__(self, folders: Sequence[Path], seconds: float) -> None:
        missing = [str(folder) for folder in folders if not Path(folder).is_dir()]
        if missing:
            raise UserError(f"{', '.join(missing)} does not exist. Name a run folder (run_dir), or that of a study.")
        is_study(folders)  # a study together with something else is refused here
        self.folders, self.seconds = [Path(folder) for folder in folders], seconds
        self.command = command_line("nearfuture", "watch", *folders)
        self._pages: dict[str, tuple[str, str]] = {}
        self._lock = threading.Lock()

    @property
    def routes(self) -> dict[str, tuple[str, MakePage]]:
        """The routes: path -> name, and the function that makes the page."""
        if is_study(self.folders):
            return {"/": ("runs", self._progress), "/comparison": ("comparison", self._comparison)}
        report: dict[str, tuple[str, MakePage]] = {"/": ("report", self._report)}
        return {**report, "/explain": ("decisions", self._explain)} if len(self.folders) == 1 else report

    def version(self) -> str:
        """A text that changes whenever a log does."""
        digest = hashlib.sha256()
        for folder in self.folders:
            for path in sorted(found for name in LOGS for found in (*folder.glob(name), *folder.glob(f"*/{name}"))):
                stat = path.stat()
                digest.update(f"{path} {stat.st_mtime_ns} {stat.st_size}\n".encode())
        return digest.hexdigest()[:16]

    def html(self, route: str, version: str) -> str:
        """Return the page of a route for that version; one that cannot be made yet says why."""
        with self._lock:  # several tabs wait for one page
            if self._pages.get(route, ("", ""))[0] != version:
                try:
                    page = self.routes[route][1]()
                except UserError as error:
                    page = Page("watch", self.folders[0].resolve().name, self.command, [Text([str(error)], "lead")], [])
                self._pages[route] = (version, page.html(self._links(route), Live(self.seconds, version)))
            return self._pages[route][1]

    def _links(self, route: str) -> str:
        items = [
            f'<li aria-current="page">{name}</li>' if path == route else f'<li><a href="{path}">{name}</a></li>'
            for path, (name, _) in self.routes.items()
        ]
        return f'<ul class="served">{"".join(items)}</ul>' if len(items) > 1 else ""

    def _report(self) -> Page:
        return report_page(Runs.load(self.folders), self.command)

    def _explain(self) -> Page:
        return explanation_page(self.folders[0], self.command)

    def _progress(self) -> Page:
        return progress_page(self.folders[0], self.command)

    def _comparison(self) -> Page:
        from nearfuture.lab.report.study_page import study_page  # scipy, which a single run does not need
        from nearfuture.lab.study.comparison import compare

        return study_page(compare(self.folders[0]), self.command)


class _Handler(BaseHTTPRequestHandler):
    """Answers GET with a page, or with 304 if the client has it already."""

    watched: Watched

    def do_GET(self) -> None:
        """Answer a request."""
        host = (self.headers.get("Host") or "").rpartition(":")[0]
        if host not in (HOST, "localhost"):
            self.send_error(403, "This page is served to this machine alone.")
            return
        route = self.path.partition("?")[0]
        if route == "/favicon.ico":
            self.send_response(204)
            self.end_headers()
            return
        if route not in self.watched.routes:
            self.send_error(404)
            return
        version = self.watched.version()
        if self.headers.get("If-None-Match") == version:
            self.send_response(304)
            self.end_headers()
            return
        body = self.watched.html(route, version).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", version)
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Do not log requests."""


def start(watched: Watched, port: int | None = None) -> ThreadingHTTPServer:
    """Listen, and return a server whose `serve_forever` answers.

    Raises:
        UserError: the requested port is taken, or all ports that were tried are.
    """
    handler = type("Handler", (_Handler,), {"watched": watched})
    for number in [port] if port is not None else range(PORT, PORT + NUM_PORTS):
        try:
            return ThreadingHTTPServer((HOST, number), handler)
        except OSError as error:
            refused = error
    tried = f"port {port}" if port is not None else f"ports {PORT} to {PORT + NUM_PORTS - 1}"
    raise UserError(f"nothing can be served at {tried} ({refused.strerror}). Give another with --port; 0 takes any.")


def url(server: ThreadingHTTPServer) -> str:
    """The address for a browser."""
    return f"http://{HOST}:{server.server_address[1]}/"
