"""The stock Python client against a registry, with its default settings.

    registry.py REGISTRY_URL [SUFFIX]

Serializes and deserializes with AvroSerializer and AvroDeserializer (references and evolution
included), then makes the calls of SchemaRegistryClient. Prints one JSON document of what it saw;
exits with a failed assertion otherwise. SUFFIX keeps its subjects apart from others.
"""

import json
import sys

from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext

ORDER_V1 = json.dumps(
    {
        "type": "record",
        "name": "Order",
        "namespace": "shop",
        "fields": [
            {"name": "id", "type": "string"},
            {"name": "amount", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
            {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        ],
    }
)
ORDER_V2 = json.dumps(
    {
        "type": "record",
        "name": "Order",
        "namespace": "shop",
        "fields": [
            {"name": "id", "type": "string"},
            {"name": "amount", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
            {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
            {"name": "note", "type": ["null", "string"], "default": None},
        ],
    }
)
ORDER_BAD = json.dumps(
    {
        "type": "record",
        "name": "Order",
        "namespace": "shop",
        "fields": [{"name": "id", "type": "string"}, {"name": "weight", "type": "double"}],
    }
)
ADDRESS = json.dumps(
    {
        "type": "record",
        "name": "Address",
        "namespace": "shop",
        "fields": [{"name": "street", "type": "string"}],
    }
)
CUSTOMER = json.dumps(
    {
        "type": "record",
        "name": "Customer",
        "namespace": "shop",
        "fields": [{"name": "name", "type": "string"}, {"name": "address", "type": "shop.Address"}],
    }
)


def refused(call, status, code):
    """The call fails with just this status and error code."""
    try:
        call()
    except SchemaRegistryError as error:
        assert (error.http_status_code, error.error_code) == (status, code), error
        return
    raise AssertionError(f"not refused with {code}")


def serializers(registry, suffix):
    from datetime import datetime, timezone
    from decimal import Decimal

    topic = f"orders{suffix}"
    context = SerializationContext(topic, MessageField.VALUE)
    order = {"id": "o1", "amount": Decimal("12.34"), "at": datetime(2013, 1, 15, 12, 31, tzinfo=timezone.utc)}

    first = AvroSerializer(registry, ORDER_V1)(order, context)
    assert first[0] == 0 and len(first) > 5
    second = AvroSerializer(registry, ORDER_V2)({**order, "note": "n"}, context)
    assert second[1:5] != first[1:5], "another schema has another id"
    again = AvroSerializer(registry, ORDER_V1)(order, context)
    assert again == first, "the same schema has the same id"

    plain = AvroDeserializer(registry)
    assert plain(first, context) == order
    assert plain(second, context) == {**order, "note": "n"}
    evolved = AvroDeserializer(registry, ORDER_V2)
    assert evolved(first, context) == {**order, "note": None}

    refused(lambda: AvroSerializer(registry, ORDER_BAD)({"id": "x", "weight": 1.0}, context), 409, 40901)
    return int.from_bytes(first[1:5], "big")


def references(registry, suffix):
    registry.register_schema(f"address{suffix}", Schema(ADDRESS, "AVRO"))
    reference = SchemaReference("shop.Address", f"address{suffix}", 1)
    schema = Schema(CUSTOMER, "AVRO", references=[reference])
    topic = f"customers{suffix}"
    context = SerializationContext(topic, MessageField.VALUE)
    customer = {"name": "Ann", "address": {"street": "Main"}}
    data = AvroSerializer(registry, schema)(customer, context)
    assert AvroDeserializer(registry)(data, context) == customer
    refused(lambda: registry.delete_version(f"address{suffix}", 1), 422, 42206)


def calls(registry, suffix):
    subject = f"calls{suffix}"
    one = registry.register_schema(subject, Schema(ORDER_V1, "AVRO"))
    registered = registry.register_schema_full_response(subject, Schema(ORDER_V1, "AVRO"))
    assert (registered.schema_id, registered.version) == (one, 1), registered
    assert registry.lookup_schema(subject, Schema(ORDER_V1, "AVRO")).version == 1
    assert registry.get_latest_version(subject).schema_id == one
    assert registry.get_version(subject, 1).guid == registered.guid
    assert registry.get_schema(one).schema_str == registered.schema.schema_str
    assert registry.get_schema_by_guid(registered.guid).schema_str == registered.schema.schema_str
    assert subject in registry.get_subjects()
    assert registry.get_versions(subject) == [1]

    assert registry.get_compatibility() == "BACKWARD"
    refused(lambda: registry.get_compatibility(subject), 404, 40408)
    assert registry.set_compatibility(subject, "FULL")["compatibility"] == "FULL"
    assert registry.get_compatibility(subject) == "FULL"
    assert registry.test_compatibility(subject, Schema(ORDER_V2, "AVRO"))
    assert not registry.test_compatibility(subject, Schema(ORDER_BAD, "AVRO"))

    two = registry.register_schema(subject, Schema(ORDER_V2, "AVRO"), normalize_schemas=True)
    assert registry.test_compatibility_all_versions(subject, Schema(ORDER_V1, "AVRO"))
    assert subject in registry.get_subjects_by_schema_id(two)
    assert (subject, 2) in [(v.subject, v.version) for v in registry.get_schema_versions(two)]
    assert registry.get_referenced_by(subject, 2) == []
    assert registry.get_schema_types() == ["AVRO"]
    assert registry.get_contexts() == ["."]
    assert registry.get_global_mode() == "READWRITE"
    assert registry.get_config(subject).compatibility_level == "FULL"

    assert registry.delete_version(subject, 2) == 2
    assert registry.get_versions(subject) == [1]
    assert registry.delete_subject(subject) == [1]
    registry.clear_latest_caches()
    refused(lambda: registry.get_latest_version(subject), 404, 40401)
    refused(lambda: registry.delete_subject(subject), 404, 40404)
    assert registry.delete_subject(subject, permanent=True) == [1, 2]
    refused(lambda: registry.delete_subject(subject), 404, 40401)


def main(url, suffix=""):
    with SchemaRegistryClient({"url": url}) as registry:
        order_id = serializers(registry, suffix)
        references(registry, suffix)
    # A fresh one: nothing may come from the caches of the first.
    with SchemaRegistryClient({"url": url}) as registry:
        calls(registry, suffix)
    json.dump({"order_id": order_id, "ok": True}, sys.stdout)
    print()


if __name__ == "__main__":
    main(*sys.argv[1:])
