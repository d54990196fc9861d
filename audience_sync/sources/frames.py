"""Read snapshots from frames of Python: pandas, and everything with Arrow's interface (Polars, Arrow, DuckDB).

A frame is captured once, before the run: as a Parquet file by DuckDB, which needs no pyarrow, or as rows of Python if a
column of pandas holds objects of several kinds. Then it is read by the rules of any source.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from audience_sync.cancellation import interruptible
from audience_sync.errors import SourceError, WrongValueError, summarize_error
from audience_sync.sources.base import SnapshotRequest, SnapshotRows, Source
from audience_sync.sources.rows.column_schema import generic_type
from audience_sync.sources.rows.scan import Column, Scan, join_names, looks_like_data, snapshot_part
from audience_sync.sources.rows.scan_errors import ScanErrors
from audience_sync.sources.rows.snapshot_query import snapshot_rows
from audience_sync.sources.rows.spool import spool
from audience_sync.sql import Relation, quote_identifier, quote_literal
from audience_sync.text import nearest
from audience_sync.workspace import Workspace

if TYPE_CHECKING:
    import pandas

#: What a frame may be, in an error about another value.
KINDS = "a pandas or Polars DataFrame, an Arrow table or a DuckDB relation"
#: Memory of the DuckDB that writes a frame to a file, in addition to that of the run.
_CAPTURE_MEMORY = "256MB"


class Frame(Struct, frozen=True, kw_only=True):
    """A captured frame.

    ``file``: a Parquet file with the columns ``c0``, ``c1`` and so on; None if it is in ``rows``. ``all_columns``: the
    names of all its columns, also of those that were not captured.
    """

    name: str
    columns: Sequence[str]
    all_columns: Sequence[str]
    file: Path | None = None
    rows: Sequence[Sequence[Any]] = ()


class FrameSource(Source):
    """The source of one entry for one run."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def check(self) -> str:
        return f"{self._frame.name}, a frame of Python"

    def fingerprint(self, request: SnapshotRequest) -> None:
        """A frame is always read: only its rows show a change."""

    def read(self, workspace: Workspace, request: SnapshotRequest) -> SnapshotRows:
        frame = self._frame
        columns = dict.fromkeys(frame.all_columns, "")
        if frame.file is None:
            refuse = _refusal(frame, request)
            part = spool(workspace, frame.name, frame.columns, frame.rows, request, refuse=refuse)
            rows = snapshot_rows(workspace, request, [part], ScanErrors({}, what=frame.name))
        else:
            table = _table(workspace, frame, frame.file)
            columns |= {name: generic_type(column.type) for name, column in table.columns.items()}
            errors = ScanErrors({str(frame.file): frame.name})
            rows = snapshot_rows(workspace, request, [snapshot_part(table, request)], errors, rereadable=True)
        return replace(rows, columns=columns) if request.expected.columns else rows


def _table(workspace: Workspace, frame: Frame, file: Path) -> Scan:
    scan = Relation(f"read_parquet({quote_literal(str(file))}, hive_partitioning = false)")
    described = workspace.all(f"describe from {scan}")
    columns = {
        name: Column(quote_identifier(row[0]), row[1]) for name, row in zip(frame.columns, described, strict=True)
    }
    return Scan(name=frame.name, scan=scan, columns=columns)


def _refusal(frame: Frame, request: SnapshotRequest) -> Callable[[Any], SourceError]:
    def refuse(value: Any) -> SourceError:
        return SourceError(
            f"{frame.name}: column {request.user_id!r} has values of the type {type(value).__name__}, which can't be "
            "user ids. Choose another column, or write this one as text."
        )

    return refuse


def capture(key: str, value: Any, wanted: Collection[str] | None, file: Path) -> Frame:
    """Capture these columns of a frame, into ``file`` if DuckDB can read them; None is all of them.

    Raises WrongValueError if the value is not a frame, or a column is missing or there twice.
    """
    name = f"frames[{key!r}]"
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(value, pandas.DataFrame):
        return _capture_pandas(name, value, wanted, file)
    if isinstance(value, type) or not hasattr(value, "__arrow_c_stream__") or _is_column(value):
        more = " Call `.collect()` first." if hasattr(value, "collect") else ""
        more = more or (" Call `.to_frame()` first." if _is_column(value) else "")
        raise WrongValueError(
            "frames", f"{name} is a {type(value).__name__}. It has to be {KINDS}.{more} Nothing was done."
        )
    return _capture_arrow(name, value, wanted, file)


def _is_column(value: Any) -> bool:
    """Whether it is one column, such as a Series of pandas or Polars."""
    return hasattr(type(value), "to_frame") and not hasattr(type(value), "columns")


def _capture_arrow(name: str, value: Any, wanted: Collection[str] | None, file: Path) -> Frame:
    """Write a frame with Arrow's interface, whose stream may be read once only."""
    import duckdb

    try:
        known = _column_names(value)
        if known is not None:
            _require_columns(name, known, wanted)
        with _duckdb() as connection, interruptible(connection.interrupt):
            connection.register("frame", _Stream(value))
            connection.execute(f"copy (from frame) to {quote_literal(str(file))} (format parquet)")
            found = [row[0] for row in connection.execute(f"describe from {quote_literal(str(file))}").fetchall()]
    except WrongValueError:
        raise
    except (duckdb.Error, RuntimeError, ValueError, TypeError) as error:
        raise _unreadable(name, error) from None
    names = known if known is not None and len(known) == len(found) else found
    _require_columns(name, names, wanted)
    return Frame(name=name, columns=names, all_columns=names, file=file)


class _Stream:
    """Offers nothing but Arrow's interface, so that DuckDB reads every kind of frame in one way."""

    def __init__(self, frame: Any) -> None:
        self._frame = frame

    def __arrow_c_stream__(self, requested_schema: object = None) -> Any:
        return self._frame.__arrow_c_stream__(requested_schema)


def _column_names(value: Any) -> list[str] | None:
    """The names that a frame states itself, where Arrow's interface is not read for them; None if it states none."""
    for names in (getattr(value, "column_names", None), getattr(value, "columns", None)):
        if isinstance(names, (list, tuple)) and all(isinstance(each, str) for each in names):
            return list(names)
    names = getattr(getattr(value, "schema", None), "names", None)
    return list(names) if isinstance(names, (list, tuple)) else None


def _capture_pandas(name: str, frame: pandas.DataFrame, wanted: Collection[str] | None, file: Path) -> Frame:
    import duckdb

    labels = list(frame.columns)
    index = [each for each in frame.index.names if isinstance(each, str)]
    _require_columns(name, labels, wanted, index=index)
    kept = [
        place for place, label in enumerate(labels) if isinstance(label, str) and (wanted is None or label in wanted)
    ]
    names, columns = [labels[place] for place in kept], [frame.iloc[:, place] for place in kept]
    every = [str(label) for label in labels]
    if all(map(_is_plain, columns)):
        try:
            _write_plain(columns, file)
            return Frame(name=name, columns=names, all_columns=every, file=file)
        except (duckdb.Error, UnicodeError, RuntimeError):  # such as half a surrogate pair in a text
            file.unlink(missing_ok=True)
    try:
        rows = list(zip(*map(_python_values, columns), strict=True))
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise _unreadable(name, error) from None
    return Frame(name=name, columns=names, all_columns=every, rows=rows)


def _is_plain(column: pandas.Series[Any]) -> bool:
    """Whether DuckDB reads every value of the column: its objects, if it has some, are all texts."""
    from pandas.api import types

    kind = column.dtype
    if isinstance(kind, types.CategoricalDtype):
        return bool(types.infer_dtype(kind.categories) in ("string", "empty"))
    if types.is_object_dtype(kind):
        return types.infer_dtype(column, skipna=True) in ("string", "empty")
    plain = (types.is_string_dtype, types.is_bool_dtype, types.is_integer_dtype, types.is_float_dtype)
    return any(is_kind(kind) for is_kind in plain) or types.is_datetime64_any_dtype(kind)


def _write_plain(columns: Sequence[pandas.Series[Any]], file: Path) -> None:
    import pandas

    own = pandas.DataFrame({f"c{number}": _readable(column) for number, column in enumerate(columns)})
    with _duckdb() as connection, interruptible(connection.interrupt):
        connection.register("frame", own)
        connection.execute(f"copy (from frame) to {quote_literal(str(file))} (format parquet)")


def _readable(column: pandas.Series[Any]) -> Any:
    """The values in a type that DuckDB reads: a half-precision number and an object have no other."""
    from pandas.api import types

    values = column.reset_index(drop=True)
    if str(values.dtype).lower() == "float16":
        return values.astype("float32")
    return values.astype("str") if types.is_object_dtype(values.dtype) and not values.isna().all() else values


def _python_values(column: pandas.Series[Any]) -> list[Any]:
    """The values of a column as those of Python; a missing one is None."""
    values = column.astype(object).tolist()
    return [None if absent else _python_value(value) for value, absent in zip(values, column.isna(), strict=True)]


def _python_value(value: Any) -> Any:
    """The value without types of numpy, at any depth."""
    import numpy

    if isinstance(value, dict):
        return {key: _python_value(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_python_value(inner) for inner in value]
    if isinstance(value, numpy.ndarray):
        return _python_value(value.tolist())
    return value.item() if isinstance(value, numpy.generic) else value


def _duckdb() -> Any:
    """A DuckDB of its own, which keeps the order of rows: their numbers are shown to people."""
    import duckdb

    connection = duckdb.connect(":memory:", config={"threads": 1, "memory_limit": _CAPTURE_MEMORY})
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET pandas_analyze_sample = 0")  # objects are texts here
    return connection


def _require_columns(
    name: str, labels: Iterable[Any], wanted: Collection[str] | None, *, index: Sequence[str] = ()
) -> None:
    """Raise WrongValueError if a column is missing, or there twice. ``index``: names of the frame's index."""
    labels = list(labels)
    there = [each for each in labels if isinstance(each, str)]
    for column in there if wanted is None else wanted:
        if labels.count(column) > 1:
            raise WrongValueError("frames", f"{name} has {labels.count(column)} columns {column!r}. Nothing was done.")
        if column in there:
            continue
        if column in index:
            remedy = " It is the index: pass `frame.reset_index()`."
        elif looks_like_data(there):
            remedy = ""
        else:
            meant = nearest(column, there)
            hint = f" Did you mean {meant!r}? Rename it, or set the option in the config." if meant else ""
            remedy = f" Columns: {join_names(there)}.{hint}"
        raise WrongValueError("frames", f"{name} has no column {column!r}.{remedy} Nothing was done.")


def _unreadable(name: str, error: Exception) -> WrongValueError:
    why = summarize_error(error, str, with_location=False)
    return WrongValueError("frames", f"{name} can't be read: {why}. Nothing was done.")
