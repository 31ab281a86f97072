"""The manifest of the cluster that book/similarity/fast-search deploys."""

from pathlib import Path

import kubernetes_validate
import pytest
import yaml


def manifest(root: Path) -> list[dict]:
    text = (root / "book" / "similarity" / "qdrant.yaml").read_text("utf8")
    return list(yaml.safe_load_all(text))


def test_the_clusters_manifest_is_valid_kubernetes(root: Path):
    for document in manifest(root):
        kubernetes_validate.validate(document, "1.33", strict=True)
    broken = manifest(root)[-1]
    broken["spec"]["replicas"] = "three"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, "1.33", strict=True)


def test_the_clusters_parts_name_each_other(root: Path):
    parts = {(d["kind"], d["metadata"]["name"]): d for d in manifest(root)}
    stateful = parts["StatefulSet", "qdrant"]["spec"]
    peers = parts["Service", stateful["serviceName"]]["spec"]
    clients = parts["Service", "qdrant"]["spec"]
    container = stateful["template"]["spec"]["containers"][0]
    labels = stateful["template"]["metadata"]["labels"]
    assert peers["clusterIP"] == "None" and "clusterIP" not in clients
    assert peers["selector"] == clients["selector"]
    assert peers["selector"].items() <= labels.items()
    assert f".{stateful['serviceName']}:6335" in container["command"][-1]
    assert stateful["selector"]["matchLabels"].items() <= labels.items()
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    served = [*clients["ports"], *peers["ports"]]
    assert ports == {port["name"]: port["port"] for port in served}
    mounts = {mount["name"] for mount in container["volumeMounts"]}
    assert mounts == {v["metadata"]["name"] for v in stateful["volumeClaimTemplates"]}
