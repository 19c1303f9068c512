"""Reports of runs: `write_report` writes a self-contained page, `report_text` returns its summary for the terminal.

Not here: what a page is made of (`nearfuture.lab.page`).
"""

from nearfuture.lab.report.report_page import page_of, report_text, write_report

__all__ = ["page_of", "report_text", "write_report"]
