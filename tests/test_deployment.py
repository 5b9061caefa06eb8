"""The Kubernetes manifest is valid, and agrees with the service and with itself."""

import inspect
import json
import re
from pathlib import Path
from typing import Any

import pytest

from unblur.app.serve_command import SENDING_S, serve
from unblur.service.metrics import Metrics

ROOT = Path(__file__).parent.parent
yaml = pytest.importorskip("yaml", reason="reads the manifest; comes with the extra `web`")


def load(text: str) -> dict[str, Any]:
    return {document["kind"]: document for document in yaml.safe_load_all(text)}


MANIFEST = load((ROOT / "deploy" / "kubernetes.yaml").read_text(encoding="utf-8"))
POD = MANIFEST["Deployment"]["spec"]["template"]
(CONTAINER,) = POD["spec"]["containers"]


def options() -> dict[str, str]:
    return dict(re.fullmatch(r"--([\w-]+)=(.+)", argument).groups() for argument in CONTAINER["args"])  # type: ignore[union-attr,misc]


@pytest.mark.slow
@pytest.mark.parametrize("kind", MANIFEST)
def test_the_manifest_follows_the_schemas_of_kubernetes(kind: str) -> None:
    validator = pytest.importorskip("kubernetes_validate", reason="holds the schemas, 108 MB")
    version = validator.latest_version()
    validator.validate(MANIFEST[kind], version, strict=True)
    with pytest.raises(validator.ValidationError):
        validator.validate(MANIFEST[kind] | {"spec": {"misspelt": 1}}, version, strict=True)


def test_every_kind_that_is_needed_is_there() -> None:
    assert set(MANIFEST) == {"Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget"}


def test_all_parts_mean_the_same_pods() -> None:
    labels = POD["metadata"]["labels"]
    assert MANIFEST["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert MANIFEST["Service"]["spec"]["selector"] == labels
    assert MANIFEST["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    target = MANIFEST["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", MANIFEST["Deployment"]["metadata"]["name"])
    # The autoscaler alone decides on their number.
    assert "replicas" not in MANIFEST["Deployment"]["spec"]


def test_the_options_are_those_of_the_command() -> None:
    parameters = inspect.signature(serve).parameters
    assert {name.replace("-", "_") for name in options()} <= set(parameters)
    mounts = {mount["name"]: mount["mountPath"] for mount in CONTAINER["volumeMounts"]}
    assert options()["key-file"].startswith(f"{mounts['keys']}/")
    assert set(mounts) == {volume["name"] for volume in POD["spec"]["volumes"]}


def test_a_pod_has_time_to_finish_its_photographs() -> None:
    _, wait_s = CONTAINER["lifecycle"]["preStop"]["exec"]["command"]
    needed_s = float(wait_s) + float(options()["drain-limit"]) + SENDING_S
    assert needed_s < POD["spec"]["terminationGracePeriodSeconds"]


def test_probes_and_measurements_are_at_the_service_s_addresses() -> None:
    port = inspect.signature(serve).parameters["port"].default
    assert CONTAINER["ports"] == [{"name": "http", "containerPort": port}]
    assert POD["metadata"]["annotations"]["prometheus.io/port"] == str(port)
    probes = {name: CONTAINER[f"{name}Probe"]["httpGet"] for name in ("startup", "readiness", "liveness")}
    assert {probe["port"] for probe in probes.values()} == {"http"}
    # A pod that drains must not be killed for that.
    assert {name: probe["path"] for name, probe in probes.items()} == {
        "startup": "/readyz",
        "readiness": "/readyz",
        "liveness": "/healthz",
    }
    (metric,) = MANIFEST["HorizontalPodAutoscaler"]["spec"]["metrics"]
    exported = Metrics().export(in_flight=0, waiting=3, is_ready=True).decode()
    assert f"{metric['pods']['metric']['name']} 3.0" in exported


def test_a_pod_may_do_no_more_than_it_needs() -> None:
    pod, container = POD["spec"]["securityContext"], CONTAINER["securityContext"]
    assert pod["runAsNonRoot"]
    assert pod["runAsUser"] > 0
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    # Photographs are never on a disk, not even by mistake.
    assert all("secret" in volume or volume["emptyDir"]["medium"] == "Memory" for volume in POD["spec"]["volumes"])
    assert POD["spec"]["automountServiceAccountToken"] is False
    assert set(CONTAINER["resources"]["requests"]) == set(CONTAINER["resources"]["limits"]) == {"cpu", "memory"}


def instructions(name: str) -> list[tuple[str, str]]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in lines if line and not line.startswith("#")]


def test_the_image_of_the_service_is_installed_as_the_other_one() -> None:
    """test_install.py takes the steps of the other one."""
    until_run = [[step for step in instructions(name) if step[0] in ("FROM", "COPY", "RUN")] for name in IMAGES]
    other, service = until_run
    assert service[:-1] == other[:-1]
    assert service[-1] == ("RUN", f"{other[-1][1]}[serve]")


IMAGES = ("Dockerfile", "Dockerfile.service")


def test_the_image_serves_as_the_user_of_the_manifest() -> None:
    steps = dict(instructions("Dockerfile.service"))
    pod = POD["spec"]["securityContext"]
    assert steps["USER"] == f"{pod['runAsUser']}:{pod['runAsGroup']}"
    assert json.loads(steps["ENTRYPOINT"]) == ["unblur", "serve", "--host", "0.0.0.0"]
    assert steps["EXPOSE"] == str(CONTAINER["ports"][0]["containerPort"])
