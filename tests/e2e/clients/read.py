"""Reads mesh.catalog and a product's topic with the stock Python client, through Meshwork's registry.

    read.py BOOTSTRAP_SERVERS REGISTRY_URL [TOPIC]

Prints one JSON document: the products announced, the records and distinct keys of the topic, its
first and last event, and the producers that its records name.
"""

import json
import sys
import uuid

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

# A read that finds nothing new for this long has failed: the ends are known beforehand.
DEADLINE_S = 60.0


def read_all(bootstrap, registry, topic):
    """Key, value and headers of every record of `topic` up to its present end."""
    decode = AvroDeserializer(SchemaRegistryClient({"url": registry}))
    context = SerializationContext(topic, MessageField.VALUE)
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"read-py-{uuid.uuid4()}",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
        }
    )
    try:
        partitions = consumer.list_topics(topic, timeout=DEADLINE_S).topics[topic].partitions
        if not partitions:
            raise SystemExit(f"read.py: there is no topic {topic}")
        consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in partitions])
        unread = set(partitions)
        while unread:
            message = consumer.poll(DEADLINE_S)
            if message is None:
                raise SystemExit(f"read.py: nothing came from {topic} for {DEADLINE_S} s")
            if message.error():
                if message.error().code() != KafkaError._PARTITION_EOF:
                    raise SystemExit(f"read.py: {message.error()}")
                unread.discard(message.partition())
                continue
            yield message.key().decode(), decode(message.value(), context), message.headers() or []
    finally:
        consumer.close()


def main(bootstrap, registry, topic="operations.departures.v1"):
    products = {}
    for urn, announcement, _ in read_all(bootstrap, registry, "mesh.catalog"):
        products[urn] = announcement

    records, keys, producers = 0, set(), set()
    first = last = None
    for key, value, headers in read_all(bootstrap, registry, topic):
        records += 1
        keys.add(key)
        at = value["departed_at"]
        first = at if first is None else min(first, at)
        last = at if last is None else max(last, at)
        producers.update(text.decode() for name, text in headers if name == "mesh-producer")
    json.dump(
        {
            "products": sorted(products),
            "topic": topic,
            "records": records,
            "keys": len(keys),
            "first": first and first.isoformat(),
            "last": last and last.isoformat(),
            "producers": sorted(producers),
        },
        sys.stdout,
        indent=2,
    )
    print()


if __name__ == "__main__":
    main(*sys.argv[1:])
