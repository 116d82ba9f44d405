#!/usr/bin/env python3
"""Independent verifier of evidenced ledgers, format version 1, written from ledger-format.md alone.

"Section" is a section of that document, "step" one of its section 14, Verification. Exit status 0: all that was
checked holds. Exit status 1: refused; one line says where, and which rule is broken."""
import argparse, base64, calendar, hashlib, json, os, re, zipfile
from collections import namedtuple
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

Key = namedtuple("Key", "name id public text")
Note = namedtuple("Note", "signed origin size root signatures")
Identity = namedtuple("Identity", "incarnation key since body")

class Refused(Exception):
    """The message is `<member or entry>: <rule>`."""

def need(holds, where, rule):
    if not holds:
        raise Refused(f"{where}: {rule}")

# ---- Patterns: words in capitals stand for other patterns. JSON is matched in its canonical spelling ----
WORDS = {
    "STREAM": "(subject|contract|object|request|session|policy|purpose|cert|issuance|disclosure|vendor|staff"
              "|incident|ledger)/ID",
    "ID": "[0-9a-f]{32}", "COUNT": "(0|[1-9][0-9]*)", "HASH": "B{42}[AEIMQUYcgkosw048]=",
    "BASE64": "(B{4})*(B[AQgw]==|BB[AEIMQUYcgkosw048]=)?", "B": "[A-Za-z0-9+/]", "NAME": r"[^\s\x00-\x20\x7f-\xa0+]+",
    "TIME": "(19[7-9]|[2-9][0-9]{2})[0-9]-(0[1-9]|1[0-2])-[0-9]{2}T([01][0-9]|2[0-3])(:[0-5][0-9]){2}[.][0-9]{6}Z"}

def pattern(text):
    for word, meaning in WORDS.items():
        text = text.replace(word, meaning)
    return re.compile(text, re.DOTALL)

def rows(item):
    return f"({item}(,{item})*)?"

ENTRY = {
    "actor": '"(system|(subject|staff|vendor)/ID)"', "body": "{.*}",
    "claims": "{" + rows('"STREAM":{"[^"]+":"HASH"(,"[^"]+":"HASH")*}') + "}", "index": "COUNT", "prev": '"HASH"',
    "request": '"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"', "streams": r'\[\["STREAM",COUNT\](,\["STREAM",COUNT\]){0,15}\]',
    "submitter": '"[a-z][a-z0-9._-]{0,63}"', "time": '"TIME"', "type": r'"[a-z_]+\.[a-z_]+"', "v": "1"}
