"""The only module that touches vault keys: seals and opens values. Which secret is whose lives in accounts.secrets.

Envelope: every value is sealed (AES-256-GCM) with a data key of its own, and the data key is wrapped (AES-256-GCM) with a vault
key. Changing the vault key re-wraps data keys and never touches values. What is sealed is bound to the secret's id: moved to
another row it does not open. Bytes: 1 format, 12 nonce, 48 wrapped data key, 12 nonce, the rest sealed value.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import secrets
from pathlib import Path
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

FORMAT = b"\x01"
_NONCE = 12
_WRAPPED = 48  # 32 bytes of data key and the tag
_file_cache: tuple[tuple[int, int, int], dict[str, bytes]] | None = None


class VaultError(Exception):
    """A sealed value does not open; the message names the secret's id, never a value."""


def seal(secret_id: UUID, value: str) -> tuple[bytes, str]:
    """Ciphertext, and the id of the vault key that wrapped its data key."""
    key_id, vault_key = next(iter(_keys().items()))
    data_key = AESGCM.generate_key(bit_length=256)
    nonce = os.urandom(_NONCE)
    sealed = nonce + AESGCM(data_key).encrypt(nonce, value.encode(), _context(secret_id))
    return FORMAT + _wrap(secret_id, data_key, vault_key) + sealed, key_id


def open_sealed(secret_id: UUID, ciphertext: bytes, key_id: str) -> str:
    """The value; VaultError where the key is missing or the bytes are not what was sealed for this secret."""
    data_key = _unwrap(secret_id, ciphertext, key_id)
    start = 1 + _NONCE + _WRAPPED
    try:
        return (
            AESGCM(data_key)
            .decrypt(ciphertext[start : start + _NONCE], ciphertext[start + _NONCE :], _context(secret_id))
            .decode()
        )
    except InvalidTag:
        raise VaultError(f"Secret {secret_id} was changed outside the vault. Replace its value.") from None


def rewrap(secret_id: UUID, ciphertext: bytes, key_id: str) -> tuple[bytes, str]:
    """The same sealed value with its data key wrapped by the newest vault key."""
    newest, vault_key = next(iter(_keys().items()))
    wrapped = _wrap(secret_id, _unwrap(secret_id, ciphertext, key_id), vault_key)
    return FORMAT + wrapped + ciphertext[1 + _NONCE + _WRAPPED :], newest


def keys_are_given() -> bool:
    """Whether the keys come from the setting, the same for every host, and not from this host's file."""
    return bool(settings.VAULT_KEYS)


def newest_key_id() -> str:
    """The id of the key that new values are sealed with."""
    return next(iter(_keys()))


def known_key_ids() -> list[str]:
    """Ids of all keys at hand, newest first."""
    return list(_keys())


def add_key_to_file() -> str:
    """Put a fresh key first in DATA_DIR/vault.keys and return its id; processes at work notice by themselves."""
    if keys_are_given():
        raise ImproperlyConfigured(
            "The keys come from VAULT_KEYS: put a new key first in that setting and restart every process."
        )
    _keys()  # makes the file when there is none
    lines = [_new_key(), *_file().read_text().split()]
    _replace_file(lines)
    return newest_key_id()


def drop_from_file(unused: set[str]) -> None:
    """Forget the keys with these ids; the newest always stays."""
    keep = [
        line
        for line in _file().read_text().split()
        if _id_of(_decoded(line, str(_file()))) not in unused - {newest_key_id()}
    ]
    _replace_file(keep)


def _context(secret_id: UUID) -> bytes:
    return f"accounts.secret:{secret_id}:{FORMAT[0]}".encode()


def _wrap(secret_id: UUID, data_key: bytes, vault_key: bytes) -> bytes:
    nonce = os.urandom(_NONCE)
    return nonce + AESGCM(vault_key).encrypt(nonce, data_key, _context(secret_id) + b":key")


def _unwrap(secret_id: UUID, ciphertext: bytes, key_id: str) -> bytes:
    vault_key = _keys().get(key_id)
    if vault_key is None:
        raise VaultError(
            f"Secret {secret_id} was sealed with vault key {key_id}, which is not at hand. "
            f"Add that key to {'VAULT_KEYS' if keys_are_given() else _file()}, or replace the secret's value."
        )
    if ciphertext[:1] != FORMAT:
        raise VaultError(f"Secret {secret_id} has a format that this version does not know. Replace its value.")
    try:
        return AESGCM(vault_key).decrypt(
            ciphertext[1 : 1 + _NONCE], ciphertext[1 + _NONCE : 1 + _NONCE + _WRAPPED], _context(secret_id) + b":key"
        )
    except InvalidTag:
        raise VaultError(f"Secret {secret_id} was changed outside the vault. Replace its value.") from None


def _keys() -> dict[str, bytes]:
    """{id: key}, newest first, from VAULT_KEYS or the file."""
    if settings.VAULT_KEYS:
        found = [_decoded(text, "VAULT_KEYS") for text in settings.VAULT_KEYS]
        return {_id_of(key): key for key in found}
    return _keys_of_file()


def _keys_of_file() -> dict[str, bytes]:
    """Keys of DATA_DIR/vault.keys, one a line; read again when the file changes, made when it is not there."""
    global _file_cache
    path = _file()
    try:
        status = path.stat()
    except FileNotFoundError:
        _make_file()
        status = path.stat()
    if status.st_mode & 0o077:
        raise ImproperlyConfigured(f"{path} can be read by other users of this machine. Run: chmod 600 {path}")
    stamp = (status.st_ino, status.st_mtime_ns, status.st_size)
    if _file_cache is None or _file_cache[0] != stamp:
        found = [_decoded(line, str(path)) for line in path.read_text().split()]
        if not found:
            raise ImproperlyConfigured(f"{path} is empty. Restore it from your backup: without it no secret opens.")
        _file_cache = (stamp, {_id_of(key): key for key in found})
    return _file_cache[1]


def _file() -> Path:
    return Path(settings.DATA_DIR) / "vault.keys"


def _make_file() -> None:
    """Write a first key; where several processes start at once, the first file wins and all read that."""
    path = _file()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = _draft([_new_key()])
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _replace_file(lines: list[str]) -> None:
    os.replace(_draft(lines), _file())


def _draft(lines: list[str]) -> Path:
    draft = _file().with_name(f"vault.keys.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write("\n".join(lines) + "\n")
        file.flush()
        os.fsync(file.fileno())
    return draft


def _new_key() -> str:
    return base64.b64encode(os.urandom(32)).decode()


def _decoded(text: str, where: str) -> bytes:
    """32 bytes from base64, the plain or the URL-safe alphabet."""
    try:
        key = base64.b64decode(text.strip().replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != 32:
        raise ImproperlyConfigured(
            f"A key in {where} is not 32 bytes in base64. Make one with: openssl rand -base64 32"
        )
    return key


def _id_of(key: bytes) -> str:
    return hashlib.sha256(b"vault key id:" + key).hexdigest()[:16]
