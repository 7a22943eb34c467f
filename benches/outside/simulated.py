"""The simulator as another process, and folders and an environment that have nothing of the user's."""
import json
import os
import re
import subprocess
import tempfile
import urllib.request

from terminal import Cockpit, processor_time


class Place:
    """A temporary folder, an environment without anything of the user's, and the binary."""

    def __init__(self, binary):
        self.binary, self.folder = binary, tempfile.mkdtemp(prefix="gonogo-measure-")
        self.count = 0
        keep = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        self.environment = {**keep, "HOME": self.folder, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}

    def new_folder(self):
        self.count += 1
        folder = os.path.join(self.folder, str(self.count))
        os.mkdir(folder)
        return folder

    def cockpit(self, *arguments):
        return Cockpit([self.binary, *arguments], self.environment)


class Simulator:
    """`gonogo sim` in a process of its own."""

    def __init__(self, place, instances, churn=None):
        self.folder = place.new_folder()
        command = [place.binary, "sim", "--scene", "idle", "--instances", str(instances), "--dir", self.folder]
        command += ["--churn", str(churn)] if churn else []
        self.process = subprocess.Popen(command, env=place.environment, stderr=subprocess.PIPE, text=True)
        line = self.process.stderr.readline()
        if "simulator ready" not in line:
            raise SystemExit(f"the simulator did not start: {line}")
        with open(self.config()) as config:
            self.clock = re.search(r'clock = "([^"]+)"', config.read()).group(1)

    def told(self):
        return json.load(urllib.request.urlopen(self.clock, timeout=10))

    def requests(self):
        """Requests that it was asked until now: platform, metrics."""
        told = self.told()["requests"]
        return told["platform"], told["metrics"]

    def asked(self):
        """Requests and bytes of answers until now, by what was asked for."""
        return {what: (count["requests"], count["bytes"]) for what, count in self.told()["asked"].items()}

    def cpu(self):
        return processor_time(self.process.pid)

    def config(self):
        return os.path.join(self.folder, "config.toml")

    def cockpit(self, place):
        return place.cockpit("--config", self.config())

    def end(self):
        self.process.terminate()
        self.process.wait()
