"""Examining checks: each is ruled on and, where its code fails, told who is wrong, and how."""

from gradcheck.diagnosis.examination import examine

__all__ = ["examine"]
