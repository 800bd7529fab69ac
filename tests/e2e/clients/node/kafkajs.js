'use strict';
// npm @kafkajs/confluent-schema-registry against a registry, with its default settings.
//
//     NODE_PATH=… node kafkajs.js REGISTRY_URL
//
// Prints one JSON document; ends with a failed assertion otherwise.

const assert = require('node:assert/strict');
const { COMPATIBILITY, SchemaRegistry, SchemaType } = require('@kafkajs/confluent-schema-registry');
const { refused } = require('./refused');

const host = process.argv[2];
// Nobody's cache is asked for what another should fetch.
const fresh = () => new SchemaRegistry({ host });
const levelOf = async (subject) =>
  (await (await fetch(`${host}/config/${encodeURIComponent(subject)}`)).json()).compatibilityLevel;

function record(name, ...fields) {
  return { type: SchemaType.AVRO, schema: JSON.stringify({ type: 'record', name, namespace: 'kafkajs', fields }) };
}

const id = { name: 'id', type: 'string' };
const note = { name: 'note', type: ['null', 'string'], default: null };

async function registersEncodesAndDecodes() {
  const registry = fresh();
  // The subject is the record's full name; the first registration sets the level that it believes in.
  const one = await registry.register(record('Order', id));
  assert.equal(await levelOf('kafkajs.Order'), 'BACKWARD');
  assert.equal((await fresh().register(record('Order', id))).id, one.id, 'the same schema has the same id');
  const two = await registry.register(record('Order', id, note));
  assert.notEqual(two.id, one.id);

  const first = await registry.encode(one.id, { id: 'o1' });
  assert.deepEqual([first[0], first.readInt32BE(1)], [0, one.id]);
  const second = await fresh().encode(two.id, { id: 'o1', note: 'n' });
  assert.equal((await fresh().decode(first)).id, 'o1');
  assert.equal((await fresh().decode(second)).note, 'n');
  const reader = { [SchemaType.AVRO]: { readerSchema: record('Order', id, note).schema } };
  assert.deepEqual({ ...(await fresh().decode(first, reader)) }, { id: 'o1', note: null });

  assert.equal(await fresh().getLatestSchemaId('kafkajs.Order'), two.id);
  assert.equal(await fresh().getRegistryId('kafkajs.Order', 1), one.id);
  assert.equal(await fresh().getRegistryIdBySchema('kafkajs.Order', record('Order', id)), one.id);
  assert.equal((await fresh().getSchema(one.id)).name, 'kafkajs.Order');

  const unknown = Buffer.concat([Buffer.from([0, 0x7f, 0xff, 0xff, 0xff]), first.subarray(5)]);
  await refused(fresh().decode(unknown), 404, 40403);
  await refused(fresh().getLatestSchemaId('kafkajs.None'), 404, 40401);
  await refused(fresh().getRegistryId('kafkajs.Order', 9), 404, 40402);
  // It turns a 404 into an error of its own.
  await assert.rejects(fresh().getRegistryIdBySchema('kafkajs.Order', record('Other', id)), /not found/i);
  await refused(fresh().register(record('Order', id, { name: 'weight', type: 'double' })), 409, 40901);
  return one.id;
}

/** It goes on only where the level is the one it was told, or the subject has none (404). */
async function minds_levels() {
  const schema = record('Level', id);
  await fresh().register(schema, { compatibility: COMPATIBILITY.FULL });
  assert.equal(await levelOf('kafkajs.Level'), 'FULL');
  await fresh().register(schema, { compatibility: COMPATIBILITY.FULL });
  await assert.rejects(fresh().register(schema), /BACKWARD != FULL/);
  await fresh().register(schema, { subject: 'kafkajs-level-value', updateConfig: false });
  assert.equal(await levelOf('kafkajs-level-value'), undefined, 'a level that nobody set is not inherited');
  await fresh().register(schema, { subject: 'kafkajs-level-value', compatibility: COMPATIBILITY.NONE });
  assert.equal(await levelOf('kafkajs-level-value'), 'NONE');
}

async function follows_references() {
  await fresh().register(record('Place', { name: 'street', type: 'string' }), { subject: 'kafkajs-place' });
  const visit = {
    ...record('Visit', { name: 'at', type: 'kafkajs.Place' }),
    references: [{ name: 'kafkajs.Place', subject: 'kafkajs-place', version: 1 }],
  };
  const registered = await fresh().register(visit, { subject: 'kafkajs-visit' });
  const data = await fresh().encode(registered.id, { at: { street: 'Main' } });
  assert.equal((await fresh().decode(data)).at.street, 'Main');
}

(async () => {
  const orderId = await registersEncodesAndDecodes();
  await minds_levels();
  await follows_references();
  console.log(JSON.stringify({ order_id: orderId }));
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
