"""The stock Python client against a registry, with its default settings.

    registry.py REGISTRY_URL

Serializes and deserializes with the Avro serializers (references and evolution included), then
makes every call of SchemaRegistryClient, all of it with the blocking client and with the one for
asyncio. Prints one JSON document of what it did; exits with a failed assertion otherwise.
"""

import asyncio
import inspect
import json
import sys
from datetime import datetime, timezone
from decimal import Decimal

from confluent_kafka.schema_registry import (
    AsyncSchemaRegistryClient,
    Schema,
    SchemaReference,
    SchemaRegistryClient,
    dual_schema_id_deserializer,
    header_schema_id_serializer,
    record_subject_name_strategy,
)
from confluent_kafka.schema_registry.avro import (
    AsyncAvroDeserializer,
    AsyncAvroSerializer,
    AvroDeserializer,
    AvroSerializer,
)
from confluent_kafka.serialization import MessageField, SerializationContext

from registry_calls import Calls, every_call, refused
from shop import ADDRESS, CUSTOMER, INVOICE, ORDER_BAD, ORDER_V1, ORDER_V2

ORDER = {"id": "o1", "amount": Decimal("12.34"), "at": datetime(2013, 1, 15, 12, 31, tzinfo=timezone.utc)}


async def now(answer):
    """What a call of either kind of client comes to."""
    return await answer if inspect.isawaitable(answer) else answer


class Kind:
    """The classes of one kind of client."""

    def __init__(self, name, client, serializer, deserializer):
        self.name, self.client = name, client
        self.serializer, self.deserializer = serializer, deserializer

    async def write(self, registry, schema, value, context, conf=None):
        serializer = await now(self.serializer(registry, schema, conf=conf))
        return await now(serializer(value, context))

    async def read(self, registry, data, context, schema=None, conf=None):
        deserializer = await now(self.deserializer(registry, schema, conf=conf))
        return await now(deserializer(data, context))


KINDS = [
    Kind("blocking", SchemaRegistryClient, AvroSerializer, AvroDeserializer),
    Kind("asyncio", AsyncSchemaRegistryClient, AsyncAvroSerializer, AsyncAvroDeserializer),
]


async def serializers(kind, url):
    """Ids as they come and go in messages; nobody's cache is asked for what another should fetch."""
    topic = f"orders-{kind.name}"
    context = SerializationContext(topic, MessageField.VALUE)
    writer, reader = kind.client({"url": url}), kind.client({"url": url})
    first = await kind.write(writer, ORDER_V1, ORDER, context)
    assert first[0] == 0 and len(first) > 5
    second = await kind.write(writer, ORDER_V2, {**ORDER, "note": "n"}, context)
    assert second[1:5] != first[1:5], "another schema has another id"
    again = await kind.write(kind.client({"url": url}), ORDER_V1, ORDER, context)
    assert again == first, "the same schema has the same id"
    latest = {"auto.register.schemas": False, "use.latest.version": True}
    assert (await kind.write(writer, ORDER_V1, {**ORDER, "note": "n"}, context, latest))[1:5] == second[1:5]
    looked_up = {"auto.register.schemas": False, "normalize.schemas": True}
    assert await kind.write(kind.client({"url": url}), ORDER_V1, ORDER, context, looked_up) == first
    key = await kind.write(writer, '"string"', "o1", SerializationContext(topic, MessageField.KEY))
    assert await kind.read(reader, key, SerializationContext(topic, MessageField.KEY)) == "o1"

    assert await kind.read(reader, first, context) == ORDER
    assert await kind.read(reader, second, context) == {**ORDER, "note": "n"}
    assert await kind.read(reader, first, context, ORDER_V2) == {**ORDER, "note": None}
    assert await kind.read(reader, first, context, conf={"use.latest.version": True}) == {**ORDER, "note": None}
    await refused(kind.write(writer, ORDER_BAD, {"id": "x", "weight": 1.0}, context), 409, 40901)
    unknown = bytes([0, 0x7F, 0xFF, 0xFF, 0xFF]) + first[5:]
    await refused(kind.read(reader, unknown, context), 404, 40403)
    assert f"{topic}-value" in await now(reader.get_subjects())

    # The id by GUID in a header; subjects by the record's name.
    headers = []
    context = SerializationContext(topic, MessageField.VALUE, headers)
    bare = await kind.write(writer, ORDER_V1, ORDER, context, {"schema.id.serializer": header_schema_id_serializer})
    assert [name for name, _ in headers] == ["__value_schema_id"] and bare == first[5:]
    by_header = {"schema.id.deserializer": dual_schema_id_deserializer}
    assert await kind.read(kind.client({"url": url}), bare, context, conf=by_header) == ORDER
    by_name = {"subject.name.strategy": record_subject_name_strategy}
    await kind.write(writer, ORDER_V1, ORDER, context, by_name)
    assert "shop.Order" in await now(reader.get_subjects())
    return int.from_bytes(first[1:5], "big")


async def references(kind, url):
    """A schema that refers to two, of which one refers to the other."""
    registry = kind.client({"url": url})
    street, who = f"address-{kind.name}", f"customer-{kind.name}"
    address = SchemaReference("shop.Address", street, 1)
    customer = SchemaReference("shop.Customer", who, 1)
    await now(registry.register_schema(street, Schema(ADDRESS, "AVRO")))
    await now(registry.register_schema(who, Schema(CUSTOMER, "AVRO", references=[address])))
    invoice = Schema(INVOICE, "AVRO", references=[customer, address])
    context = SerializationContext(f"invoices-{kind.name}", MessageField.VALUE)
    value = {"customer": {"name": "Ann", "address": {"street": "Main"}}, "ship_to": {"street": "Side"}}
    data = await kind.write(registry, invoice, value, context)
    assert await kind.read(kind.client({"url": url}), data, context) == value
    await refused(Calls(registry).delete_version(street, 1), 422, 42206)


async def main(url):
    said = {}
    for kind in KINDS:
        order_id = await serializers(kind, url)
        await references(kind, url)
        calls = await every_call(kind.client({"url": url}), f"-{kind.name}")
        said[kind.name] = {"order_id": order_id, "calls": calls}
    json.dump(said, sys.stdout)
    print()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
