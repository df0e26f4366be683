"""``%config NBTrack``: the table of settings as traits."""

from __future__ import annotations

from typing import Any

import traitlets
from traitlets.config import Configurable

from nbtrack.errors import InvalidParameterError
from nbtrack.settings import Setting, Settings, settings


class _SettingTrait(traitlets.TraitType[Any, Any]):
    """A trait that lives in `settings`: there is one place where a value is kept and checked."""

    def __init__(self, setting: Setting[Any]) -> None:
        choices = f" One of: {', '.join(setting.choices)}." if setting.choices else ""
        super().__init__(
            default_value=setting.default,
            help=f"{setting.help}{choices} Environment: {', '.join(setting.variables)}.",
        )
        self._setting = setting
        self.info_text = f"a value for {setting.name}"
        self.tag(config=True)

    def get(self, obj: Any, cls: Any = None) -> Any:
        return getattr(settings, self._setting.name)

    def set(self, obj: Any, value: Any) -> None:
        try:
            setattr(settings, self._setting.name, value)
        except InvalidParameterError as error:
            raise traitlets.TraitError(str(error)) from None

    def from_string(self, s: str) -> Any:
        return s


# `%config` shows the name of a trait's class as its kind.
_KINDS = {
    kind: type(name, (_SettingTrait,), {})
    for kind, name in {bool: "Bool", int: "Int", float: "Float", str: "Unicode"}.items()
}


def _make() -> type[Configurable]:
    traits = {setting.name: _KINDS[type(setting.default)](setting) for setting in Settings.table()}
    doc = "Settings of nbtrack; each can also be given by its environment variable."
    return type("NBTrack", (Configurable,), {"__doc__": doc, **traits})


NBTrack = _make()
