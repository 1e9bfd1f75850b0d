"""The verb `serve`: a local model behind an OpenAI-compatible endpoint until Ctrl-C."""

import time
from pathlib import Path

from cim_sim import cli
from cim_sim.config import UsageError, load


def serve(model: Path, log: Path = Path("runs/serve.log"), dry_run: bool = False) -> int:
    """Serve a model with vLLM on 127.0.0.1 until Ctrl-C, and stop it then.

    Args:
        model: YAML file of the model, as in configs/models/local.yaml.
        log: file to which the server's output is appended.
        dry_run: show the command of vLLM, and stop.
    """
    from search.llm.connection import answered_by
    from search.llm.model import ModelConfig
    from search.llm.server import serving
    from search.proposal import SearchStopped

    settings = load(model, ModelConfig)
    if settings.path is None:
        raise UsageError(f"{model}: names no path, so there is nothing to serve here")
    if dry_run:
        print(answered_by(settings))
        return cli.planned(model=settings.name, writes=str(log))
    try:
        with serving(settings, log) as server:
            print(f"{settings.name} answers at {server.base_url}; Ctrl-C stops it")
            cli.emit(base_url=server.base_url, model=settings.name, log=str(log))
            while (fault := server.fault()) is None:
                time.sleep(1)
    except KeyboardInterrupt:
        return 0
    raise SearchStopped(fault)
