"""`resulthouse demo`: a sandbox beside this process, one sync from it as a Dagster run, and in plain words what came of it."""

import time
from pathlib import Path

from pipelines.clock import SystemClock
from pipelines.flows.demo import HOME, SEED, SandboxProcess, answers, demo_environ, make_home, register_runs
from pipelines.providers import load_providers
from pipelines.settings import Settings, load_settings


def run_demo(days: int) -> None:
    """Make the home, serve, register, sync, answer. Exit code 1 when the sync failed."""
    started = time.monotonic()
    home = make_home(HOME)
    clock = SystemClock()
    server = SandboxProcess(SEED, days, clock.now())

    # it comes up while Dagster is imported
    from assets.console import Progress, out, out_table
    from assets.invocation import end, sync_counts, use_instance
    from assets.resources import NOTEBOOK, make_sync_id
    from assets.runs import run_sync

    with server:
        # from here on nothing of the user's environment or .env is read
        NOTEBOOK.environ = demo_environ(home, server.env, days)
        settings = load_settings(load_providers(), environ=NOTEBOOK.environ, dotenv=None)
        instance_home = use_instance(settings.home / "dagster")
        history = "1 day" if days == 1 else f"{days} days"
        out(f"Sandbox of {len(settings.providers)} provider APIs on {server.url}: {history} of made-up results, seed {SEED}.")
        register_runs(server, settings, clock, make_sync_id(clock))
        with Progress({name: provider.title for name, provider in settings.providers.items()}) as progress:
            NOTEBOOK.on_pull, NOTEBOOK.on_load = progress.on_pull, progress.on_load
            outcome = run_sync(instance_home, settings, settings.configured(), make_sync_id(clock), clock)
    counts = sync_counts(outcome, dict(settings.providers))
    out(f"\nThe sync took {outcome.seconds:.1f} s:")
    out_table(["provider", *next(iter(counts.values()))], [[name, *each.values()] for name, each in counts.items()])
    end(outcome)
    rows = outcome.refresh.rows if outcome.refresh else {}
    out(f"\nThe warehouse holds {sum(rows.values()):,} rows in {len(rows)} tables:")
    out("  " + ", ".join(f"{name} {count:,}" for name, count in rows.items() if name.startswith("core.")))
    _answer(settings)
    where = _relative(settings.home)
    ask = f'RESULTHOUSE_HOME={where} resulthouse query "FROM marts.executions LIMIT 5"'
    out(f"\nWarehouse  {_relative(settings.warehouse)}   ask it: {ask}")
    out(f"Report     {_relative(settings.report)}   open it in a browser")
    out(f"Dagster    RESULTHOUSE_HOME={where} make ui   then http://127.0.0.1:3000")
    out(f"{time.monotonic() - started:.1f} s in all.")


def _answer(settings: Settings) -> None:
    from assets.console import out, out_table

    for number, (question, answer) in enumerate(answers(settings.warehouse), 1):
        out(f"\n{number}. {question.words}\n")
        out("\n".join(f"   {line}" for line in question.sql.splitlines()) + "\n")
        out_table(answer.columns, answer.rows)


def _relative(path: Path) -> str:
    return f"./{path.relative_to(Path.cwd())}" if path.is_relative_to(Path.cwd()) else str(path)
