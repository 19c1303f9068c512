"""Reports of runs: `write_report` writes a self-contained page, `report_text` a table for the terminal."""

from nearfuture.lab.report.report_page import write_report
from nearfuture.lab.report.terminal import report_text

__all__ = ["report_text", "write_report"]
