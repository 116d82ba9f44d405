"""Events as a service would send them. Every builder takes keyword arguments that replace members of the event."""

import hashlib
import secrets
import time
import uuid


def new_id() -> str:
    """An id such as those the daemon hands out: milliseconds, then random bits."""
    return f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"


def new_request() -> str:
    return str(uuid.uuid4())


def event(type: str, streams: list, body: dict | None = None, claims: dict | None = None, actor="system") -> dict:
    """Any event. Body and claims are left out where they are not given."""
    made = {"type": type, "request": new_request(), "actor": actor, "streams": streams}
    if body is not None:
        made["body"] = body
    if claims is not None:
        made["claims"] = claims
    return made


def closure(subject: str | None = None, **members) -> dict:
    """The smallest event there is: a body field and no claims."""
    return event("account.closed", [f"subject/{subject or new_id()}"], {"channel": "web"}) | members


def registration(subject: str | None = None, phone: str = "13800000001", **members) -> dict:
    """One claim of a person."""
    stream = f"subject/{subject or new_id()}"
    body = {"kind": "person", "channel": "web"}
    return event("account.registered", [stream], body, {stream: {"phone": phone}}, actor=stream) | members


def deposit(document: bytes = b"", name: str = "contract.pdf", object_id: str | None = None, **members) -> dict:
    """A deposited document with its SHA-256, size and file name as claims."""
    stream = f"object/{object_id or new_id()}"
    claims = {"sha256": hashlib.sha256(document).hexdigest(), "size": len(document), "file_name": name}
    body = {"channel": "upload", "media_type": "application/pdf", "product": "deposit"}
    return event("evidence.deposited", [stream], body, {stream: claims}) | members


def consent(subject: str | None = None, shown: str = "I agree.", **members) -> dict:
    """Lists of codes, a digest and a long claim."""
    stream = f"subject/{subject or new_id()}"
    body = {
        "purposes": ["deposit", "signing"], "categories": ["name", "document"], "language": "zh-CN",
        "text_sha256": hashlib.sha256(shown.encode()).hexdigest(), "mode": "express",
    }
    return event("consent.granted", [stream], body, {stream: {"shown_text": shown}}, actor=stream) | members


def erasure(scopes: list, **members) -> dict:
    """Has scopes erased."""
    body = {"requested": 1, "scopes": scopes}
    return event("erasure.executed", [f"request/{new_id()}"], body) | members


def access(operation: str = "read", reason: str | None = None, staff: str | None = None, **members) -> dict:
    """Of a size the caller picks: the reason is a claim of up to 4,000 bytes."""
    stream = f"staff/{staff or new_id()}"
    claims = None if reason is None else {stream: {"reason": reason}}
    return event("staff.access", [stream], {"role": "support", "operation": operation}, claims) | members
