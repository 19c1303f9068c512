"""`nearfuture watch`: what it serves, to whom, and when it makes a page anew; a browser is not needed."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import commands
import pytest
from pages import Page, asks_nobody
from run_folders import grpo_run, npo_run, segment, step_row, write_run

from nearfuture.lab.report.watching import Watched, start, url
from nearfuture.types import UserError


@contextmanager
def serving(*folders: Path) -> Iterator[str]:
    server = start(Watched(list(folders), 0.5), port=0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield url(server)
    finally:
        server.shutdown()
        server.server_close()


def get(address: str, **headers: str) -> tuple[int, str, str | None]:
    """Status, text and version of what an address gives."""
    request = urllib.request.Request(
        address, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode(), answer.headers["ETag"]
    except urllib.error.HTTPError as error:
        return error.code, "", None


def test_a_run_is_served_and_made_anew_when_a_log_changes(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [segment(0, 0, None)], [step_row(0, 1, 1)])
    with serving(run) as address:
        status, html, version = get(address)
        page = Page(html)
        assert status == 200 and version is not None and asks_nobody(html) and "1 step" in page.text
        assert page.data["plots"][0]["axes"] and 'data-live="0.5"' in html
        assert not any(label.startswith("On-policy") for label in page.labels)  # nothing is drawn twice
        assert get(address, If_None_Match=version)[0] == 304
        with (run / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(step_row(0, 2, 2)) + "\n")
        status, html, later = get(address, If_None_Match=version)
        assert status == 200 and later != version and "2 steps" in Page(html).text


def test_what_is_not_there_yet_is_said(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [segment(0, 0, None)], [])
    with serving(run) as address:
        status, html, _ = get(address)
        assert status == 200 and "no metrics row yet" in Page(html).text and "data-live" in html


def test_several_runs_and_the_decisions_of_one(tmp_path: Path) -> None:
    npo, grpo = npo_run(tmp_path / "npo"), grpo_run(tmp_path / "grpo")
    with serving(npo, grpo) as address:
        assert "npo beside grpo" in Page(get(address)[1]).text and get(f"{address}explain")[0] == 404
    with serving(npo) as address:
        page = Page(get(f"{address}explain")[1])
        assert "What npo decided" in page.text and "/" in page.loads


def test_a_study_shows_the_runs_that_have_begun(tmp_path: Path) -> None:
    study = tmp_path / "study"
    npo_run(study / "npo-1")
    grid = {"version": 1, "base": {}, "methods": {"grpo": {}, "npo": {}}, "cells": [["grpo", 1], ["npo", 1]]}
    grid |= {"test_num_samples": 4, "pass_at": [1], "reference": "npo"}
    (study / "grid.json").write_text(json.dumps(grid))
    with serving(study) as address:
        page = Page(get(address)[1])
        assert "0 of 2 runs finished and evaluated; 1 have written a step" in page.text
        assert "grpo-1" in page.text and "waiting" in page.text and "training or stopped" in page.text
        assert {line["group"] for plot in page.data["plots"] for line in plot["lines"]} == {"npo"}
        assert "comparison" in page.text and get(f"{address}comparison")[0] == 200


def test_only_this_machine_is_served(tmp_path: Path) -> None:
    with serving(grpo_run(tmp_path / "run")) as address:
        assert get(address, Host="example.org:80")[0] == 403
        assert get(f"{address}../../etc/passwd")[0] == 404 and get(f"{address}favicon.ico")[0] == 204


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    watched = Watched([grpo_run(tmp_path / "run")], 1)
    first = start(watched, port=0)
    taken = first.server_address[1]
    with pytest.raises(UserError, match=f"port {taken} .*--port"):
        start(watched, port=taken)
    first.server_close()


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    code, output = commands.invoke("watch", tmp_path / "nowhere")
    assert code == 2 and "nowhere does not exist" in output


def test_a_study_is_watched_alone(tmp_path: Path) -> None:
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "grid.json").write_text("{}")
    with pytest.raises(UserError, match="reported alone"):
        Watched([grpo_run(tmp_path / "run"), tmp_path / "study"], 1)
