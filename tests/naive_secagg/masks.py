"""Masks, one coordinate at a time: AES on each counter, no mode, no vectors."""

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

__all__ = ["add_mask", "centred", "decode_vector", "encode_vector", "mask_word", "stream"]


def _block(key: bytes, counter: int) -> bytes:
    cipher = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305 - this is CTR, by hand
    return cipher.update(counter.to_bytes(16, "big"))


def stream(key: bytes, start: int, length: int) -> bytes:
    """Bytes `start` to ``start + length`` of the AES-256-CTR stream from counter zero."""
    out = b""
    for place in range(start, start + length):
        out += _block(key, place // 16)[place % 16 : place % 16 + 1]
    return out


def word_bytes(bits: int) -> int:
    return 4 if bits <= 32 else 8


def mask_word(key: bytes, bits: int, coordinate: int) -> int:
    """What a mask adds to one coordinate, modulo 2^bits."""
    width = word_bytes(bits)
    block = _block(key, coordinate * width // 16)
    at = coordinate * width % 16
    return int.from_bytes(block[at : at + width], "little") % (1 << bits)


def add_mask(vector: list[int], key: bytes, sign: int, bits: int) -> list[int]:
    return [
        (value + sign * mask_word(key, bits, place)) % 2**bits for place, value in enumerate(vector)
    ]


def encode_vector(vector: list[int], bits: int) -> bytes:
    return b"".join((value % 2**bits).to_bytes(bits // 8, "little") for value in vector)


def decode_vector(data: bytes, bits: int) -> list[int]:
    width = bits // 8
    return [int.from_bytes(data[at : at + width], "little") for at in range(0, len(data), width)]


def centred(value: int, bits: int) -> int:
    return value - 2**bits if value >= 2 ** (bits - 1) else value
