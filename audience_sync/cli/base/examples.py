"""Show two examples under the help of each command."""

from __future__ import annotations

import click

EXAMPLES = {
    "": ("plan churn_risk", "sync --json"),
    "init": ("init my-project", "init --from-dbt target/manifest.json"),
    "check": ("check", "check --notify"),
    "plan": ("plan", "plan churn_risk --out plan.json"),
    "sync": ("sync", "sync churn_risk --json"),
    "docs": ("docs", "docs commands/seed --print"),
    "schema": ("schema > config.schema.json", "schema | jq .properties.sources"),
    "schedule": ("schedule", "schedule --list"),
    "serve": ("serve --token-file token", "serve --token-file token --host 0.0.0.0 --schedule"),
    "seed": ("seed churn_risk --limit 100", "seed churn_risk --rate 500/s"),
    "resync": ("resync churn_risk", "resync --destination segment"),
    "retry": ("retry", "retry --destination segment"),
    "undo": ("undo 42 --dry-run", "undo 42 --yes"),
    "retire": ("retire churn_risk --dry-run", "retire churn_risk --yes"),
    "approve": ("approve 42", "approve 42 churn_risk"),
    "reject": ("reject 42", "reject 42 churn_risk"),
    "freeze": ("freeze churn_risk --reason 'Migration of the CRM'", "freeze churn_risk --until 2026-12-24T12:00"),
    "unfreeze": ("unfreeze churn_risk", "unfreeze churn_risk --json"),
    "explain": ("explain C-00617", "explain C-00617 --at 2026-05-01T12:00"),
    "members": ("members churn_risk > churn_risk.csv", "members churn_risk --at 2026-05-01"),
    "suppress": ("suppress C-00617", "suppress - < ids.txt"),
    "unsuppress": ("unsuppress C-00617", "unsuppress - < ids.txt"),
    "erase": ("erase C-00617", "erase - < ids.txt"),
    "status": ("status", "status --json --exit-code"),
    "history": ("history", "history churn_risk --limit 50"),
    "show": ("show 42", "show 42 --json"),
    "dashboard": ("dashboard", "dashboard --host 0.0.0.0 --token-file token"),
    "test-destination": (
        "test-destination segment --user me-1",
        "test-destination segment --user me-1 --trait plan='\"pro\"'",
    ),
    "completion": ("completion bash >> ~/.bashrc", "completion zsh --install"),
    "sandbox": ("sandbox", "sandbox --port 8800 --file shop.db"),
    "dbt": ("dbt exposures", "dbt exposures > models/exposures.yml"),
    "dbt exposures": (
        "dbt exposures > models/exposures.yml",
        "dbt exposures --owner 'Growth <growth@example.com>' > models/exposures.yml",
    ),
    "db": ("db check", "db backup audience_sync.bak"),
    "db upgrade": ("db upgrade", "db upgrade --rehearse"),
    "db current": ("db current", "db current --json"),
    "db check": ("db check", "db check --json"),
    "db backup": ("db backup audience_sync.bak", "db backup /backups/audience_sync.db"),
    "db copy": ("db copy sqlite:///new.db", "db copy '${NEW_STORE}'"),
}


def examples(name: str) -> str:
    """The block of examples; a line of `\\b` keeps click from wrapping it."""
    return "\n".join(["\b", "Examples:", *(f"  audience-sync {example}" for example in EXAMPLES[name])])


def with_examples(command: click.Command, name: str) -> click.Command:
    """The command with its examples, and so the commands in it."""
    command.epilog = examples(name)
    if isinstance(command, click.Group):
        for inner, each in command.commands.items():
            each.epilog = examples(f"{name} {inner}")
    return command
