"""Load a project's config as far as a call needs it, and open its store."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audience_sync.errors import AudienceSyncError, ConfigError, WrongValueError

if TYPE_CHECKING:
    from audience_sync.config.models import Settings, StoreSettings
    from audience_sync.config.validate.shared_files import FileUse
    from audience_sync.store.connection.engine import Store
    from audience_sync.sync.repeat.inputs import ConfigInputs


class Access:
    """The config and the store of a project. What was loaded once is kept; the store is opened for each call.

    ``report_secrets`` receives the secrets when they are loaded.
    """

    def __init__(
        self,
        config: Path,
        environment: str | None = None,
        report_secrets: Callable[[Iterable[str]], None] = lambda found: None,
    ) -> None:
        self.config, self.environment = config, environment
        self._report_secrets = report_secrets
        self._settings: Settings | None = None
        self._store_settings: StoreSettings | None = None
        self._inputs: ConfigInputs | None = None
        self._secrets: dict[str, None] = {}

    @property
    def secrets(self) -> tuple[str, ...]:
        """All secrets that were loaded, in order."""
        return tuple(self._secrets)

    def __reduce__(self) -> tuple[Any, ...]:
        """Without what was loaded, which has secrets: another process reads its own."""
        return Access, (self.config, self.environment)

    def fresh(self) -> Access:
        """The same project, whose config is read again."""
        return Access(self.config, self.environment, self._report_secrets)

    def settings(self) -> Settings:
        """The checked config. Raises ConfigError with every problem."""
        if self._settings is None:
            from audience_sync.project_files import refuse_project_files

            settings = self._load()
            refuse_project_files(settings, str(self.config))
            self._settings = settings
        return self._settings

    def store_settings(self) -> StoreSettings:
        """The settings that reading the store needs; the rest of the config may lack its secrets."""
        if self._store_settings is None:
            from audience_sync.config.loader import load_store
            from audience_sync.config.validate.shared_files import refuse_store_as_config

            found = load_store(self.config, environment=self.environment, variables=os.environ)
            self.keep_secrets(found.secrets)
            refuse_store_as_config(found.store, str(self.config))
            self._store_settings = found
        return self._store_settings

    def settings_to_write(self, outputs: Sequence[FileUse] = ()) -> StoreSettings:
        """The settings for writing the store, or the files of ``outputs``, with all the config's secrets.

        Raises ConfigError or WrongValueError if the project uses one of these files otherwise. If the rest of the
        config can't be loaded, this is not checked.
        """
        from audience_sync.project_files import output_problem, refuse_store_file

        found = self.store_settings()
        try:
            settings = self._settings or self._load()
        except ConfigError:  # the rest of the config may lack its secrets here, too
            return found
        refuse_store_file(settings, str(self.config))
        if problem := output_problem(settings, str(self.config), outputs):
            raise WrongValueError(problem.path, problem.message)
        return found.model_copy(update={"secrets": settings.secrets})

    def inputs(self) -> ConfigInputs | None:
        """The config's values as the file has them now, not validated.

        None if they can't be read (then ``settings`` raises why), or if they are not those of the loaded settings.
        """
        from audience_sync.sync.repeat.inputs import read_config_inputs

        try:
            found = read_config_inputs(self.config, self.environment, os.environ)
        except (ConfigError, OSError, RecursionError, ValueError):
            return None
        self.keep_secrets(found.secrets if found else ())
        if self._settings is None:
            self._inputs = found
        return found if found == self._inputs else None

    def reading(self) -> AbstractContextManager[Store]:
        """The store for a call that changes nothing."""
        from audience_sync.store.maintenance.open_to_read import open_store_to_read

        return open_store_to_read(self.store_url())

    @contextmanager
    def writing(self) -> Iterator[tuple[Store, StoreSettings]]:
        """The store, with the program's schema, for a call that writes a few rows outside of a run."""
        from audience_sync.store.connection.engine import Store
        from audience_sync.store.maintenance import migrate

        settings = self.settings_to_write()
        with closing(Store(settings.store)) as store:
            migrate.ensure(store, upgrade_allowed=False)
            yield store, settings

    def store_url(self) -> str:
        """The store's URL, without loading the models of the config if they have nothing to validate there."""
        if self._settings is not None or self._store_settings is not None:
            return self.store_settings().store
        from audience_sync.config.read.config_tree import read_store_address
        from audience_sync.config.validate.shared_files import refuse_store_as_config

        found = read_store_address(self.config, self.environment, os.environ)
        if found is None:
            return self.store_settings().store
        self.keep_secrets(found.secrets)
        refuse_store_as_config(found.url, str(self.config))
        return found.url

    @contextmanager
    def masking(self) -> Iterator[None]:
        """A context whose errors show no secret of the config, neither in their message nor in what caused them."""
        try:
            yield
        except AudienceSyncError as error:
            from audience_sync.redaction.secrets import mask_secrets

            error.args = tuple(
                mask_secrets(each, self.secrets) if isinstance(each, str) else each for each in error.args
            )
            raise error from None

    def _load(self) -> Settings:
        from audience_sync.project.opening import load_settings

        settings = load_settings(self.config, environment=self.environment)
        self.keep_secrets(settings.secrets)
        return settings

    def keep_secrets(self, found: Iterable[str]) -> None:
        """Mask these from now on."""
        self._secrets.update(dict.fromkeys(found))  # at once, for other threads
        self._report_secrets(found)
