'use strict';
// npm @confluentinc/schemaregistry against a registry, with its default settings: every call of its
// client, and its Avro serializers. A newer client with more calls asks for more here.
//
//     NODE_PATH=… node confluent.js REGISTRY_URL
//
// Prints one JSON document; ends with a failed assertion otherwise.

const assert = require('node:assert/strict');
const { AvroDeserializer, AvroSerializer, SchemaRegistryClient, SerdeType } = require('@confluentinc/schemaregistry');
const { refused } = require('./refused');

const url = process.argv[2];
const made = new Set();

/** A client that nobody's cache is behind, and whose calls are noted down. */
function fresh() {
  return new Proxy(new SchemaRegistryClient({ baseURLs: [url] }), {
    get(client, name) {
      const member = client[name];
      if (typeof member !== 'function') return member;
      return (...given) => {
        made.add(name);
        return member.apply(client, given);
      };
    },
  });
}

function record(name, fields, more) {
  return { schemaType: 'AVRO', schema: JSON.stringify({ type: 'record', name, namespace: 'js', fields }), ...more };
}

const id = { name: 'id', type: 'string' };
const note = { name: 'note', type: ['null', 'string'], default: null };
const weight = { name: 'weight', type: 'double' };
const ONE = record('Order', [id]);
const TWO = record('Order', [id, note]);
const BAD = record('Order', [id, weight]);

async function serializers() {
  const topic = 'js-orders';
  const subject = `${topic}-value`;
  await fresh().register(subject, ONE, false);
  const latest = () => new AvroSerializer(fresh(), SerdeType.VALUE, { useLatestVersion: true });
  const reader = (conf = {}) => new AvroDeserializer(fresh(), SerdeType.VALUE, conf);
  const first = await latest().serialize(topic, { id: 'o1' });
  assert.equal(first[0], 0);
  assert.equal((await reader().deserialize(topic, first)).id, 'o1');
  await fresh().register(subject, TWO, false);
  const second = await latest().serialize(topic, { id: 'o2', note: 'n' });
  assert.notEqual(second.readInt32BE(1), first.readInt32BE(1));
  assert.equal((await reader().deserialize(topic, second)).note, 'n');
  assert.equal((await reader({ useLatestVersion: true }).deserialize(topic, first)).note, null);
  const byId = new AvroSerializer(fresh(), SerdeType.VALUE, { useSchemaId: first.readInt32BE(1) });
  assert.deepEqual(await byId.serialize(topic, { id: 'o1' }), first);

  // By default it registers what it makes of the message.
  const auto = new AvroSerializer(fresh(), SerdeType.VALUE, { autoRegisterSchemas: true });
  const guessed = await auto.serialize('js-guessed', { a: 1, b: 'x' });
  const back = await reader().deserialize('js-guessed', guessed);
  assert.deepEqual([back.a, back.b], [1, 'x']);

  // A schema that refers to another.
  await fresh().register('js-place', record('Place', [{ name: 'street', type: 'string' }]), false);
  const references = [{ name: 'js.Place', subject: 'js-place', version: 1 }];
  await fresh().register('js-visits-value', record('Visit', [{ name: 'at', type: 'js.Place' }], { references }), false);
  const visit = await latest().serialize('js-visits', { at: { street: 'Main' } });
  assert.equal((await reader().deserialize('js-visits', visit)).at.street, 'Main');
  const unknown = Buffer.concat([Buffer.from([0, 0x7f, 0xff, 0xff, 0xff]), first.subarray(5)]);
  await refused(reader().deserialize(topic, unknown), 404, 40403);
  return first.readInt32BE(1);
}

async function versions() {
  // One call of this client does not escape the name; a blank and a plus come either way.
  const subject = 'js calls+value';
  await refused(fresh().getLatestSchemaMetadata(subject), 404, 40401);
  await refused(fresh().getAllVersions(subject), 404, 40401);
  const one = await fresh().register(subject, ONE, true);
  const full = await fresh().registerFullResponse(subject, ONE, false);
  assert.deepEqual([full.id, full.version], [one, 1]);
  assert.equal((await fresh().getBySubjectAndId(subject, one)).schema, full.schema);
  assert.equal((await fresh().getByGuid(full.guid)).schema, full.schema);
  await refused(fresh().getByGuid('00000000-0000-0000-0000-000000000000'), 404, 40403);
  assert.equal(await fresh().getId(subject, ONE, false), one);
  assert.equal((await fresh().getIdFullResponse(subject, ONE, false)).guid, full.guid);
  await refused(fresh().getId(subject, TWO, false), 404, 40403);
  assert.equal(await fresh().getVersion(subject, ONE, false, true), 1);

  assert.equal(await fresh().testSubjectCompatibility(subject, TWO), true);
  assert.equal(await fresh().testSubjectCompatibility(subject, BAD), false);
  assert.equal(await fresh().testCompatibility(subject, 1, TWO), true);
  await refused(fresh().testCompatibility(subject, 9, TWO), 404, 40402);
  await refused(fresh().register(subject, BAD, false), 409, 40901);
  const owned = { ...TWO, metadata: { properties: { owner: 'ann' }, tags: { 'Order.id': ['PII'] }, sensitive: ['owner'] } };
  const two = await fresh().registerFullResponse(subject, owned, false);
  assert.deepEqual(two.metadata, owned.metadata);
  assert.equal((await fresh().getLatestWithMetadata(subject, { owner: 'ann' }, false)).version, 2);
  await refused(fresh().getLatestWithMetadata(subject, { owner: 'bob' }, true), 404, 40403);
  assert.equal((await fresh().getLatestSchemaMetadata(subject)).id, two.id);
  assert.equal((await fresh().getSchemaMetadata(subject, 1, false)).guid, full.guid);
  await refused(fresh().getSchemaMetadata(subject, 9, true), 404, 40402);
  assert.deepEqual(await fresh().getAllVersions(subject), [1, 2]);
  assert.ok((await fresh().getAllSubjects()).includes(subject));

  assert.equal(await fresh().deleteSubjectVersion(subject, 2, false), 2);
  assert.deepEqual(await fresh().deleteSubject(subject, false), [1]);
  await refused(fresh().deleteSubject(subject, false), 404, 40404);
  assert.deepEqual(await fresh().deleteSubject(subject, true), [1, 2]);
}

async function configs() {
  const subject = 'js-config';
  assert.equal(await fresh().getDefaultCompatibility(), 'BACKWARD');
  await refused(fresh().getCompatibility(subject), 404, 40408);
  await refused(fresh().getConfig(subject), 404, 40408);
  assert.equal(await fresh().updateCompatibility(subject, 'FULL'), 'FULL');
  assert.equal(await fresh().getCompatibility(subject), 'FULL');
  const everything = {
    alias: 'js-orders-value',
    normalize: true,
    compatibility: 'FORWARD',
    compatibilityGroup: 'major',
    defaultMetadata: { properties: { team: 'shop' } },
    overrideMetadata: { tags: { '**.id': ['PII'] } },
    defaultRuleSet: { domainRules: [{ name: 'r', kind: 'CONDITION', type: 'CEL', mode: 'WRITE', expr: 'true', disabled: false }] },
    overrideRuleSet: { migrationRules: [{ name: 'm', kind: 'TRANSFORM', type: 'JSONATA', mode: 'UPGRADE', expr: '$', disabled: true }] },
  };
  assert.deepEqual(await fresh().updateConfig(subject, everything), everything);
  const { compatibility, ...rest } = everything;
  assert.deepEqual(await fresh().getConfig(subject), { ...rest, compatibilityLevel: compatibility });
  assert.equal((await fresh().getLatestSchemaMetadata(subject)).subject, 'js-orders-value', 'an alias redirects');

  assert.equal(await fresh().updateDefaultCompatibility('FULL_TRANSITIVE'), 'FULL_TRANSITIVE');
  assert.equal((await fresh().getDefaultConfig()).compatibilityLevel, 'FULL_TRANSITIVE');
  assert.equal((await fresh().updateDefaultConfig({ compatibility: 'BACKWARD' })).compatibility, 'BACKWARD');
}

/** None are kept: the question is answered, changes are a 404. */
async function associations() {
  assert.deepEqual(await fresh().getAssociationsByResourceName('t', '-', 'topic', ['value'], null, 0, -1), []);
  await refused(fresh().createAssociation({ resourceName: 't', resourceNamespace: '-', resourceId: 'i' }), 404, 404);
  await refused(fresh().deleteAssociations('i', 'topic', ['value'], false), 404, 404);
}

(async () => {
  const orderId = await serializers();
  await versions();
  await configs();
  await associations();
  fresh().clearLatestCaches();
  fresh().clearCaches();
  await fresh().close();
  const own = /^(constructor|config|addTo.*|get.*CacheSize)$/;
  const missed = Object.getOwnPropertyNames(SchemaRegistryClient.prototype).filter((n) => !own.test(n) && !made.has(n));
  assert.deepEqual(missed, [], 'calls that the client has and that were not made');
  console.log(JSON.stringify({ order_id: orderId, calls: made.size }));
  // Key caches of its rule executors have timers that would keep the process up.
  process.exit(0);
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
