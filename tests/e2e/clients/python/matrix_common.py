"""What the programs of both Python clients share: words, lines, records. See java/Matrix.java."""

import base64
import json
import sys
import time

DEADLINE_S = 60.0
ARGS = dict(word.split("=", 1) for word in sys.argv[2:])
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]


def say(**what):
    for name, value in what.items():
        if isinstance(value, bytes):
            what[name] = base64.b64encode(value).decode()
    print(json.dumps(what), flush=True)


def until(what, holds):
    end = time.monotonic() + DEADLINE_S
    while not holds():
        if time.monotonic() > end:
            raise SystemExit(f"waited a minute for {what}")


def content(key, n):
    """Key, value, headers and timestamp of a record that `same` writes."""
    headers = [("h", bytes([0, 255, n])), ("empty", b"")]
    return key.encode(), ((key + " ") * 40).encode(), headers, 1_700_000_000_000 + n


def flat(headers):
    out = []
    for name, value in headers or []:
        out += [name, base64.b64encode(value).decode()]
    return out


def jobs():
    """WAY/TOPIC/PARTITION/RECORDS;…, where RECORDS names an argument: each becomes arguments in turn."""
    for job in ARGS["jobs"].split(";"):
        way, topic, partition, name = job.split("/")
        ARGS.update(way=way, topic=topic, partition=partition, records=ARGS[name])
        say(job=job)
        yield job


def records(name):
    """`key:base64,…`, where no key is `-`: pairs of key and value."""
    pairs = [one.split(":") for one in ARGS[name].split(",")]
    return [(None if key == "-" else key.encode(), base64.b64decode(value)) for key, value in pairs]
