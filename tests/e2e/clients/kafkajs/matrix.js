'use strict';
// kafkajs, stock: `matrix.js SCENARIO key=value …`. See java/Matrix.java. Of codecs it has gzip by
// itself; snappy's plug-in needs no compiler. It never asks for a record's timestamp type.

const { AssignerProtocol, Kafka, CompressionTypes, CompressionCodecs, ConfigResourceTypes, logLevel } = require('kafkajs');
CompressionCodecs[CompressionTypes.Snappy] = require('kafkajs-snappy');

const args = Object.fromEntries(process.argv.slice(3).map((w) => [w.slice(0, w.indexOf('=')), w.slice(w.indexOf('=') + 1)]));
const DEADLINE_MS = 60_000;
const kafka = new Kafka({
  brokers: [args.bootstrap],
  clientId: args.client,
  logLevel: logLevel.NOTHING,
  // Enough of them for a registry that comes back.
  retry: { retries: args.retries === undefined ? 5 : Number(args.retries), initialRetryTime: 100, maxRetryTime: 1000 },
});

const say = (what) => console.log(JSON.stringify(what));
const b64 = (bytes) => (bytes === null ? null : Buffer.from(bytes).toString('base64'));
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

async function until(what, holds) {
  for (const end = Date.now() + DEADLINE_MS; !(await holds()); await pause(50)) {
    if (Date.now() > end) throw new Error(`waited a minute for ${what}`);
  }
}

function content(partition, key, n) {
  const headers = { h: Buffer.from([0, 255, n]), empty: Buffer.alloc(0) };
  return { partition, key, value: `${key} `.repeat(40), headers, timestamp: String(1_700_000_000_000 + n) };
}

async function same() {
  const topic = `${args.prefix}-topic`;
  const [product, partition] = [args.topic, Number(args.partition)];
  const admin = kafka.admin();
  await admin.connect();
  const asked = { topic, numPartitions: 2, replicationFactor: 1, configEntries: [{ name: 'retention.ms', value: '315360000000' }] };
  await admin.createTopics({ topics: [asked], waitForLeaders: true });
  say({ step: 'created', again: await admin.createTopics({ topics: [asked] }) });
  say({ step: 'listed', is: (await admin.listTopics()).includes(topic) });
  const described = (await admin.fetchTopicMetadata({ topics: [topic] })).topics[0];
  say({ step: 'described', leaders: described.partitions.map((p) => p.leader) });
  const resources = [{ type: ConfigResourceTypes.TOPIC, name: topic, configNames: ['retention.ms'] }];
  const configs = (await admin.describeConfigs({ resources, includeSynonyms: false })).resources[0].configEntries;
  say({ step: 'configured', 'retention.ms': configs[0].configValue });
  say({ step: 'cluster', nodes: (await admin.describeCluster()).brokers.length });

  let n = 0;
  const ways = { plain: CompressionTypes.None, none: CompressionTypes.None, gzip: CompressionTypes.GZIP, snappy: CompressionTypes.Snappy };
  for (const [way, compression] of Object.entries(ways)) {
    const producer = kafka.producer({ idempotent: way !== 'plain', maxInFlightRequests: 1 });
    await producer.connect();
    const messages = [0, 1, 2].map((i) => content(partition, `${way}${i}`, n++));
    const told = await producer.send({ topic: product, compression, messages });
    say({ step: 'produced', way, base: told[0].baseOffset });
    await producer.disconnect();
  }
  await transactions(admin, topic, product, partition);
  const producer = kafka.producer();
  await producer.connect();
  await producer.send({ topic: product, messages: [content(partition, 'end', 99)] });
  await producer.send({ topic, messages: [0, 1, 2, 3].map((i) => content(i % 2, `g${i}`, i)) });
  await producer.disconnect();
  await read(product, partition);
  await groups(admin, topic);
  const ends = await admin.fetchTopicOffsets(topic);
  say({ step: 'ends', latest: ends.find((p) => p.partition === 0).high });
  await admin.deleteTopics({ topics: [topic] });
  await until("the topic's end", async () => !(await admin.listTopics()).includes(topic));
  say({ step: 'deleted' });
  await admin.disconnect();
}

async function committed(admin, groupId, topic) {
  const found = await admin.fetchOffsets({ groupId, topics: [topic] });
  return found[0].partitions.sort((a, b) => a.partition - b.partition).map((p) => p.offset);
}

async function transactions(admin, topic, product, partition) {
  const group = `${args.prefix}-job`;
  // It does not send offsets again where nobody coordinates the group yet.
  await until('a coordinator', () => admin.fetchOffsets({ groupId: group, topics: [topic] }).then(() => true, () => false));
  const producer = kafka.producer({ transactionalId: `${args.prefix}-tx`, maxInFlightRequests: 1, idempotent: true });
  await producer.connect();
  for (const [end, offset] of [['commit', '1'], ['abort', '7'], ['commit-2', '2']]) {
    const transaction = await producer.transaction();
    await transaction.send({ topic: product, messages: [0, 1].map((i) => content(partition, `${end}${i}`, i)) });
    const topics = [{ topic, partitions: [{ partition: 0, offset }] }];
    await transaction.sendOffsets({ consumerGroupId: group, topics });
    await (end === 'abort' ? transaction.abort() : transaction.commit());
    // A transaction has ended before its markers are everywhere.
    const wanted = end === 'commit-2' ? '2' : '1';
    await until(`offset ${wanted}`, async () => (await committed(admin, group, topic))[0] === wanted);
    say({ step: 'transaction', end, offset: wanted });
  }
  await producer.disconnect();
  await admin.deleteGroups([group]);
}

// Gives a group's only member one partition: in others are codecs that it lacks.
const one = (topic, partition) => () => ({
  name: 'one',
  version: 1,
  assign: async ({ members }) => members.map(({ memberId }) => ({
    memberId,
    memberAssignment: AssignerProtocol.MemberAssignment.encode({ version: 1, assignment: { [topic]: [partition] }, userData: Buffer.alloc(0) }),
  })),
  protocol: ({ topics }) => ({
    name: 'one',
    metadata: AssignerProtocol.MemberMetadata.encode({ version: 1, topics, userData: Buffer.alloc(0) }),
  }),
});

async function read(topic, partition) {
  // It can't read without a group.
  const groupId = `${args.prefix}-reader`;
  const consumer = kafka.consumer({ groupId, partitionAssigners: [one(topic, partition)] });
  const found = [];
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  await consumer.run({
    eachMessage: async ({ partition: p, message: m }) => {
      if (p !== partition) return;
      const headers = Object.entries(m.headers).flatMap(([name, value]) => [name, b64(value)]);
      found.push({ step: 'read', offset: Number(m.offset), key: b64(m.key), value: b64(m.value), headers, ts: Number(m.timestamp) });
    },
  });
  await until('the last record', () => found.some((m) => m.key === b64('end')));
  await consumer.disconnect();
  found.forEach(say);
}

async function groups(admin, topic) {
  const groupId = `${args.prefix}-classic`;
  const seen = new Set();
  async function member() {
    const consumer = kafka.consumer({ groupId, sessionTimeout: 10_000, heartbeatInterval: 300 });
    const one = { consumer, size: -1 };
    consumer.on(consumer.events.GROUP_JOIN, (e) => { one.size = (e.payload.memberAssignment[topic] || []).length; });
    await consumer.connect();
    await consumer.subscribe({ topics: [topic], fromBeginning: true });
    await consumer.run({ eachMessage: async ({ message }) => { seen.add(message.key.toString()); } });
    return one;
  }
  const a = await member();
  await until('all partitions', () => a.size === 2);
  await until('all records', () => seen.size === 4);
  await until('its commits', async () => (await committed(admin, groupId, topic)).every((o) => o === '2'));
  const b = await member();
  await until('a rebalance', () => a.size === 1 && b.size === 1);
  const described = (await admin.describeGroups([groupId])).groups[0];
  say({ step: 'group', members: described.members.length, read: [...seen].sort() });
  await b.consumer.disconnect();
  await until('all partitions again', () => a.size === 2);
  await a.consumer.disconnect();
  const listed = (await admin.listGroups()).groups.map((g) => g.groupId);
  say({ step: 'grouped', listed: listed.includes(groupId), offsets: await committed(admin, groupId, topic) });
  await until("the group's end", () => admin.deleteGroups([groupId]).then(() => true, () => false));
  say({ step: 'ungrouped' });
}

// `key:base64,…`, where no key is `-`.
const records = (name) => args[name].split(',').map((one) => {
  const [key, value] = one.split(':');
  return { key: key === '-' ? null : key, value: Buffer.from(value, 'base64'), partition: Number(args.partition) };
});

async function send() {
  const { topic, way } = args;
  // Idempotent ones wait for each other inside; others are five at a time.
  const options = { idempotent: way !== 'plain', maxInFlightRequests: 5 };
  if (way === 'transaction') options.transactionalId = `${args.client}-${topic}-${args.partition}`;
  const producer = kafka.producer(options);
  await producer.connect();
  let sender = way === 'transaction' ? await producer.transaction() : producer;
  let failed = false;
  const tell = (message, i) =>
    sender.send({ topic, messages: [message] }).then(
      (told) => say({ i, ok: true, offset: Number(told[0].baseOffset) }),
      (e) => {
        failed = true;
        say({ i, ok: false, error: e.type || e.cause?.type || e.name, why: e.message });
      },
    );
  const end = async () => {
    if (way !== 'transaction') return;
    // It would commit what is left; an application takes it whole or not at all.
    await (failed ? sender.abort() : sender.commit());
    say({ end: failed ? 'aborted' : 'committed' });
    failed = false;
  };
  const first = records('records');
  // It bursts into one request for each call.
  await Promise.all(first.map(tell));
  if (way === 'transaction') {
    await end();
    sender = await producer.transaction();
  }
  let i = first.length;
  for (const record of records('after')) await tell(record, i++);
  await end();
  await producer.disconnect();
}

// WAY/TOPIC/PARTITION/RECORDS;…, where RECORDS names an argument.
async function sendAll() {
  for (const job of args.jobs.split(';')) {
    const [way, topic, partition, name] = job.split('/');
    Object.assign(args, { way, topic, partition, records: args[name] });
    say({ job });
    await send();
  }
}

(process.argv[2] === 'same' ? same() : sendAll()).then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
