"""Settings: Hydra groups in `config/` and the environment, validated into frozen models before anything heavy loads.

`${env:VAR,default}` in the YAML reads the environment; there, "" and "None" mean "not set", as RL Swarm users write
them. What the environment sets wins over an invite (SWARM_INVITE, see invite.py), that over the YAML; a command-line
override (`learner.lr=1e-4`) wins over all.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from yaml import YAMLError

from shared.errors import SettingsError
from shared.invite import variables_of

ENV = re.compile(r"\$\{env:(\w+)")


def config_dir() -> Path:
    """Where the YAML lies: RLSWARM_CONFIG, or `config/` beside the packages."""
    return Path(os.environ.get("RLSWARM_CONFIG") or Path(__file__).resolve().parent.parent / "config")


class Settings(BaseModel):
    """Base of all settings: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ServiceSettings(Settings):
    """What every service is told (config/common.yaml)."""

    swarm: str = Field(
        pattern=r"^[a-z0-9][a-z0-9-]{0,62}$", description="the swarm's name; peers of another are ignored"
    )
    redis_url: str
    redis_password_file: Path | None = None  # what the URL should not tell; None: no password, or one in the URL
    state_dir: Path  # what must survive a restart
    http_host: str  # where /health and /metrics listen
    http_port: int = Field(ge=0, lt=65536)  # 0: any free port
    instance: str = Field(pattern=r"^[\w.-]{1,64}$")  # tells replicas apart; stable over restarts
    health_bound_s: float = Field(gt=0)  # longest time without progress that is still healthy
    log_level: str = Field(pattern=r"(?i)^(debug|info|warning|error)$")
    invite: str | None = None  # into whose swarm this household was invited; None: its own, or told by variables

    def redis_password(self) -> str | None:
        """The password of Redis. Raises SettingsError if its file cannot be read."""
        return read_secret(self.redis_password_file, "REDIS_PASSWORD_FILE")


S = TypeVar("S", bound=Settings)


def read_secret(path: Path | None, variable: str) -> str | None:
    """The one line of a secret's file; None if there is no such secret. Raises SettingsError."""
    if path is None:
        return None
    try:
        return path.read_text().strip() or None
    except OSError as error:
        raise SettingsError(
            f"the secret {path} cannot be read ({error.strerror})", f"see its owner and mode, or set {variable}"
        ) from error


def environment() -> Callable[..., Any]:
    """Looks up a variable, else what the invite says, else a default. Raises SettingsError if the invite is damaged."""

    def given(name: str) -> str | None:
        value = os.environ.get(name, "").strip()
        return None if value in ("", "None") else value

    text = given("SWARM_INVITE")
    invited = variables_of(text) if text else {}

    def look_up(name: str, default: Any = None) -> Any:
        found = given(name) or invited.get(name)
        return default if found is None else found

    return look_up


def load(name: str, model: type[S], overrides: Sequence[str] = ()) -> S:
    """The settings of `config/<name>.yaml`, groups and environment resolved, validated as `model`.

    Raises SettingsError, in one line that names the setting, its environment variable if it has one, and the remedy.
    """
    OmegaConf.register_new_resolver("env", environment(), replace=True)
    directory = config_dir()
    if not (directory / f"{name}.yaml").is_file():
        raise SettingsError(f"there is no {name}.yaml in {directory}", "set RLSWARM_CONFIG to the folder config/")
    try:
        with initialize_config_dir(str(directory), version_base="1.3", job_name=name):
            tree = compose(name, overrides=list(overrides))
        values = OmegaConf.to_container(tree, resolve=True)
    except (HydraException, OmegaConfBaseException, YAMLError) as error:
        first = str(error).strip().splitlines()[0].rstrip(".")
        raise SettingsError(f"the settings of {name} cannot be read: {first}", f"see config/{name}.yaml") from error
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise _explain(name, tree, error) from error


def _explain(name: str, tree: DictConfig, error: ValidationError) -> SettingsError:
    """One line about the first wrong setting."""
    first = error.errors(include_url=False)[0]
    path = ".".join(str(part) for part in first["loc"])
    variables = _variables(OmegaConf.to_container(tree, resolve=False))
    variable = variables.get(path) or variables.get(str(first["loc"][0]) if first["loc"] else "")
    given = "" if first["type"] in ("missing", "extra_forbidden") else f" (given: {first['input']!r})"
    if first["type"] == "extra_forbidden":
        return SettingsError(f"{name}: there is no setting {path}", f"remove it; config/{name}.yaml lists them all")
    where = f"set {variable} in the environment" if variable else f"set {path} in config/{name}.yaml"
    return SettingsError(f"{name}: {path}{given}: {first['msg'][:1].lower()}{first['msg'][1:]}", where)


def _variables(tree: Any, path: str = "") -> dict[str, str]:
    """Dotted path -> the environment variable it is read from."""
    found: dict[str, str] = {}
    items = tree.items() if isinstance(tree, Mapping) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        here = f"{path}.{key}" if path else str(key)
        if isinstance(value, str) and (match := ENV.search(value)):
            found[here] = match[1]
        found |= _variables(value, here)
    return found
