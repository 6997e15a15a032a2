"""What deploy/quickstart asks of a swarm and of a directory. Needs Python 3.9 or newer, and nothing else.

    swarm.py scan DIRECTORY    "FILES BYTES LARGEST SKIPPED": what `brim put -r` will find there
    swarm.py sample DIRECTORY COUNT
                               so many of its files, each ended by a NUL: the largest, one of the smallest, others by chance
    swarm.py up COUNT          waits until so many servers are up
    swarm.py load DIRECTORY    puts it into the swarm's root, and shows how the disks fill meanwhile
    swarm.py rest              waits until no step is left that would improve anything; shows the way there
    swarm.py stored            prints how many files the swarm holds
    swarm.py full              checks that no server could take one more copy

All but the first two run the program named by $BRIM, which finds the swarm by its own variables.
"""

import json
import os
import random
import stat
import subprocess
import sys
import tempfile
import time

HEADROOM_PERCENT = 2  # what `brim master` keeps free by default
POLL_SECONDS = 0.5
START_LIMIT_SECONDS = 120
LINE_SECONDS = 5  # between lines where the last one cannot be overwritten
STALL_LIMIT_SECONDS = 180  # without any change in the numbers
CALM_POLLS = 4  # so often in a row the swarm must say that it is at rest


def fail(message):
    sys.exit(f"swarm: {message}")


def brim(*arguments):
    """The JSON that a command prints, or None when it fails."""
    command = [os.environ["BRIM"], *arguments, "--json"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return json.loads(done.stdout) if done.returncode == 0 else None


def must(*arguments):
    answer = brim(*arguments)
    if answer is None:
        fail(f"`brim {' '.join(arguments)}` failed.")
    return answer


def human(size):
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 1000 or unit == "TB":
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000


# ---- a directory ----


def is_text(name):
    try:
        name.encode("utf-8")
        return True
    except UnicodeEncodeError:
        return False


def walk(directory):
    """Yields (path, size) of each regular file that can be read, and (None, 0) for each entry that is left out."""
    unreadable = []
    for parent, directories, names in os.walk(directory, onerror=unreadable.append):
        for name in [name for name in directories if not is_text(name)]:
            directories.remove(name)
            yield None, 0
        for name in names:
            path = os.path.join(parent, name)
            try:
                found = os.lstat(path)
            except OSError:
                continue  # removed meanwhile
            if stat.S_ISLNK(found.st_mode):
                continue
            if stat.S_ISREG(found.st_mode) and os.access(path, os.R_OK) and is_text(name):
                yield path, found.st_size
            else:
                yield None, 0
    yield from ((None, 0) for _ in unreadable)


def scan(directory):
    found = list(walk(directory))
    sizes = [size for path, size in found if path is not None]
    print(len(sizes), sum(sizes), max(sizes, default=0), len(found) - len(sizes))


def sample(directory, count):
    files = sorted((size, path) for path, size in walk(directory) if path is not None)
    chosen = [files.pop()] if files else []
    chosen += [files.pop(0)] if files and count > 1 else []
    chosen += random.sample(files, max(0, min(len(files), count - len(chosen))))
    for _, path in chosen[:count]:
        print(os.path.relpath(path, directory), end="\0")


# ---- a swarm ----


def describe(status):
    """One line that says how things stand: files, how full each server is, surplus, copies under way."""
    levels = ", ".join(
        f"{level['files']} at {level['surplus']:+d}" if level["surplus"] else f"{level['files']} at 0"
        for level in sorted(status["surplus"], key=lambda level: level["surplus"])
        if level["files"]
    )
    fill = "  ".join(f"{one['name']} {100 * one['used'] / one['quota']:.1f} %" for one in status["servers"])
    size = f"{status['files']} files, {human(status['bytes'])}"
    return f"{size}   {fill}   surplus: {levels or '-'}   copying {status['copying']}"


class Display:
    """A line that is overwritten on a terminal, and printed now and then elsewhere."""

    def __init__(self):
        self.is_terminal = sys.stderr.isatty()
        self.printed = None

    def show(self, line, last=False):
        if self.is_terminal:
            columns = os.get_terminal_size(sys.stderr.fileno()).columns
            print(f"\r\033[K{line[: columns - 1]}", end="\n" if last else "", file=sys.stderr, flush=True)
        elif last or self.printed is None or time.monotonic() - self.printed >= LINE_SECONDS:
            print(line, file=sys.stderr, flush=True)
            self.printed = time.monotonic()


def wait_up(count):
    deadline = time.monotonic() + START_LIMIT_SECONDS
    while time.monotonic() < deadline:
        status = brim("status")
        if status and sum(server["state"] == "up" for server in status["servers"]) >= count:
            return
        time.sleep(POLL_SECONDS)
    fail(f"{count} servers were not up within {START_LIMIT_SECONDS} s.")


def load(directory):
    display = Display()
    command = [os.environ["BRIM"], "put", "-r", directory, "/"]
    with tempfile.TemporaryFile() as errors:
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors) as put:
            try:
                while put.poll() is None:
                    display.show(describe(must("status")))
                    time.sleep(POLL_SECONDS)
            finally:
                if put.poll() is None:
                    put.terminate()
        display.show(describe(must("status")), last=True)
        if put.returncode != 0:
            errors.seek(0)
            sys.stderr.write(errors.read().decode(errors="replace"))
    sys.exit(put.returncode)


def is_at_rest(status):
    return status["atRest"] and status["copying"] == 0 and all(one["state"] == "up" for one in status["servers"])


def wait_rest():
    display = Display()
    seen, calm, since = None, 0, time.monotonic()
    while calm < CALM_POLLS:
        status = must("status")
        line = describe(status)
        if line != seen:
            seen, since = line, time.monotonic()
            display.show(line)
        elif time.monotonic() - since > STALL_LIMIT_SECONDS:
            fail(f"nothing has moved for {STALL_LIMIT_SECONDS} s, and the swarm does not say that it is at rest: {line}")
        calm = calm + 1 if is_at_rest(status) else 0
        time.sleep(POLL_SECONDS)
    display.show(seen, last=True)


def check_full():
    status = must("status")
    if status["unreachable"]:
        fail(f"{status['unreachable']} files cannot be read.")
    if status["minSurplus"] is None or status["minSurplus"] < 0:
        fail(f"some files have fewer copies than wanted: the least surplus is {status['minSurplus']}.")
    servers = status["servers"]
    room = {}
    for server in servers:
        if server["used"] > server["quota"]:
            fail(f"{server['name']} uses {server['used']} bytes, more than its quota of {server['quota']}.")
        room[server["name"]] = server["quota"] * (100 - HEADROOM_PERCENT) // 100 - server["used"]
    files = [entry for entry in must("ls", "-R", "/") if entry["type"] == "file"]
    if len(files) != status["files"]:
        fail(f"the listing has {len(files)} files, the status {status['files']}.")
    wanting = [entry for entry in files if entry["k"] < len(servers)]
    # Only a file that is smaller than the room on some server could go there; whether it does is asked one by one.
    for entry in wanting:
        if entry["size"] > max(room.values()):
            continue
        path = "/" + entry["name"].lstrip("/")
        holders = {place["server"] for place in must("where", path)}
        for name, bytes_left in room.items():
            if name not in holders and entry["size"] <= bytes_left:
                fail(f"{name} has room for {bytes_left} bytes, but no copy of {path} ({entry['size']} bytes).")
    spare = sum(level["files"] * level["surplus"] for level in status["surplus"] if level["surplus"] > 0)
    for server in servers:
        percent = 100 * server["used"] / server["quota"]
        print(
            f"{server['name']}: {server['files']} copies, {human(server['used'])} of {human(server['quota'])} "
            f"({percent:.2f} %), {human(max(0, room[server['name']]))} below its brim"
        )
    print(f"{len(files)} files, {spare} spare copies, {len(wanting)} files that no server has room for once more")


def main(arguments):
    commands = {
        "scan": scan,
        "sample": lambda directory, count: sample(directory, int(count)),
        "up": lambda count: wait_up(int(count)),
        "load": load,
        "rest": wait_rest,
        "stored": lambda: print(must("status")["files"]),
        "full": check_full,
    }
    if not arguments or arguments[0] not in commands:
        sys.exit(__doc__)
    try:
        commands[arguments[0]](*arguments[1:])
    except KeyboardInterrupt:
        sys.exit(130)


main(sys.argv[1:])
