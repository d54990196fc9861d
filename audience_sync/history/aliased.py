"""Under which other id is a user known now?"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection

from audience_sync.model import ALIAS_KEY
from audience_sync.store.catalog import Property, read_chains
from audience_sync.store.chains import current, fetch, trait_column
from audience_sync.workspace import Workspace, literal


def new_id_of(
    connection: Connection, workspace: Workspace, properties: Mapping[str, Property], user: str
) -> str | None:
    """The id that the user has now, where ``user`` is a previous one; None where it is not, as far as the store knows.

    ``properties``: all that the store has, by key. Reads all aliases: of each new id they name the previous ones.
    """
    if ALIAS_KEY not in properties:
        return None
    stored = properties[ALIAS_KEY]
    chain = fetch(connection, workspace, read_chains(connection, [stored])[stored.chain_id])
    previous = f"""from_json({trait_column(ALIAS_KEY)}, '["VARCHAR"]')"""
    found = workspace.all(
        f"select user_id from ({current(chain)}) where list_contains({previous}, {literal(user)}) limit 1"
    )
    return found[0][0] if found else None
