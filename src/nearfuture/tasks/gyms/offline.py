"""Call other people's code without a network, without its log on our screen, and without letting it take over signals.

Not here: what is called (`classic`, `tasksets`).
"""

from __future__ import annotations

import contextlib
import io
import logging
import signal
import socket
import threading
from collections.abc import Iterator
from typing import Any

INTERNET = (socket.AF_INET, socket.AF_INET6)


@contextlib.contextmanager
def offline() -> Iterator[list[str]]:
    """Refuse every connection to another machine, or to a port of this one; yields the addresses that were asked for.

    So the request is known even if the code catches the refusal, as a rubric does.
    """
    asked: list[str] = []
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def refuse(place: Any) -> OSError:
        asked.append(str(place))
        return OSError(f"no network here: {place}")

    def connect_here(self: socket.socket, address: Any) -> None:
        if self.family in INTERNET:
            raise refuse(address)
        connect(self, address)

    def look_up_nothing(host: Any, *_args: Any, **_options: Any) -> Any:
        raise refuse(host)

    socket.socket.connect, socket.getaddrinfo = connect_here, look_up_nothing  # type: ignore[method-assign,assignment]
    try:
        yield asked
    finally:
        socket.socket.connect, socket.getaddrinfo = connect, look_up  # type: ignore[method-assign]


@contextlib.contextmanager
def quiet(logger_name: str) -> Iterator[list[str]]:
    """Keep prints and logs off the screen; yields the errors that a logger reported."""
    logger, errors = logging.getLogger(logger_name), _Kept()
    before = logger.handlers, logger.level, logger.propagate
    logger.handlers, logger.level, logger.propagate = [errors], logging.ERROR, False
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield errors.messages
    finally:
        logger.handlers, logger.level, logger.propagate = before


class _Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@contextlib.contextmanager
def own_signals() -> Iterator[None]:
    """Restore the handlers of SIGINT and SIGTERM: an environment sets its own, which end this process."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
