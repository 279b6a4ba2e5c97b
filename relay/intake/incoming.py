"""What a client has sent and nobody has obeyed yet."""


class Incoming:
    """Bytes in the order in which they came, given back as lines or as they are.

    Attributes:
        waiting: how many bytes there are.
    """

    def __init__(self) -> None:
        self.waiting = 0
        self._data = b""
        self._at = 0  # up to here it has been given back: not to copy the rest for each line

    def add(self, data: bytes) -> None:
        """These have come."""
        self._data = self._data[self._at :] + data if self.waiting else data
        self._at = 0
        self.waiting += len(data)

    def line(self) -> bytes | None:
        """The next line with its ending; None while it is not whole."""
        end = self._data.find(b"\n", self._at) + 1
        if end == 0:
            return None
        line = self._data[self._at : end]
        self._at = end
        self.waiting -= len(line)
        return line

    def take(self) -> bytes:
        """All of it."""
        data = self._data[self._at :]
        self.clear()
        return data

    def put_back(self, data: bytes) -> None:
        """Of what was taken, these are still to be obeyed, before what came since."""
        self._data = data + self._data[self._at :]
        self._at = 0
        self.waiting += len(data)

    def clear(self) -> None:
        """Forget it."""
        self._data = b""
        self._at = self.waiting = 0
