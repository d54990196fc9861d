"""``python -m audience_sync``: the same as the ``audience-sync`` command."""

from audience_sync.cli import main

main()
