// Apache Kafka's Java client, stock: `Matrix SCENARIO key=value …` prints a JSON line for each thing
// that it was told. `same` does everything once; `send` sends records of which one is refused. What
// the lines say is the same for the programs in other languages beside this one.

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.serialization.*;

public class Matrix {
    static final Map<String, String> args = new HashMap<>();
    static final long DEADLINE_MS = 60_000;

    static String arg(String name) {
        String value = args.get(name);
        if (value == null) throw new IllegalArgumentException(name + "=… is missing");
        return value;
    }

    public static void main(String[] words) throws Exception {
        for (int i = 1; i < words.length; i++) {
            int at = words[i].indexOf('=');
            args.put(words[i].substring(0, at), words[i].substring(at + 1));
        }
        if (words[0].equals("same")) { same(); return; }
        // WAY/TOPIC/PARTITION/RECORDS;…, where RECORDS names an argument.
        for (String job : arg("jobs").split(";")) {
            String[] parts = job.split("/");
            args.putAll(Map.of("way", parts[0], "topic", parts[1], "partition", parts[2], "records", arg(parts[3])));
            say("job", job);
            send();
        }
    }

    // --- saying -----------------------------------------------------------------------------------

    static String json(Object value) {
        if (value == null || value instanceof Number || value instanceof Boolean) return String.valueOf(value);
        if (value instanceof byte[] bytes) return '"' + Base64.getEncoder().encodeToString(bytes) + '"';
        if (value instanceof Collection<?> all)
            return all.stream().map(Matrix::json).collect(Collectors.joining(",", "[", "]"));
        return '"' + String.valueOf(value).replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", " ") + '"';
    }

    static void say(Object... pairs) {
        StringBuilder line = new StringBuilder("{");
        for (int i = 0; i < pairs.length; i += 2) {
            if (i > 0) line.append(',');
            line.append(json(pairs[i])).append(':').append(json(pairs[i + 1]));
        }
        System.out.println(line.append('}'));
    }

    static void until(String what, BooleanSupplier holds) {
        long end = System.currentTimeMillis() + DEADLINE_MS;
        while (!holds.getAsBoolean())
            if (System.currentTimeMillis() > end) throw new IllegalStateException("waited a minute for " + what);
    }

    static String code(Throwable error) {
        if (error instanceof ExecutionException) error = error.getCause();
        Errors known = Errors.forException(error);
        return known == Errors.UNKNOWN_SERVER_ERROR ? error.getClass().getSimpleName() : known.name();
    }

    // --- clients ----------------------------------------------------------------------------------

    static Map<String, Object> config(Object... pairs) {
        Map<String, Object> all = new HashMap<>();
        all.put("bootstrap.servers", arg("bootstrap"));
        all.put("client.id", arg("client"));
        for (int i = 0; i < pairs.length; i += 2) all.put((String) pairs[i], pairs[i + 1]);
        return all;
    }

    static KafkaProducer<byte[], byte[]> producer(Object... pairs) {
        return new KafkaProducer<>(config(pairs), new ByteArraySerializer(), new ByteArraySerializer());
    }

    static KafkaConsumer<byte[], byte[]> consumer(Object... pairs) {
        return new KafkaConsumer<>(config(pairs), new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    static byte[] utf8(String text) { return text.getBytes(StandardCharsets.UTF_8); }

    static ProducerRecord<byte[], byte[]> record(String topic, int partition, String key, int n) {
        ProducerRecord<byte[], byte[]> record =
            new ProducerRecord<>(topic, partition, 1_700_000_000_000L + n, utf8(key), utf8((key + " ").repeat(40)));
        record.headers().add("h", new byte[] {0, (byte) 0xff, (byte) n}).add("empty", new byte[0]);
        return record;
    }

    // --- same: everything once --------------------------------------------------------------------

    static void same() throws Exception {
        String topic = arg("prefix") + "-topic", product = arg("topic");
        int partition = Integer.parseInt(arg("partition"));
        try (Admin admin = Admin.create(config())) {
            NewTopic asked = new NewTopic(topic, 2, (short) 1).configs(Map.of("retention.ms", "315360000000"));
            admin.createTopics(List.of(asked)).all().get();
            until("the topic", () -> {
                try { return admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions().stream().allMatch(p -> p.leader() != null); }
                catch (Exception e) { return false; }
            });
            say("step", "created", "again", again(admin, asked));
            say("step", "listed", "is", admin.listTopics().names().get().contains(topic));
            TopicDescription described = admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic);
            say("step", "described", "leaders", described.partitions().stream().map(p -> p.leader().id()).toList());
            ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
            say("step", "configured", "retention.ms", admin.describeConfigs(List.of(resource)).all().get().get(resource).get("retention.ms").value());
            say("step", "cluster", "nodes", admin.describeCluster().nodes().get().size());

            int n = 0;
            for (String way : List.of("plain", "none", "gzip", "snappy", "lz4", "zstd")) {
                try (KafkaProducer<byte[], byte[]> producer = producer("enable.idempotence", !way.equals("plain"),
                        "compression.type", way.equals("plain") ? "none" : way, "linger.ms", 100)) {
                    List<Future<RecordMetadata>> told = new ArrayList<>();
                    for (int i = 0; i < 3; i++) told.add(producer.send(record(product, partition, way + i, n++)));
                    List<Long> offsets = new ArrayList<>();
                    for (Future<RecordMetadata> one : told) offsets.add(one.get().offset());
                    say("step", "produced", "way", way, "offsets", offsets);
                }
            }
            transactions(admin, topic, product, partition);
            try (KafkaProducer<byte[], byte[]> producer = producer()) {
                producer.send(record(product, partition, "end", 99)).get();
                for (int i = 0; i < 4; i++) producer.send(record(topic, i % 2, "g" + i, i)).get();
            }
            read(product, partition);
            groups(admin, topic, "classic");
            if (arg("kip848").equals("yes")) groups(admin, topic, "consumer");
            TopicPartition zero = new TopicPartition(topic, 0);
            say("step", "ends", "latest", admin.listOffsets(Map.of(zero, OffsetSpec.latest())).all().get().get(zero).offset());
            admin.deleteTopics(List.of(topic)).all().get();
            until("the topic's end", () -> {
                try { return !admin.listTopics().names().get().contains(topic); } catch (Exception e) { return false; }
            });
            say("step", "deleted");
        }
    }

    static String again(Admin admin, NewTopic asked) {
        try { admin.createTopics(List.of(asked)).all().get(); return "created"; }
        catch (Exception e) { return code(e); }
    }

    static void transactions(Admin admin, String topic, String product, int partition) throws Exception {
        String group = arg("prefix") + "-job";
        try (KafkaProducer<byte[], byte[]> producer = producer("transactional.id", arg("prefix") + "-tx")) {
            producer.initTransactions();
            for (String end : List.of("commit", "abort", "commit-2")) {
                producer.beginTransaction();
                List<Future<RecordMetadata>> told = new ArrayList<>();
                for (int i = 0; i < 2; i++) told.add(producer.send(record(product, partition, end + i, i)));
                long at = end.equals("commit") ? 1 : end.equals("abort") ? 7 : 2;
                producer.sendOffsetsToTransaction(Map.of(new TopicPartition(topic, 0), new OffsetAndMetadata(at)), new ConsumerGroupMetadata(group));
                producer.flush();
                for (Future<RecordMetadata> one : told) one.get();
                if (end.equals("abort")) producer.abortTransaction(); else producer.commitTransaction();
                // A transaction has ended before its markers are everywhere.
                List<Long> wanted = List.of(end.equals("commit-2") ? 2L : 1L);
                until("offsets " + wanted, () -> committed(admin, group).equals(wanted));
                say("step", "transaction", "end", end, "offsets", wanted);
            }
        }
        admin.deleteConsumerGroups(List.of(group)).all().get();
    }

    static List<Long> committed(Admin admin, String group) {
        try {
            return new TreeMap<>(admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().entrySet().stream()
                .collect(Collectors.toMap(e -> e.getKey().partition(), e -> e.getValue().offset()))).values().stream().toList();
        } catch (Exception e) { return List.of(); }
    }

    static void read(String topic, int partition) {
        try (KafkaConsumer<byte[], byte[]> consumer = consumer("isolation.level", "read_committed")) {
            TopicPartition one = new TopicPartition(topic, partition);
            consumer.assign(List.of(one));
            consumer.seekToBeginning(List.of(one));
            boolean[] ended = {false};
            until("the last record", () -> {
                for (ConsumerRecord<byte[], byte[]> r : consumer.poll(Duration.ofMillis(500))) {
                    List<Object> headers = new ArrayList<>();
                    for (Header h : r.headers()) { headers.add(h.key()); headers.add(h.value()); }
                    say("step", "read", "offset", r.offset(), "key", r.key(), "value", r.value(), "headers", headers, "ts", r.timestamp());
                    ended[0] |= new String(r.key(), StandardCharsets.UTF_8).equals("end");
                }
                return ended[0];
            });
        }
    }

    static void groups(Admin admin, String topic, String protocol) throws Exception {
        String group = arg("prefix") + "-" + protocol;
        List<Object> more = new ArrayList<>(List.of("group.id", group, "auto.offset.reset", "earliest", "enable.auto.commit", false));
        if (protocol.equals("consumer")) more.addAll(List.of("group.protocol", "consumer"));
        Set<String> read = new TreeSet<>();
        try (KafkaConsumer<byte[], byte[]> a = consumer(more.toArray()); KafkaConsumer<byte[], byte[]> b = consumer(more.toArray())) {
            a.subscribe(List.of(topic));
            until("all partitions", () -> { poll(a, read); return a.assignment().size() == 2; });
            until("all records", () -> { poll(a, read); return read.size() == 4; });
            a.commitSync();
            b.subscribe(List.of(topic));
            until("a rebalance", () -> { poll(a, read); poll(b, read); return a.assignment().size() == 1 && b.assignment().size() == 1; });
            ConsumerGroupDescription described = admin.describeConsumerGroups(List.of(group)).all().get().get(group);
            say("step", "group", "protocol", protocol, "members", described.members().size(), "read", read);
            b.close();
            until("all partitions again", () -> { poll(a, read); return a.assignment().size() == 2; });
        }
        boolean listed = admin.listConsumerGroups().all().get().stream().anyMatch(g -> g.groupId().equals(group));
        say("step", "grouped", "protocol", protocol, "listed", listed, "offsets", committed(admin, group));
        until("the group's end", () -> {
            try { admin.deleteConsumerGroups(List.of(group)).all().get(); return true; } catch (Exception e) { return false; }
        });
        say("step", "ungrouped", "protocol", protocol);
    }

    static void poll(KafkaConsumer<byte[], byte[]> consumer, Set<String> read) {
        for (ConsumerRecord<byte[], byte[]> r : consumer.poll(Duration.ofMillis(100))) read.add(new String(r.key(), StandardCharsets.UTF_8));
    }

    // --- send: what is one told of each record ----------------------------------------------------

    static void send() throws Exception {
        String topic = arg("topic"), way = arg("way");
        int partition = Integer.parseInt(arg("partition"));
        List<Object> more = new ArrayList<>(List.of("batch.size", 1, "linger.ms", 0, "max.in.flight.requests.per.connection", 5,
            "delivery.timeout.ms", 110_000, "request.timeout.ms", 30_000, "enable.idempotence", !way.equals("plain")));
        if (way.equals("transaction")) more.addAll(List.of("transactional.id", arg("client") + "-" + topic + "-" + partition, "transaction.timeout.ms", 120_000));
        List<ProducerRecord<byte[], byte[]>> first = records("records", topic, partition), after = records("after", topic, partition);
        KafkaProducer<byte[], byte[]> producer = producer(more.toArray());
        boolean transaction = way.equals("transaction");
        if (transaction) { producer.initTransactions(); producer.beginTransaction(); }
        else producer.partitionsFor(topic);
        List<Future<RecordMetadata>> told = new ArrayList<>();
        for (ProducerRecord<byte[], byte[]> r : first) told.add(hand(producer, r));
        for (int i = 0; i < told.size(); i++) tell(i, told.get(i));
        if (transaction) {
            try { producer.commitTransaction(); say("end", "committed"); }
            catch (Exception e) { producer.abortTransaction(); say("end", "aborted"); }
            producer.beginTransaction();
        }
        for (int i = 0; i < after.size(); i++) tell(first.size() + i, hand(producer, after.get(i)));
        if (transaction) { producer.commitTransaction(); say("end", "committed"); }
        producer.close(Duration.ofSeconds(10));
    }

    static Future<RecordMetadata> hand(KafkaProducer<byte[], byte[]> producer, ProducerRecord<byte[], byte[]> record) {
        try { return producer.send(record); }
        catch (Exception e) { return java.util.concurrent.CompletableFuture.failedFuture(e); }
    }

    static void tell(int i, Future<RecordMetadata> told) throws Exception {
        try { say("i", i, "ok", true, "offset", told.get(120, TimeUnit.SECONDS).offset()); }
        catch (ExecutionException e) { say("i", i, "ok", false, "error", code(e), "why", String.valueOf(e.getCause().getMessage())); }
    }

    // `key:base64,…`, where no key is `-`.
    static List<ProducerRecord<byte[], byte[]>> records(String name, String topic, int partition) {
        List<ProducerRecord<byte[], byte[]>> all = new ArrayList<>();
        for (String one : arg(name).split(",")) {
            String[] parts = one.split(":");
            all.add(new ProducerRecord<>(topic, partition, parts[0].equals("-") ? null : utf8(parts[0]), Base64.getDecoder().decode(parts[1])));
        }
        return all;
    }
}
