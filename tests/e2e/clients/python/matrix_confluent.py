"""confluent-kafka, stock: `matrix_confluent.py SCENARIO key=value …`. See java/Matrix.java."""

import sys
import threading

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, OffsetSpec

from matrix_common import ARGS, CODECS, DEADLINE_S, content, flat, jobs, records, say, until


# How long a transaction's abort is waited for.
ABORT_S = 10.0


def config(**more):
    base = {"bootstrap.servers": ARGS["bootstrap"], "client.id": ARGS["client"]}
    return base | {name.replace("_", "."): value for name, value in more.items()}


def produce(producer, batch):
    """Sends `(topic, partition, content)`; the offsets told."""
    told = []
    for topic, partition, (key, value, headers, ts) in batch:
        producer.produce(
            topic, value, key, partition, headers=headers, timestamp=ts,
            on_delivery=lambda error, message: told.append(str(error) if error else message.offset()),
        )
    producer.flush(DEADLINE_S)
    return told


def group_offsets(admin, group, parts):
    asked = ConsumerGroupTopicPartitions(group, parts)
    answer = admin.list_consumer_group_offsets([asked])[group].result()
    return [p.offset for p in sorted(answer.topic_partitions, key=lambda p: p.partition)]


def same():
    prefix, product, partition = ARGS["prefix"], ARGS["topic"], int(ARGS["partition"])
    topic = f"{prefix}-topic"
    admin = AdminClient(config())
    asked = NewTopic(topic, 2, 1, config={"retention.ms": "315360000000"})
    admin.create_topics([asked])[topic].result()

    def leaders():
        there = admin.list_topics(timeout=DEADLINE_S).topics.get(topic)
        return [p.leader for p in there.partitions.values()] if there else []

    until("the topic", lambda: len(leaders()) == 2 and -1 not in leaders())
    try:
        admin.create_topics([asked])[topic].result()
    except KafkaException as e:
        say(step="created", again=e.args[0].name())
    say(step="listed", **{"is": topic in admin.list_topics(timeout=DEADLINE_S).topics})
    say(step="described", leaders=leaders())
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    configs = admin.describe_configs([resource])[resource].result()
    say(step="configured", **{"retention.ms": configs["retention.ms"].value})
    say(step="cluster", nodes=len(admin.describe_cluster().result().nodes))

    n = 0
    for way in ["plain", *CODECS]:
        codec = "none" if way == "plain" else way
        producer = Producer(config(enable_idempotence=way != "plain", compression_type=codec, linger_ms=100))
        told = produce(producer, [(product, partition, content(f"{way}{i}", n + i)) for i in range(3)])
        n += 3
        say(step="produced", way=way, offsets=told)
    transactions(admin, topic, product, partition)
    producer = Producer(config())
    produce(producer, [(product, partition, content("end", 99))])
    produce(producer, [(topic, i % 2, content(f"g{i}", i)) for i in range(4)])
    read(product, partition)
    groups(admin, topic)
    zero = TopicPartition(topic, 0)
    say(step="ends", latest=admin.list_offsets({zero: OffsetSpec.latest()})[zero].result().offset)
    admin.delete_topics([topic])[topic].result()
    until("the topic's end", lambda: topic not in admin.list_topics(timeout=DEADLINE_S).topics)
    say(step="deleted")


def transactions(admin, topic, product, partition):
    group = ARGS["prefix"] + "-job"
    producer = Producer(config(transactional_id=ARGS["prefix"] + "-tx"))
    # Whose group metadata goes into the transaction: it never joins.
    reader = Consumer(config(group_id=group))
    producer.init_transactions(DEADLINE_S)
    for end, at in [("commit", 1), ("abort", 7), ("commit-2", 2)]:
        producer.begin_transaction()
        produce(producer, [(product, partition, content(f"{end}{i}", i)) for i in range(2)])
        parts = [TopicPartition(topic, 0, at)]
        producer.send_offsets_to_transaction(parts, reader.consumer_group_metadata(), DEADLINE_S)
        if end == "abort":
            producer.abort_transaction(DEADLINE_S)
        else:
            producer.commit_transaction(DEADLINE_S)
        # A transaction has ended before its markers are everywhere.
        wanted = [2] if end == "commit-2" else [1]
        until(f"offsets {wanted}", lambda: group_offsets(admin, group, [TopicPartition(topic, 0)]) == wanted)
        say(step="transaction", end=end, offsets=wanted)
    reader.close()
    admin.delete_consumer_groups([group])[group].result()


def read(topic, partition):
    consumer = Consumer(config(group_id="nobody", isolation_level="read_committed", enable_auto_commit=False))
    consumer.assign([TopicPartition(topic, partition, 0)])
    ended = False
    while not ended:
        m = consumer.poll(DEADLINE_S)
        if m is None or m.error():
            raise SystemExit(f"nothing read: {m and m.error()}")
        ended = m.key() == b"end"
        say(step="read", offset=m.offset(), key=m.key(), value=m.value(), headers=flat(m.headers()), ts=m.timestamp()[1])
    consumer.close()


def groups(admin, topic):
    group = ARGS["prefix"] + "-classic"
    seen = set()

    def member():
        consumer = Consumer(config(group_id=group, auto_offset_reset="earliest", enable_auto_commit=False))
        consumer.subscribe([topic])
        return consumer

    def poll(*members):
        for one in members:
            m = one.poll(0.1)
            if m and not m.error():
                seen.add(m.key().decode())
        return [len(one.assignment()) for one in members]

    a = member()
    until("all partitions", lambda: poll(a) == [2])
    until("all records", lambda: poll(a) and len(seen) == 4)
    a.commit(asynchronous=False)
    b = member()
    until("a rebalance", lambda: poll(a, b) == [1, 1])
    described = admin.describe_consumer_groups([group])[group].result()
    say(step="group", members=len(described.members), read=sorted(seen))
    b.close()
    until("all partitions again", lambda: poll(a) == [2])
    a.close()
    listed = [g.group_id for g in admin.list_consumer_groups().result().valid]
    parts = [TopicPartition(topic, p) for p in range(2)]
    say(step="grouped", listed=group in listed, offsets=group_offsets(admin, group, parts))

    def gone():
        try:
            admin.delete_consumer_groups([group])[group].result()
            return True
        except KafkaException:
            return False

    until("the group's end", gone)
    say(step="ungrouped")


def abort(producer):
    """Whether the transaction was aborted in time. Behind the broker's own INVALID_RECORD too it now and
    then waits for messages that it has given up and does not tell of."""
    # It ends once all it has given up is told, which another thread has to take.
    ended = threading.Event()
    poller = threading.Thread(target=lambda: [producer.poll(0.1) for _ in iter(ended.is_set, True)])
    poller.start()
    try:
        producer.abort_transaction(ABORT_S)
        return True
    except KafkaException as e:
        if e.args[0].name() != "_TIMED_OUT":
            raise
        return False
    finally:
        ended.set()
        poller.join()


def send():
    way, topic, partition = ARGS["way"], ARGS["topic"], int(ARGS["partition"])
    more = {"batch_num_messages": 1, "linger_ms": 0, "max_in_flight": 5, "message_timeout_ms": 110_000}
    if way == "transaction":
        more["transactional_id"] = f"{ARGS['client']}-{topic}-{partition}"
        more["transaction_timeout_ms"] = 120_000

    def begin():
        producer = Producer(config(enable_idempotence=way != "plain", compression_type="none", **more))
        if way == "transaction":
            producer.init_transactions(DEADLINE_S)
        else:
            producer.list_topics(topic, timeout=DEADLINE_S)
        return producer

    producer = begin()
    if way == "transaction":
        producer.begin_transaction()

    failed = []

    def hand(i, key, value):
        def tell(error, message):
            if error:
                failed.append(i)
                say(i=i, ok=False, error=error.name(), why=error.str())
            else:
                # Where it was told no offset, it has none.
                say(i=i, ok=True, offset=-1 if message.offset() is None else message.offset())

        try:
            producer.produce(topic, value, key, partition, on_delivery=tell)
        except KafkaException as e:
            say(i=i, ok=False, error=e.args[0].name(), why=e.args[0].str())

    first = records("records")
    for i, (key, value) in enumerate(first):
        hand(i, key, value)
    if way != "transaction":
        producer.flush(120)
    else:
        # What is queued behind a failure stays there until it is given up.
        until("the first failure, or all", lambda: producer.poll(0.1) is not None and (failed or len(producer) == 0))
        if failed:
            if not abort(producer):
                # As an application does that does not wait for ever: the next one aborts it.
                producer.purge()
                until("all to be told", lambda: producer.poll(0.1) is not None and len(producer) == 0)
                producer = begin()
        else:
            producer.commit_transaction(DEADLINE_S)
        say(end="aborted" if failed else "committed")
        producer.begin_transaction()
    for i, (key, value) in enumerate(records("after"), len(first)):
        hand(i, key, value)
        producer.flush(120)
    if way == "transaction":
        producer.commit_transaction(DEADLINE_S)
        say(end="committed")


if sys.argv[1] == "same":
    same()
else:
    for _ in jobs():
        send()
