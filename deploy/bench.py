"""What deploy/bench computes, and asks a swarm with more than one line. Needs Python 3.9 or newer, and nothing else.

    bench.py port              a free port
    bench.py list MASTER DIRECTORY WRITERS FILES SERVER OUT
                               writes what of these files SERVER holds: the targets of its URLs to OUT/slave.list, the
                               paths of the blobs below the swarm's directory to OUT/nginx.list; prints its address
    bench.py blob MASTER FILE  the path of one copy of the file below the swarm's directory
    bench.py copied MASTER FILES N
                               waits until each of the files, one copy of which there is, has N; prints how many copies
                               a second were made
    bench.py machine WHERE     what machine this is, the date, and how busy it is; WHERE is on the disk that is used
    bench.py table FIGURES MACHINE text|markdown JSON
                               the table of the medians of FIGURES; all of them go to the file JSON, unless it is empty

$BRIM_TOKEN is a token that allows reading.
"""

import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import time
import urllib.request

READS_LIMIT = 256  # paths in one POST /v1/reads
FLAT = 1.25  # memory that grows by no more from few files to many is flat

# ---- a swarm ----


def plan_reads(master, paths):
    """The plan for each file, in order."""
    plans = []
    for start in range(0, len(paths), READS_LIMIT):
        body = json.dumps({"paths": paths[start : start + READS_LIMIT]}).encode()
        headers = {"Authorization": "Bearer " + os.environ["BRIM_TOKEN"], "Content-Type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(master + "/v1/reads", body, headers)) as reply:
            plans += [item["plan"] for item in json.load(reply)["reads"]]
    return plans


def blob_path(server, blob):
    return f"{server}/blobs/{blob[-4:-2]}/{blob[-2:]}/{blob}"


def list_files(master, directory, writers, files, server, out):
    each, more = divmod(files, writers)
    names = [f"{directory}/{one}/{i}" for one in range(writers) for i in range(each + (one < more))]
    urls, paths = [], []
    for plan in plan_reads(master, names):
        for copy in plan["copies"]:
            if copy["server"] == server:
                urls.append(copy["url"])
                paths.append("/" + blob_path(server, plan["file"]["blob"]))
    if not urls:
        sys.exit(f"bench: {server} holds none of these files.")
    address = urls[0].split("/")[2]
    for name, lines in (("slave", [url.split(address, 1)[1] for url in urls]), ("nginx", paths)):
        with open(f"{out}/{name}.list", "w") as file:
            file.writelines(line + "\n" for line in lines)
    print(address)


def print_blob(master, path):
    (plan,) = plan_reads(master, [path])
    print(blob_path(plan["copies"][0]["server"], plan["file"]["blob"]))


def wait_for_copies(master, files, n):
    headers = {"Authorization": "Bearer " + os.environ["BRIM_TOKEN"]}
    began, first, seen = None, 0, time.monotonic()
    count = last = 0
    while count < files * (n - 1):
        with urllib.request.urlopen(urllib.request.Request(master + "/v1/status", headers=headers)) as reply:
            levels = json.load(reply)["surplus"]
        now = time.monotonic()
        count = sum((level["surplus"] + n - 1) * level["files"] for level in levels)
        if began is None and count > 0:
            began, first = now, count
        if count != last:
            last, seen = count, now
        if now - seen > 120:
            sys.exit(f"bench: no copy was made for two minutes; {count} of {files * (n - 1)} are there.")
        time.sleep(0.1)
    if count == first:
        sys.exit("bench: too few copies to tell how fast they were made.")
    print((count - first) / (now - began))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# ---- the machine ----


def first_line(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    return lines[0] if lines else "?"


def match(path, start):
    with open(path) as lines:
        return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(start)), "?")


def describe_machine(where):
    memory = int(match("/proc/meminfo", "MemTotal").split()[0]) / 1024**2
    kind = subprocess.run(["df", "--output=fstype", "--", where], capture_output=True, text=True).stdout.split()[-1]
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    return {
        "time": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "load": load,
        "machine": f"{os.cpu_count()} × {match('/proc/cpuinfo', 'model name')}, {memory:.0f} GiB, {kind}, "
        f"Linux {platform.release()}",
        "programs": "; ".join(
            [
                f"brim {first_line(os.environ['BRIM'], '--version')}",
                f"mongod {first_line(os.environ['BRIM_MONGOD'], '--version').removeprefix('db version v')}",
                first_line("nginx", "-v").removeprefix("nginx version: ").replace("/", " "),
                " ".join(first_line("wrk", "-v").split()[:2]),
            ]
        ),
    }


# ---- the table ----


def number(value):
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.2g}"


class Table:
    """The rows of what was measured: each has our figure, what it is compared with, and a goal for one of the two or
    for their ratio."""

    header = ("measure", "BrimFS", "reference", "ratio", "goal", "reached")

    def __init__(self, figures):
        self.medians = {key: statistics.median(values) for key, values in figures.items()}
        self.rows = []

    def add(self, measure, key, unit, reference=None, name="", least_ratio=None, least=None, most=None, flat=False):
        if key not in self.medians:
            return
        ours = self.medians[key]
        theirs = self.medians.get(reference)
        ratio = ours / theirs if theirs else None
        goals = []
        if least_ratio is not None and ratio is not None:
            goals.append((f"≥ {least_ratio} ×", ratio >= least_ratio))
        if least is not None:
            goals.append((f"≥ {number(least)} {unit}", ours >= least))
        if most is not None:
            goals.append((f"≤ {number(most)} {unit}", ours <= most))
        if flat and ratio is not None:
            goals.append((f"≤ {FLAT} ×", ratio <= FLAT))
        self.rows.append(
            (
                measure,
                f"{number(ours)} {unit}",
                f"{name} {number(theirs)} {unit}" if theirs else "",
                f"{ratio:.2f}" if ratio else "",
                ", ".join(text for text, _ in goals),
                ("yes" if all(good for _, good in goals) else "no") if goals else "",
            )
        )

    def fill(self):
        add = self.add
        add("4 KiB creates, one leave each", "creates.brim", "/s", "creates.raw", "raw", least_ratio=0.5, least=762)
        add("… server CPU each", "creates.cpu", "ms", "creates.rawcpu", "raw", most=0.8)
        add("… until acknowledged, median", "creates.median", "ms")
        add("… until acknowledged, 99 of 100", "creates.p99", "ms")
        add("4 KiB creates, leave for 16 at once", "batches.brim", "/s", "creates.raw", "raw", least_ratio=0.5, least=762)
        add("… server CPU each", "batches.cpu", "ms", "creates.rawcpu", "raw", most=0.8)
        add("4 KiB GET", "gets.brim", "/s", "gets.nginx", "nginx", least_ratio=0.3)
        add("… server CPU each", "gets.cpu", "ms", most=0.1)
        add("large file, write", "write.brim", "MB/s", "write.raw", "raw", least_ratio=0.5)
        add("… server CPU", "write.cpu", "s/GB", "write.rawcpu", "raw", most=2.5)
        add("large file, read", "read.brim", "MB/s", "read.nginx", "nginx", least_ratio=0.7)
        add("… server CPU", "read.cpu", "s/GB")
        add("4 KiB copies", "copies.brim", "/s", "copies.raw", "raw", least_ratio=0.5)
        add("… server CPU each", "copies.cpu", "ms")
        add("64 MiB copies", "streams.brim", "MB/s", "streams.raw", "raw", least_ratio=0.6)
        add("… server CPU each", "streams.cpu", "ms")
        many, few = (number(self.medians.get(f"{key}.count", 0)) for key in ("many", "few"))
        for daemon, most in (("master", 150), ("slave", 150), ("mongod", None)):
            add(f"memory of {daemon} after all that", f"after.{daemon}", "MiB", most=most)
            add(
                f"memory of {daemon}, {many} files", f"many.{daemon}", "MiB", f"few.{daemon}", f"{few} files:",
                most=most, flat=most is not None,
            )  # fmt: skip
        return self

    def print(self, markdown):
        if markdown:
            print("| " + " | ".join(self.header) + " |")
            print("|" + " --- |" * len(self.header))
            for row in self.rows:
                print("| " + " | ".join(row) + " |")
            return
        widths = [max(len(row[i]) for row in [self.header, *self.rows]) for i in range(len(self.header))]
        for row in [self.header, *self.rows]:
            print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def print_table(figures_path, machine_path, style, json_path):
    figures = {}
    with open(figures_path) as lines:
        for line in lines:
            key, value = line.split("\t")
            figures.setdefault(key, []).append(float(value))
    with open(machine_path) as lines:
        before, after = (json.loads(line) for line in lines)
    if json_path:
        with open(json_path, "w") as file:
            json.dump({"machine": before, "end": {"time": after["time"], "load": after["load"]}, "figures": figures},
                      file, indent=2)  # fmt: skip
            file.write("\n")
    table = Table(figures).fill()
    about = [
        before["machine"],
        before["programs"],
        f"{before['time']}; load average {before['load']} before, {after['load']} after",
    ]
    for line in about:
        print(f"* {line}" if style == "markdown" else line)
    print()
    table.print(style == "markdown")


def main(arguments):
    commands = {
        "port": lambda: print(free_port()),
        "list": lambda master, directory, writers, files, server, out: list_files(
            master, directory, int(writers), int(files), server, out
        ),
        "blob": print_blob,
        "copied": lambda master, files, n: wait_for_copies(master, int(files), int(n)),
        "machine": lambda where: print(json.dumps(describe_machine(where))),
        "table": print_table,
    }
    if not arguments or arguments[0] not in commands:
        sys.exit(__doc__)
    try:
        commands[arguments[0]](*arguments[1:])
    except KeyboardInterrupt:
        sys.exit(130)


main(sys.argv[1:])
