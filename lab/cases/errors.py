"""What is wrong with a case file."""

from __future__ import annotations


class CaseError(ValueError):
    """A case file cannot be played. Its text is one sentence for its author, and names file and key."""

    def __init__(self, key: str, says: str, file: str = "") -> None:
        """Name the key, such as "rows[2].class", and what is wrong with it."""
        super().__init__(": ".join(part for part in (file, key, says) if part))
        self.key = key
        self.says = says

    def of(self, file: str) -> CaseError:
        """The same error with the file's name."""
        return CaseError(self.key, self.says, file)
