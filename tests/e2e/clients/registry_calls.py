"""Every call of SchemaRegistryClient, written once for the blocking and the asyncio client.

`every_call` fails if the client has a public call that was not made: a newer client with more of
them asks for more here.
"""

import inspect

from confluent_kafka.schema_registry import (
    AssociationCreateOrUpdateInfo,
    AssociationCreateOrUpdateRequest,
    ConfigCompatibilityLevel,
    Metadata,
    MetadataProperties,
    MetadataTags,
    Rule,
    RuleKind,
    RuleMode,
    RuleParams,
    RuleSet,
    Schema,
    SchemaReference,
    ServerConfig,
)
from confluent_kafka.schema_registry.error import SchemaRegistryError

from shop import ADDRESS, CUSTOMER, ORDER_BAD, ORDER_V1, ORDER_V2

# What is no request: how a client is made, configured and closed.
NO_CALLS = {"new_client", "config", "close", "aclose"}


class Calls:
    """A client of either kind whose calls are awaited and noted down."""

    def __init__(self, client):
        self.client = client
        self.made = set()

    def __getattr__(self, name):
        call = getattr(self.client, name)

        async def made(*arguments, **named):
            self.made.add(name)
            answer = call(*arguments, **named)
            return await answer if inspect.isawaitable(answer) else answer

        return made

    def missed(self):
        public = (name for name, _ in inspect.getmembers(self.client, callable) if not name.startswith("_"))
        return sorted(set(public) - self.made - NO_CALLS)


async def refused(call, status, code):
    """The call fails with just this status and error code."""
    try:
        answer = await call
    except SchemaRegistryError as error:
        assert (error.http_status_code, error.error_code) == (status, code), error
        return
    raise AssertionError(f"not refused with {code}: {answer}")


def rule(name, mode, **more):
    given = dict.fromkeys(("doc", "tags", "params", "expr", "on_success", "on_failure"))
    return Rule(name=name, kind=RuleKind.CONDITION, mode=mode, type="CEL", **{**given, "disabled": False, **more})


RULES = RuleSet(
    migration_rules=[],
    domain_rules=[
        rule(
            "checkId",
            RuleMode.WRITE,
            doc="ids are short",
            tags=["PII"],
            params=RuleParams({"k": "v"}),
            expr="size(message.id) < 10",
            on_success="NONE",
            on_failure="ERROR",
        )
    ],
)
OWNED = Metadata(
    tags=MetadataTags({"Order.id": ["PII"]}),
    properties=MetadataProperties({"owner": "ann", "application.major.version": "1"}),
    sensitive=["owner"],
)


async def every_call(client, suffix):
    """Calls that find, change and delete; leaves the registry's settings as they were."""
    calls = Calls(client)
    for part in (versions, contracts, references, configs, modes, contexts, associations):
        await calls.clear_caches()
        await part(calls, f"{part.__name__}{suffix}")
    missed = calls.missed()
    assert not missed, f"calls that the client has and that were not made: {missed}"
    return len(calls.made)


async def versions(sr, subject):
    v1, v2, bad = (Schema(text, "AVRO") for text in (ORDER_V1, ORDER_V2, ORDER_BAD))
    assert await sr.get_schema_types() == ["AVRO"]
    await refused(sr.get_latest_version(subject), 404, 40401)
    await refused(sr.get_versions(subject), 404, 40401)
    await refused(sr.lookup_schema(subject, v1), 404, 40401)
    await refused(sr.get_schema(2147483647), 404, 40403)
    await refused(sr.get_schema_by_guid("00000000-0000-0000-0000-000000000000"), 404, 40403)

    one = await sr.register_schema(subject, v1)
    await sr.clear_caches()
    registered = await sr.register_schema_full_response(subject, v1, normalize_schemas=False)
    assert (registered.schema_id, registered.version, registered.subject) == (one, 1, subject), registered
    await refused(sr.lookup_schema(subject, v2), 404, 40403)
    found = await sr.lookup_schema(subject, v1, normalize_schemas=False, deleted=True)
    assert (found.schema_id, found.version, found.guid) == (one, 1, registered.guid), found
    assert (await sr.get_schema(one)).schema_str == registered.schema.schema_str
    await sr.clear_caches()
    assert (await sr.get_schema(one, subject_name=subject, fmt="")).schema_str == registered.schema.schema_str
    assert (await sr.get_schema_by_guid(registered.guid)).schema_str == registered.schema.schema_str

    assert await sr.test_compatibility(subject, v2)
    assert await sr.test_compatibility(subject, v2, version=1, normalize=True, verbose=True)
    assert not await sr.test_compatibility(subject, bad)
    assert not await sr.test_compatibility(subject, Schema('{"type":"nonsense"}', "AVRO"), verbose=True)
    await refused(sr.test_compatibility(subject, Schema('{"type":"nonsense"}', "AVRO")), 422, 42201)
    await refused(sr.test_compatibility(subject, v2, version=9), 404, 40402)
    await refused(sr.register_schema(subject, bad), 409, 40901)
    two = await sr.register_schema(subject, v2, normalize_schemas=True)
    assert two > one
    assert await sr.test_compatibility_all_versions(subject, v1, normalize=True, verbose=True)
    assert not await sr.test_compatibility_all_versions(subject, bad)

    latest = await sr.get_latest_version(subject)
    assert (latest.schema_id, latest.version, latest.subject) == (two, 2, subject), latest
    assert (await sr.get_version(subject, "latest")).schema_id == two
    assert (await sr.get_version(subject, 1, deleted=True)).guid == registered.guid
    await refused(sr.get_version(subject, 9), 404, 40402)
    await refused(sr.get_version(subject, 0), 422, 42202)
    assert await sr.get_versions(subject) == [1, 2]
    assert await sr.get_versions(subject, offset=1, limit=1) == [2]
    assert await sr.get_subjects(subject_prefix=subject) == [subject]
    assert await sr.get_subjects(subject_prefix=subject, offset=1) == []
    assert subject in await sr.get_subjects()
    assert subject in await sr.get_subjects_by_schema_id(two)
    # The subject says which context the id is of, and no more.
    assert subject in await sr.get_subjects_by_schema_id(two, subject_name=f"{subject}-other")
    assert len(await sr.get_subjects_by_schema_id(two, subject_name=subject, limit=1)) == 1
    assert (subject, 2) in [(v.subject, v.version) for v in await sr.get_schema_versions(two)]

    await refused(sr.delete_version(subject, 2, permanent=True), 404, 40407)
    assert await sr.delete_version(subject, 2) == 2
    await refused(sr.delete_version(subject, 2), 404, 40406)
    assert await sr.get_versions(subject) == [1]
    assert await sr.get_versions(subject, deleted=True) == [1, 2]
    assert (await sr.get_version(subject, 2, deleted=True)).schema_id == two
    assert (subject, 2) not in [(v.subject, v.version) for v in await sr.get_schema_versions(two)]
    assert (subject, 2) in [(v.subject, v.version) for v in await sr.get_schema_versions(two, deleted=True)]
    await sr.clear_caches()
    assert (await sr.get_schema(two)).schema_str == latest.schema.schema_str, "soft-deleted ids still answer"
    assert await sr.delete_version(subject, 2, permanent=True) == 2
    await refused(sr.delete_subject(subject, permanent=True), 404, 40405)
    assert await sr.delete_subject(subject) == [1]
    await sr.clear_latest_caches()
    await refused(sr.get_latest_version(subject), 404, 40401)
    assert subject not in await sr.get_subjects()
    # The client says `deleted_only`, the API `deletedOnly`: so it is ignored, here as at Confluent's.
    assert subject in await sr.get_subjects(deleted=True, deleted_only=True)
    await refused(sr.delete_subject(subject), 404, 40404)
    assert await sr.delete_subject(subject, permanent=True) == [1]
    await refused(sr.delete_subject(subject), 404, 40401)
    await refused(sr.delete_version(subject, 1), 404, 40401)


async def contracts(sr, subject):
    """Metadata and rules are stored, found again and a part of what a schema is."""
    owned = Schema(ORDER_V1, "AVRO", metadata=OWNED, rule_set=RULES)
    registered = await sr.register_schema_full_response(subject, owned)
    assert registered.schema.metadata == OWNED, registered.schema.metadata
    assert registered.schema.rule_set.domain_rules == RULES.domain_rules, registered.schema.rule_set
    await sr.clear_caches()
    stored = (await sr.get_latest_version(subject)).schema
    assert stored.metadata == OWNED and stored.rule_set.domain_rules == RULES.domain_rules, stored
    major = Metadata(tags=None, properties=MetadataProperties({"application.major.version": "2"}), sensitive=None)
    second = await sr.register_schema_full_response(subject, Schema(ORDER_V2, "AVRO", metadata=major))
    assert second.version == 2 and second.guid != registered.guid
    wanted = {"application.major.version": "1", "owner": "ann"}
    assert (await sr.get_latest_with_metadata(subject, wanted)).version == 1
    assert (await sr.get_latest_with_metadata(subject, {"application.major.version": "2"}, deleted=True)).version == 2
    await refused(sr.get_latest_with_metadata(subject, {"owner": "bob"}), 404, 40403)
    await refused(sr.get_latest_with_metadata(f"{subject}-unknown", wanted), 404, 40401)
    await sr.clear_caches()
    assert (await sr.lookup_schema(subject, owned)).version == 1


async def references(sr, subject):
    address = f"{subject}-address"
    await sr.register_schema(address, Schema(ADDRESS, "AVRO"))
    customer = Schema(CUSTOMER, "AVRO", references=[SchemaReference("shop.Address", address, 1)])
    registered = await sr.register_schema_full_response(subject, customer)
    assert registered.schema.references == customer.references, registered
    assert await sr.get_referenced_by(address, 1) == [registered.schema_id]
    assert await sr.get_referenced_by(address, "latest", offset=1) == []
    assert await sr.get_referenced_by(subject) == []
    await refused(sr.get_referenced_by(address, 2), 404, 40402)
    await sr.clear_caches()
    resolved = await sr.get_schema(registered.schema_id, fmt="resolved")
    assert '"street"' in resolved.schema_str, resolved
    assert '"street"' in (await sr.get_latest_version(subject, fmt="resolved")).schema.schema_str
    await refused(sr.delete_version(address, 1), 422, 42206)
    await refused(sr.delete_subject(address), 422, 42206)
    missing = Schema(CUSTOMER, "AVRO", references=[SchemaReference("shop.Address", f"{subject}-none", 1)])
    await refused(sr.register_schema(subject, missing), 422, 42201)


async def configs(sr, subject):
    assert await sr.get_compatibility() == "BACKWARD"
    await refused(sr.get_compatibility(subject), 404, 40408)
    await refused(sr.get_config(subject), 404, 40408)
    await refused(sr.delete_config(subject), 404, 40401)
    assert (await sr.set_compatibility(subject, "full"))["compatibility"] == "FULL"
    assert await sr.get_compatibility(subject) == "FULL"
    await refused(sr.set_compatibility(subject, "sideways"), 422, 42203)
    everything = ServerConfig(
        compatibility=ConfigCompatibilityLevel.FORWARD_TRANSITIVE,
        compatibility_group="application.major.version",
        default_metadata=Metadata(None, MetadataProperties({"team": "shop"}), None),
        override_metadata=OWNED,
        default_rule_set=RULES,
        override_rule_set=RuleSet(migration_rules=[], domain_rules=[rule("over", RuleMode.READ, disabled=True)]),
    )
    answer = ServerConfig.from_dict(await sr.set_config(subject, everything))
    stored = await sr.get_config(subject)
    for name in ("compatibility_group", "default_metadata", "override_metadata", "default_rule_set", "override_rule_set"):
        wanted = comparable(getattr(everything, name))
        for said in (answer, stored):
            assert comparable(getattr(said, name)) == wanted, (name, said)
    assert answer.compatibility == "FORWARD_TRANSITIVE" and stored.compatibility_level == "FORWARD_TRANSITIVE"
    registered = await sr.register_schema_full_response(subject, Schema(ORDER_V1, "AVRO"))
    assert registered.schema.metadata.properties.properties["team"] == "shop", registered
    assert registered.schema.metadata.properties.properties["owner"] == "ann", registered
    names = [rule.name for rule in registered.schema.rule_set.domain_rules]
    assert names == ["checkId", "over"], names
    deleted = await sr.delete_config(subject)
    assert deleted.compatibility_group == "application.major.version", deleted
    await refused(sr.get_config(subject), 404, 40408)

    await sr.set_config(None, ServerConfig(compatibility=ConfigCompatibilityLevel.NONE))
    assert (await sr.get_config()).compatibility_level == "NONE"
    assert (await sr.set_compatibility(level="FORWARD"))["compatibility"] == "FORWARD"
    await sr.delete_config()
    assert await sr.get_compatibility() == "BACKWARD"


def comparable(setting):
    """Without the empty lists, which are left out on the way."""
    if not isinstance(setting, (Metadata, RuleSet)):
        return setting
    return {name: value for name, value in setting.to_dict().items() if value}


async def modes(sr, subject):
    assert await sr.get_global_mode() == "READWRITE"
    await refused(sr.get_mode(subject), 404, 40409)
    await refused(sr.delete_mode(subject), 404, 40401)
    first = await sr.register_schema(subject, Schema(ORDER_V1, "AVRO"))
    await refused(sr.update_mode(subject, "SIDEWAYS"), 422, 42204)
    assert await sr.update_mode(subject, "READONLY") == "READONLY"
    assert await sr.get_mode(subject) == "READONLY"
    await refused(sr.register_schema(subject, Schema(ORDER_V2, "AVRO")), 422, 42205)
    await refused(sr.delete_subject(subject), 422, 42205)
    await refused(sr.set_compatibility(subject, "NONE"), 422, 42205)
    await sr.clear_caches()
    assert await sr.register_schema(subject, Schema(ORDER_V1, "AVRO")) == first, "what is live answers as ever"
    await refused(sr.update_mode(subject, "IMPORT"), 422, 42205)
    assert await sr.update_mode(subject, "IMPORT", force=True) == "IMPORT"
    await refused(sr.register_schema(subject, Schema(ORDER_V2, "AVRO")), 422, 42205)
    assert await sr.delete_mode(subject) == "IMPORT"
    await refused(sr.get_mode(subject), 404, 40409)
    assert await sr.update_global_mode("READONLY") == "READONLY"
    assert await sr.get_global_mode() == "READONLY"
    await refused(sr.register_schema(subject, Schema(ORDER_V2, "AVRO")), 422, 42205)
    assert await sr.update_global_mode("READWRITE", force=True) == "READWRITE"
    assert await sr.register_schema(subject, Schema(ORDER_V2, "AVRO")) > first


async def contexts(sr, subject):
    name = f".{subject}"
    assert name not in await sr.get_contexts()
    qualified = f":{name}:orders"
    registered = await sr.register_schema_full_response(qualified, Schema(ORDER_V1, "AVRO"))
    assert (registered.schema_id, registered.version) == (1, 1), "ids are counted by context"
    known = await sr.get_contexts()
    assert known[0] == "." and name in known, known
    assert await sr.get_contexts(offset=0, limit=1) == ["."]
    assert await sr.get_subjects(subject_prefix=f":{name}:") == [qualified]
    assert (await sr.get_latest_version(qualified)).subject == qualified
    assert (await sr.get_schema(1, subject_name=qualified)).schema_str == registered.schema.schema_str
    assert await sr.delete_subject(qualified) == [1]
    assert await sr.delete_subject(qualified, permanent=True) == [1]


async def associations(sr, subject):
    """None are kept: the question is answered, changes are a 404 that clients understand."""
    asked = {"resource_type": "topic", "association_types": ["value"]}
    assert await sr.get_associations_by_resource_name(subject, "-", **asked) == []
    assert await sr.get_associations_by_resource_name(subject, "lkc-1", offset=1, limit=1, **asked) == []
    request = AssociationCreateOrUpdateRequest(
        resource_name=subject,
        resource_namespace="-",
        resource_id="id",
        resource_type="topic",
        associations=[AssociationCreateOrUpdateInfo(subject=subject, association_type="value")],
    )
    await refused(sr.create_association(request), 404, 404)
    await refused(sr.delete_associations("id", "topic", ["value"], cascade_lifecycle=True), 404, 404)
