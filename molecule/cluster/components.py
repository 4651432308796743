# SPDX-License-Identifier: GPL-3.0-or-later
"""The components of the node: how each is started, and the files that they are configured with.

Paths are those that the node sees (node.py): the cluster's directory is MOUNT there, whatever it is outside.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from .network import PODS, SERVICES

CONTEXT = "pifleet"
"""What kubeconfigs call the cluster. It is the current context for no person."""
NODE = "node"
PORT = 6443
MOUNT = PurePosixPath("/mnt")
PROGRAM = MOUNT / "program" / "hyperkube"
IMAGES = MOUNT / "images"
ACCESS = MOUNT / "access"
CONFIG = MOUNT / "config"
DATA = MOUNT / "data"
LOGS = MOUNT / "logs"
AUDIT_LOG = "audit.log"
CONTAINERD_SOCKET = "/run/containerd.sock"
PAUSE_IMAGE = "localhost/pause:cluster"
_ETCD = "http://127.0.0.1:2379"
_CNI_PLUGINS = "/usr/lib/cni"
"""Of Debian's containernetworking-plugins."""


def commands(address: str) -> dict[str, list[str]]:
    """The command lines by component, in the order of their start. address: the node's."""
    return {
        "etcd": _etcd(),
        "kube-apiserver": _api_server(address),
        "kube-controller-manager": _controller_manager(),
        "kube-scheduler": [
            str(PROGRAM), "kube-scheduler", f"--kubeconfig={ACCESS}/scheduler.kubeconfig", "--leader-elect=false",
            "--bind-address=127.0.0.1",
        ],
        "containerd": ["containerd", "--config", f"{CONFIG}/containerd.toml"],
        "kubelet": [
            str(PROGRAM), "kubelet", f"--config={CONFIG}/kubelet.json", f"--kubeconfig={ACCESS}/kubelet.kubeconfig",
            f"--hostname-override={NODE}", f"--node-ip={address}",
        ],
        "kube-proxy": [str(PROGRAM), "kube-proxy", f"--config={CONFIG}/proxy.json"],
    }  # fmt: skip


def files() -> dict[str, str]:
    """What is in CONFIG: JSON, which is YAML, and TOML for containerd."""
    documents: dict[str, Mapping[str, Any]] = {
        "audit.json": _audit_policy(),
        "kubelet.json": _kubelet(),
        "proxy.json": _proxy(),
        "cni/10-pods.conflist": _pod_network(),
    }
    texts = {name: json.dumps(document, indent=1) for name, document in documents.items()}
    return {**texts, "containerd.toml": _containerd(), "resolv.conf": ""}


def _etcd() -> list[str]:
    peer = "http://127.0.0.1:2380"
    return [
        str(PROGRAM), "etcd", f"--data-dir={DATA}/etcd", f"--listen-client-urls={_ETCD}",
        f"--advertise-client-urls={_ETCD}", f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}", "--unsafe-no-fsync", "--log-level=warn",
    ]  # fmt: skip


def _api_server(address: str) -> list[str]:
    key = f"{ACCESS}/service-accounts.key"
    return [
        str(PROGRAM), "kube-apiserver", f"--etcd-servers={_ETCD}", f"--secure-port={PORT}",
        f"--advertise-address={address}", f"--tls-cert-file={ACCESS}/server.crt",
        f"--tls-private-key-file={ACCESS}/server.key", f"--token-auth-file={ACCESS}/tokens.csv",
        "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
        # as kubeadm and k3s have it: Pod Security decides
        "--allow-privileged=true",
        f"--service-account-key-file={key}", f"--service-account-signing-key-file={key}",
        "--service-account-issuer=https://kubernetes.default.svc", f"--service-cluster-ip-range={SERVICES}",
        # no DNS has the name of the node
        "--kubelet-preferred-address-types=InternalIP",
        f"--audit-policy-file={CONFIG}/audit.json", f"--audit-log-path={LOGS}/{AUDIT_LOG}",
    ]  # fmt: skip


def _controller_manager() -> list[str]:
    return [
        str(PROGRAM), "kube-controller-manager", f"--kubeconfig={ACCESS}/controllers.kubeconfig",
        "--use-service-account-credentials", f"--service-account-private-key-file={ACCESS}/service-accounts.key",
        f"--root-ca-file={ACCESS}/ca.crt", "--leader-elect=false", "--bind-address=127.0.0.1",
        "--enable-hostpath-provisioner", f"--flex-volume-plugin-dir={DATA}/volume-plugins",
    ]  # fmt: skip


def _audit_policy() -> dict[str, Any]:
    """Who asked for what, without any body: a Secret has none here that may be read."""
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [{"level": "Metadata"}],
    }


def _kubelet() -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        # Nobody reaches it but the API server: node.py closes its port to all that is outside the node.
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupsPerQOS": False,
        "enforceNodeAllocatable": [],
        "failSwapOn": False,
        # Where CAP_SYS_RESOURCE and cgroup v2 are missing, as in many a virtual machine for CI:
        "failCgroupV1": False,
        "oomScoreAdj": 0,
        "maxOpenFiles": 16384,
        "featureGates": {"KubeletInUserNamespace": True},
        "localStorageCapacityIsolation": False,
        "resolvConf": f"{CONFIG}/resolv.conf",
        "volumePluginDir": f"{DATA}/volume-plugins",
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        # The images came with the node, and from nowhere would they come again.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "syncFrequency": "10s",
    }


def _proxy() -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": f"{ACCESS}/proxy.kubeconfig"},
        "mode": "iptables",
        "clusterCIDR": str(PODS),
        "hostnameOverride": NODE,
        # These sysctls are the machine's.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }


def _pod_network() -> dict[str, Any]:
    addresses = {
        "type": "host-local",
        "dataDir": f"{DATA}/addresses",
        "ranges": [[{"subnet": str(PODS)}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {"type": "bridge", "bridge": "pods", "isGateway": True, "ipMasq": True, "hairpinMode": True}
    plugins = [{**bridge, "ipam": addresses}, {"type": "portmap", "capabilities": {"portMappings": True}}]
    return {"cniVersion": "0.4.0", "name": "pods", "plugins": plugins}


def _containerd() -> str:
    return f"""\
version = 2
root = "{DATA}/containerd"
state = "/run/containerd"

[grpc]
address = "{CONTAINERD_SOCKET}"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE_IMAGE}"
# As for the kubelet: where CAP_SYS_RESOURCE is missing
restrict_oom_score_adj = true
disable_apparmor = true
tolerate_missing_hugetlb_controller = true
disable_hugetlb_controller = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{_CNI_PLUGINS}"
conf_dir = "{CONFIG}/cni"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
"""
