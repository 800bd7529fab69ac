"""The stock Python client against a registry that asks who it is, over TLS.

    registry_access.py REGISTRY_URL CA_FILE USER:PASSWORD

USER may read and write subjects that begin with `mine`, and nothing of `theirs`. Prints one JSON
document of what it saw; exits with a failed assertion otherwise.
"""

import json
import sys

from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext

ORDER = json.dumps(
    {"type": "record", "name": "Order", "fields": [{"name": "id", "type": "string"}]}
)


def refused(call, status, code):
    """The call fails with just this status and error code."""
    try:
        call()
    except SchemaRegistryError as error:
        assert (error.http_status_code, error.error_code) == (status, code), error
        return str(error)
    raise AssertionError(f"not refused with {code}")


def main(url, ca_file, user):
    trusted = {"url": url, "ssl.ca.location": ca_file}
    known = {**trusted, "basic.auth.user.info": user}
    with SchemaRegistryClient(known) as registry:
        context = SerializationContext("mine", MessageField.VALUE)
        data = AvroSerializer(registry, ORDER)({"id": "o1"}, context)
        assert AvroDeserializer(registry)(data, context) == {"id": "o1"}
        assert registry.get_subjects() == ["mine-value"]
        said = refused(lambda: registry.get_latest_version("theirs-value"), 403, 40301)
        assert "User is denied operation Read on Subject: theirs-value" in said, said
        theirs = Schema(ORDER, "AVRO")
        refused(lambda: registry.register_schema("theirs-value", theirs), 403, 40301)
        refused(lambda: registry.delete_subject("mine-value"), 403, 40301)
    with SchemaRegistryClient(trusted) as registry:
        refused(lambda: registry.get_subjects(), 401, 401)
    wrong = user.split(":")[0] + ":wrong"
    with SchemaRegistryClient({**trusted, "basic.auth.user.info": wrong}) as registry:
        refused(lambda: registry.get_subjects(), 401, 401)
    json.dump({"ok": True}, sys.stdout)
    print()


if __name__ == "__main__":
    main(*sys.argv[1:])
