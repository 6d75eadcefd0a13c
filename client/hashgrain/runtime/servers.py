"""Start, find and stop the embedded servers.

    started = start(StartSettings())
    HashEncoder(started.triton_address); Index.create(started.redis_address, ...)
    stop()

The servers go on after the program that started them; a second `start` finds them and starts only what is missing.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from hashgrain.codes.errors import EmbeddedServerError, InvalidInput
from hashgrain.runtime import state
from hashgrain.runtime.addresses import model_repository
from hashgrain.runtime.home import Home, find_home, locked
from hashgrain.runtime.logs import log_end
from hashgrain.runtime.ports import Ports, choose
from hashgrain.runtime.processes import terminate
from hashgrain.runtime.readiness import wait_for_redis, wait_for_triton
from hashgrain.runtime.redis_server import launch_redis, stop_redis
from hashgrain.runtime.state import RedisRecord, State, TritonRecord, without_dead
from hashgrain.runtime.support import why_no_triton
from hashgrain.runtime.triton_env import Announce, TritonEnvironment, ensure_environment
from hashgrain.runtime.triton_server import check_repository, launch_triton, stop_triton

UNREADY_S = 1.0
"""Seconds to end for a Triton that is not ready yet: it has no requests to finish, and loads on regardless."""


@dataclass(frozen=True)
class StartSettings:
    """What to start.

    Attributes:
        home: the state folder, by default as `home.find_home` says.
        model_repository: the folder of models, by default as `addresses.model_repository` says.
        ports: ports to listen on; those left open are the last run's where still free, else free ones.
        timeout_s: seconds until every server must be ready; the installation of Triton does not count.
        triton_options: of Triton's program, beside those that it always gets: "--cache-config=local,size=1048576".
    """

    home: Path | None = None
    model_repository: Path | None = None
    ports: Ports = field(default_factory=Ports)
    timeout_s: float = 180.0
    triton_options: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.timeout_s <= 0:
            raise InvalidInput(f"timeout_s must be more than 0 seconds, got {self.timeout_s}")


@dataclass(frozen=True)
class RunningServers:
    """Servers that run and are ready.

    Attributes:
        home: the state folder.
        redis: the embedded Redis.
        triton: the embedded Triton, or None where it cannot run on this machine.
        model_repository: what Triton serves, or what is encoded in process without it.
        started: names of the servers that this call started: "redis", "triton".
        no_triton: why Triton cannot run here, or None.
    """

    home: Path
    redis: RedisRecord
    triton: TritonRecord | None
    model_repository: Path
    started: tuple[str, ...] = ()
    no_triton: str | None = None

    @property
    def triton_address(self) -> str:
        """For HashEncoder: grpc://host:port, or the model repository's path, to encode in process."""
        return self.triton.address if self.triton else str(self.model_repository)

    @property
    def redis_address(self) -> str:
        """For Index: redis://host:port/database."""
        return self.redis.address


def start(settings: StartSettings | None = None, announce: Announce = lambda line: None) -> RunningServers:
    """Start what is not running yet, and wait until it is ready. Where it fails, what this call started ends again.

    Args:
        settings: what to start.
        announce: is told in one line what takes a while, and of a server that has died since the last start.

    Raises:
        EmbeddedServerError: a server did not start or is not ready in time (with the end of its log), a port that
            was asked for is taken, or what runs already has other settings.
        InvalidInput: there is no such model repository, or nothing in it.
        MissingDependency: there is no Redis server program.
    """
    settings = settings or StartSettings()
    home = find_home(settings.home)
    home.create()
    with locked(home.lock):
        found = state.load(home)
        before = without_dead(found)
        try:
            return _start_missing(home, found, settings, announce)
        except EmbeddedServerError:
            if without_dead(before) == before:
                raise
            return _start_missing(
                home, found, settings, announce
            )  # one that was found had been killed, and took its time


def running(home: Path | None = None) -> RunningServers | None:
    """The servers of a state folder, or None unless all that can run on this machine do run.

    Raises:
        EmbeddedServerError: the state cannot be read.
    """
    found = find_home(home)
    now = without_dead(state.load(found))
    no_triton = why_no_triton()
    if now.redis is None or (now.triton is None and no_triton is None) or now.model_repository is None:
        return None
    return RunningServers(found.root, now.redis, now.triton, Path(now.model_repository), (), no_triton)


def stop(home: Path | None = None) -> tuple[str, ...]:
    """End the servers of a state folder: Triton after its requests in flight, Redis after its data are written.

    Returns:
        Names of the servers that ran: "triton", "redis".

    Raises:
        EmbeddedServerError: the state cannot be read.
    """
    found = find_home(home)
    if not found.state_file.exists():
        return ()
    with locked(found.lock):
        remembered = state.load(found)
        ran = without_dead(remembered)
        if ran.triton:
            stop_triton(ran.triton)
        if ran.redis:
            stop_redis(ran.redis)
        state.save(found, State(ports=remembered.ports))
    return tuple(name for name in ("triton", "redis") if getattr(ran, name))


def _start_missing(home: Home, found: State, settings: StartSettings, announce: Announce) -> RunningServers:
    no_triton = why_no_triton()
    before = without_dead(found)
    repository = _repository(settings, found)
    _refuse_other_settings(before, settings, repository)
    check_repository(repository)
    environment = None if no_triton else ensure_environment(announce)
    _tell_deaths(home, found, before, announce)
    deadline = time.monotonic() + settings.timeout_s
    now = replace(before, model_repository=str(repository))
    try:
        redis, now = _with_redis(home, now, settings, deadline)
        triton = None
        if environment:
            triton, now = _with_triton(home, now, redis, environment, settings, deadline, announce)
    except BaseException:  # an interruption too leaves nothing half-started
        _end_new(home, before)
        raise
    started = tuple(name for name in ("redis", "triton") if getattr(now, name) and not getattr(before, name))
    return RunningServers(home.root, redis, triton, repository, started, no_triton)


def _repository(settings: StartSettings, found: State) -> Path:
    """The one asked for, else the one of servers that run or have died, else the default."""
    if settings.model_repository:
        return settings.model_repository.expanduser().absolute()
    return Path(found.model_repository) if found.model_repository else model_repository()


def _refuse_other_settings(running: State, settings: StartSettings, repository: Path) -> None:
    used: dict[str, object] = {}
    if running.redis:
        used["--redis-port"] = running.redis.port
    if running.triton:
        used["--triton-port"] = running.triton.grpc_port
        used["--http-port"] = running.triton.http_port
        used["--metrics-port"] = running.triton.metrics_port
        used["--model-repository"] = running.triton.model_repository
    asked = {
        "--redis-port": settings.ports.redis,
        "--triton-port": settings.ports.triton,
        "--http-port": settings.ports.http,
        "--metrics-port": settings.ports.metrics,
        "--model-repository": str(repository),
    }
    for option, value in used.items():
        if asked[option] not in (None, value):
            raise EmbeddedServerError(
                f"the servers run already with {option} {value}, asked for is {asked[option]}; "
                "run `hashgrain down` first, or leave the option out"
            )


def _tell_deaths(home: Home, found: State, before: State, announce: Announce) -> None:
    for name in ("redis", "triton"):
        if getattr(found, name) and not getattr(before, name):
            announce(f"{name} has died since it was started; its log ended with\n{log_end(home.log(name))}")


def _with_redis(home: Home, now: State, settings: StartSettings, deadline: float) -> tuple[RedisRecord, State]:
    record = now.redis
    if record is None:
        port = choose(("redis",), settings.ports, now.ports)["redis"]
        record = launch_redis(home, port)
        now = state.save(home, replace(now, redis=record, ports=replace(now.ports, redis=port)))
    record = wait_for_redis(home, record, deadline)
    return record, state.save(home, replace(now, redis=record))


def _with_triton(
    home: Home,
    now: State,
    redis: RedisRecord,
    environment: TritonEnvironment,
    settings: StartSettings,
    deadline: float,
    announce: Announce,
) -> tuple[TritonRecord, State]:
    record = now.triton
    if record and record.redis != redis.address:
        announce("Redis has another port than before: starting Triton again")
        stop_triton(record)
        record = None
    if record is None:
        chosen = choose(("triton", "http", "metrics"), settings.ports, now.ports)
        repository, options = Path(str(now.model_repository)), settings.triton_options
        record = launch_triton(home, environment, repository, chosen, redis.address, options)
        now = state.save(home, replace(now, triton=record, ports=replace(now.ports, **chosen)))
    record = wait_for_triton(home, record, deadline)
    return record, state.save(home, replace(now, triton=record))


def _end_new(home: Home, before: State) -> None:
    now = state.load(home)
    if now.triton and not before.triton:
        terminate(now.triton.process, UNREADY_S)
    if now.redis and not before.redis:
        stop_redis(now.redis)
    state.save(home, replace(without_dead(now), model_repository=before.model_repository))
