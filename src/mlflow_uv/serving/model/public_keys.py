"""
Verifies signatures with ECDSA and Ed25519 keys by the standard library alone, for an image without cryptography.

SEC 1 (4.1.4) and RFC 8032 (5.1.7). It handles no secret, so its time may depend on its values. Some hundred times as
slow as OpenSSL, which does not matter for one signature at the start.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass

_PEM = re.compile(r"-----BEGIN PUBLIC KEY-----\s*([A-Za-z0-9+/=\s]+?)\s*-----END PUBLIC KEY-----")


class InvalidKey(ValueError):
    """A text that is not a supported public key in PEM."""


@dataclass(frozen=True)
class Curve:
    """A curve y² = x³ - 3x + b: its prime, b, the base point, its order, and the hash that goes with it."""

    prefix: bytes
    hash: "Callable[[bytes], hashlib._Hash]"
    p: int
    b: int
    base: "tuple[int, int]"
    n: int

    @property
    def size(self) -> int:
        """The bytes of a coordinate."""
        return (self.p.bit_length() + 7) // 8

    def add(self, one: "tuple[int, int] | None", other: "tuple[int, int] | None") -> "tuple[int, int] | None":
        """The sum of two points; None is the neutral element."""
        if one is None or other is None:
            return other if one is None else one
        if one[0] == other[0] and (one[1] + other[1]) % self.p == 0:
            return None
        if one == other:
            slope = 3 * (one[0] * one[0] - 1) * pow(2 * one[1], -1, self.p)
        else:
            slope = (other[1] - one[1]) * pow(other[0] - one[0], -1, self.p)
        x = (slope * slope - one[0] - other[0]) % self.p
        return x, (slope * (one[0] - x) - one[1]) % self.p

    def times(self, factor: int, point: "tuple[int, int] | None") -> "tuple[int, int] | None":
        """A multiple of a point."""
        result: tuple[int, int] | None = None
        while factor:
            if factor & 1:
                result = self.add(result, point)
            point, factor = self.add(point, point), factor >> 1
        return result


def _curve(prefix: str, hashed: "Callable[[bytes], hashlib._Hash]", *numbers: str) -> Curve:
    p, b, x, y, n = (int(number.replace(" ", ""), 16) for number in numbers)
    return Curve(prefix=bytes.fromhex(prefix), hash=hashed, p=p, b=b, base=(x, y), n=n)


# SEC 2: the DER of a SubjectPublicKeyInfo up to the coordinates of its point, the hash, and p, b, x, y, n.
CURVES = (
    _curve(
        "3059301306072a8648ce3d020106082a8648ce3d03010703420004", hashlib.sha256,
        "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff",
        "5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b",
        "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296",
        "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5",
        "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
    ),
    _curve(
        "3076301006072a8648ce3d020106052b8104002203620004", hashlib.sha384,
        "ffffffffffffffffffffffffffffffffffffffffffffffff fffffffffffffffeffffffff0000000000000000ffffffff",
        "b3312fa7e23ee7e4988e056be3f82d19181d9c6efe814112 0314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aef",
        "aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b98 59f741e082542a385502f25dbf55296c3a545e3872760ab7",
        "3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147c e9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f",
        "ffffffffffffffffffffffffffffffffffffffffffffffff c7634d81f4372ddf581a0db248b0a77aecec196accc52973",
    ),
    _curve(
        "30819b301006072a8648ce3d020106052b810400230381860004", hashlib.sha512,
        "01ff" + "ff" * 64,
        "0051953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3 b8b489918ef109e156193951ec7e937b1652c0bd3bb1bf07"
        "3573df883d2c34f1ef451fd46b503f00",
        "00c6858e06b70404e9cd9e3ecb662395b4429c648139053fb521 f828af606b4d3dbaa14b5e77efe75928fe1dc127a2ffa8de"
        "3348b3c1856a429bf97e7e31c2e5bd66",
        "011839296a789a3bc0045c8a5fb42c7d1bd998f54449579b4468 17afbd17273e662c97ee72995ef42640c550b9013fad0761"
        "353c7086a272c24088be94769fd16650",
        "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa 51868783bf2f966b7fcc0148f709a5d0"
        "3bb5c9b8899c47aebb6fb71e91386409",
    ),
)  # fmt: skip


@dataclass(frozen=True)
class EllipticKey:
    """A public key on a curve."""

    der: bytes
    curve: Curve
    point: "tuple[int, int]"

    def verifies(self, signature: bytes, content: bytes) -> bool:
        """Whether it is the signature of this key over the content, in DER."""
        curve, numbers = self.curve, _two_integers(signature)
        if numbers is None or not all(0 < number < curve.n for number in numbers):
            return False
        r, s = numbers
        inverse = pow(s, -1, curve.n)
        hashed = int.from_bytes(curve.hash(content).digest(), "big")  # never longer than the order of its curve
        point = curve.add(
            curve.times(hashed * inverse % curve.n, curve.base), curve.times(r * inverse % curve.n, self.point)
        )
        return point is not None and point[0] % curve.n == r


_P = 2**255 - 19
_ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _P) % _P
_EDWARDS_PREFIX = bytes.fromhex("302a300506032b6570032100")
_EDWARDS_SIZE = 32
_TOP_BIT = 0x80


@dataclass(frozen=True)
class EdwardsKey:
    """A public key of Ed25519."""

    der: bytes
    point: "tuple[int, int]"

    def verifies(self, signature: bytes, content: bytes) -> bool:
        """Whether it is the signature of this key over the content."""
        if len(signature) != 2 * _EDWARDS_SIZE:
            return False
        commitment = _edwards_point(signature[:_EDWARDS_SIZE])
        factor = int.from_bytes(signature[_EDWARDS_SIZE:], "little")
        if commitment is None or factor >= _ORDER:
            return False
        hashed = hashlib.sha512(signature[:_EDWARDS_SIZE] + self.der[-_EDWARDS_SIZE:] + content).digest()
        expected = _edwards_sum(commitment, _edwards_times(int.from_bytes(hashed, "little") % _ORDER, self.point))
        return _edwards_times(factor, _EDWARDS_BASE) == expected


def public_keys(pem: str) -> "tuple[EllipticKey | EdwardsKey, ...]":
    """The public keys in a text with PEM. Raises InvalidKey without one, and for one that is not supported."""
    keys = tuple(_key(body) for body in _PEM.findall(pem))
    if not keys or len(keys) != pem.count("-----BEGIN "):
        raise InvalidKey("it has something else than public keys in PEM")
    return keys


def key_id(key: "EllipticKey | EdwardsKey") -> str:
    """SHA-256 of the public key in PEM, as `sign` prints it."""
    text = base64.b64encode(key.der).decode()
    lines = "".join(f"{text[at : at + 64]}\n" for at in range(0, len(text), 64))
    return hashlib.sha256(f"-----BEGIN PUBLIC KEY-----\n{lines}-----END PUBLIC KEY-----\n".encode()).hexdigest()


def _key(body: str) -> "EllipticKey | EdwardsKey":
    try:
        der = base64.b64decode("".join(body.split()), validate=True)
    except binascii.Error:
        raise InvalidKey("it has a public key that is not in PEM") from None
    if der.startswith(_EDWARDS_PREFIX) and len(der) == len(_EDWARDS_PREFIX) + _EDWARDS_SIZE:
        point = _edwards_point(der[len(_EDWARDS_PREFIX) :])
        if point is not None:
            return EdwardsKey(der=der, point=point)
    for curve in CURVES:
        rest = der[len(curve.prefix) :]
        if der.startswith(curve.prefix) and len(rest) == 2 * curve.size:
            x, y = (int.from_bytes(part, "big") for part in (rest[: curve.size], rest[curve.size :]))
            if max(x, y) < curve.p and (y * y - x**3 + 3 * x - curve.b) % curve.p == 0:
                return EllipticKey(der=der, curve=curve, point=(x, y))
    raise InvalidKey("it has a public key that is neither ECDSA on P-256, P-384 or P-521 nor Ed25519")


def _two_integers(der: bytes) -> "tuple[int, int] | None":
    """The two integers of an ECDSA signature, which is a SEQUENCE in DER of at most 139 bytes; None for another one."""
    long_form = der[:2] == b"\x30\x81"  # of a length from 128, which only a signature on P-521 has
    start = 3 if long_form else 2
    if der[:1] != b"\x30" or len(der) < start or der[start - 1] != len(der) - start:
        return None
    if long_form != bool(der[start - 1] & _TOP_BIT):
        return None
    numbers, rest = [], der[start:]
    for _ in range(2):
        if len(rest) < len(b"\x02\x01\x00") or rest[:1] != b"\x02" or not 0 < rest[1] <= len(rest) - 2:
            return None
        content, rest = rest[2 : 2 + rest[1]], rest[2 + rest[1] :]
        if content[0] & _TOP_BIT or (content[0] == 0 and len(content) > 1 and not content[1] & _TOP_BIT):
            return None  # negative, or not the shortest form
        numbers.append(int.from_bytes(content, "big"))
    return (numbers[0], numbers[1]) if not rest else None


def _edwards_sum(one: "tuple[int, int]", other: "tuple[int, int]") -> "tuple[int, int]":
    (a, b), (c, d) = one, other
    product = _D * a * b * c * d
    x = (a * d + b * c) * pow(1 + product, -1, _P) % _P
    return x, (b * d + a * c) * pow(1 - product, -1, _P) % _P


def _edwards_times(factor: int, point: "tuple[int, int]") -> "tuple[int, int]":
    result = (0, 1)
    while factor:
        if factor & 1:
            result = _edwards_sum(result, point)
        point, factor = _edwards_sum(point, point), factor >> 1
    return result


def _edwards_point(encoded: bytes) -> "tuple[int, int] | None":
    number = int.from_bytes(encoded, "little")
    sign, y = number >> 255, number & (2**255 - 1)
    if y >= _P:
        return None
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if x * x % _P != square:
        x = x * pow(2, (_P - 1) // 4, _P) % _P
    if x * x % _P != square or (x == 0 and sign):
        return None
    return (_P - x if x & 1 != sign else x), y


_EDWARDS_BASE = _edwards_point((4 * pow(5, -1, _P) % _P).to_bytes(_EDWARDS_SIZE, "little")) or (0, 1)
