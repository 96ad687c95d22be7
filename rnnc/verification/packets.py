"""The packets of runtime_c/serial.h: bytes to packets and back."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

END, ESC = b"\xc0", b"\xdb"
ESCAPED = ((ESC, ESC + b"\xdd"), (END, ESC + b"\xdc"))
"""What is sent in place of a byte, that of the escape first."""
HEAD, CRC = 3, 4
"""Bytes of type and number, and of the CRC."""


@dataclass(frozen=True)
class Packet:
    """A packet: its type (a letter), its number, its content."""

    type: str
    number: int
    content: bytes = b""

    def encoded(self) -> bytes:
        """As it is sent."""
        body = self.type.encode() + self.number.to_bytes(2, "little") + self.content
        body += zlib.crc32(body).to_bytes(CRC, "little")
        for plain, sent in ESCAPED:
            body = body.replace(plain, sent)
        return END + body + END + END


def decode(body: bytes) -> Packet | None:
    """What lies between two ENDs; None where it is damaged, or no packet."""
    for plain, sent in reversed(ESCAPED):
        body = body.replace(sent, plain)
    if len(body) < HEAD + CRC or zlib.crc32(body[:-CRC]) != int.from_bytes(body[-CRC:], "little"):
        return None
    return Packet(chr(body[0]), int.from_bytes(body[1:HEAD], "little"), body[HEAD:-CRC])


@dataclass
class Decoder:
    """Bytes as they come, of which ``take`` gives the packets."""

    _rest: bytes = field(default=b"", repr=False)

    def take(self, data: bytes) -> list[Packet | None]:
        """The packets that end in ``data``, None for each that is damaged."""
        *bodies, self._rest = (self._rest + data).split(END)
        return [decode(body) for body in bodies if body]

    def forget(self) -> None:
        """Begin anew."""
        self._rest = b""
