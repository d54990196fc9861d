"""Read text from a result of DuckDB as buffers, by Arrow's interface in C: no Python object is made for a value.

The interface is stable and public (Arrow's C stream interface, and its capsules for Python). A library that reads it
would be 145 MB (pyarrow), or one more dependency for these few lines.
"""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from audience_sync.errors import ArrowError


class _Array(ctypes.Structure):
    """``struct ArrowArray``: the rows of a batch, or (``children``) of one of its columns."""


_Array._fields_ = [
    ("length", ctypes.c_int64),
    ("null_count", ctypes.c_int64),
    ("offset", ctypes.c_int64),
    ("n_buffers", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("buffers", ctypes.POINTER(ctypes.c_void_p)),
    ("children", ctypes.POINTER(ctypes.POINTER(_Array))),
    ("dictionary", ctypes.c_void_p),
    ("release", ctypes.CFUNCTYPE(None, ctypes.c_void_p)),
    ("private_data", ctypes.c_void_p),
]


class _Batch(_Array):
    """The rows of a batch, which are freed with it."""

    def __del__(self) -> None:
        if self.release:
            self.release(ctypes.byref(self))


class _Stream(ctypes.Structure):
    """``struct ArrowArrayStream``."""

    _fields_ = (
        ("get_schema", ctypes.c_void_p),
        ("get_next", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)),
        ("get_last_error", ctypes.CFUNCTYPE(ctypes.c_char_p, ctypes.c_void_p)),
        ("release", ctypes.c_void_p),
        ("private_data", ctypes.c_void_p),
    )


class TextColumn(Struct, frozen=True):
    """The texts of one column in UTF-8, one after another. Text ``i`` begins at ``offsets[i]``; NULL has no bytes."""

    offsets: memoryview
    data: memoryview

    def __getitem__(self, row: int) -> bytes:
        return bytes(self.data[self.offsets[row] : self.offsets[row + 1]])

    def part(self, start: int, end: int) -> TextColumn:
        """The rows from ``start`` up to, but without, ``end``, without a copy."""
        return TextColumn(self.offsets[start : end + 1], self.data)

    def filled(self, texts: Mapping[int, bytes]) -> TextColumn:
        """A copy with these texts in rows that have none; ``texts``: by row, in order."""
        data, offsets, start, moved = bytearray(), array("i"), 0, -self.offsets[0]
        for row, text in texts.items():
            offsets.extend([offset + moved for offset in self.offsets[start : row + 1]])
            data += self.data[self.offsets[start] : self.offsets[row]]
            data += text
            start, moved = row + 1, moved + len(text)
        offsets.extend([offset + moved for offset in self.offsets[start:]])
        data += self.data[self.offsets[start] : self.offsets[-1]]
        return TextColumn(memoryview(offsets), memoryview(data))


def text_columns(result: Any) -> Iterator[Sequence[TextColumn]]:
    """Yield the columns of each batch of rows. All of them have to be texts.

    ``result``: a relation. Raises ArrowError if the query fails, and what DuckDB raises before its first row.
    """
    capsule = result.__arrow_c_stream__()  # owns the stream
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
    stream = _Stream.from_address(pointer(capsule, b"arrow_array_stream"))
    while True:
        batch = _Batch()
        if stream.get_next(ctypes.byref(stream), ctypes.byref(batch)):
            raise ArrowError((stream.get_last_error(ctypes.byref(stream)) or b"").decode("utf-8", "replace"))
        if not batch.release:
            return
        if batch.length:  # an empty batch may have no buffers
            yield [_column(batch, number) for number in range(batch.n_children)]


def _column(batch: _Batch, number: int) -> TextColumn:
    column = batch.children[number].contents
    first = batch.offset + column.offset
    offsets = _buffer(batch, column.buffers[1], (first + batch.length + 1) * ctypes.sizeof(ctypes.c_int32))
    offsets = offsets.cast("i")[first:]
    return TextColumn(offsets, _buffer(batch, column.buffers[2], offsets[-1]))


def _buffer(batch: _Batch, address: int | None, size: int) -> memoryview:
    """Return the bytes at an address of the batch, which lives as long as a view of them."""
    if not address or not size:
        return memoryview(b"")
    array = (ctypes.c_char * size).from_address(address)
    array.batch = batch  # type: ignore[attr-defined]  # each view refers to the array
    return memoryview(array).cast("B")
