// The stock Go client, github.com/twmb/franz-go/pkg/sr, against a registry, with its default
// settings: every call of its client, and its serde.
//
//	go run . REGISTRY_URL
//
// Prints one JSON document; ends with exit code 1 and what was wrong otherwise. A newer client with
// more calls asks for more here.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/sr"
)

const (
	one    = `{"type":"record","name":"Order","namespace":"go","fields":[{"name":"id","type":"string"}]}`
	two    = `{"type":"record","name":"Order","namespace":"go","fields":[{"name":"id","type":"string"},{"name":"note","type":["null","string"],"default":null}]}`
	bad    = `{"type":"record","name":"Order","namespace":"go","fields":[{"name":"weight","type":"double"}]}`
	place  = `{"type":"record","name":"Place","namespace":"go","fields":[{"name":"street","type":"string"}]}`
	visit  = `{"type":"record","name":"Visit","namespace":"go","fields":[{"name":"at","type":"Place"}]}`
	noGUID = "00000000-0000-0000-0000-000000000000"
)

func avro(text string) sr.Schema { return sr.Schema{Schema: text} }

// must ends the program where something is not as it should be.
func must(holds bool, what string, saw ...any) {
	if !holds {
		fmt.Fprintln(os.Stderr, append([]any{"not so:", what, "but:"}, saw...)...)
		os.Exit(1)
	}
}

func got[T any](value T, err error) T {
	must(err == nil, fmt.Sprintf("a %T is answered", value), err)
	return value
}

// refused wants just this status and error code.
func refused(err error, status int, code int) {
	var answered *sr.ResponseError
	must(errors.As(err, &answered), fmt.Sprint("refused with ", code), err)
	must(answered.StatusCode == status && answered.ErrorCode == code, fmt.Sprint("refused with ", code), answered)
}

func refusal[T any](_ T, err error) error { return err }

func versions(ctx context.Context, cl *sr.Client) int {
	const subject = "go calls/value"
	must(slices.Equal(got(cl.SupportedTypes(ctx)), []sr.SchemaType{sr.TypeAvro}), "Avro is supported")
	refused(refusal(cl.SubjectVersions(ctx, subject)), 404, 40401)
	refused(refusal(cl.SchemaByID(ctx, 2147483647)), 404, 40403)
	refused(refusal(cl.SchemaByGUID(ctx, noGUID)), 404, 40403)
	must(len(got(cl.SchemaIDsByGUID(ctx, noGUID))) == 0, "an unknown GUID has no ids")
	refused(refusal(cl.SchemaUsagesByID(ctx, 2147483647)), 404, 40403)

	// It registers, asks who holds the id, and then for each holder's version.
	first := got(cl.CreateSchema(ctx, subject, avro(one)))
	must(first.Subject == subject && first.Version == 1 && first.GUID != "", "the first version", first)
	must(got(cl.RegisterSchema(ctx, subject, avro(one), -1, -1)) == first.ID, "the same content has the same id")
	must(got(cl.LookupSchema(ctx, subject, avro(one))).Version == 1, "it is looked up")
	refused(refusal(cl.LookupSchema(ctx, subject, avro(two))), 404, 40403)
	verdict := got(cl.CheckCompatibility(ctx, subject, -1, avro(two)))
	must(verdict.Is, "compatible with the latest", verdict)
	verdict = got(cl.CheckCompatibility(sr.WithParams(ctx, sr.Verbose), subject, -2, avro(bad)))
	must(!verdict.Is && len(verdict.Messages) > 0, "incompatible with all, and why", verdict)
	refused(refusal(cl.CheckCompatibility(ctx, subject, 9, avro(two))), 404, 40402)
	refused(refusal(cl.CreateSchema(ctx, subject, avro(bad))), 409, 40901)
	second := got(cl.CreateSchema(sr.WithParams(ctx, sr.Normalize), subject, avro(two)))
	must(second.Version == 2, "the second version", second)

	must(got(cl.SchemaByID(ctx, first.ID)).Schema == one, "by id")
	must(got(cl.SchemaTextByID(ctx, first.ID)) == one, "the text by id")
	must(got(cl.SchemaByGUID(ctx, first.GUID)).Schema.Schema == one, "by GUID")
	ids := got(cl.SchemaIDsByGUID(ctx, first.GUID))
	must(len(ids) == 1 && ids[0] == sr.ContextID{Context: ".", ID: first.ID}, "the ids of a GUID", ids)
	must(slices.Equal(got(cl.SubjectsByID(ctx, first.ID)), []string{subject}), "the subjects of an id")
	places := got(cl.SchemaVersionsByID(ctx, second.ID))
	must(len(places) == 1 && places[0] == sr.SubjectVersion{Subject: subject, Version: 2}, "the versions of an id", places)
	must(slices.Contains(got(cl.Subjects(ctx)), subject), "the subject is listed")
	must(slices.Equal(got(cl.SubjectVersions(ctx, subject)), []int{1, 2}), "both versions are listed")
	must(got(cl.SchemaByVersion(ctx, subject, -1)).ID == second.ID, "the latest")
	must(got(cl.SchemaTextByVersion(ctx, subject, 1)) == one, "the text of a version")
	must(len(got(cl.Schemas(ctx, subject))) == 2, "all of a subject")
	must(len(got(cl.AllSchemas(sr.WithParams(ctx, sr.SubjectPrefix("go calls"))))) == 2, "all of a prefix")
	refused(refusal(cl.SchemaByVersion(ctx, subject, 9)), 404, 40402)

	refused(cl.DeleteSchema(ctx, subject, 2, sr.HardDelete), 404, 40407)
	must(cl.DeleteSchema(ctx, subject, 2, sr.SoftDelete) == nil, "soft deletion of a version")
	must(slices.Equal(got(cl.SubjectVersions(sr.WithParams(ctx, sr.ShowDeleted), subject)), []int{1, 2}), "deleted ones are shown")
	must(slices.Equal(got(cl.SubjectVersions(sr.WithParams(ctx, sr.DeletedOnly), subject)), []int{2}), "only deleted ones are shown")
	must(slices.Equal(got(cl.DeleteSubject(ctx, subject, sr.SoftDelete)), []int{1}), "soft deletion")
	refused(refusal(cl.DeleteSubject(ctx, subject, sr.SoftDelete)), 404, 40404)
	must(slices.Equal(got(cl.DeleteSubject(ctx, subject, sr.HardDelete)), []int{1, 2}), "hard deletion")
	return first.ID
}

func references(ctx context.Context, cl *sr.Client) {
	got(cl.CreateSchema(ctx, "go-place", avro(place)))
	referring := avro(visit)
	referring.References = []sr.SchemaReference{{Name: "go.Place", Subject: "go-place", Version: 1}}
	created := got(cl.CreateSchema(ctx, "go-visit", referring))
	must(reflect.DeepEqual(created.References, referring.References), "references come back", created)
	referrers := got(cl.SchemaReferences(ctx, "go-place", 1))
	must(len(referrers) == 1 && referrers[0].Subject == "go-visit", "who refers to it", referrers)
	refused(cl.DeleteSchema(ctx, "go-place", 1, sr.SoftDelete), 422, 42206)
	resolved := got(cl.SchemaByID(sr.WithParams(ctx, sr.Format("resolved")), created.ID))
	must(strings.Contains(resolved.Schema, `"street"`), "references are inlined", resolved)

	owned := avro(one)
	owned.SchemaMetadata = &sr.SchemaMetadata{Properties: map[string]string{"owner": "ann"}}
	owned.SchemaRuleSet = &sr.SchemaRuleSet{DomainRules: []sr.SchemaRule{{
		Name: "checkId", Kind: sr.SchemaRuleKindCondition, Mode: sr.SchemaRuleModeWrite, Type: "CEL",
		Tags: []string{"PII"}, Expr: "size(message.id) < 9",
	}}}
	created = got(cl.CreateSchema(ctx, "go-owned", owned))
	must(created.SchemaMetadata.Properties["owner"] == "ann", "metadata comes back", created)
	must(reflect.DeepEqual(created.SchemaRuleSet, owned.SchemaRuleSet), "rules come back", created.SchemaRuleSet)
}

func settings(ctx context.Context, cl *sr.Client) {
	const subject = "go-settings"
	must(cl.Compatibility(ctx)[0].Level == sr.CompatBackward, "the level is BACKWARD")
	refused(cl.Compatibility(ctx, subject)[0].Err, 404, 40408)
	full := sr.SetCompatibility{
		Level: sr.CompatFull, Normalize: true, Group: "major",
		DefaultMetadata: &sr.SchemaMetadata{Properties: map[string]string{"team": "shop"}},
	}
	set := cl.SetCompatibility(ctx, full, subject)[0]
	must(set.Err == nil && set.Level == sr.CompatFull && set.Group == "major", "it is set", set)
	kept := cl.Compatibility(ctx, subject)[0]
	must(kept.Level == sr.CompatFull && kept.Normalize && kept.DefaultMetadata.Properties["team"] == "shop", "it is kept", kept)
	must(cl.ResetCompatibility(ctx, subject)[0].Err == nil, "it is reset")
	refused(cl.ResetCompatibility(ctx, subject)[0].Err, 404, 40401)

	must(cl.Mode(ctx)[0].Mode == sr.ModeReadWrite, "the mode is READWRITE")
	refused(cl.Mode(ctx, subject)[0].Err, 404, 40409)
	must(cl.SetMode(ctx, sr.ModeImport, subject)[0].Err == nil, "IMPORT is set")
	imported := got(cl.CreateSchemaWithIDAndVersion(ctx, subject, avro(one), 4711, 7))
	must(imported.ID == 4711 && imported.Version == 7, "id and version are kept", imported)
	must(cl.SetMode(ctx, sr.ModeReadOnly, subject)[0].Mode == sr.ModeReadOnly, "READONLY is set")
	refused(refusal(cl.CreateSchema(ctx, subject, avro(two))), 422, 42205)
	must(cl.ResetMode(ctx, subject)[0].Err == nil, "the mode is reset")
	must(cl.SetMode(sr.WithParams(ctx, sr.Force), sr.ModeReadWrite)[0].Err == nil, "READWRITE is set for all")
}

// contexts is what all calls do below /contexts/….
func contexts(ctx context.Context, cl *sr.Client) {
	within := sr.InContext(ctx, ".go")
	created := got(cl.CreateSchema(within, "orders", avro(one)))
	must(created.ID == 1 && created.Subject == ":.go:orders", "ids are counted by context", created)
	must(slices.Equal(got(cl.Subjects(within)), []string{":.go:orders"}), "only its own are listed")
	must(got(cl.SchemaByVersion(within, "orders", -1)).ID == 1, "found by its plain name")
	must(got(cl.SchemaByVersion(within, ":.go:orders", 1)).ID == 1, "and by the whole one")
	must(got(cl.SchemaByID(within, 1)).Schema == one, "by id")
	must(got(cl.LookupSchema(within, "orders", avro(one))).Version == 1, "it is looked up")
	must(cl.SetCompatibility(within, sr.SetCompatibility{Level: sr.CompatNone})[0].Err == nil, "a context has a level")
	must(cl.Compatibility(ctx)[0].Level == sr.CompatBackward, "which is not everyone's")
	must(slices.Contains(got(cl.Contexts(ctx)), ".go"), "the context is listed")
	refused(cl.DeleteContext(ctx, ".go"), 422, 42211)
	got(cl.DeleteSubject(within, "orders", sr.SoftDelete))
	got(cl.DeleteSubject(within, "orders", sr.HardDelete))
	must(cl.DeleteContext(ctx, ".go") == nil, "an empty context is deleted")
}

func serde(id int) {
	type order struct{ ID string }
	var s sr.Serde
	s.Register(id, order{}, sr.EncodeFn(json.Marshal), sr.DecodeFn(json.Unmarshal))
	data := got(s.Encode(order{"o1"}))
	found, _, err := s.DecodeID(data)
	must(err == nil && found == id, "the id goes with the record", found, err)
}

// made is what main calls, by name, and what is no request.
var made = strings.Fields(`
	SupportedTypes Contexts DeleteContext Subjects SchemaByID SchemaByGUID SchemaIDsByGUID
	SchemaTextByID SubjectsByID SchemaVersionsByID SubjectVersions SchemaByVersion SchemaTextByVersion
	AllSchemas Schemas RegisterSchema CreateSchema CreateSchemaWithIDAndVersion LookupSchema
	DeleteSubject DeleteSchema SchemaReferences SchemaUsagesByID Compatibility SetCompatibility
	ResetCompatibility CheckCompatibility Mode SetMode ResetMode Opts OptValue OptValues Do
`)

func main() {
	ctx := context.Background()

	cl := got(sr.NewClient(sr.URLs(os.Args[1])))
	id := versions(ctx, cl)
	references(ctx, cl)
	settings(ctx, cl)
	contexts(ctx, cl)
	serde(id)
	kind := reflect.TypeOf(cl)
	for n := range kind.NumMethod() {
		name := kind.Method(n).Name
		must(slices.Contains(made, name), "a call that the client has is made here", name)
	}
	json.NewEncoder(os.Stdout).Encode(map[string]any{"order_id": id, "calls": kind.NumMethod()})
}
