"""The composition root: the only folder that names adapters. `run` starts services until they are told to stop."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import ValidationError

from shared.errors import Misconfigured, Unavailable
from shared.runtime.adapters import apply_topics
from shared.runtime.installation import Installation, opened, spare_the_collector
from shared.runtime.serving import Prelude, serve
from shared.service import Service
from shared.settings import PlatformSettings, read_settings, wrong_setting
from shared.telemetry import tracing
from shared.telemetry.logs import configure, log

__all__ = ["Installation", "Prelude", "apply_topics", "opened", "run", "serve", "spare_the_collector"]


def run(*services: Service, prelude: Callable[[PlatformSettings], Prelude] | None = None) -> int:
    """Serve until told to stop; the exit status. Anything the operator must mend is one line on standard error."""
    import uvloop

    try:
        settings = read_settings()
        configure(settings.log)
        tracing.configure(services[0].name if len(services) == 1 else "huiyin")
        first = prelude(settings) if prelude else None
        uvloop.run(serve(services, settings, lambda line: print(line, flush=True), first))
    except (Misconfigured, Unavailable) as error:
        log("runtime").error(str(error))
        return 1
    except ValidationError as error:
        log("runtime").error(wrong_setting(error))
        return 1
    return 0
