"""An age v1 file (C2SP age.md), read with nothing but its text and the library `cryptography`."""

import base64
import hashlib
import hmac

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

CHUNK = 64 << 10


def unpadded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)


def header(file: bytes) -> tuple[list[tuple[list[str], bytes]], bytes, bytes, int]:
    """Stanzas, what the MAC is over, the MAC, and where the payload begins."""
    lines = file[: 64 << 10].split(b"\n")
    assert lines.pop(0) == b"age-encryption.org/v1"
    stanzas, length = [], len("age-encryption.org/v1\n")
    while True:
        line = lines.pop(0)
        if line.startswith(b"--- "):
            return stanzas, file[: length + 3], unpadded(line[4:].decode()), length + len(line) + 1
        length += len(line) + 1
        assert line.startswith(b"-> ")
        body = ""
        while True:
            part = lines.pop(0).decode()
            length += len(part) + 1
            body += part
            if len(part) < 64:
                break
        stanzas.append((line[3:].decode().split(" "), unpadded(body)))


def derived(secret: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=salt, info=info).derive(secret)


def opened(file: bytes, file_key: bytes) -> bytes:
    """The content."""
    _, over, mac, start = header(file)
    assert hmac.digest(derived(file_key, b"", b"header"), over, "sha256") == mac
    cipher = ChaCha20Poly1305(derived(file_key, file[start : start + 16], b"payload"))
    payload, content, number = file[start + 16 :], b"", 0
    while True:
        chunk, payload = payload[: CHUNK + 16], payload[CHUNK + 16 :]
        content += cipher.decrypt(number.to_bytes(11) + bytes([not payload]), chunk, None)
        number += 1
        if not payload:
            return content
