"""Reports of runs: `write_report` writes a page that stands alone, `report_text` is its summary for the terminal.

Not here: what a page is made of (`nearfuture.lab.page`).
"""

from nearfuture.lab.report.report_page import page_of, report_text, write_report

__all__ = ["page_of", "report_text", "write_report"]
