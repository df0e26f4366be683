"""The report: one HTML file that anybody can open offline."""

from nbtrack.report.page import DEFAULT_PATH, write_report

__all__ = ["DEFAULT_PATH", "write_report"]
