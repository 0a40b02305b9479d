"""The Kubernetes files: rendered by kustomize, held against the schemas of Kubernetes and against the code."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.four import SERVICES
from shared.bus.kafka import Topic
from shared.bus.port import PARTITIONS
from shared.http.health import PATIENCE
from shared.service import Service
from tests.support.tools import ROOT, ran, tool

FOLDER = ROOT / "deploy" / "kubernetes"
RENDERED = ("base", "overlays/trial", "overlays/town")
OPERATORS = {"ScaledObject", "Kafka", "KafkaNodePool", "MongoDBCommunity"}
"""Kinds whose schemas come with their operators; no validator here knows them."""

each_service = pytest.mark.parametrize("service", SERVICES, ids=[service.name for service in SERVICES])


@functools.cache
def rendered(folder: str) -> str:
    if Path(program := tool("kustomize", "kubectl", fetched="either renders these files")).name == "kubectl":
        return ran(program, "kustomize", FOLDER / folder)
    return ran(program, "build", FOLDER / folder)


def things(folder: str) -> dict[tuple[str, str], Any]:
    """What is rendered, by kind and name."""
    found = [thing for thing in yaml.safe_load_all(rendered(folder)) if thing]
    named = {(thing["kind"], thing["metadata"]["name"]): thing for thing in found}
    assert len(named) == len(found)
    return named


def pods(folder: str) -> dict[str, Any]:
    """The pods' specifications, by the name of what makes them."""
    kinds = ("Deployment", "Job")
    return {name: thing["spec"]["template"]["spec"] for (kind, name), thing in things(folder).items() if kind in kinds}


@pytest.mark.parametrize("folder", RENDERED)
def test_it_is_what_kubernetes_allows(folder: str, tmp_path: Path) -> None:
    check = tool("kubernetes-validate", fetched="uv sync --group operations")
    known = [thing for (kind, _), thing in things(folder).items() if kind not in OPERATORS]
    file = tmp_path / "rendered.yaml"
    file.write_text(yaml.safe_dump_all(known))
    told = ran(check, "--strict", "--no-warn", file)
    assert told.count("passed") == len(known), told


@each_service
def test_a_service_is_asked_at_its_operators_port_and_ends_in_its_own_time(service: Service) -> None:
    pod = pods("base")[service.name]
    (container,) = pod["containers"]
    assert container["args"] == ["serve", service.name]
    assert {p["name"]: p["containerPort"] for p in container["ports"]} == {
        "http": service.port,
        "operations": service.port + 1000,
    }
    asked = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    assert {name: (at["path"], at["port"]) for name, at in asked.items()} == {
        "startup": ("/live", "operations"),
        "liveness": ("/live", "operations"),
        "readiness": ("/ready", "operations"),
    }
    assert container["readinessProbe"]["timeoutSeconds"] > PATIENCE
    settings = next(thing["data"] for (kind, name), thing in things("base").items() if name.startswith("huiyin-"))
    assert pod["terminationGracePeriodSeconds"] >= int(settings["HUIYIN_DRAIN"]) + 3 * 10
    url = next(variable for variable in container["env"] if variable["name"] == "HUIYIN_MONGO_URL")
    assert url["valueFrom"]["secretKeyRef"]["name"] == f"mongodb-{service.name}"


@pytest.mark.parametrize("folder", RENDERED)
def test_no_pod_may_do_more_than_it_has_to(folder: str) -> None:
    for name, pod in pods(folder).items():
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        for container in pod["containers"]:
            allowed = container["securityContext"]
            assert allowed["readOnlyRootFilesystem"] is True, name
            assert allowed["allowPrivilegeEscalation"] is False, name
            assert allowed["capabilities"] == {"drop": ["ALL"]}, name
            assert "memory" in container["resources"]["limits"], name
            assert not container["image"].endswith(":latest"), name


def test_whatever_selects_pods_finds_some_and_every_deployment_has_its_budget() -> None:
    base = things("base")
    labels = [
        thing["spec"]["template"]["metadata"]["labels"] for (kind, _), thing in base.items() if kind == "Deployment"
    ]
    labels += [thing["spec"]["template"]["metadata"]["labels"] for (kind, _), thing in base.items() if kind == "Job"]
    selectors = [
        thing["spec"].get("podSelector") or thing["spec"]["selector"]
        for (kind, _), thing in base.items()
        if kind in {"Service", "PodDisruptionBudget", "NetworkPolicy", "Deployment"}
    ]
    assert len(selectors) > 10
    for selector in selectors:
        wanted = selector.get("matchLabels", selector)
        assert any(wanted.items() <= found.items() for found in labels), wanted
    deployed = {name for kind, name in base if kind == "Deployment"}
    assert {name for kind, name in base if kind == "PodDisruptionBudget"} == deployed


def test_nobody_talks_to_anybody_unless_it_is_listed() -> None:
    policies = {name: thing["spec"] for (kind, name), thing in things("base").items() if kind == "NetworkPolicy"}
    nobody = policies.pop("nobody")
    assert nobody["podSelector"]["matchLabels"] == {"app.kubernetes.io/part-of": "huiyin"}
    assert set(nobody["policyTypes"]) == {"Ingress", "Egress"}
    assert "ingress" not in nobody
    assert "egress" not in nobody
    for name, policy in policies.items():
        assert all(rule.get("ports") for rule in policy.get("ingress", ())), f"{name} opens every port"


def test_what_the_gateway_is_told_are_the_names_and_ports_of_the_services() -> None:
    (container,) = pods("base")["gateway"]["containers"]
    told = {variable["name"]: variable.get("value") for variable in container["env"]}
    for service in SERVICES:
        assert told[service.name.upper()] == f"{service.name}.$(NAMESPACE).svc.cluster.local:{service.port}"
    assert told["SLOTS"] == str(PARTITIONS)
    configured = next(thing["data"] for (kind, name), thing in things("base").items() if name.startswith("gateway-"))
    for file in ("haproxy.cfg", "owners.map"):
        assert configured[file] == (ROOT / "deploy" / "gateway" / file).read_text()


@each_service
def test_replicas_follow_the_lag_of_their_own_consumer_and_are_never_more_than_partitions(service: Service) -> None:
    town = things("overlays/town")
    assert "replicas" not in town["Deployment", service.name]["spec"]
    scaled = town["ScaledObject", service.name]["spec"]
    assert scaled["scaleTargetRef"]["name"] == service.name
    assert scaled["maxReplicaCount"] == PARTITIONS
    lag = next(trigger["metadata"] for trigger in scaled["triggers"] if trigger["type"] == "kafka")
    settings = next(thing["data"] for (kind, name), thing in town.items() if name.startswith("huiyin-"))
    topic = Topic(settings["HUIYIN_KAFKA_URL"])
    assert [lag["bootstrapServers"]] == topic.servers
    assert (lag["topic"], lag["consumerGroup"]) == (topic.name, topic.group(service.name))
    assert lag["allowIdleConsumers"] == "false"
    assert lag["offsetResetPolicy"] == "earliest"


def test_the_servers_of_a_town_lose_nothing_with_one_node() -> None:
    town = things("overlays/town")
    assert town["KafkaNodePool", "broker"]["spec"]["replicas"] == 3
    kafka = town["Kafka", "log"]
    settings = kafka["spec"]["kafka"]["config"]
    assert settings["default.replication.factor"] == 3
    assert settings["min.insync.replicas"] == 2
    assert settings["auto.create.topics.enable"] is settings["unclean.leader.election.enable"] is False
    documents = town["MongoDBCommunity", "documents"]["spec"]
    assert documents["members"] == 3
    users = {user["name"]: user for user in documents["users"]}
    assert set(users) == {service.name for service in SERVICES}
    for name, user in users.items():
        assert user["connectionStringSecretName"] == f"mongodb-{name}"
        assert {role["db"] for role in user["roles"]} == {f"huiyin-{own}" for own in (name, "vault", "access")}


def test_no_secret_is_in_these_files() -> None:
    assert not [name for folder in RENDERED for kind, name in things(folder) if kind == "Secret"]
