"""The command `resulthouse`: a thin face over the Dagster assets and the lake. Exit codes and JSON shapes are the contract's (§1).

Nothing is imported before a command needs it: Dagster alone costs two seconds.
"""

import atexit
import gc
import os
import re
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any

import typer

from assets.console import Progress, out, out_csv, out_json, out_table, say
from assets.invocation import REPOSITORY, end, exit_code, instance_home, sync_counts

if TYPE_CHECKING:
    from types import FrameType

    from pipelines.providers.spec import Provider
    from pipelines.settings import Settings

NO_HELP: dict[str, Any] = {"default_map": {"help": False}}
"""Typer imports pydantic, 0.13 s, to find out that an option without a value asks for no help."""

app = typer.Typer(
    name="resulthouse",
    help="Synthetic test results of Datadog, Checkly, Applitools and DocketQA in a DuckDB warehouse.\n\n"
    "Start with `resulthouse demo`: it needs no account. Then put your keys into .env (see .env.example),"
    " look at `resulthouse config`, run `resulthouse sync` and ask with `resulthouse query`.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # rich help costs 0.1 s
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], **NO_HELP},
)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def main() -> None:
    """The console entry."""
    gc.set_threshold(50_000, 20, 20)  # imports and payloads are many small objects, no cycles: 0.3 s of CPU until a sync's first request
    atexit.register(gc.freeze)  # what is left then goes with the process, and is not looked through for cycles: 0.1 s, with Dagster 0.5 s
    os.umask(0o077)  # what Dagster and DuckDB write by themselves is private, too; the published file has the mode of its setting

    def terminated(number: int, frame: "FrameType | None") -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, terminated)
    app(prog_name="resulthouse")


def command(function: Callable[..., None]) -> Callable[..., None]:
    """A command whose expected errors are one sentence on stderr and an exit code."""

    @app.command(context_settings=NO_HELP)
    @wraps(function)
    def told(*args: Any, **options: Any) -> None:
        from pipelines.errors import ResulthouseError

        try:
            function(*args, **options)
        except ResulthouseError as error:
            say(str(error))
            raise typer.Exit(exit_code(error)) from None
        except MemoryError:
            say("The memory is used up: nothing is lost, try again when there is more of it.")
            raise typer.Exit(1) from None
        except KeyboardInterrupt:
            say("Interrupted.")
            raise typer.Exit(128 + signal.SIGINT) from None
        except BrokenPipeError:  # `resulthouse query … | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(1) from None

    return told


@command
def demo(
    days: Annotated[int, typer.Option("--days", min=1, max=30, help="Days of history to make up and load.")] = 7,
) -> None:
    """Run the whole job on made-up data: no account, no key, nothing outside ./data/demo."""
    from assets.demo import run_demo

    run_demo(days)


@command
def sync(
    provider: Annotated[list[str] | None, typer.Option("--provider", metavar="NAME", help="Only this provider; may be repeated.")] = None,
    since: Annotated[str | None, typer.Option("--since", metavar="TS", help="From this ISO-8601 instant (UTC without an offset).")] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="TS", help="Up to this instant.")] = None,
    as_json: AsJson = False,
) -> None:
    """Pull what is new or changed, load it, rebuild marts and report, publish.

    Without --since it goes on from where the last sync ended. Providers without a key are skipped.
    """
    from pipelines.clock import SystemClock
    from pipelines.flows.preflight import check_folders

    clock = SystemClock()
    from_at, to_at = _instant("--since", since), _instant("--until", until)
    if from_at and from_at >= (to_at or clock.now()):
        raise _usage("--since must be before --until and not in the future.")
    settings = _settings()
    names = tuple(provider or ())
    chosen = settings.configured(names)
    for name, other in settings.providers.items():
        if not names and name not in chosen:
            say(f"{other.title} is not configured: skipped (set {_required(other)}).")
    check_folders(settings)
    dagster_home = instance_home(settings)

    from assets.resources import make_sync_id
    from assets.runs import run_sync

    with _progress(settings):
        outcome = run_sync(dagster_home, settings, chosen, make_sync_id(clock), clock, from_at, to_at)
    counts = sync_counts(outcome, chosen)
    if as_json:
        out_json(
            {
                "sync_id": outcome.sync_id,
                "seconds": outcome.seconds,
                "published": bool(outcome.refresh and outcome.refresh.published),
                "providers": counts,
            }
        )
    else:
        columns = ["provider", *next(iter(counts.values()))]
        out_table(columns, [[name, *each.values()] for name, each in counts.items()])
        what = "published" if outcome.refresh and outcome.refresh.published else "nothing new to publish"
        out(f"{outcome.seconds:.1f} s, {what}: {settings.warehouse}")
    end(outcome)


@command
def track(
    provider: Annotated[str, typer.Argument(metavar="PROVIDER", help="applitools or docketqa.")],
    run_ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="[RUN_ID]...", help="Run ids; `-` reads JSON lines from standard input."),
    ] = None,
) -> None:
    """Register runs of a provider that cannot list them; the next sync fetches them.

    Standard input takes execute responses, trigger responses and webhook bodies, one a line. Read tokens are taken from there only.
    """
    import random

    from pipelines.clock import SystemClock
    from pipelines.flows.preflight import check_folders
    from pipelines.flows.pull import new_sync_id
    from pipelines.flows.track import track_ids, track_lines

    settings, clock = _settings(), SystemClock()
    if provider not in settings.providers:
        raise _usage(f"There is no provider {provider!r}: choose from {', '.join(settings.providers)}.")
    ids = run_ids or []
    if not ids:
        raise _usage("Give run ids, or `-` to read JSON lines from standard input.")
    if "-" in ids and ids != ["-"]:
        raise _usage("Give run ids or `-`, not both.")
    check_folders(settings)
    register, what = (track_lines, sys.stdin.buffer) if ids == ["-"] else (track_ids, ids)
    report = register(settings.providers[provider], settings, what, clock, new_sync_id(clock.now(), random.Random()))  # noqa: S311 - an id, no secret
    out(f"{report.registered} runs registered, {report.known} were known, {report.landed} payloads landed.")
    for error in report.errors:
        say(error)
    if report.errors:
        raise typer.Exit(1)


@command
def rebuild() -> None:
    """Throw the warehouse away and load everything again from the lake, without any network."""
    from pipelines.clock import SystemClock
    from pipelines.flows.preflight import check_folders

    settings = _settings()
    check_folders(settings)
    dagster_home = instance_home(settings)

    from assets.resources import make_sync_id
    from assets.runs import run_rebuild

    with _progress(settings):
        outcome = run_rebuild(dagster_home, settings, make_sync_id(SystemClock()))
    if outcome.refresh is not None:
        out_table(["table", "rows"], list(outcome.refresh.rows.items()))
        out(f"{outcome.seconds:.1f} s, published: {settings.warehouse}")
    end(outcome)


@command
def status(as_json: AsJson = False) -> None:
    """What the lake holds of every provider: last sync, counts, coverage and holes. Asks no provider."""
    from pipelines.clock import SystemClock
    from pipelines.flows.status import read_status

    settings = _settings()
    every = read_status(settings, settings.providers, SystemClock())
    if as_json:
        out_json({"home": str(settings.home), "providers": {name: asdict(each) for name, each in every.items()}})
        return
    columns = ["landed", "pending", "rejected", "refused", "open", "detail_pending"]
    out_table(
        ["provider", "configured", "last_sync", *columns, "coverage_from", "coverage_to", "holes", "lag_s"],
        [
            [
                name,
                "yes" if each.configured else "no",
                _short(each.last_sync and each.last_sync["started_at"]),
                *(getattr(each, column) for column in columns),
                _short(each.coverage_from_at),
                _short(each.coverage_to_at),
                len(each.holes),
                each.lag_s,
            ]
            for name, each in every.items()
        ],
    )
    for name, each in every.items():
        if each.problem:
            out(f"{name}: {each.problem}")
        if each.last_sync and each.last_sync["error"]:
            out(f"{name}: the last sync said: {each.last_sync['error']}")
        for file in each.damaged:
            out(f"{name}: damaged lake file: {file}")


@command
def query(
    sql: Annotated[str, typer.Argument(metavar="SQL", help="One reading statement.")],
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    as_json: AsJson = False,
) -> None:
    """Ask the published warehouse with one read-only SQL statement.

    For example: resulthouse query "FROM marts.daily_reliability LIMIT 5"

    Fields that no table has are in lake.payloads: every landed payload, e.g.
    resulthouse query "SELECT payload ->> '$.result.newField' FROM lake.payloads WHERE provider = 'datadog' AND is_current"
    """
    from pipelines.flows.query import run_query
    from pipelines.settings import load_settings

    if as_csv and as_json:
        raise _usage("--csv or --json, not both.")
    settings = load_settings({})
    answer = run_query(settings.warehouse, sql, settings.lake)
    if as_json:
        rows = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
        out_json({"columns": list(answer.columns), "rows": rows})
    elif as_csv:
        out_csv(answer.columns, answer.rows)
    else:
        out_table(answer.columns, answer.rows)


@command
def sandbox(
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port on 127.0.0.1; 0 takes a free one.")] = 0,
    seed: Annotated[int, typer.Option("--seed", help="Another seed, another history.")] = 42,
    days: Annotated[int, typer.Option("--days", min=1, max=30, help="Days of history.")] = 7,
) -> None:
    """Serve made-up answers of all four provider APIs until interrupted; prints the settings that point a sync at it."""
    from pipelines.sandbox.server import run_forever
    from pipelines.sandbox.world import World

    try:
        number = run_forever(World(seed, days, datetime.now(UTC)), port)
    except OSError as error:
        raise _usage(f"--port {port} cannot be used: {error.strerror}.") from None
    raise typer.Exit(128 + number)


@command
def config() -> None:
    """Every setting, its value (secrets masked) and where it came from; what is missing."""
    settings = _settings()
    out_table(
        ["setting", "value", "source", "meaning"],
        [[row.setting.name, _safe_url(row.shown), row.source, row.setting.meaning] for row in settings.rows()],
    )
    unusable = []
    for provider in settings.providers.values():
        missing = [s.name for s in provider.settings if s.required and not settings.values.get(s.name)]
        if missing:
            out(f"{provider.title} is not configured: {', '.join(missing)} missing.")
            continue
        try:
            settings.is_configured(provider)
        except Exception as error:
            from pipelines.errors import SettingsError

            if not isinstance(error, SettingsError):
                raise
            unusable.append(str(error))
        else:
            out(f"{provider.title} is configured.")
    if unusable:
        raise _usage(" ".join(unusable))


@command
def ui(
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Port on 127.0.0.1.")] = 3000,
) -> None:
    """Dagster's UI with schedules, runs and assets of the same instance, until interrupted."""
    from pipelines.flows.preflight import check_folders

    settings = _settings()
    check_folders(settings)
    instance_home(settings)
    workspace = REPOSITORY / "workspace.yaml"
    # the location's name is part of what a schedule's state is remembered by: it must not depend on the folder
    what = ["-w", str(workspace)] if workspace.exists() else ["-m", "assets.definitions"]
    say(f"Dagster's UI: http://127.0.0.1:{port}")
    os.execv(sys.executable, [sys.executable, "-m", "dagster", "dev", *what, "-h", "127.0.0.1", "-p", str(port)])  # noqa: S606 - a fixed command, no shell wanted


# --- what commands share --------------------------------------------------------------------------------------------


def _settings() -> "Settings":
    from pipelines.providers import load_providers
    from pipelines.settings import load_settings

    return load_settings(load_providers())


def _progress(settings: "Settings") -> Progress:
    from assets.resources import NOTEBOOK

    progress = Progress({name: provider.title for name, provider in settings.providers.items()})
    NOTEBOOK.on_pull, NOTEBOOK.on_load = progress.on_pull, progress.on_load
    return progress


def _usage(sentence: str) -> Exception:
    from pipelines.errors import SettingsError

    return SettingsError(sentence)


def _required(provider: "Provider") -> str:
    return ", ".join(setting.name for setting in provider.settings if setting.required)


def _instant(option: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text)
        return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise _usage(f"{option} must be an ISO-8601 instant like 2026-11-20 or 2026-11-20T06:00:00Z.") from None


def _short(instant: datetime | None) -> str:
    return f"{instant:%Y-%m-%d %H:%M}" if instant else "-"


def _safe_url(value: str) -> str:
    """A URL without user info and query: a key may have been put there by mistake."""
    return re.sub(r"\?.*", "?***", re.sub(r"//[^/@]*@", "//***@", value)) if "://" in value else value


if __name__ == "__main__":
    main()
