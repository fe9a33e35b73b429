"""Records -> text, Markdown, HTML, figures.  Pure, except ``Report.save`` and ``Report.load``."""

from lightning_gradwatch.report.report import Report

__all__ = ["Report"]
