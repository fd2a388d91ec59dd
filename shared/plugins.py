"""Code from outside of this software, named by the operator's settings: never by a peer, never by the chain."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

from shared.errors import SettingsError


def load_object(name: str, what: str) -> Any:
    """The object that `package.module:name` or `path/to/file.py:name` names. Raises SettingsError; `what` is for it.

    The folder of a file is put on the import path, so that files beside it can be imported.
    """
    place, _, attribute = name.rpartition(":")
    if not place or not attribute:
        raise SettingsError(f"{what} {name!r} names no code", "write it as package.module:name or path/to/file.py:name")
    try:
        module = _file(Path(place)) if place.endswith(".py") else importlib.import_module(place)
        return getattr(module, attribute)
    except Exception as error:  # code from outside fails in any way it likes
        raise SettingsError(
            f"{what} {name!r} cannot be loaded: {type(error).__name__}: {error}", "see the file and its imports"
        ) from error


def _file(path: Path) -> Any:
    path = path.resolve(strict=True)
    key = f"outside_{path.stem}_{abs(hash(str(path)))}"
    if key in sys.modules:
        return sys.modules[key]
    spec = importlib.util.spec_from_file_location(key, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    if (folder := str(path.parent)) not in sys.path:
        sys.path.append(folder)
    module = sys.modules[key] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:  # code from outside may even exit; half a module is not kept
        del sys.modules[key]
        raise
    return module
