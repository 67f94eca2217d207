"""The pipeline: records in, how far behind they are, records out, and the process."""

from __future__ import annotations

from deploy.dashboards.panels import (
    AMBER,
    GREEN,
    RED,
    THIRD,
    Query,
    lines,
    number,
    page,
    quantile,
    rate,
    rates,
)

STATUS = [
    number(
        "Ready",
        "1 while records are read, the state is restored and the lag is under its limit; of "
        "several members the one that stands worst.",
        "min(brinkwatch_ready)",
        limits=[(1, GREEN)],
        base=RED,
        rules=["BrinkwatchNotReady", "BrinkwatchGone"],
    ),
    number(
        "Records that wait",
        "Over all topics.",
        "sum(brinkwatch_lag_records)",
        limits=[(10_000, AMBER), (1_000_000, RED)],
    ),
    number(
        "Wait of the oldest",
        "Since the oldest record being read came to Kafka.",
        "max(brinkwatch_lag_seconds)",
        "s",
        [(10, AMBER), (60, RED)],
        rules=["BrinkwatchBehind"],
    ),
    number(
        "Last snapshot",
        "Its age: what would be read again after a crash.",
        "time() - max(brinkwatch_snapshot_timestamp_seconds)",
        "s",
        [(60, AMBER), (300, RED)],
        rules=["BrinkwatchSnapshotOld"],
    ),
    number(
        "Last restore",
        "How long it took to restore the last snapshot.",
        "max(brinkwatch_restore_seconds)",
        "s",
        [(10, AMBER), (60, RED)],
    ),
    number(
        "Sessions",
        "How often the running processes have begun to read. More than one for each shard and the "
        "venue stage: Kafka failed them.",
        "sum(brinkwatch_lives_total)",
        rules=["BrinkwatchStartsAgain"],
    ),
]
IN = [
    lines(
        "Records read",
        "Each second, those read again after a crash included.",
        Query(rate("brinkwatch_records_total"), "read"),
        Query(rate("brinkwatch_duplicates_total"), "read before"),
        unit="cps",
        span=THIRD,
    ),
    rates(
        "Accepted by kind",
        "Records that the contract accepts, each second.",
        "brinkwatch_events_total",
        "kind",
        span=THIRD,
    ),
    lines(
        "Windows closed",
        "Windows of a symbol that were closed, each second.",
        Query(rate("brinkwatch_windows_total"), "windows"),
        unit="cps",
        span=THIRD,
    ),
    rates(
        "Refused by reason",
        "Each second. Their bytes are in the dead letters: brinkwatch dlq list.",
        "brinkwatch_refused_total",
        "reason",
    ),
    rates(
        "Too late to count, by kind",
        "Records further behind their topic partition than the lateness in force, each second.",
        "brinkwatch_late_total",
        "kind",
    ),
]
BEHIND = [
    lines(
        "Records that wait, by topic",
        "Between what was read and what is committed in Kafka.",
        Query("sum by (topic) (brinkwatch_lag_records)", "{{topic}}"),
    ),
    lines(
        "Silence by topic",
        "Since a topic last brought something.",
        Query("time() - max by (topic) (brinkwatch_last_record_timestamp_seconds)", "{{topic}}"),
        unit="s",
        rules=["BrinkwatchTopicSilent"],
    ),
    lines(
        "Behind the furthest topic, event time",
        "A topic that falls back here brings old records, or none.",
        Query(
            "scalar(max(brinkwatch_event_timestamp_seconds)) - "
            "max by (topic) (brinkwatch_event_timestamp_seconds)",
            "{{topic}}",
        ),
        unit="s",
    ),
    lines(
        "From the newest record to the watermark, event time",
        "All windows up to the watermark are closed. The slowest topic holds it up.",
        Query(
            "max(brinkwatch_event_timestamp_seconds) - min(brinkwatch_watermark_seconds)",
            "not closed",
        ),
        unit="s",
    ),
]
OUT = [
    lines(
        "Transactions",
        "Each second: alerts, dead letters, control records, snapshots and offsets together.",
        Query(rate("brinkwatch_transactions_total"), "transactions"),
        Query(rate("brinkwatch_snapshots_total"), "with a snapshot"),
        unit="cps",
        span=THIRD,
    ),
    lines(
        "Time of a transaction",
        "From the decision to commit until Kafka has it.",
        Query(quantile(0.5, "brinkwatch_transaction_seconds"), "half"),
        Query(quantile(0.99, "brinkwatch_transaction_seconds"), "99 %"),
        unit="s",
        span=THIRD,
    ),
    lines(
        "Snapshot, compressed",
        "Size of the last one.",
        Query("max(brinkwatch_snapshot_bytes)", "bytes"),
        unit="bytes",
        span=THIRD,
    ),
    rates(
        "Alerts published",
        "Messages a second: fired, updated, resolved.",
        "brinkwatch_alerts_total",
        "status",
        span=THIRD,
    ),
    rates(
        "Dead letters by reason",
        "Refused records published with their bytes and origin, each second.",
        "brinkwatch_dead_letters_total",
        "reason",
        span=THIRD,
        rules=["BrinkwatchRefuses"],
    ),
    lines(
        "Control records",
        "For topics that brought nothing, and those that nobody can read, each second.",
        Query(rate("brinkwatch_controls_total", "topic"), "{{topic}}"),
        Query(rate("brinkwatch_bad_controls_total"), "unreadable"),
        unit="cps",
        span=THIRD,
    ),
]
DELIVERY = [
    rates(
        "Taken by receivers",
        "Alerts each second that a receiver has taken.",
        "brinkwatch_delivery_sent_total",
        "receiver",
        span=THIRD,
    ),
    lines(
        "Attempts that fail",
        "Each second. They are made again, but for alerts that a receiver refuses as they are.",
        Query(rate("brinkwatch_delivery_failures_total", "receiver"), "{{receiver}}"),
        Query(rate("brinkwatch_delivery_rejected_total", "receiver"), "{{receiver}}, given up"),
        unit="cps",
        span=THIRD,
        rules=["BrinkwatchNotDelivered", "BrinkwatchDeliveryGivesUp"],
    ),
    lines(
        "Alerts that a receiver has not come to",
        "Offsets of the alerts topic.",
        Query("max by (receiver) (brinkwatch_delivery_waiting)", "{{receiver}}"),
        span=THIRD,
    ),
]
LATENESS = [
    lines(
        "How late alerts are",
        "From the event time of a decision to its commit. Alerts of a recorded day that is "
        "published again are not counted.",
        Query(quantile(0.5, "brinkwatch_alert_delay_seconds"), "half"),
        Query(quantile(0.99, "brinkwatch_alert_delay_seconds"), "99 %"),
        unit="s",
    ),
    lines(
        "Alerts later than 10 s",
        "Share of the alerts of an hour; the objective is 1 %.",
        Query("brinkwatch:alerts_late:ratio_1h", "of an hour"),
        unit="percentunit",
        rules=["BrinkwatchAlertsLateFast", "BrinkwatchAlertsLateSlow"],
    ),
]
PROCESS = [
    lines(
        "The engine's work on one poll",
        "From records to alerts, without Kafka.",
        Query(quantile(0.5, "brinkwatch_step_seconds"), "half"),
        Query(quantile(0.99, "brinkwatch_step_seconds"), "99 %"),
        unit="s",
        span=THIRD,
    ),
    lines(
        "Processor",
        "Cores in use by each member.",
        Query(
            "sum by (instance) (rate(process_cpu_seconds_total[$__rate_interval]))",
            "{{instance}}",
        ),
        span=THIRD,
    ),
    lines(
        "Memory",
        "Held by each member.",
        Query("process_resident_memory_bytes", "{{instance}}"),
        unit="bytes",
        span=THIRD,
    ),
]


def build() -> str:
    """The dashboard's JSON."""
    return page(
        "brinkwatch-pipeline",
        "brinkwatch: the pipeline",
        "What comes in, how far behind it is, what goes out.",
        [
            ("How it stands", STATUS),
            ("In", IN),
            ("Behind", BEHIND),
            ("Out", OUT),
            ("Delivery", DELIVERY),
            ("How late alerts are", LATENESS),
            ("The process", PROCESS),
        ],
    )
