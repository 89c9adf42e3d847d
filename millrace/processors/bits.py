"""Sets of small numbers as bytes, so that a join over a thousand chunks stays small in a state."""


def with_bit(bits: bytes, number: int) -> bytes:
    """The set with the number in it; the same bytes where it was there."""
    place, mask = number >> 3, 1 << (number & 7)
    if place >= len(bits):
        bits = bits + bytes(place + 1 - len(bits))
    if bits[place] & mask:
        return bits
    return bits[:place] + bytes([bits[place] | mask]) + bits[place + 1 :]


def has_bit(bits: bytes, number: int) -> bool:
    place = number >> 3
    return place < len(bits) and bool(bits[place] & 1 << (number & 7))


def count(bits: bytes) -> int:
    return int.from_bytes(bits, "little").bit_count()
