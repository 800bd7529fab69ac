// franz-go, stock: `SCENARIO key=value …`. See ../java/Matrix.java.
package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const deadline = time.Minute

var (
	args = map[string]string{}
	ctx  = context.Background()
	said sync.Mutex
)

type line map[string]any

func say(what line) {
	said.Lock()
	defer said.Unlock()
	must(json.NewEncoder(os.Stdout).Encode(what))
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func got[T any](value T, err error) T {
	must(err)
	return value
}

func until(what string, holds func() bool) {
	for end := time.Now().Add(deadline); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			must(fmt.Errorf("waited a minute for %s", what))
		}
	}
}

func client(more ...kgo.Opt) *kgo.Client {
	base := []kgo.Opt{
		kgo.SeedBrokers(args["bootstrap"]), kgo.ClientID(args["client"]),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
	}
	return got(kgo.NewClient(append(base, more...)...))
}

func content(topic string, partition int32, key string, n int) *kgo.Record {
	return &kgo.Record{
		Topic: topic, Partition: partition, Key: []byte(key), Value: []byte(strings.Repeat(key+" ", 40)),
		Timestamp: time.UnixMilli(1_700_000_000_000 + int64(n)),
		Headers:   []kgo.RecordHeader{{Key: "h", Value: []byte{0, 255, byte(n)}}, {Key: "empty", Value: []byte{}}},
	}
}

func three(topic string, partition int32, way string, n int) []*kgo.Record {
	var all []*kgo.Record
	for i := range 3 {
		all = append(all, content(topic, partition, fmt.Sprint(way, i), n+i))
	}
	return all
}

func offsets(results kgo.ProduceResults) []int64 {
	must(results.FirstErr())
	var all []int64
	for _, one := range results {
		all = append(all, one.Record.Offset)
	}
	return all
}

func same() {
	topic, product := args["prefix"]+"-topic", args["topic"]
	partition := int32(got(strconv.Atoi(args["partition"])))
	plain := client()
	admin := kadm.NewClient(plain)
	long := "315360000000"
	got(admin.CreateTopic(ctx, 2, 1, map[string]*string{"retention.ms": &long}, topic))
	leaders := func() (all []int32) {
		for _, p := range got(admin.ListTopics(ctx, topic))[topic].Partitions.Sorted() {
			all = append(all, p.Leader)
		}
		return all
	}
	until("the topic", func() bool { return len(leaders()) == 2 && !slices.Contains(leaders(), -1) })
	_, err := admin.CreateTopic(ctx, 2, 1, nil, topic)
	say(line{"step": "created", "again": code(err)})
	say(line{"step": "listed", "is": got(admin.ListTopics(ctx)).Has(topic)})
	say(line{"step": "described", "leaders": leaders()})
	for _, one := range got(admin.DescribeTopicConfigs(ctx, topic))[0].Configs {
		if one.Key == "retention.ms" {
			say(line{"step": "configured", "retention.ms": one.MaybeValue()})
		}
	}
	say(line{"step": "cluster", "nodes": len(got(admin.BrokerMetadata(ctx)).Brokers)})

	codecs := map[string]kgo.CompressionCodec{
		"plain": kgo.NoCompression(), "none": kgo.NoCompression(), "gzip": kgo.GzipCompression(),
		"snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	for at, way := range []string{"plain", "none", "gzip", "snappy", "lz4", "zstd"} {
		options := []kgo.Opt{kgo.ProducerBatchCompression(codecs[way]), kgo.ProducerLinger(100 * time.Millisecond)}
		if way == "plain" {
			options = append(options, kgo.DisableIdempotentWrite())
		}
		producer := client(options...)
		told := producer.ProduceSync(ctx, three(product, partition, way, 3*at)...)
		say(line{"step": "produced", "way": way, "offsets": offsets(told)})
		producer.Close()
	}
	transactions(admin, topic, product, partition)
	must(plain.ProduceSync(ctx, content(product, partition, "end", 99)).FirstErr())
	for i := range 4 {
		must(plain.ProduceSync(ctx, content(topic, int32(i%2), fmt.Sprint("g", i), i)).FirstErr())
	}
	read(product, partition)
	groups(admin, topic)
	ends := got(admin.ListEndOffsets(ctx, topic))
	say(line{"step": "ends", "latest": ends[topic][0].Offset})
	got(admin.DeleteTopic(ctx, topic))
	until("the topic's end", func() bool { return !got(admin.ListTopics(ctx)).Has(topic) })
	say(line{"step": "deleted"})
	plain.Close()
}

func committed(admin *kadm.Client, group string) (all []int64) {
	for _, one := range got(admin.FetchOffsets(ctx, group)).Sorted() {
		all = append(all, one.At)
	}
	return all
}

func transactions(admin *kadm.Client, topic, product string, partition int32) {
	// Offsets go into a transaction with a group that is joined; its topic is read for that.
	group := args["prefix"] + "-job"
	must(client(kgo.DefaultProduceTopic(topic)).ProduceSync(ctx, content(topic, 0, "job0", 0), content(topic, 0, "job1", 1)).FirstErr())
	session := got(kgo.NewGroupTransactSession(
		kgo.SeedBrokers(args["bootstrap"]), kgo.ClientID(args["client"]), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.TransactionalID(args["prefix"]+"-tx"), kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.MaxBufferedRecords(1000),
	))
	for _, end := range []string{"commit", "abort", "commit-2"} {
		must(session.Begin())
		until("a record to make another of", func() bool {
			within, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			return session.PollRecords(within, 1).NumRecords() > 0
		})
		told := session.ProduceSync(ctx, three(product, partition, end, 0)[:2]...)
		must(told.FirstErr())
		got(session.End(ctx, kgo.TransactionEndTry(end != "abort")))
		// A transaction has ended before its markers are everywhere.
		wanted := []int64{1}
		if end == "commit-2" {
			wanted[0] = 2
		}
		until("its offset", func() bool { return slices.Equal(committed(admin, group), wanted) })
		say(line{"step": "transaction", "end": end, "offsets": wanted})
	}
	session.Close()
}

func read(topic string, partition int32) {
	from := map[string]map[int32]kgo.Offset{topic: {partition: kgo.NewOffset().AtStart()}}
	reader := client(kgo.ConsumePartitions(from), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	defer reader.Close()
	within, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	for ended := false; !ended; {
		fetches := reader.PollFetches(within)
		must(fetches.Err())
		fetches.EachRecord(func(r *kgo.Record) {
			headers := []any{}
			for _, h := range r.Headers {
				headers = append(headers, h.Key, h.Value)
			}
			say(line{"step": "read", "offset": r.Offset, "key": r.Key, "value": r.Value, "headers": headers, "ts": r.Timestamp.UnixMilli()})
			ended = ended || string(r.Key) == "end"
		})
	}
}

func groups(admin *kadm.Client, topic string) {
	group := args["prefix"] + "-classic"
	var lock sync.Mutex
	seen := map[string]bool{}
	sizes := map[string]int{}
	member := func(name string) *kgo.Client {
		change := func(by int) func(context.Context, *kgo.Client, map[string][]int32) {
			return func(_ context.Context, _ *kgo.Client, moved map[string][]int32) {
				lock.Lock()
				defer lock.Unlock()
				sizes[name] += by * len(moved[topic])
			}
		}
		one := client(kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(),
			kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
			kgo.OnPartitionsAssigned(change(1)), kgo.OnPartitionsRevoked(change(-1)), kgo.OnPartitionsLost(change(-1)))
		go func() {
			for fetches := one.PollFetches(ctx); !fetches.IsClientClosed(); fetches = one.PollFetches(ctx) {
				lock.Lock()
				fetches.EachRecord(func(r *kgo.Record) { seen[string(r.Key)] = true })
				lock.Unlock()
			}
		}()
		return one
	}
	is := func(a, b, records int) func() bool {
		return func() bool {
			lock.Lock()
			defer lock.Unlock()
			return sizes["a"] == a && sizes["b"] == b && len(seen) == records
		}
	}
	// The two of the transactions are there too.
	a := member("a")
	until("all records", is(2, 0, 6))
	must(a.CommitUncommittedOffsets(ctx))
	b := member("b")
	until("a rebalance", is(1, 1, 6))
	described := got(admin.DescribeGroups(ctx, group))[group]
	say(line{"step": "group", "members": len(described.Members)})
	b.Close()
	until("all partitions again", func() bool { lock.Lock(); defer lock.Unlock(); return sizes["a"] == 2 })
	a.Close()
	_, listed := got(admin.ListGroups(ctx))[group]
	say(line{"step": "grouped", "listed": listed, "offsets": committed(admin, group)})
	until("the group's end", func() bool { _, err := admin.DeleteGroup(ctx, group); return err == nil })
	say(line{"step": "ungrouped"})
}

func code(err error) string {
	var known *kerr.Error
	if errors.As(err, &known) {
		return known.Message
	}
	return fmt.Sprint(err)
}

// records reads `key:base64,…`, where no key is `-`.
func records(name string) (all []*kgo.Record) {
	partition := int32(got(strconv.Atoi(args["partition"])))
	for one := range strings.SplitSeq(args[name], ",") {
		key, value, _ := strings.Cut(one, ":")
		record := &kgo.Record{Topic: args["topic"], Partition: partition, Value: got(base64.StdEncoding.DecodeString(value))}
		if key != "-" {
			record.Key = []byte(key)
		}
		all = append(all, record)
	}
	return all
}

func send() {
	// The least batch that it lets one ask for: one of the records fits, two don't.
	options := []kgo.Opt{
		kgo.ProducerBatchMaxBytes(1 << 10), kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.ProducerLinger(0), kgo.RecordDeliveryTimeout(110 * time.Second), kgo.RecordRetries(1000),
	}
	switch args["way"] {
	case "plain":
		options = append(options, kgo.DisableIdempotentWrite(), kgo.MaxProduceRequestsInflightPerBroker(5))
	case "transaction":
		options = append(options, kgo.TransactionalID(fmt.Sprint(args["client"], "-", args["topic"], "-", args["partition"])))
	}
	transaction := args["way"] == "transaction"
	producer := client(options...)
	end := func() {
		if !transaction {
			return
		}
		if producer.EndTransaction(ctx, kgo.TryCommit) == nil {
			say(line{"end": "committed"})
			return
		}
		must(producer.EndTransaction(ctx, kgo.TryAbort))
		say(line{"end": "aborted"})
	}
	begin := func() {
		if transaction {
			must(producer.BeginTransaction())
		}
	}
	tell := func(i int) func(*kgo.Record, error) {
		return func(r *kgo.Record, err error) {
			if err != nil {
				say(line{"i": i, "ok": false, "error": code(err), "why": err.Error()})
			} else {
				say(line{"i": i, "ok": true, "offset": r.Offset})
			}
		}
	}
	begin()
	first := records("records")
	failed := false
	for i, r := range first {
		say := tell(i)
		producer.Produce(ctx, r, func(r *kgo.Record, err error) { failed = failed || err != nil; say(r, err) })
	}
	must(producer.Flush(ctx))
	if transaction && failed {
		must(producer.EndTransaction(ctx, kgo.TryAbort))
		say(line{"end": "aborted"})
	} else {
		end()
	}
	begin()
	for i, r := range records("after") {
		producer.Produce(ctx, r, tell(len(first)+i))
		must(producer.Flush(ctx))
	}
	end()
	producer.Close()
}

func main() {
	for _, word := range os.Args[2:] {
		name, value, _ := strings.Cut(word, "=")
		args[name] = value
	}
	if os.Args[1] == "same" {
		same()
		return
	}
	// WAY/TOPIC/PARTITION/RECORDS;…, where RECORDS names an argument.
	for job := range strings.SplitSeq(args["jobs"], ";") {
		parts := strings.Split(job, "/")
		args["way"], args["topic"], args["partition"], args["records"] = parts[0], parts[1], parts[2], args[parts[3]]
		say(line{"job": job})
		send()
	}
}
