"""aiokafka, stock: `matrix_aiokafka.py SCENARIO key=value …`. See java/Matrix.java."""

import asyncio
import sys

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError

from matrix_common import ARGS, CODECS, DEADLINE_S, content, flat, jobs, records, say

BASE = {"bootstrap_servers": ARGS["bootstrap"], "client_id": ARGS["client"]}


async def until(what, holds):
    async def look():
        while not await holds():
            await asyncio.sleep(0.05)

    try:
        await asyncio.wait_for(look(), DEADLINE_S)
    except asyncio.TimeoutError:
        raise SystemExit(f"waited a minute for {what}")


async def produce(producer, batch):
    """Sends `(topic, partition, content)`; the offsets told."""
    told = []
    for topic, partition, (key, value, headers, ts) in batch:
        told.append(await producer.send(topic, value, key, partition, ts, headers))
    return [(await one).offset for one in told]


async def same():
    prefix, product, partition = ARGS["prefix"], ARGS["topic"], int(ARGS["partition"])
    topic = f"{prefix}-topic"
    admin = AIOKafkaAdminClient(**BASE)
    await admin.start()
    asked = NewTopic(topic, 2, 1, topic_configs={"retention.ms": "315360000000"})
    await admin.create_topics([asked])

    async def leaders():
        there = (await admin.describe_topics([topic]))[0]
        return [p["leader"] for p in sorted(there["partitions"], key=lambda p: p["partition"])]

    async def ready():
        found = await leaders()
        return len(found) == 2 and -1 not in found

    await until("the topic", ready)
    again = await admin.create_topics([asked])
    say(step="created", again=again.topic_errors[0][1])
    say(step="listed", **{"is": topic in await admin.list_topics()})
    say(step="described", leaders=await leaders())
    answer = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    configs = {c[0]: c[1] for c in answer[0].resources[0][4]}
    say(step="configured", **{"retention.ms": configs["retention.ms"]})
    say(step="cluster", nodes=len((await admin.describe_cluster())["brokers"]))

    n = 0
    for way in ["plain", *CODECS]:
        codec = None if way in ("plain", "none") else way
        async with AIOKafkaProducer(enable_idempotence=way != "plain", compression_type=codec, linger_ms=100, **BASE) as producer:
            told = await produce(producer, [(product, partition, content(f"{way}{i}", n + i)) for i in range(3)])
        n += 3
        say(step="produced", way=way, offsets=told)
    await transactions(admin, topic, product, partition)
    async with AIOKafkaProducer(**BASE) as producer:
        await produce(producer, [(product, partition, content("end", 99))])
        await produce(producer, [(topic, i % 2, content(f"g{i}", i)) for i in range(4)])
    await read(product, partition)
    await groups(admin, topic)
    await admin.delete_topics([topic])

    async def gone():
        return topic not in await admin.list_topics()

    await until("the topic's end", gone)
    say(step="deleted")
    await admin.close()


async def group_offsets(admin, group):
    answer = await admin.list_consumer_group_offsets(group)
    return [answer[p].offset for p in sorted(answer)]


async def transactions(admin, topic, product, partition):
    group = ARGS["prefix"] + "-job"
    async with AIOKafkaProducer(transactional_id=ARGS["prefix"] + "-tx", **BASE) as producer:
        for end, at in [("commit", 1), ("abort", 7), ("commit-2", 2)]:
            await producer.begin_transaction()
            await produce(producer, [(product, partition, content(f"{end}{i}", i)) for i in range(2)])
            await producer.send_offsets_to_transaction({TopicPartition(topic, 0): at}, group)
            if end == "abort":
                await producer.abort_transaction()
            else:
                await producer.commit_transaction()
            # A transaction has ended before its markers are everywhere.
            wanted = [2] if end == "commit-2" else [1]

            async def committed():
                return await group_offsets(admin, group) == wanted

            await until(f"offsets {wanted}", committed)
            say(step="transaction", end=end, offsets=wanted)


async def read(topic, partition):
    consumer = AIOKafkaConsumer(isolation_level="read_committed", enable_auto_commit=False, **BASE)
    await consumer.start()
    one = TopicPartition(topic, partition)
    consumer.assign([one])
    await consumer.seek_to_beginning(one)
    ended = False
    while not ended:
        m = await asyncio.wait_for(consumer.getone(), DEADLINE_S)
        ended = m.key == b"end"
        say(step="read", offset=m.offset, key=m.key, value=m.value, headers=flat(m.headers), ts=m.timestamp)
    await consumer.stop()


async def groups(admin, topic):
    group = ARGS["prefix"] + "-classic"
    seen = set()

    async def member():
        consumer = AIOKafkaConsumer(topic, group_id=group, auto_offset_reset="earliest", enable_auto_commit=False, **BASE)
        await consumer.start()
        return consumer

    def polled(wanted, *members):
        async def poll():
            for one in members:
                for batch in (await one.getmany(timeout_ms=100)).values():
                    seen.update(m.key.decode() for m in batch)
            return wanted([len(one.assignment()) for one in members])

        return poll

    a = await member()
    await until("all records", polled(lambda sizes: sizes == [2] and len(seen) == 4, a))
    await a.commit()
    joining = asyncio.create_task(member())
    await until("the other member", polled(lambda _: joining.done(), a))
    b = joining.result()
    await until("a rebalance", polled(lambda sizes: sizes == [1, 1], a, b))
    described = await admin.describe_consumer_groups([group])
    say(step="group", members=len(described[0].groups[0][5]), read=sorted(seen))
    await b.stop()
    await until("all partitions again", polled(lambda sizes: sizes == [2], a))
    await a.stop()
    listed = [g[0] for g in await admin.list_consumer_groups()]
    say(step="grouped", listed=group in listed, offsets=await group_offsets(admin, group))


async def send():
    way, topic, partition = ARGS["way"], ARGS["topic"], int(ARGS["partition"])
    # A batch is never larger than its first record here.
    more = {"max_batch_size": 1, "linger_ms": 0, "request_timeout_ms": 100_000}
    if way == "transaction":
        more["transactional_id"] = f"{ARGS['client']}-{topic}-{partition}"
    producer = AIOKafkaProducer(enable_idempotence=way != "plain", **more, **BASE)
    await producer.start()

    failed = []

    async def tell(i, key, value):
        try:
            told = await (await producer.send(topic, value, key, partition))
            say(i=i, ok=True, offset=told.offset)
        except KafkaError as e:
            failed.append(i)
            say(i=i, ok=False, error=type(e).__name__, why=str(e))

    async def end():
        # It would commit what is left; an application takes it whole or not at all.
        if failed:
            await producer.abort_transaction()
            say(end="aborted")
        else:
            await producer.commit_transaction()
            say(end="committed")
        failed.clear()

    first = records("records")
    if way == "transaction":
        await producer.begin_transaction()
    # Handed over in order: each task runs up to its first wait as it is made ready.
    await asyncio.gather(*(tell(i, key, value) for i, (key, value) in enumerate(first)))
    if way == "transaction":
        await end()
        await producer.begin_transaction()
    for i, (key, value) in enumerate(records("after"), len(first)):
        await tell(i, key, value)
    if way == "transaction":
        await end()
    await producer.stop()


async def send_all():
    for _ in jobs():
        await send()


asyncio.run(same() if sys.argv[1] == "same" else send_all())
