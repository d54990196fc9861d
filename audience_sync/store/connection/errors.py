"""Translate a database's errors into errors of the store: what happened, what it means and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from traceback import extract_tb
from typing import TYPE_CHECKING

from sqlalchemy.exc import OperationalError, SQLAlchemyError

from audience_sync.errors import StoreDamagedError, StoreError, StoreUnavailableError
from audience_sync.poolers import pooler_refusal
from audience_sync.store.connection.sqlite import is_busy

if TYPE_CHECKING:
    from audience_sync.store.connection.engine import Store

#: SQLite's errors for a file that is damaged or is not a database.
_DAMAGE_ERRORS = ("malformed", "file is not a database", "unsupported file format")
#: The error of SQLite's driver for bytes that are not UTF-8.
_DECODE_ERROR = "Could not decode to UTF-8"
_RESTORE = "The file is damaged: restore a backup of the store."
_ROLLED_BACK = "What was not committed was rolled back"


@contextmanager
def translated_errors(store: Store) -> Iterator[None]:
    """Raise StoreError for errors of the driver, without their cause: it would show rows, which are people's data."""
    driver = store.engine.dialect.loaded_dbapi
    try:
        yield
    except UnicodeDecodeError as error:
        if not _is_driver_error(error):
            raise
        raise _encoding_error(store) from None
    except (SQLAlchemyError, driver.Error) as error:  # driver.Error: COPY does not pass through SQLAlchemy
        raise _store_error(store, error) from None


def _store_error(store: Store, error: Exception) -> StoreError:
    if _DECODE_ERROR in str(error):
        return _encoding_error(store)
    if any(sign in str(error) for sign in _DAMAGE_ERRORS):
        return StoreDamagedError(f"The store {store.label} failed: {_reason(error)}. {_ROLLED_BACK}. {_RESTORE}")
    if refusal := pooler_refusal(_reason(error)):
        reason, advice = refusal
        return StoreError(f"The store {store.label} can't be used: {reason}. Nothing was done. {advice}")
    is_lost = _is_connection_lost(error)
    kind = StoreUnavailableError if is_lost else StoreError
    if store.is_sqlite and is_busy(getattr(error, "orig", None) or error):
        locked = f"The store {store.label} was locked by another program for too long (database is locked)"
        remedy = f"Close programs that read it (`fuser -v {store.label}` names them), then: audience-sync check"
        return kind(f"{locked}. {_ROLLED_BACK}. {remedy}")
    state = "can't be reached" if is_lost else "failed"
    fact = f"The store {store.label} {state}: {_reason(error)}. {_ROLLED_BACK}"
    return kind(f"{fact}; see what is wrong with: audience-sync check")


def _encoding_error(store: Store) -> StoreDamagedError:
    effect = "Nothing that was not yet committed is kept"
    return StoreDamagedError(f"The store {store.label} failed: text in it is not UTF-8. {effect}. {_RESTORE}")


def _is_driver_error(error: Exception) -> bool:
    """Whether an error comes from the driver, called by this package or SQLAlchemy, not from a connection's user."""
    file = Path(extract_tb(error.__traceback__)[-1].filename)
    return Path(__file__).parents[1] in file.parents or "sqlalchemy" in file.parts


def _is_connection_lost(error: Exception) -> bool:
    """Whether the server could not be reached, or closed the connection."""
    if getattr(error, "connection_invalidated", False):
        return True
    return isinstance(error, OperationalError) and error.statement is None


def _reason(error: Exception) -> str:
    """The database's message without PostgreSQL's DETAIL and CONTEXT, which quote rows."""
    cause = getattr(error, "orig", None) or error
    diagnosis = getattr(cause, "diag", None)
    return str((diagnosis and diagnosis.message_primary) or cause).strip()


def address_error(error: Exception) -> StoreError:
    """The error about an address that can't be a store's."""
    if isinstance(error, ModuleNotFoundError) and error.name == "psycopg":
        missing = "The store is on PostgreSQL, but its driver is missing"
        return StoreError(f"{missing}: pip install 'audience-sync[postgresql]'")
    if isinstance(error, ValueError):  # not quoted: the text in the port's position may be part of a password
        return StoreError(
            "The store's URL can't be used: its form is postgresql://user@host:5432/name, where the port is a number. "
            "Nothing was done. Correct `store:` in the config; in a password write `%40` for `@` and `%2F` for `/`."
        )
    return StoreError(f"The store's address can't be used: {error}. See `store:` in the config.")
