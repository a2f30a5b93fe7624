"""What supervisor itself reads in a configuration file: one JSON object for each process."""

import json
import shlex
import sys

from supervisor.options import ServerOptions

options = ServerOptions()
options.realize(["-c", sys.argv[1]])
processes = []
for group in options.process_group_configs:
    for process in group.process_configs:
        # What [supervisord] sets is passed on by its own environment.
        environment = dict(options.configroot.supervisord.environment or {})
        environment.update(process.environment)
        processes.append(
            {
                "group": group.name,
                "name": process.name,
                "command": shlex.split(process.command),
                "cwd": process.directory,
                "env": environment,
                "started": bool(process.autostart),
                "startsecs": process.startsecs,
                "stopwaitsecs": process.stopwaitsecs,
                "stopsignal": int(process.stopsignal),
            }
        )
json.dump(processes, sys.stdout)
