"""Hold rows of one kind of value, and turn them into a pandas DataFrame or an Arrow table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, Generic, TypeVar, get_args, overload

from msgspec import Struct
from msgspec.structs import FieldInfo, fields

from audience_sync.errors import MissingPackageError

if TYPE_CHECKING:
    import pandas
    import pyarrow

Row = TypeVar("Row", bound=Struct, covariant=True)

#: By the type of a field: the dtype of a column in pandas, that of one that may miss values, and its type in Arrow.
_TYPES: Mapping[type, tuple[str, str, str]] = {
    bool: ("bool", "boolean", "bool_"),
    int: ("int64", "Int64", "int64"),
    float: ("float64", "float64", "float64"),
    datetime: ("datetime64[us, UTC]", "datetime64[us, UTC]", "timestamp"),
    str: ("str", "str", "string"),
}


class Records(Sequence[Row], Generic[Row]):
    """Rows of one kind, in order; it never changes.

    A field that holds a value of its own, such as what a guard holds, is in the rows, and not in tables.
    """

    __slots__ = ("_kind", "_rows")

    def __init__(self, kind: type[Row], rows: Iterable[Row] = ()) -> None:
        self._kind, self._rows = kind, tuple(rows)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Records[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | Records[Row]:
        if isinstance(index, slice):
            return Records(self._kind, self._rows[index])
        return self._rows[index]

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Records) and (self._kind, self._rows) == (other._kind, other._rows)

    def __hash__(self) -> int:
        return hash((self._kind, self._rows))

    def __repr__(self) -> str:
        rows = "".join(f"\n    {row!r}," for row in self._rows)
        return f"[{rows}\n]" if rows else "[]"

    def to_frame(self) -> pandas.DataFrame:
        """A pandas DataFrame with one column for each plain field, also without rows.

        The dtype of a column does not depend on its values: `Int64` if a number may be missing, otherwise `int64`.
        Times are in UTC. Raises MissingPackageError without pandas.
        """
        return to_frame(self._kind, self._rows)

    def to_arrow(self) -> pyarrow.Table:
        """An Arrow table with one column for each plain field. Raises MissingPackageError without pyarrow."""
        return to_arrow(self._kind, self._rows)


def to_frame(kind: type[Struct], rows: Sequence[Struct]) -> pandas.DataFrame:
    """See ``Records.to_frame``."""
    try:
        import pandas
    except ImportError:
        raise _missing("to_frame()", "pandas", "'audience-sync[pandas]'") from None
    return pandas.DataFrame(
        {
            field.name: pandas.Series(values, dtype=_TYPES[of][type(None) in get_args(field.type)])
            for field, of, values in _columns(kind, rows)
        }
    )


def to_arrow(kind: type[Struct], rows: Sequence[Struct]) -> pyarrow.Table:
    """See ``Records.to_arrow``."""
    try:
        import pyarrow
    except ImportError:
        raise _missing("to_arrow()", "pyarrow", "pyarrow") from None
    time = pyarrow.timestamp("us", "UTC")
    types = {of: time if of is datetime else getattr(pyarrow, arrow)() for of, (*_, arrow) in _TYPES.items()}
    return pyarrow.table({field.name: pyarrow.array(values, types[of]) for field, of, values in _columns(kind, rows)})


def _missing(what: str, package: str, install: str) -> MissingPackageError:
    return MissingPackageError(
        f"{what} needs {package}, which is not installed. Nothing was lost: to_dict() has the same values.\n"
        f"Install it: pip install {install}"
    )


def _columns(kind: type[Struct], rows: Sequence[Struct]) -> Iterator[tuple[FieldInfo, type, list[Any]]]:
    """Each plain field, its type without None, and its values."""
    for field in fields(kind):
        of = _plain_type(field.type)
        if of is not None:
            yield field, of, [_plain(getattr(row, field.name)) for row in rows]


def _plain_type(annotation: Any) -> type | None:
    """The type of a field's values in ``_TYPES``; None if it is not plain."""
    kinds = [each for each in get_args(annotation) or (annotation,) if each is not type(None)]
    if len(kinds) != 1:
        return None
    kind = getattr(kinds[0], "__supertype__", kinds[0])
    return next((each for each in _TYPES if isinstance(kind, type) and issubclass(kind, each)), None)


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value
