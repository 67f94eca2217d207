"""The Helm chart: what its files say, and where there is a Helm, what it makes of them."""

from __future__ import annotations

import json
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from monitor import __version__
from monitor.config import load
from tests.support import ROOT

CHART = ROOT / "deploy" / "helm" / "brinkwatch"
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
OPTIONAL = ("serviceMonitor", "prometheusRule", "dashboards", "autoscaling")
KUBERNETES = "1.31.0"
"""What a Helm without a cluster is to think of; one built by Go would think of 1.20."""
ALL = [f"{name}.enabled=true" for name in OPTIONAL]


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it, or skip: no package of Debian has it, so no machine is asked to."""
    program = shutil.which("helm")
    if program is None:
        pytest.skip("helm is not on this machine (go install helm.sh/helm/v3/cmd/helm@v3.18.6)")
    return subprocess.run([program, *arguments], capture_output=True, text=True)


@cache
def manifests(*settings: str) -> list[dict[str, Any]]:
    """What the chart makes."""
    options = [option for setting in settings for option in ("--set", setting)]
    where = "--namespace", "risk", "--kube-version", KUBERNETES
    done = helm("template", "brinkwatch", str(CHART), *where, *options)
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def by_kind(*settings: str) -> dict[str, dict[str, Any]]:
    """The same by kind; of several of a kind the last."""
    return {each["kind"]: each for each in manifests(*settings)}


def pod(*settings: str) -> dict[str, Any]:
    spec: dict[str, Any] = by_kind(*settings)["StatefulSet"]["spec"]["template"]["spec"]
    return spec


def test_the_chart_is_of_this_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == __version__
    assert chart["name"] == CHART.name


def test_the_sidecar_reads_the_configuration_of_the_values(tmp_path: Path) -> None:
    file = tmp_path / "brinkwatch.toml"
    file.write_text(VALUES["config"])
    config = load(file)
    assert config.kafka.member == ""  # the pod's name
    assert config.kafka.member_timeout_s > VALUES["terminationGracePeriodSeconds"]
    assert VALUES["autoscaling"]["maxReplicas"] <= config.kafka.partitions


def test_the_values_fit_their_schema_and_a_mistyped_one_does_not() -> None:
    jsonschema.validate(VALUES, SCHEMA)
    assert set(VALUES) == set(SCHEMA["properties"]) - {"global"}
    for wrong in ({"replica": 2}, {"replicas": "2"}, {"secrets": ["No Name"]}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**VALUES, **wrong}, SCHEMA)


def test_rules_and_dashboards_are_those_of_deploy() -> None:
    deploy = ROOT / "deploy"
    assert (CHART / "files" / "prometheus").resolve() == deploy / "prometheus"
    assert (CHART / "files" / "dashboards").resolve() == deploy / "grafana" / "dashboards"


def test_helm_finds_no_fault() -> None:
    done = helm("lint", "--strict", str(CHART), *(o for each in ALL for o in ("--set", each)))
    assert done.returncode == 0, done.stdout + done.stderr


def test_helm_refuses_a_value_that_the_chart_does_not_have() -> None:
    done = helm("template", "brinkwatch", str(CHART), "--set", "replica=2")
    assert done.returncode != 0
    assert "replica" in done.stderr


def test_no_container_is_root_or_writes_but_to_volumes() -> None:
    spec = pod()
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["runAsUser"] == 10001
    assert not spec["automountServiceAccountToken"]
    for container in (*spec["initContainers"], *spec["containers"]):
        allowed = container["securityContext"]
        assert allowed["readOnlyRootFilesystem"]
        assert not allowed["allowPrivilegeEscalation"]
        assert allowed["capabilities"] == {"drop": ["ALL"]}


def test_every_mount_has_its_volume_and_every_secret_its_files() -> None:
    settings = "secrets={kafka,pager}"
    claims = by_kind(settings)["StatefulSet"]["spec"]["volumeClaimTemplates"]
    spec = pod(settings)
    volumes = {each["name"] for each in spec["volumes"]} | {c["metadata"]["name"] for c in claims}
    mounts = spec["containers"][0]["volumeMounts"]
    assert {mount["name"] for mount in mounts} == volumes
    assert {"/run/secrets/kafka", "/run/secrets/pager"} <= {mount["mountPath"] for mount in mounts}
    kept = by_kind("state.persistent=false")["StatefulSet"]["spec"]
    assert "volumeClaimTemplates" not in kept
    assert "state" in {each["name"] for each in pod("state.persistent=false")["volumes"]}


def test_a_member_has_the_name_of_its_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {each["name"]: each for each in pod()["containers"][0]["env"]}
    member = variables.pop("BRINKWATCH_KAFKA__MEMBER")
    assert member["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"
    monkeypatch.setenv(member["name"], "brinkwatch-0")
    for name, variable in variables.items():
        monkeypatch.setenv(name, variable["value"])
    config = load()
    assert config.kafka.member == "brinkwatch-0"
    (port,) = pod()["containers"][0]["ports"]
    assert (config.http.host, config.http.port) == ("0.0.0.0", port["containerPort"])
    mounts = {mount["mountPath"] for mount in pod()["containers"][0]["volumeMounts"]}
    assert str(config.state.dir) in mounts


def test_a_busy_sidecar_is_not_killed() -> None:
    spec = pod("scheme=HTTPS")
    container = spec["containers"][0]
    for name, seconds in (("startupProbe", 300), ("livenessProbe", 120)):
        probe = container[name]
        assert probe["httpGet"] == {"path": "/livez", "port": "http", "scheme": "HTTPS"}
        assert probe["periodSeconds"] * probe["failureThreshold"] >= seconds
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_what_selects_pods_selects_these() -> None:
    every = by_kind(*ALL)
    labels = every["StatefulSet"]["spec"]["template"]["metadata"]["labels"]
    selectors = [
        every["Service"]["spec"]["selector"],
        every["StatefulSet"]["spec"]["selector"]["matchLabels"],
        every["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        every["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
    ]
    assert all(selector.items() <= labels.items() for selector in selectors)
    monitor = every["ServiceMonitor"]
    service = every["Service"]["metadata"]["labels"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service.items()
    # The rules ask for up{job="brinkwatch"}.
    assert service[monitor["spec"]["jobLabel"]] == "brinkwatch"


def test_the_operator_gets_the_rules_as_prometheus_does() -> None:
    prometheus = ROOT / "deploy" / "prometheus"
    settings = yaml.safe_load((prometheus / "prometheus.yml").read_text())
    files = [file for pattern in settings["rule_files"] for file in prometheus.glob(pattern)]
    rules = [each["spec"] for each in manifests(*ALL) if each["kind"] == "PrometheusRule"]
    assert rules
    assert rules == [yaml.safe_load(file.read_text()) for file in sorted(files)]


def test_members_are_counted_by_who_scales_alone() -> None:
    assert by_kind()["StatefulSet"]["spec"]["replicas"] == VALUES["replicas"]
    assert {"ServiceMonitor", "PrometheusRule", "ScaledObject"}.isdisjoint(by_kind())
    scaled = by_kind(*ALL)
    assert "replicas" not in scaled["StatefulSet"]["spec"]
    (trigger,) = scaled["ScaledObject"]["spec"]["triggers"]
    assert trigger["metadata"]["query"] == 'sum(brinkwatch_lag_records{namespace="risk"})'
