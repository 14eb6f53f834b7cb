"""The only place where a case meets a witness."""

from gradcheck.run.examine import examine

__all__ = ["examine"]
