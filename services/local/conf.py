"""supervisord's configuration for a run. Plain text in, plain text out."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable, Mapping

from services.local.folder import RunFolder
from services.local.programs import Program
from services.local.settings import LocalSettings

DONE, BAD_SETTINGS = 0, 2  # exit codes after which a restart has no point

HEAD = """\
[supervisord]
nodaemon=true
silent=true
logfile={log}
logfile_maxbytes=5MB
logfile_backups=2
pidfile={pid}
identifier=rlswarm

[unix_http_server]
file={socket}
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[eventlistener:restarts]
command={python} -m services.local.restarts
events=PROCESS_STATE,TICK_5
buffer_size=1000
priority=-1
autorestart=true
startretries=1000
stderr_logfile={listener_log}
stderr_logfile_maxbytes=1MB
stderr_logfile_backups=1
stdout_logfile=NONE
"""

# Only the program itself is told to stop, so that it can end its own children in order; what it leaves is killed with
# its group.
PROGRAM = """\
[program:{name}]
command={command}
priority={priority}
environment={environment}
autostart=true
autorestart=unexpected
exitcodes={codes}
startsecs={startsecs}
startretries={startretries}
stopsignal=TERM
stopwaitsecs={stopwaitsecs}
stopasgroup=false
killasgroup=true
redirect_stderr=true
stdout_logfile={log}
stdout_logfile_maxbytes={megabytes}MB
stdout_logfile_backups={backups}
"""


def render(folder: RunFolder, programs: Iterable[Program], settings: LocalSettings) -> str:
    """The whole file."""
    programs = list(programs)
    head = HEAD.format(
        log=_plain(str(folder.supervisor_log)),
        pid=_plain(str(folder.supervisor_pid)),
        socket=_plain(str(folder.socket)),
        python=_plain(shlex.quote(sys.executable)),
        listener_log=_plain(str(folder.log_of("restarts-listener"))),
    )
    sections = [head, *(_program(program, folder, settings) for program in programs)]
    return "\n".join([*sections, *_groups(programs)])


def _program(program: Program, folder: RunFolder, settings: LocalSettings) -> str:
    return PROGRAM.format(
        name=program.name,
        command=_plain(shlex.join(program.command)),
        priority=program.priority,
        environment=_environment(program.environment),
        codes=f"{DONE},{BAD_SETTINGS}",
        startsecs=program.settled_s or settings.settled_s,
        startretries=settings.start_retries,
        stopwaitsecs=settings.stop_wait_s,
        log=_plain(str(folder.log_of(program.name))),
        megabytes=settings.log_megabytes,
        backups=settings.log_backups,
    )


def _groups(programs: list[Program]) -> list[str]:
    names: dict[str, list[Program]] = {}
    for program in programs:
        if program.group:
            names.setdefault(program.group, []).append(program)
    return [
        f"[group:{name}]\nprograms={','.join(program.name for program in members)}\npriority={members[0].priority}\n"
        for name, members in names.items()
    ]


def _environment(values: Mapping[str, str]) -> str:
    return ",".join(f'{name}="{_plain(value)}"' for name, value in values.items())


def _plain(text: str) -> str:
    """Text that supervisord takes as it stands: % begins an expansion there."""
    return text.replace("%", "%%")
