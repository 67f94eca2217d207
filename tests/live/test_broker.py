"""The try-out Kafka is a real Kafka, needs nothing on the machine and leaves nothing running."""

import asyncio
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from monitor.broker import jars
from monitor.broker.kafka_server import Broker
from monitor.errors import BrokerError
from tests.live.proxy import Proxy
from tests.support import processes_gone, processes_marked

ROOT = Path(__file__).parents[2]
SERVE = (
    "from monitor.broker.kafka_server import serve; import pathlib, sys; "
    "serve(pathlib.Path(sys.argv[1]), brief=True)"
)


async def publish(address: str, topic: str, *values: bytes) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=address, request_timeout_ms=5000)
    await producer.start()
    try:
        for value in values:
            await producer.send_and_wait(topic, value)
    finally:
        await producer.stop()


async def read(address: str, topic: str) -> list[bytes]:
    """Everything that is committed in partition 0."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=address, auto_offset_reset="earliest", isolation_level="read_committed"
    )
    await consumer.start()
    try:
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        end = (await consumer.end_offsets([partition]))[partition]
        values = []
        while await consumer.position(partition) < end:
            batch = await consumer.getmany(timeout_ms=500)
            values += [record.value for record in batch.get(partition, [])]
        return values
    finally:
        await consumer.stop()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_what_is_published_is_read(kafka: str) -> None:
    topic = f"read-{time.time_ns()}"
    asyncio.run(publish(kafka, topic, b"1", b"2"))
    assert asyncio.run(read(kafka, topic)) == [b"1", b"2"]


def test_an_aborted_transaction_is_not_read(kafka: str) -> None:
    topic = f"transactions-{time.time_ns()}"

    async def commit_and_abort() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=topic)
        await producer.start()
        async with producer.transaction():
            await producer.send_and_wait(topic, b"committed")
        with suppress(InterruptedError):
            async with producer.transaction():
                await producer.send_and_wait(topic, b"aborted")
                raise InterruptedError
        await producer.stop()

    asyncio.run(commit_and_abort())
    assert asyncio.run(read(kafka, topic)) == [b"committed"]


def test_records_outlive_a_restart_and_a_new_broker_on_the_same_directory(tmp_path: Path) -> None:
    with Broker(tmp_path, brief=True) as first:
        address, pid = first.bootstrap, first.pid
        asyncio.run(publish(address, "kept", b"1"))
        first.restart()
        assert first.bootstrap == address
        assert first.pid != pid
        assert asyncio.run(read(address, "kept")) == [b"1"]
    with Broker(tmp_path, brief=True) as second:  # on other ports
        asyncio.run(publish(second.bootstrap, "kept", b"2"))
        assert asyncio.run(read(second.bootstrap, "kept")) == [b"1", b"2"]


def test_a_taken_port_is_an_error_and_not_taken_for_our_own(broker: Broker, tmp_path: Path) -> None:
    port = int(broker.bootstrap.rsplit(":", 1)[1])
    with pytest.raises(BrokerError, match=f"^port {port} is taken: choose another"):
        Broker(tmp_path, port)


def test_a_broker_that_ends_as_it_starts_is_an_error_with_its_log(tmp_path: Path) -> None:
    with pytest.raises(BrokerError, match=r"(?s)^Kafka ended as it started: .*no\.such\.Reporter"):
        Broker(tmp_path, brief=True, settings={"metric.reporters": "no.such.Reporter"})


def test_a_setting_that_kafka_refuses_is_an_error_in_its_own_text(tmp_path: Path) -> None:
    with pytest.raises(BrokerError, match=r"(?s)^Kafka's storage cannot .*num\.io\.threads"):
        Broker(tmp_path, brief=True, settings={"num.io.threads": "none"})


def test_without_the_extra_the_words_say_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jgo", None)
    with pytest.raises(BrokerError, match=r"pip install 'brinkwatch\[broker\]'"):
        Broker(tmp_path, brief=True)


def test_jars_are_fetched_by_one_at_a_time() -> None:
    inside, most = 0, 0

    def fetch(_: int) -> None:
        nonlocal inside, most
        with jars.download_lock():
            inside += 1
            most = max(most, inside)
            time.sleep(0.05)
            inside -= 1

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(fetch, range(4)))
    assert (inside, most) == (0, 1)


def test_jars_that_cannot_be_fetched_have_their_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jars, "JARS", "org.apache.kafka:no-such-artifact:0.0.0")
    with pytest.raises(BrokerError, match="cannot be fetched from Maven Central"):
        Broker(tmp_path, brief=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_with_nothing_on_the_path_ends_at_a_signal_and_leaves_nothing_running(
    number: signal.Signals, tmp_path: Path
) -> None:
    served = subprocess.Popen(
        [sys.executable, "-u", "-c", SERVE, str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PATH": "", "JAVA_HOME": ""},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert served.stdout is not None
    address = ""
    for line in served.stdout:
        if line.startswith("Kafka listens on "):
            address = line.split()[3].rstrip(";")
            break
    asyncio.run(publish(address, "served", b"1"))
    children = Path(f"/proc/{served.pid}/task/{served.pid}/children").read_text().split()
    assert len(children) == 1
    served.send_signal(number)
    assert served.stdout.read() == "Kafka is stopped\n"
    assert served.wait(30) == 0
    assert not alive(int(children[0]))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children that a parent died")
def test_killed_without_a_word_it_takes_kafka_with_it(tmp_path: Path) -> None:
    mark = uuid.uuid4().hex
    served = subprocess.Popen(
        [sys.executable, "-u", "-c", SERVE, str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "MARK": mark},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert served.stdout is not None
    assert any(line.startswith("Kafka listens on ") for line in served.stdout)
    assert len(processes_marked(mark)) == 2
    served.kill()
    served.wait()
    assert processes_gone(mark)


@pytest.fixture(scope="module")
def proxied() -> Iterator[Proxy]:
    """A proxy that clients cannot get around: the broker behind it gives out its address."""
    with Proxy() as proxy, Broker(brief=True, advertise={"proxied": proxy.address}) as behind:
        proxy.target = behind.listeners["proxied"]
        yield proxy


def test_clients_stay_behind_the_proxy(proxied: Proxy) -> None:
    before = proxied.connections
    asyncio.run(publish(proxied.address, "through", b"1"))
    assert proxied.connections >= before + 2  # the bootstrap, and what the broker sent it on to


def test_slices_of_3_bytes_change_nothing(proxied: Proxy) -> None:
    proxied.slice_bytes = 3
    try:
        asyncio.run(publish(proxied.address, "sliced", b"x" * 10_000, b"2"))
        assert asyncio.run(read(proxied.address, "sliced")) == [b"x" * 10_000, b"2"]
    finally:
        proxied.slice_bytes = 0


def test_latency_is_added_in_both_directions(proxied: Proxy) -> None:
    async def round_trip_s() -> float:
        producer = AIOKafkaProducer(bootstrap_servers=proxied.address)
        await producer.start()
        await producer.send_and_wait("late", b"warm")
        proxied.latency_s = 0.2
        begin = time.monotonic()
        await producer.send_and_wait("late", b"1")
        spent = time.monotonic() - begin
        proxied.latency_s = 0.0
        await producer.stop()
        return spent

    assert 0.4 <= asyncio.run(round_trip_s()) < 5


def test_a_black_hole_stops_everything_and_its_end_lets_it_on(proxied: Proxy) -> None:
    async def through_the_hole() -> bool:
        producer = AIOKafkaProducer(bootstrap_servers=proxied.address)
        await producer.start()
        await producer.send_and_wait("hole", b"before")
        proxied.blackhole = True
        sent = await producer.send("hole", b"within")
        await asyncio.sleep(1)
        waited = not sent.done()
        proxied.blackhole = False
        await asyncio.wait_for(sent, 10)
        await producer.stop()
        return waited

    assert asyncio.run(through_the_hole())
    assert asyncio.run(read(proxied.address, "hole")) == [b"before", b"within"]


def test_a_reset_and_an_absence_are_overcome_by_an_idempotent_producer(proxied: Proxy) -> None:
    async def through_faults() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=proxied.address, enable_idempotence=True)
        await producer.start()
        await producer.send_and_wait("faults", b"0")
        proxied.reset()
        await producer.send_and_wait("faults", b"1")
        proxied.down()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*proxied.address.split(":"))
        sent = await producer.send("faults", b"2")
        await asyncio.sleep(1)
        assert not sent.done()
        proxied.up()
        await asyncio.wait_for(sent, 20)
        await producer.stop()

    asyncio.run(through_faults())
    assert asyncio.run(read(proxied.address, "faults")) == [b"0", b"1", b"2"]


def test_a_client_gets_an_error_while_the_target_is_away() -> None:
    with Proxy("127.0.0.1:1") as proxy, pytest.raises(KafkaError):
        asyncio.run(publish(proxy.address, "away", b"1"))
