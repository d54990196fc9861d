"""Offer the audiences of a project as assets of Dagster, one each, which are materialized by one run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dagster import (
    AssetExecutionContext,
    AssetKey,
    AssetsDefinition,
    AssetSpec,
    Failure,
    MaterializeResult,
    multi_asset,
)

from audience_sync.config.outline import Outline, read_outline
from audience_sync.dbt.names import parts_of
from audience_sync.errors import HeldError, RunError, RunInProgressError, WrongUseError
from audience_sync.integrations.outcome import require_success

if TYPE_CHECKING:
    from audience_sync import Run

#: The asset of all computed traits.
TRAITS = "computed_traits"
#: The assets that an audience depends on, by its key.
Deps = Mapping[str, Sequence[Any]]
_NOT_SYNCED = ("held", "failed", "frozen", "waiting")
_COUNTED = ("members", "entered", "left", "invalid")


def audience_assets(
    config: str | PathLike[str] = "config.yaml",
    *,
    env: str | None = None,
    name: str = "audience_sync",
    key_prefix: str | Sequence[str] = "audience_sync",
    group_name: str | None = "audience_sync",
    deps: Deps | None = None,
) -> AssetsDefinition:
    """An asset for each audience of the config, and one for its computed traits: all or some are one run.

    ``env``: a part of the config's ``environments``. ``name``: that of the step. ``deps``: the assets that an audience
    depends on, by its key; default: the assets that are called as its `dbt_model`. The config is read when Dagster
    loads the definitions, and the variables in it when a run begins. Computed traits are part of every run; selected
    alone, they are synced with all audiences.

    The metadata of a materialization are the members, who entered and left, invalid rows, and the run. An audience
    that is held or has failed is not materialized. The step then fails: without a retry for what a person has to
    decide or correct, else it is repeated if it has a retry policy. While another run is in progress, nothing is
    materialized, and the step succeeds.

    Raises ConfigError if the config can't be read.
    """
    entries = _entries(read_outline(Path(config), env))
    prefix = [key_prefix] if isinstance(key_prefix, str) else list(key_prefix)
    specs = [_spec(each, prefix, group_name, deps) for each in entries]

    @multi_asset(name=name, specs=specs, can_subset=True)
    def assets(context):  # type: ignore[no-untyped-def]  # Dagster can't read an annotation that is a text
        made = _run(context, Path(config), env, entries)
        if made is None:
            return
        run, origins = made
        for name, counts in _counts(run.to_dict(), entries, origins):
            key = AssetKey([*prefix, name])
            if key in context.selected_asset_keys:
                yield MaterializeResult(key, metadata={**counts, "run": run.number})
        try:
            require_success(run, context.log.warning)
        except RunError as error:
            raise Failure(str(error), allow_retries=not isinstance(error, HeldError)) from None

    return assets


class _Entry(NamedTuple):
    """An asset: an audience (``key``), all audiences of a `names_from` (``origin``), or all computed traits."""

    asset: str
    key: str | None
    origin: str | None
    models: tuple[str, ...]
    description: str


def _entries(outline: Outline) -> list[_Entry]:
    found = [
        _Entry(each.key, each.key, None, each.models, f"The members of the audience {each.key}, at its destinations.")
        if each.key
        else _Entry(
            f"audiences_of_{each.names_from}", None, each.origin, each.models, f"One audience per {each.names_from}."
        )
        for each in outline.entries
        if not each.traits
    ]
    traits = [each for each in outline.entries if each.traits]
    if traits:
        models = tuple(dict.fromkeys(model for each in traits for model in each.models))
        keys = ", ".join(key for each in traits for key in each.traits)
        found.append(_Entry(TRAITS, None, None, models, f"The computed traits {keys}, at their destinations."))
    return found


def _spec(each: _Entry, prefix: Sequence[str], group: str | None, deps: Deps | None) -> AssetSpec:
    models = [AssetKey([parts_of(model)[1]]) for model in each.models]
    return AssetSpec(
        AssetKey([*prefix, each.asset]),
        deps=models if deps is None else deps.get(each.asset, ()),
        description=each.description,
        group_name=group,
        kinds={"audience_sync"},
        skippable=True,
    )


def _counts(
    run: Mapping[str, Any], entries: Sequence[_Entry], origins: Mapping[str, str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The counts of each asset that the run has synced. The audiences of a `names_from` are counted together.

    ``origins``: of the audiences that come from a `names_from`, by key.
    """
    synced = {each["key"]: each for each in run["audiences"] if each["status"] not in _NOT_SYNCED}
    for each in entries:
        if each.asset == TRAITS:
            if not (run["traits"].get("errors") or run["traits"].get("held")):
                yield each.asset, {name: run["traits"][name] for name in ("users", "changed")}
            continue
        mine = [synced[key] for key in synced if each.key == key or (each.origin and each.origin == origins.get(key))]
        if mine:
            yield each.asset, {name: sum(one[name] for one in mine) for name in _COUNTED}


def _run(
    context: AssetExecutionContext, config: Path, env: str | None, entries: Sequence[_Entry]
) -> tuple[Run, Mapping[str, str]] | None:
    """Make the run, and read the origins of audiences. None while another run is in progress."""
    from audience_sync import Project
    from audience_sync.store.audiences.properties import read_properties
    from audience_sync.store.connection.engine import Store

    selected = {key.path[-1] for key in context.selected_asset_keys}
    keys = [each.key for each in entries if each.asset in selected]
    # The keys of a `names_from` are in the data, and computed traits are part of every run.
    every = len(selected) == len(entries) or None in keys
    try:
        with Project.open(config, env=env) as project:
            run = project.sync(None if every else [key for key in keys if key])
            with closing(Store(project.store_url)) as store, store.reading() as connection:
                return run, {key: each.origin for key, each in read_properties(connection).items() if each.origin}
    except RunInProgressError as error:
        context.log.warning(f"nothing was materialized: {error}")
        return None
    except WrongUseError as error:
        raise Failure(str(error), allow_retries=False) from None
