use super::*;

fn record(fields: &str) -> String {
    format!(r#"{{"type":"record","name":"a.R","fields":[{fields}]}}"#)
}

fn field(kind: &str) -> String {
    record(&format!(r#"{{"name":"f","type":{kind}}}"#))
}

fn between(old: &str, new: &str) -> Diff {
    let parse = |text: &str| Schema::parse(text).unwrap_or_else(|e| panic!("{e}"));
    diff(&parse(old), &parse(new))
}

/// Path and line of each change.
fn told(old: &str, new: &str) -> Vec<(String, String)> {
    let diff = between(old, new);
    assert!(diff.complete);
    diff.changes
        .iter()
        .map(|change| (change.path.clone(), change.to_string()))
        .collect()
}

#[track_caller]
fn check(old: &str, new: &str, expected: &[(&str, &str)]) {
    let told = told(old, new);
    let told: Vec<(&str, &str)> = told.iter().map(|(p, l)| (p.as_str(), l.as_str())).collect();
    assert_eq!(told, expected, "{old}\n{new}");
}

#[test]
fn fields_come_go_move_and_are_renamed() {
    check(
        &record(r#"{"name":"a","type":"int"},{"name":"b","type":"string","default":"x"}"#),
        &record(
            r#"{"name":"b","type":"string","default":"x"},{"name":"c","type":["null","long"],"default":null},{"name":"d","type":"int"}"#,
        ),
        &[
            ("/fields/1", "+ field c: null | long (default null)"),
            ("/fields/2", "+ field d: int (no default)"),
            ("/fields/0", "- field a: int (no default)"),
        ],
    );
    check(
        &record(r#"{"name":"a","type":"int"},{"name":"b","type":"int"},{"name":"c","type":"int"}"#),
        &record(r#"{"name":"c","type":"int"},{"name":"a","type":"int"}"#),
        &[
            ("/fields", "~ fields of record a.R: order a, c → c, a"),
            ("/fields/1", "- field b: int (no default)"),
        ],
    );
    check(
        &record(r#"{"name":"a","type":"int"}"#),
        &record(r#"{"name":"b","type":"long","aliases":["a"]}"#),
        &[
            ("/fields/0/name", "~ field b: name a → b"),
            ("/fields/0/aliases", "~ field b: aliases none → a"),
            ("/fields/0/type", "~ field b: int → long"),
        ],
    );
}

#[test]
fn what_a_field_has_beside_its_type() {
    check(
        &record(r#"{"name":"f","type":"int","doc":"x","default":1,"k/~":{"z":1},"gone":true}"#),
        &record(
            r#"{"name":"f","type":"int","order":"ignore","default":2,"k/~":[],"aliases":["g"]}"#,
        ),
        &[
            ("/fields/0/doc", r#"~ field f: doc "x" → none"#),
            ("/fields/0/default", "~ field f: default 1 → 2"),
            (
                "/fields/0/order",
                "~ field f: sort order ascending → ignore",
            ),
            ("/fields/0/aliases", "~ field f: aliases none → g"),
            (
                "/fields/0/k~1~0",
                r#"~ attribute k/~ of field f: {"z":1} → []"#,
            ),
            ("/fields/0/gone", "~ attribute gone of field f: true → none"),
        ],
    );
    let aliases = |list: &str| record(&format!(r#"{{"name":"f","type":"int","aliases":{list}}}"#));
    check(&aliases(r#"["a","b"]"#), &aliases(r#"["b","a"]"#), &[]);
    check(
        &record(r#"{"name":"f","type":["null","int"],"default":null}"#),
        &record(r#"{"name":"f","type":["null","int"]}"#),
        &[("/fields/0/default", "~ field f: default null → none")],
    );
}

#[test]
fn types_change() {
    let path = "/fields/0/type";
    for (old, new, line) in [
        (r#""int""#, r#""long""#, "int → long"),
        (r#""int""#, r#"["null","int"]"#, "int → null | int"),
        (r#"["null","int"]"#, r#""int""#, "null | int → int"),
        (
            r#"{"type":"int","logicalType":"date"}"#,
            r#"{"type":"long","logicalType":"timestamp-millis"}"#,
            "int (date) → long (timestamp-millis)",
        ),
        (
            r#""string""#,
            r#"{"type":"array","items":["null","string"]}"#,
            "string → array of (null | string)",
        ),
        (
            r#"{"type":"enum","name":"E","symbols":["A"]}"#,
            r#"{"type":"map","values":"bytes"}"#,
            "enum a.E → map of bytes",
        ),
        (
            r#"{"type":"error","name":"E","fields":[]}"#,
            r#"{"type":"record","name":"E","fields":[]}"#,
            "error a.E → record a.E",
        ),
    ] {
        let line = format!("~ field f: {line}");
        check(&field(old), &field(new), &[(path, line.as_str())]);
    }
    check(
        r#""int""#,
        r#""string""#,
        &[("", "~ the schema: int → string")],
    );
    check(
        &field(r#"{"type":"array","items":"int"}"#),
        &field(r#"{"type":"array","items":"long"}"#),
        &[("/fields/0/type/items", "~ field f[]: int → long")],
    );
    check(
        &field(r#"{"type":"map","values":"int"}"#),
        &field(r#"{"type":"map","values":"long"}"#),
        &[("/fields/0/type/values", "~ field f{}: int → long")],
    );
}

#[test]
fn a_type_that_becomes_a_branch_is_compared_with_it() {
    let inner = |kind: &str| {
        format!(r#"{{"type":"record","name":"I","fields":[{{"name":"x","type":"{kind}"}}]}}"#)
    };
    check(
        &field(&inner("int")),
        &field(&format!(r#"["null",{}]"#, inner("long"))),
        &[
            (
                "/fields/0/type",
                "~ field f: record a.I → null | record a.I",
            ),
            ("/fields/0/type/1/fields/0/type", "~ field f.x: int → long"),
        ],
    );
    check(
        &field(&format!(r#"["null",{}]"#, inner("long"))),
        &field(&inner("int")),
        &[
            (
                "/fields/0/type",
                "~ field f: null | record a.I → record a.I",
            ),
            ("/fields/0/type/fields/0/type", "~ field f.x: long → int"),
        ],
    );
}

#[test]
fn logical_types_and_attributes_of_types() {
    let decimal = |precision: u8, scale: u8| {
        field(&format!(
            r#"{{"type":"bytes","logicalType":"decimal","precision":{precision},"scale":{scale}}}"#
        ))
    };
    check(
        &decimal(9, 2),
        &decimal(10, 2),
        &[(
            "/fields/0/type/logicalType",
            "~ field f: logical type decimal 9, 2 → decimal 10, 2",
        )],
    );
    check(
        &field(r#"{"type":"int","logicalType":"date"}"#),
        &field(r#""int""#),
        &[(
            "/fields/0/type/logicalType",
            "~ field f: logical type date → none",
        )],
    );
    // No logical type of an int: an attribute like any other.
    check(
        &field(r#"{"type":"int","logicalType":"uuid"}"#),
        &field(r#"{"type":"int","unit":"s"}"#),
        &[
            (
                "/fields/0/type/unit",
                r#"~ attribute unit of field f: none → "s""#,
            ),
            (
                "/fields/0/type/logicalType",
                r#"~ attribute logicalType of field f: "uuid" → none"#,
            ),
        ],
    );
}

#[test]
fn enums_and_fixed() {
    let symbols = |list: &str, more: &str| {
        field(&format!(
            r#"{{"type":"enum","name":"E","symbols":[{list}]{more}}}"#
        ))
    };
    check(
        &symbols(r#""A","B","C""#, ""),
        &symbols(r#""C","A","D""#, r#","default":"A","doc":"d""#),
        &[
            ("/fields/0/type/doc", r#"~ enum a.E: doc none → "d""#),
            ("/fields/0/type/symbols", "+ symbols of enum a.E: D"),
            ("/fields/0/type/symbols", "- symbols of enum a.E: B"),
            (
                "/fields/0/type/symbols",
                "~ symbols of enum a.E: order A, C → C, A",
            ),
            (
                "/fields/0/type/default",
                r#"~ enum a.E: default none → "A""#,
            ),
        ],
    );
    check(
        &field(r#"{"type":"fixed","name":"F","size":4}"#),
        &field(r#"{"type":"fixed","name":"b.F","size":8,"aliases":["a.F"]}"#),
        &[
            ("/fields/0/type/name", "~ fixed of field f: name a.F → b.F"),
            ("/fields/0/type/aliases", "~ fixed b.F: aliases none → a.F"),
            ("/fields/0/type/size", "~ fixed b.F: size 4 → 8"),
        ],
    );
    check(
        r#"{"type":"record","name":"a.R","fields":[],"doc":"x"}"#,
        r#"{"type":"record","name":"b.R","fields":[]}"#,
        &[
            ("/name", "~ record: name a.R → b.R"),
            ("/doc", r#"~ record b.R: doc "x" → none"#),
        ],
    );
}

#[test]
fn branches_come_go_move_and_are_told_by_name() {
    let card = |kind: &str| {
        format!(r#"{{"type":"record","name":"Card","fields":[{{"name":"no","type":"{kind}"}}]}}"#)
    };
    check(
        &field(&format!(r#"["null","string",{}]"#, card("int"))),
        &field(&format!(r#"[{},"null","bytes"]"#, card("long"))),
        &[
            ("/fields/0/type/2", "+ branches of field f: bytes"),
            ("/fields/0/type/1", "- branches of field f: string"),
            (
                "/fields/0/type",
                "~ branches of field f: order null, a.Card → a.Card, null",
            ),
            (
                "/fields/0/type/0/fields/0/type",
                "~ field f<a.Card>.no: int → long",
            ),
        ],
    );
    // Under another namespace it is still the same record.
    check(
        &field(r#"["null",{"type":"record","name":"x.C","fields":[]}]"#),
        &field(r#"["null",{"type":"record","name":"y.C","fields":[]}]"#),
        &[(
            "/fields/0/type/1/name",
            "~ record of field f: name x.C → y.C",
        )],
    );
}

#[test]
fn a_named_type_is_told_where_it_first_stands_and_recursion_ends() {
    let two = |kind: &str| {
        record(&format!(
            r#"{{"name":"a","type":{{"type":"record","name":"N","fields":[{{"name":"x","type":"{kind}"}},{{"name":"next","type":["null","N"]}}]}}}},{{"name":"b","type":"N"}}"#
        ))
    };
    check(
        &two("int"),
        &two("long"),
        &[("/fields/0/type/fields/0/type", "~ field a.x: int → long")],
    );
    // A type that is its own in one schema and its former neighbour in the other.
    let old = record(r#"{"name":"l","type":["null","R"]},{"name":"v","type":"int"}"#);
    let new = record(
        r#"{"name":"l","type":["null",{"type":"record","name":"R2","aliases":["R"],"fields":[{"name":"l","type":["null","R","R2"]}]}]},{"name":"v","type":"int"}"#,
    );
    let lines: Vec<String> = told(&old, &new).into_iter().map(|(_, line)| line).collect();
    assert_eq!(
        lines,
        [
            "~ record of field l: name a.R → a.R2",
            "~ record a.R2: aliases none → a.R",
            "+ branches of field l.l: record a.R2",
            "- field l.v: int (no default)",
        ]
    );
}

#[test]
fn deep_and_large_schemas_are_bounded() {
    // A chain of 1,500 records, each defined before it is used: in a field that only one of the
    // schemas has, so that the chain is entered at its far end.
    let chain = |field: &str, last: &str| {
        let mut branches = Vec::new();
        let mut next = last.to_owned();
        for at in 0..1_500 {
            branches.push(format!(
                r#"{{"type":"record","name":"C{at}","fields":[{{"name":"n","type":"{next}"}}]}}"#
            ));
            next = format!("C{at}");
        }
        record(&format!(
            r#"{{"name":"{field}","type":[{}]}},{{"name":"chain","type":"{next}"}}"#,
            branches.join(",")
        ))
    };
    let found = between(&chain("o", "int"), &chain("p", "long"));
    assert!(!found.complete, "the chain is longer than is followed");
    let kinds: Vec<ChangeKind> = found.changes.iter().map(|c| c.kind).collect();
    assert_eq!(kinds, [ChangeKind::FieldAdded, ChangeKind::FieldRemoved]);

    let wide = |kind: &str| {
        let fields: Vec<String> = (0..3_000)
            .map(|at| format!(r#"{{"name":"f{at}","type":"{kind}"}}"#))
            .collect();
        record(&fields.join(","))
    };
    let found = between(&wide("int"), &wide("long"));
    assert_eq!(found.changes.len(), MAX_CHANGES);
    assert!(!found.complete);
    let words = in_words(&found, 200);
    assert!(words.ends_with("; and more than 993 more"), "{words}");
    assert!(words.chars().count() <= 200);

    let doc = "d".repeat(100_000);
    let found = between(
        &record(r#"{"name":"f","type":"int"}"#),
        &record(&format!(r#"{{"name":"f","type":"int","doc":"{doc}"}}"#)),
    );
    let new = found.changes[0].new.as_deref().unwrap();
    assert!(new.chars().count() <= MAX_VALUE + 2 && new.ends_with("…\""));
}

#[test]
fn many_pairs_end_in_time() {
    // Every record of one refers to every record of itself; no two have a name in common.
    let tangle = |prefix: &str| {
        let names: Vec<String> = (0..60).map(|at| format!("{prefix}{at}")).collect();
        let records: Vec<String> = names
            .iter()
            .map(|name| {
                let fields: Vec<String> = names
                    .iter()
                    .enumerate()
                    .map(|(at, to)| format!(r#"{{"name":"f{at}","type":"{to}"}}"#))
                    .collect();
                format!(
                    r#"{{"type":"record","name":"{name}","fields":[{}]}}"#,
                    fields.join(",")
                )
            })
            .collect();
        format!("[{}]", records.join(","))
    };
    let found = between(&tangle("A"), &tangle("B"));
    assert!(!found.changes.is_empty());
}

#[test]
fn a_line_has_as_many_changes_as_go_in() {
    let found = between(
        &record(r#"{"name":"a","type":"int"},{"name":"b","type":"int"}"#),
        &record(r#"{"name":"a","type":"long"},{"name":"c","type":"string"}"#),
    );
    let all = "~ field a: int → long; + field c: string (no default); - field b: int (no default)";
    assert_eq!(in_words(&found, 1_000), all);
    assert_eq!(in_words(&found, all.chars().count()), all);
    assert_eq!(in_words(&found, 40), "~ field a: int → long; and 2 more");
    assert_eq!(in_words(&found, 20), "3 changes");
    for most in 0..120 {
        assert!(in_words(&found, most).chars().count() <= most, "{most}");
    }
    assert_eq!(
        in_words(
            &Diff {
                complete: true,
                ..Diff::default()
            },
            100
        ),
        "no difference"
    );
    assert_eq!(in_words(&Diff::default(), 100), "too large to compare");
}

#[test]
fn all_fields_are_listed_in_order() {
    let schema = Schema::parse(&record(
        r#"{"name":"a","type":{"type":"record","name":"I","fields":[{"name":"x","type":"int","default":1},{"name":"me","type":["null","I"]}]}},{"name":"l","type":{"type":"array","items":["null","I","string",{"type":"record","name":"J","fields":[{"name":"y","type":"bytes"}]}]}}"#,
    ))
    .unwrap();
    let listed = fields(&schema);
    let listed: Vec<(&str, &str)> = listed
        .iter()
        .map(|(p, w)| (p.as_str(), w.as_str()))
        .collect();
    assert_eq!(
        listed,
        [
            ("field a", "record a.I (no default)"),
            ("field a.x", "int (default 1)"),
            ("field a.me", "null | record a.I (no default)"),
            (
                "field l",
                "array of (null | record a.I | string | record a.J) (no default)"
            ),
            ("field l[]<a.J>.y", "bytes (no default)"),
        ]
    );
}
