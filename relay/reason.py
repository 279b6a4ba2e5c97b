"""Why something cannot be done, for people who read Dutch and people who read English."""


class ReasonedError(Exception):
    """Says in Dutch (`nl`) and English (`en`) why, and what to do."""

    def __init__(self, nl: str, en: str) -> None:
        super().__init__(en)
        self.nl = nl
        self.en = en

    def text(self, language: str) -> str:
        """The reason in `language`, English for anything but `nl`."""
        return self.nl if language == "nl" else self.en
