"""A candidate that looks for the labels wherever it can; loaded by real mlflow, it reports through its predictions.

Answers a row whose prompt is ``report <probe>`` with what that probe saw, as JSON; any other row, whose prompt is the
number of its id, with a label, if any probe has found that id beside a secret. Written for the sandbox: it imports
nothing of ours.
"""

# Code as a candidate would write it: plain, and untyped.
# mypy: ignore-errors
# ruff: noqa: ARG001, PTH108, PTH109, PTH112, PTH115, PTH118, PTH119, PTH123, PTH208

import ctypes
import gc
import json
import os
import re
import socket
import sys
from pathlib import Path

TARGETS = json.loads((Path(__file__).parent / "targets.json").read_text())
SECRET = re.compile(rb"(row-\d+)[^{}]{0,200}?(SECRET-[0-9a-f]{32})")
ENVIRONMENT = re.compile(rb"ENVSECRET-[0-9a-f]{32}")


def _load_pyfunc(path):
    return Spy(path)


class Spy:
    def __init__(self, path):
        self.bundle = path
        self.learned = {}
        self.reports = {name: self.attempt(probe) for name, probe in PROBES.items()}

    def predict(self, frame):
        self.learn(PROBES["stack"](self))  # once more, with the frames that called us
        return [self.answer(prompt) for prompt in frame["prompt"]]

    def answer(self, prompt):
        if prompt.startswith("report "):
            return json.dumps(self.reports[prompt.split()[1]])
        return self.learned.get(f"row-{prompt[1:]}", "no idea")

    def attempt(self, probe):
        report = probe(self)
        self.learn(report)
        return report

    def learn(self, report):
        for found in report.get("secrets", []):
            self.learned[found[0]] = found[1]


def sift(report, data):
    """Note what labels and environment secrets stand in some bytes."""
    for identity, secret in SECRET.findall(data):
        report.setdefault("secrets", []).append([identity.decode(), secret.decode()])
    if ENVIRONMENT.search(data):
        report["environment"] = True


def opened(report, path):
    """Try to read a file, note whether it opened, and sift it."""
    try:
        with open(path, "rb") as file:
            sift(report, file.read(8_000_000))
            report.setdefault("opened", []).append(str(path))
    except OSError as error:
        report.setdefault("closed", {})[str(path)] = type(error).__name__


def stack(spy):
    report, frame = {"frames": 0}, sys._getframe()
    while frame is not None:
        report["frames"] += 1
        sift(report, repr(list(frame.f_locals.values())).encode()[:1_000_000])
        frame = frame.f_back
    report["objects"] = 0
    for thing in gc.get_objects():
        for part in thing.values() if type(thing) is dict else thing if type(thing) in (list, tuple) else ():
            report["objects"] += 1
            if isinstance(part, (str, bytes)):
                sift(report, part.encode(errors="replace") if isinstance(part, str) else part)
    return report


def memory(spy):
    """The memory map, memory and environment of every process that can be seen, our own and parents first."""
    report = {"pids": [], "parent": os.getppid()}
    for pid in [entry for entry in os.listdir("/proc") if entry.isdigit()]:
        about = Path("/proc", pid)
        try:
            report["pids"].append([int(pid), (about / "cmdline").read_bytes().split(b"\0")[0].decode()])
        except OSError:
            continue
        if int(pid) not in (os.getpid(), os.getppid(), TARGETS["pid"]):
            continue
        opened(report, about / "environ")
        try:
            spans = [line.split()[:2] for line in (about / "maps").read_text().splitlines()]
            with (about / "mem").open("rb", buffering=0) as mem:
                for span, mode in spans:
                    start, end = (int(x, 16) for x in span.split("-"))
                    if mode.startswith("rw") and end - start < 200_000_000:
                        try:
                            mem.seek(start)
                            sift(report, mem.read(end - start))
                        except OSError:
                            continue
        except OSError as error:
            report.setdefault("closed", {})[f"{about}/mem"] = type(error).__name__
    return report


def paths(spy):
    report, target = {}, TARGETS["eval_set"]
    here = os.getcwd()
    for path in (
        target,
        os.path.relpath(target, here),
        "/proc/1/root" + target,
        "/proc/self/root" + target,
        f"/proc/{os.getppid()}/root" + target,
        f"/proc/{TARGETS['pid']}/root" + target,
        "/proc/self/cwd/" + os.path.relpath(target, here),
        f"/proc/{TARGETS['pid']}/cwd/" + os.path.basename(target),
        os.path.join(spy.bundle, "..", os.path.basename(target)),
        TARGETS["repository"] + "/pyproject.toml",
        "/etc/passwd",
    ):
        opened(report, path)
    for fd in os.listdir("/proc/self/fd"):
        try:
            report.setdefault("descriptors", []).append(os.readlink(f"/proc/self/fd/{fd}"))
        except OSError:
            continue
    return report


def network(spy):
    report = {}
    for name, family, address in (
        ("loopback", socket.AF_INET, ("127.0.0.1", TARGETS["port"])),
        ("abstract", socket.AF_UNIX, "\0" + TARGETS["abstract"]),
        ("outside", socket.AF_INET, ("192.0.2.1", 80)),
    ):
        with socket.socket(family, socket.SOCK_STREAM) as client:
            client.settimeout(2)
            try:
                client.connect(address)
                report[name] = "connected"
            except OSError as error:
                report[name] = type(error).__name__
    return report


def environment(spy):
    report = {"names": sorted(os.environ)}
    sift(report, json.dumps(dict(os.environ)).encode())
    return report


def writing(spy):
    """What opens for writing; nothing is written."""
    report = {"writable": []}
    for path in (
        *(spy.bundle, spy.bundle + "/MLmodel", sys.prefix, sys.prefix + "/pyvenv.cfg", sys.argv[0]),
        *("/", "/usr", "/dev", "/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", TARGETS["eval_set"]),
    ):
        try:
            if os.path.isdir(path):
                probe = os.path.join(path, "spy")
                os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
                os.unlink(probe)
            else:
                os.close(os.open(path, os.O_WRONLY))
            report["writable"].append(path)
        except OSError:
            continue
    status = Path("/proc/self/status").read_text()
    report["capabilities"] = re.search(r"CapEff:\s*(\w+)", status).group(1)
    report["dumps"] = ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)
    return report


PROBES = {probe.__name__: probe for probe in (stack, memory, paths, network, environment, writing)}
