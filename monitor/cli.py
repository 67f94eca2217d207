"""The command line: what each command takes. Everything heavy is imported by the command itself."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, NoReturn

import typer

from monitor.commands.arguments import (
    parse_options,
    parse_shocks,
    parse_speed,
    parse_survives,
    parse_time,
)
from monitor.console import Console, print_error
from monitor.errors import BrinkwatchError, ConfigError, file_error

if TYPE_CHECKING:
    from monitor.commands.bus.publish_day import Feed
    from monitor.commands.compilation import Compilation
    from monitor.config import Config
    from monitor.desk.questions import Question

app = typer.Typer(
    name="brinkwatch", no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None
)

CONFIG_HELP = "configuration, TOML (docs/configuration.md)"
ConfigFile = Annotated[Path | None, typer.Option("--config", help=CONFIG_HELP)]
Json = Annotated[bool, typer.Option("--json", help="one JSON object on the last line of stdout")]
PerDay = Annotated[
    float | None, typer.Option("--alerts-per-day", help="false alerts a day that are borne")
]


def run_command() -> NoReturn:
    """Run a command; the exit status is 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    import logging
    import signal

    # Without a handler Python would write what the client logs, and the error says it again.
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by who started this
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115  # open until the end
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        try:
            app(prog_name="brinkwatch")
        finally:
            sys.stdout.flush()
    except BrinkwatchError as error:
        _fail(error)
    except OSError as error:
        failure = file_error(error)
        if failure is None:
            raise
        _fail(failure)
    except MemoryError:
        _fail(ConfigError("there is too little memory for this: give it more, or a smaller input"))
    sys.exit(0)


def _fail(error: BrinkwatchError) -> NoReturn:
    print_error(str(error))
    try:
        sys.stdout.flush()
    except OSError:
        # Where standard output is what is full, Python would report it again on its own.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(2 if isinstance(error, ConfigError) else 1)


def _announce_compilation() -> Compilation:
    """Call it before compiled code is imported, which compiles on the first start."""
    from monitor.commands import compilation

    return compilation.announce()


def _load(config: Path | None, per_day: float | None, **more: Any) -> Config:
    """The configuration; `more`: sections that the command line gives."""
    from monitor.config import load

    return load(config, **more, **({} if per_day is None else {"alerts": {"per_day": per_day}}))


def _open_feed(day: Path, config: Config, speed: float | None) -> Feed:
    """A recorded day, ready to be published."""
    from monitor.commands.bus.publish_day import Feed
    from replay import commands
    from replay.day.messages import chunks

    recorded = commands.open_day(day)
    names = recorded.topic_names(config.topics)
    parts = [(names[part.topic], part.partition) for part in recorded.meta.partitions]
    total = recorded.record_count + sum(recorded.meta.refused.values())
    controls = recorded.controls(config.accounts.bands_interval_ns, config.topics)
    return Feed(parts, controls, chunks(recorded, speed, config.topics), total, speed)


def _print_version(asked: bool) -> None:
    if asked:
        from monitor import __version__

        typer.echo(f"brinkwatch {__version__}")
        raise typer.Exit


@app.callback()
def brinkwatch(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="print it")
    ] = False,
) -> None:
    """Early warning for leveraged venues.

    Set up by a TOML file, the environment and options: docs/configuration.md.
    """


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="where the day and its alerts go")] = Path("demo-out"),
    live: Annotated[
        bool, typer.Option("--live", help="through a real Kafka, started here")
    ] = False,
    minutes: Annotated[int, typer.Option(min=1, help="length of the day")] = 40,
    open_: Annotated[bool, typer.Option("--open", help="open the report in a browser")] = False,
    speed: Annotated[str, typer.Option(help="with --live: event seconds a second, or max")] = "40",
    json: Json = False,
) -> None:
    """Simulate a short day, replay it, show the alerts. No Kafka, under a minute.

    With --live: a real Kafka on loopback, the sidecar beside it, and the day published to it; about
    two minutes. Nothing is left running.
    """
    _announce_compilation()
    from replay import demo

    console, config = Console(json), _load(None, None)
    if not live:
        console.result(demo.run(out, config, console, minutes, open_))
        return
    if open_:
        raise ConfigError("--open is of a demo that replays its day: leave out --live")
    from monitor.commands.live_demo import run_live_demo

    pace = parse_speed(speed)
    day = demo.make_day(out, console, minutes)
    feed = _open_feed(day, config, pace)
    alerts = run_live_demo(config, console, feed, out)
    counts = {"records": feed.total, "alerts": len(alerts)}
    console.result({**counts, **demo.compare_with_planted(day, alerts, console)})


@app.command()
def simulate(
    out: Annotated[Path, typer.Argument(help="the folder to make")],
    seed: Annotated[int, typer.Option(help="the same seed makes the same day")] = 7,
    minutes: Annotated[int, typer.Option(help="length of the day, minutes")] = 20,
    symbols: Annotated[int, typer.Option(help="markets")] = 8,
    accounts: Annotated[int, typer.Option(help="accounts that act")] = 2000,
    rate: Annotated[float, typer.Option(help="orders, cancels and fills a second")] = 400.0,
    incidents: Annotated[
        str, typer.Option(help="default, none, or a JSON file of what to plant")
    ] = "default",
    partitions: Annotated[int, typer.Option(help="partitions of each topic")] = 1,
    json: Json = False,
) -> None:
    """Make a day of a venue that does not exist, with its ground truth."""
    _announce_compilation()
    from replay import commands
    from replay.simulation.settings import SimulationSettings

    console = Console(json)
    settings = SimulationSettings(seed, minutes, symbols, accounts, rate, incidents, partitions)
    console.result(commands.simulate_day(out, settings, console))


@app.command(name="import")
def import_(
    venue: Annotated[str, typer.Argument(help="canonical, dydx, bitstamp, …, positions, or map")],
    paths: Annotated[list[str], typer.Argument(help="the feed's files, then the folder to make")],
    map_file: Annotated[
        Path | None, typer.Option("--map", help="for map: how the files are written, TOML")
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE for the venue, as date=2012-06-21")
    ] = None,
    json: Json = False,
) -> None:
    """A venue's recorded feed becomes a recorded day.

    `import map` reads files in a form of your own, as a field map says: CSV, JSON lines, Parquet,
    Avro or Protobuf (docs/field-map.md). Without files it reads those that the map names.
    `import positions` reads what a venue says of accounts as they stand: Hyperliquid's
    clearinghouseState and meta, Binance's positionRisk and leverageBracket, as JSON.
    """
    _announce_compilation()
    from replay import commands

    if (venue == "map") != (map_file is not None):
        raise ConfigError("import map FILE... OUT --map FILE.toml: both, or neither")
    if map_file is not None:
        console = Console(json)
        console.result(commands.import_mapped(paths[:-1], Path(paths[-1]), map_file, console))
        return
    if len(paths) < 2:
        raise ConfigError("import needs at least one FILE and then the folder to make, OUT")
    options = parse_options(option or [])
    console, (*files, out) = Console(json), map(Path, paths)
    console.result(commands.import_feed(venue, files, out, options, console))


@app.command()
def replay(
    day: Annotated[
        list[str], typer.Argument(help="recorded days in the order of time: folders, or s3://…")
    ],
    config: ConfigFile = None,
    alerts: Annotated[Path | None, typer.Option(help="write the alerts here, JSON lines")] = None,
    bands: Annotated[Path | None, typer.Option(help="write the bands here, JSON lines")] = None,
    metrics: Annotated[
        Path | None, typer.Option(help="write the metrics here, OpenMetrics for promtool")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="write the day as a page here, HTML without network")
    ] = None,
    metrics_every: Annotated[
        float, typer.Option(min=0.1, help="seconds of event time between two sets of them")
    ] = 15.0,
    batch: Annotated[int, typer.Option(min=1, help="records a batch at most")] = 65_536,
    from_: Annotated[str | None, typer.Option("--from", help="show alerts from this time")] = None,
    to: Annotated[str | None, typer.Option(help="stop at this time")] = None,
    symbol: Annotated[list[str] | None, typer.Option(help="show alerts of this market")] = None,
    speed: Annotated[str, typer.Option(help="event seconds a second, or max")] = "max",
    workers: Annotated[
        int | None, typer.Option(min=1, help="processes that run shards; 1: all in one process")
    ] = None,
    on: Annotated[str | None, typer.Option(help="run the shards on a cluster: dask")] = None,
    cluster: Annotated[str | None, typer.Option(help="its scheduler, tcp://host:8786")] = None,
    override: Annotated[
        Path | None, typer.Option(help="other rules, TOML or JSON: beside what was")
    ] = None,
    alerts_per_day: PerDay = None,
    json: Json = False,
) -> None:
    """Recorded days through the engine, as they would have run live.

    --from and --symbol choose what is shown; the engine reads the day from its start all the
    same, for what it has learnt by then is part of why it alerts.
    """
    low, high, pace = parse_time(from_, "--from"), parse_time(to, "--to"), parse_speed(speed)
    compilation = _announce_compilation()
    from replay import commands
    from replay.metrics import MetricsTarget
    from replay.run import AlertFilter, ReplayOptions

    shown = AlertFilter(low, high, frozenset(symbol or ()))
    target = MetricsTarget(metrics, metrics_every) if metrics is not None else None
    options = ReplayOptions(batch, pace, shown, workers, on, cluster, metrics=target, report=report)
    console, settings = Console(json), _load(config, alerts_per_day)
    result = commands.replay_days(
        commands.open_days(day), settings, console, options, alerts, bands, override
    )
    console.result({**result, "seconds_compiling": round(compilation.seconds, 2)})


@app.command()
def run(
    config: ConfigFile = None,
    accept_gap: Annotated[
        list[str] | None,
        typer.Option(metavar="TOPIC", help="go on where this topic was made anew or cut"),
    ] = None,
    alerts_per_day: PerDay = None,
) -> None:
    """The sidecar: watches the topics, publishes alerts, each once; until SIGTERM or Ctrl-C.

    A topic whose log was made anew, or has lost records that were not read, ends it. With
    --accept-gap (for each such topic) it goes on with all that was learnt, from where the log now
    begins, and an alert says what is missing.
    """
    from monitor.commands import compilation, process_log

    compilation.announce(process_log.note)
    from monitor.commands.run_sidecar import run_sidecar

    raise typer.Exit(run_sidecar(_load(config, alerts_per_day), accept_gap or ()))


@app.command()
def publish(
    day: Annotated[Path, typer.Argument(help="a recorded day")],
    config: ConfigFile = None,
    speed: Annotated[str, typer.Option(help="event seconds a second, or max")] = "max",
    json: Json = False,
) -> None:
    """A recorded day to Kafka, each record at its offset: for load and for rehearsal.

    A day of one partition goes to topics of several too, by symbol: at other offsets then.
    """
    _announce_compilation()
    from monitor.commands.bus.publish_day import publish_day

    console, pace, settings = Console(json), parse_speed(speed), _load(config, None)
    console.result(publish_day(settings, console, _open_feed(day, settings, pace)))


@app.command()
def record(
    out: Annotated[Path, typer.Argument(help="the folder to make")],
    config: ConfigFile = None,
    venue: Annotated[str, typer.Option(help="the venue's name, for the day")] = "kafka",
    json: Json = False,
) -> None:
    """Kafka's topics as they are now become a recorded day."""
    _announce_compilation()
    from monitor.commands.bus.record_day import record_day
    from replay.day import DayWriter

    console = Console(json)
    with DayWriter(out, venue=venue) as day:
        result = record_day(_load(config, None), console, day)
    console.say(f"the day is in {out}")
    console.result(result)


dlq = typer.Typer(no_args_is_help=True, help="The dead letters: records that were refused.")
app.add_typer(dlq, name="dlq")


@dlq.command(name="list")
def list_(config: ConfigFile = None, json: Json = False) -> None:
    """Every refused record: where it came from and why."""
    _announce_compilation()
    from monitor.commands.bus.dead_letters import list_dead_letters

    console = Console(json)
    console.result(list_dead_letters(_load(config, None), console))


@dlq.command(name="replay")
def resend(config: ConfigFile = None, json: Json = False) -> None:
    """Send refused records again to the topics that they came from, each once."""
    _announce_compilation()
    from monitor.commands.bus.dead_letters import resend_dead_letters

    console = Console(json)
    console.result(resend_dead_letters(_load(config, None), console))


@app.command()
def kafka(
    dir: Annotated[Path | None, typer.Option(help="keep its data here")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="of its listener; else a free one")
    ] = None,
) -> None:
    """A real Apache Kafka on loopback, to try things out; until Ctrl-C."""
    from monitor.broker.kafka_server import serve

    serve(dir, port or None, Console(False).say)


silence = typer.Typer(no_args_is_help=True, help="Times of which nobody need be notified.")
app.add_typer(silence, name="silence")
SilenceName = Annotated[str, typer.Argument(metavar="NAME", help="of the silence")]


@silence.command(name="add")
def add_silence(
    name: SilenceName,
    match: Annotated[
        list[str] | None,
        typer.Option(help="kind=, symbol=, layer=, severity= or incident=, a name or as stale_*"),
    ] = None,
    start: Annotated[str | None, typer.Option(help="RFC 3339; without it now")] = None,
    end: Annotated[str | None, typer.Option(help="RFC 3339")] = None,
    for_: Annotated[str | None, typer.Option("--for", help="its length, as 30m, 2h, 1d")] = None,
    reason: Annotated[str, typer.Option(help="why, in your own words")] = "",
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """Silence alerts of the running sidecar; without --match all of them.

    They are published and kept all the same, with the silence's name in them. Windows that recur
    are set in the configuration: [[silences]].
    """
    from monitor.commands.bus import silences as job

    console, settings = Console(json), _load(config, None)
    span = start, end, for_
    console.result(job.add_silence(settings, name, match or [], span, reason, console))


@silence.command(name="list")
def list_silences(config: ConfigFile = None, json: Json = False) -> None:
    """Every silence: in force, to come, expired; of the configuration and of the topic."""
    from monitor.commands.bus import silences as job

    console = Console(json)
    console.result(job.list_silences(_load(config, None), console))


@silence.command(name="expire")
def expire_silence(name: SilenceName, config: ConfigFile = None, json: Json = False) -> None:
    """End a silence now; it stays in the list, and a replay has it as it was."""
    from monitor.commands.bus import silences as job

    console = Console(json)
    console.result(job.expire_silence(_load(config, None), name, console))


receivers = typer.Typer(no_args_is_help=True, help="Who is notified of alerts.")
app.add_typer(receivers, name="receivers")


@receivers.command(name="test")
def try_receiver(
    name: Annotated[str, typer.Argument(help="of the receiver, in [[receivers]]")],
    severity: Annotated[str, typer.Option(help="critical, warning or info")] = "info",
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """Send an alert that says that it is a test to one receiver; no Kafka is needed."""
    from monitor.delivery.trial import send_trial

    console = Console(json)
    console.result(send_trial(_load(config, None), name, severity, console))


topics = typer.Typer(no_args_is_help=True, help="The topics of the venue and of the sidecar.")
app.add_typer(topics, name="topics")


@topics.command()
def create(
    day: Annotated[
        Path | None, typer.Argument(help="a recorded day: as many partitions as it has")
    ] = None,
    config: ConfigFile = None,
    partitions: Annotated[
        int | None, typer.Option(min=1, help="of each topic; else kafka.partitions")
    ] = None,
    json: Json = False,
) -> None:
    """Create the topics that are missing, as many partitions each, nothing deleted by age.

    Where the venue's own topics are read as sources, these are the topics behind them: what is the
    venue's is never made or changed.
    """
    _announce_compilation()
    from monitor.commands.bus.topics import create_topics
    from replay import commands

    console, loaded = Console(json), _load(config, None)
    if day is not None and partitions is not None:
        raise ConfigError("give a day or --partitions, not both")
    number = loaded.kafka.partitions if partitions is None else partitions
    if day is not None:
        number = commands.open_day(day).partition_count
    console.result(create_topics(loaded, number, console))


@app.command()
def margin(
    file: Annotated[str, typer.Argument(help="positions as JSON; - reads standard input")] = "-",
    json: Json = False,
) -> None:
    """Liquidation prices, with their trace, for positions given as JSON."""
    from monitor.commands.margin_prices import run

    console = Console(json)
    console.result(run(file, console))


Place = Annotated[
    str, typer.Argument(metavar="DAY|URL", help="a recorded day, or a running sidecar's address")
]
At = Annotated[str | None, typer.Option("--at", help="of a day: the moment; without it its end")]
Market = Annotated[list[str] | None, typer.Option("--symbol", help="this market (repeat it)")]
TokenFile = Annotated[
    Path | None, typer.Option(help="of a sidecar: its token; else http.token_file, http.token")
]
Report = Annotated[Path | None, typer.Option(help="write an HTML page with pictures")]
CaFile = Annotated[Path | None, typer.Option(help="of a sidecar: who signed its certificate, PEM")]


def _load_for_sidecar(config: Path | None, token_file: Path | None) -> Config:
    """The configuration, with the token of a sidecar that is asked."""
    return _load(
        config, None, **({} if token_file is None else {"http": {"token_file": token_file}})
    )


class _Asking(NamedTuple):
    """Where a question goes, and how its answer is shown."""

    place: str
    at: str | None
    config: Path | None
    token_file: Path | None
    ca_file: Path | None
    json: bool

    def ask(self, question: Question, report: Path | None = None) -> None:
        """Put a question to the day or the sidecar, and print the answer. `report`: an HTML file of
        it to write."""
        from monitor.desk.sidecar_client import ask_sidecar, is_url

        moment, console = parse_time(self.at, "--at"), Console(self.json)
        if report is not None:
            from replay.report.pages import check_page, write_page

            check_page(question.path)
        settings = _load_for_sidecar(self.config, self.token_file)
        if is_url(self.place):
            if moment is not None:
                raise ConfigError("--at is for a recorded day: a sidecar answers as of now")
            answer = ask_sidecar(self.place, question, settings.http, self.ca_file, console)
        else:
            from replay.day.address import open_day_at
            from replay.moment import answer_at

            answer = answer_at(question, open_day_at(self.place), settings, console, moment)
        if report is not None:
            write_page(report, question.path, self.place, answer)
            console.say(f"the report is in {report}")
        console.result(answer)


@app.command()
def stress(
    place: Place,
    at: At = None,
    symbol: Market = None,
    shock: Annotated[list[str] | None, typer.Option(help="a move of the mark, as -10%")] = None,
    factor: Annotated[list[str] | None, typer.Option(help="a move of all marks together")] = None,
    depth_survives: Annotated[
        str, typer.Option(help="shares of the book that are still there")
    ] = "1,0.3,0.1",
    refill: Annotated[
        float, typer.Option(min=0, max=1, help="share of the depth taken that returns each second")
    ] = 0.0,
    report: Report = None,
    config: ConfigFile = None,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
    json: Json = False,
) -> None:
    """What a move of each mark would force, and how much further that moves it.

    Never a stopping price: a range over how much of the book survives.
    """
    shocks, factors = parse_shocks(shock or []), parse_shocks(factor or [])
    survives = parse_survives(depth_survives)
    _announce_compilation()
    from monitor.desk.questions import StressQuestion

    question = StressQuestion(
        tuple(symbol or ()), tuple(shocks), tuple(factors), tuple(survives), refill,
        report is not None,
    )  # fmt: skip
    _Asking(place, at, config, token_file, ca_file, json).ask(question, report)


@app.command()
def account(
    place: Place,
    account: Annotated[str, typer.Argument(help="the account, in the venue's own name")],
    at: At = None,
    report: Report = None,
    config: ConfigFile = None,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
    json: Json = False,
) -> None:
    """One account: its equity by cause, its positions, and how far they are from being forced.

    Each price comes with its trace, and as it would be if the position were isolated or cross.
    """
    _announce_compilation()
    from monitor.desk.questions import AccountQuestion

    _Asking(place, at, config, token_file, ca_file, json).ask(AccountQuestion(account), report)


@app.command()
def rules(
    place: Place,
    at: At = None,
    symbol: Market = None,
    config: ConfigFile = None,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
    json: Json = False,
) -> None:
    """What each market goes by: mark, index, what sets off a liquidation, tiers, path, fund.

    What nobody has said comes first, with what is taken instead and what to send.
    """
    _announce_compilation()
    from monitor.desk.questions import RulesQuestion

    _Asking(place, at, config, token_file, ca_file, json).ask(RulesQuestion(tuple(symbol or ())))


@app.command()
def sweep(
    day: Annotated[Path, typer.Argument(help="a recorded day")],
    config: ConfigFile = None,
    budget: Annotated[
        list[float] | None, typer.Option(min=0.001, max=100_000, help="false alerts a day")
    ] = None,
    json: Json = False,
) -> None:
    """Alerts a day for each budget, and what would be missed of what was planted."""
    _announce_compilation()
    from replay import sweep as job

    console = Console(json)
    console.result(job.run(day, _load(config, None), budget or list(job.BUDGETS), console))


@app.command()
def diff(
    a: Annotated[Path, typer.Argument(help="a file of alerts, or a recorded day")],
    b: Annotated[Path, typer.Argument(help="another of the same")],
    json: Json = False,
) -> None:
    """The first place where two outputs part, explained; exit status 1 where they do."""
    _announce_compilation()
    from replay import diff as job

    console = Console(json)
    result = job.run(a, b, console)
    console.result(result)
    if not result["same"]:
        raise typer.Exit(1)


AlertsPlace = Annotated[
    str | None,
    typer.Option(
        "--alerts", metavar="FILE|URL", help="a file or a running sidecar; else the alerts topic"
    ),
]


@app.command()
def show(
    reference: Annotated[
        str, typer.Argument(metavar="INCIDENT|ALERT_ID", help="the id of an incident or an alert")
    ],
    alerts: AlertsPlace = None,
    config: ConfigFile = None,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
    json: Json = False,
) -> None:
    """One incident whole: sentence, evidence, accounts, records, alerts, how to see it again."""
    from monitor.commands.show_alerts import show_incident

    console, settings = Console(json), _load_for_sidecar(config, token_file)
    console.result(show_incident(settings, reference, alerts, console, ca_file))


@app.command(name="alerts")
def alerts_(
    alerts: AlertsPlace = None,
    every: Annotated[bool, typer.Option("--all", help="those that are resolved too")] = False,
    follow: Annotated[bool, typer.Option("--follow", help="the topic, as it grows")] = False,
    config: ConfigFile = None,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
    json: Json = False,
) -> None:
    """What is firing now, by the alerts topic, and the ids that show and feedback take.

    With --follow: each alert in one line (with --json: its JSON), until Ctrl-C.
    """
    from monitor.commands import show_alerts as job

    console, settings = Console(json), _load_for_sidecar(config, token_file)
    if not follow:
        console.result(job.list_alerts(settings, alerts, every, console, ca_file))
        return
    if alerts is not None or every:
        raise ConfigError("--follow reads the alerts topic, all of it: leave --alerts and --all")
    job.follow(settings, json, console)


@app.command()
def watch(
    url: Annotated[str, typer.Argument(metavar="URL", help="a running sidecar's address")],
    config: ConfigFile = None,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
) -> None:
    """A running sidecar in the terminal: its health, its lag and what fires; until Ctrl-C.

    Where there is no terminal, a line for each change.
    """
    from monitor.desk.live_view import watch_sidecar
    from monitor.desk.sidecar_client import SidecarAddress

    settings = _load_for_sidecar(config, token_file)
    watch_sidecar(SidecarAddress(url, settings.http, ca_file), Console(False))


@app.command()
def feedback(
    reference: Annotated[
        str | None,
        typer.Argument(metavar="INCIDENT|ALERT_ID|list", help="the id of an incident or an alert"),
    ] = None,
    verdict: Annotated[str | None, typer.Argument(help="true or false")] = None,
    note: Annotated[str, typer.Option(help="why, in your own words")] = "",
    alerts: AlertsPlace = None,
    import_: Annotated[
        Path | None, typer.Option("--import", help="keep the verdicts that a report's page saved")
    ] = None,
    summary: Annotated[bool, typer.Option("--summary", help="precision by kind")] = False,
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """Say whether an incident was true or false. Any of its alerts names it.

    The last verdict on an incident counts. `feedback list` shows the verdicts, --summary the
    precision of each kind for each budget.
    """
    from monitor.commands import feedback as job

    console, settings = Console(json), _load(config, None)
    if import_ is not None:
        if reference is not None or summary:
            raise ConfigError("--import takes a whole file: leave out the id, list and --summary")
        console.result(job.import_verdicts(settings, import_, console))
    elif summary:
        console.result(job.summary(settings, console))
    elif reference == "list" and verdict is None:
        console.result(job.list_verdicts(settings, console))
    elif reference is None or verdict is None:
        raise ConfigError(
            "feedback needs an id and true or false; or list; or --summary; or --import FILE"
        )
    else:
        console.result(job.record(settings, reference, verdict, note, alerts, console))


@app.command()
def schema(
    asyncapi: Annotated[bool, typer.Option("--asyncapi", help="the AsyncAPI document")] = False,
    config: Annotated[bool, typer.Option("--config", help="of configuration files")] = False,
    incidents: Annotated[bool, typer.Option("--incidents", help="for simulate")] = False,
) -> None:
    """Print the contract's JSON Schema (or another document), made from the models."""
    import json as text

    from monitor.core.contract import schema as contract

    if config:
        from monitor.configuration.schema import json_schema

        document = json_schema()
    elif incidents:
        from replay.simulation.incidents.plan import plan_schema

        document = plan_schema()
    else:
        document = contract.asyncapi() if asyncapi else contract.json_schema()
    sys.stdout.write(text.dumps(document, indent=2, ensure_ascii=False) + "\n")


@app.command()
def features(json: Json = False) -> None:
    """List the numbers that a stream can be set on: name, meaning, unit, records."""
    from monitor.commands.features import describe_feature, list_features

    console, listed = Console(json), list_features()
    for feature in listed:
        console.say(describe_feature(feature))
    console.result({"features": listed})


@app.command(name="check-config")
def check_config(
    config: Annotated[Path | None, typer.Argument(help=CONFIG_HELP)] = None,
    show: Annotated[
        bool, typer.Option("--show", help="all values that hold, as TOML, and where each is from")
    ] = False,
    connect: Annotated[
        bool, typer.Option("--connect", help="try the brokers, the topics and what is allowed")
    ] = False,
    map_file: Annotated[
        Path | None, typer.Option("--map", help="try the field maps of this file on records")
    ] = None,
    sample: Annotated[
        list[str] | None, typer.Option(help="with --map: a file to try; else those that it names")
    ] = None,
    alerts_per_day: PerDay = None,
    json: Json = False,
) -> None:
    """Read the configuration as the sidecar would, and say what is wrong with it.

    With --map: what the first records of each source become, and why others do not.
    """
    _announce_compilation()
    console = Console(json)
    if map_file is not None:
        from replay.commands import try_map

        console.result(try_map(map_file, sample or [], console))
        return
    from monitor.commands.check_config import check

    per_day = {} if alerts_per_day is None else {"alerts": {"per_day": alerts_per_day}}
    raise typer.Exit(check(config, per_day, console, show=show, connect=connect))


if __name__ == "__main__":
    from brinkwatch import main

    main()
