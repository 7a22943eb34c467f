"""Terminals that the cockpit is measured on: a PTY of its own, read byte by byte, or a window of tmux, looked at as a person would."""
import fcntl
import os
import pty
import re
import select
import shlex
import signal
import struct
import subprocess
import termios
import time

COLUMNS, ROWS = 200, 60
TICK = os.sysconf("SC_CLK_TCK")
ESCAPE = re.compile(rb"\x1b(?:\[([0-9;?]*)([@-~])|\]([^\x07\x1b]*)(?:\x07|\x1b\\)|[()][A-Z0-9]|[=>78cM])")


def processor_time(pid):
    """Seconds of processor time that a process has taken."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def memory(pid):
    """Megabytes of a process: resident, at most resident, and of the resident ones its own data (the others are files, mostly itself)."""
    with open(f"/proc/{pid}/status") as status:
        values = dict(line.split(":", 1) for line in status)
    return tuple(int(values[name].split()[0]) / 1000 for name in ("VmRSS", "VmHWM", "RssAnon"))


class Grid:
    """The cells of the terminal, as far as the cockpit uses it: positions, text, clearing."""

    def __init__(self):
        self.cells = [[" "] * COLUMNS for _ in range(ROWS)]
        self.row = self.column = 0
        self.rest = b""

    def feed(self, data):
        data = self.rest + data
        self.rest = b""
        at = 0
        while at < len(data):
            if data[at] == 0x1B:
                found = ESCAPE.match(data, at)
                if not found:
                    if len(data) - at < 200:
                        self.rest = data[at:]
                        return
                    at += 1
                    continue
                self.control(found)
                at = found.end()
                continue
            end = data.find(b"\x1b", at)
            end = len(data) if end < 0 else end
            chunk = data[at:end]
            if end == len(data):
                # A character may be cut in the middle.
                keep = next((n for n in (1, 2, 3) if len(chunk) >= n and chunk[-n] >= 0xC0), 0)
                if keep and keep < {0xC: 2, 0xD: 2, 0xE: 3, 0xF: 4}[chunk[-keep] >> 4]:
                    self.rest, chunk = chunk[-keep:], chunk[:-keep]
            self.text(chunk.decode("utf-8", "replace"))
            at = end

    def control(self, found):
        numbers, kind = found.group(1) or b"", found.group(2)
        if kind in (b"H", b"f"):
            parts = [int(p or 1) for p in numbers.split(b";")] if numbers else [1, 1]
            self.row, self.column = parts[0] - 1, (parts[1] if len(parts) > 1 else 1) - 1
        elif kind == b"C":
            self.column += int(numbers or 1)
        elif kind == b"J":
            self.cells = [[" "] * COLUMNS for _ in range(ROWS)]

    def text(self, text):
        for character in text:
            if character == "\r":
                self.column = 0
            elif character == "\n":
                self.row += 1
            elif character >= " " and 0 <= self.row < ROWS and 0 <= self.column < COLUMNS:
                self.cells[self.row][self.column] = character
                self.column += 1

    def show(self):
        return "\n".join("".join(row).rstrip() for row in self.cells)


class Cockpit:
    """A program on a terminal of its own."""

    def __init__(self, arguments, environment):
        self.grid, self.bytes = Grid(), 0
        self.begun = time.monotonic()
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            size = struct.pack("HHHH", ROWS, COLUMNS, 0, 0)
            fcntl.ioctl(0, termios.TIOCSWINSZ, size)
            os.execve(arguments[0], arguments, environment)
        size = struct.pack("HHHH", ROWS, COLUMNS, 0, 0)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, size)

    def read(self, seconds):
        """Takes what comes within this time; whether something came."""
        ready, _, _ = select.select([self.fd], [], [], max(seconds, 0))
        if not ready:
            return False
        try:
            data = os.read(self.fd, 1 << 16)
        except OSError:
            raise SystemExit(f"the cockpit ended:\n{self.grid.show()}")
        if not data:
            raise SystemExit(f"the cockpit ended:\n{self.grid.show()}")
        self.bytes += len(data)
        self.grid.feed(data)
        return True

    def until(self, pattern, seconds):
        """Seconds since the program was started, once the screen shows this."""
        pattern, end = re.compile(pattern), self.begun + seconds
        while time.monotonic() < end:
            if self.read(end - time.monotonic()) and pattern.search(self.grid.show()):
                return time.monotonic() - self.begun
        raise SystemExit(f"{pattern.pattern!r} did not come within {seconds} s:\n{self.grid.show()}")

    def during(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.read(end - time.monotonic())

    def written(self):
        """Bytes written to the terminal until now."""
        return self.bytes

    def end(self):
        os.write(self.fd, b"\x03")
        for signal_number in (None, signal.SIGTERM, signal.SIGKILL):
            if signal_number:
                os.kill(self.pid, signal_number)
            for _ in range(100):
                try:
                    while select.select([self.fd], [], [], 0)[0] and os.read(self.fd, 1 << 16):
                        pass
                except OSError:
                    pass
                if os.waitpid(self.pid, os.WNOHANG)[0]:
                    os.close(self.fd)
                    return
                time.sleep(0.02)


class Tmux:
    """A server of tmux of its own, with windows of one size."""

    def __init__(self, environment):
        self.environment = environment
        self.command = ["tmux", "-f", "/dev/null", "-L", f"gonogo-measure-{os.getpid()}"]
        # A session that stays, so that the server is there before anything is measured.
        self.say("new-session", "-d", "-x", str(COLUMNS), "-y", str(ROWS), "-s", "measure", "exec sleep 86400")

    def say(self, *words):
        return subprocess.run([*self.command, *words], env=self.environment, check=True, capture_output=True, text=True).stdout

    def end(self):
        subprocess.run([*self.command, "kill-server"], env=self.environment, capture_output=True, check=False)


class Window:
    """A program in a window of tmux. What it writes is counted on its way to the screen."""

    def __init__(self, tmux, arguments, folder):
        self.tmux, self.drawn = tmux, os.path.join(folder, "drawn")
        # It waits for a line, so that the pipe is there before its first byte; then the shell becomes the program.
        waiting = f"read -r go; exec {shlex.join(arguments)}"
        told = tmux.say("new-window", "-d", "-t", "measure:", "-P", "-F", "#{pane_id} #{pane_pid}", f"exec sh -c {shlex.quote(waiting)}")
        self.pane, pid = told.split()
        self.pid = int(pid)
        tmux.say("pipe-pane", "-O", "-t", self.pane, f"exec cat > {shlex.quote(self.drawn)}")
        self.begun = time.monotonic()
        tmux.say("send-keys", "-t", self.pane, "Enter")

    def show(self):
        return self.tmux.say("capture-pane", "-p", "-t", self.pane)

    def until(self, pattern, seconds):
        """Seconds since the program was started, once the screen shows this; looks about every 10 ms."""
        pattern, end = re.compile(pattern), self.begun + seconds
        while time.monotonic() < end:
            if pattern.search(self.show()):
                return time.monotonic() - self.begun
            time.sleep(0.005)
        raise SystemExit(f"{pattern.pattern!r} did not come within {seconds} s:\n{self.show()}")

    def during(self, seconds):
        time.sleep(seconds)

    def written(self):
        """Bytes written to the terminal until now."""
        return os.path.getsize(self.drawn) if os.path.exists(self.drawn) else 0

    def end(self):
        self.tmux.say("send-keys", "-t", self.pane, "C-c")
        for _ in range(250):
            if not os.path.exists(f"/proc/{self.pid}"):
                break
            time.sleep(0.02)
        else:
            os.kill(self.pid, signal.SIGTERM)
        subprocess.run([*self.tmux.command, "kill-pane", "-t", self.pane], capture_output=True, check=False)
        if os.path.exists(self.drawn):
            os.remove(self.drawn)
