//! What is taken and what is refused; each verdict is Avro Java 1.12.0's unless it says otherwise.

use super::*;
use crate::schema::{Kind, LogicalType};

fn refused(text: &str) -> ParseError {
    match Schema::parse(text) {
        Ok(schema) => panic!("taken: {text} as {}", schema.to_text()),
        Err(error) => error,
    }
}

fn taken(text: &str) -> Schema {
    Schema::parse(text).unwrap_or_else(|error| panic!("refused: {text}: {error}"))
}

#[test]
fn errors_say_where_and_what() {
    for (text, message) in [
        ("", "invalid JSON at byte 0: the text ends too early"),
        (
            "5",
            "a number is not a schema, write a type's name, an object or an array",
        ),
        (
            r#""Nope""#,
            r#""Nope" is not defined here or in a referenced schema"#,
        ),
        (
            r#"{"type":["null"]}"#,
            "a schema has no type, or not as text",
        ),
        (
            r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"b","type":{"type":"array"}}]}"#,
            "at /fields/1/type: an array has no items, or not as a schema",
        ),
        (
            r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int","default":"x"}]}"#,
            r#"at /fields/0: default "x" of field "a" does not fit its type int"#,
        ),
        (
            r#"["int",["int"]]"#,
            "a union can't hold a union, merge their branches",
        ),
        (
            r#"{"type":"array","items":["int","int"]}"#,
            r#"at /items: the union has "int" twice"#,
        ),
        (
            r#"{"type":"enum","name":"n.E","symbols":["A","A"]}"#,
            r#"enum symbol "A" is there twice"#,
        ),
        (
            r#"{"type":"fixed","name":"F","size":2147483640}"#,
            "fixed size 2147483640 is not between 0 and 2147483639",
        ),
    ] {
        assert_eq!(refused(text).to_string(), message, "{text}");
    }
}

/// Rules that are easy to get wrong, each with one case on either side.
#[test]
fn verdicts_are_javas() {
    let record = |field: &str| format!(r#"{{"type":"record","name":"n.R","fields":[{field}]}}"#);
    for (case, text) in [
        ("forward reference", record(r#"{"name":"a","type":"F"},{"name":"b","type":{"type":"fixed","name":"F","size":1}}"#)),
        ("name without namespace is found from within one", r#"{"type":"record","name":"R","fields":[{"name":"a","type":{"type":"record","name":"n.Q","fields":[{"name":"r","type":["null","R"]}]}}]}"#.into()),
        ("equal fixed again", record(r#"{"name":"a","type":{"type":"fixed","name":"F","size":1}},{"name":"b","type":{"type":"fixed","name":"F","size":1,"x":1}}"#)),
        ("record again within itself", record(r#"{"name":"a","type":{"type":"record","name":"R","fields":[]}}"#)),
        ("name with a leading dot", r#"{"type":"fixed","name":".F","size":1}"#.into()),
        ("namespace of an alias is not checked", r#"{"type":"fixed","name":"F","size":1,"aliases":["a-b.F"]}"#.into()),
        ("order in any case", record(r#"{"name":"a","type":"int","order":"DeSCending"}"#)),
        ("text as a double's default", record(r#"{"name":"a","type":"double","default":" 1e3 "}"#)),
        ("any whole number as a float's default", record(r#"{"name":"a","type":"float","default":123456789012345678901234567890}"#)),
        ("null default of a union with self", record(r#"{"name":"a","type":["R","null"],"default":null}"#)),
        ("enum default that is no text", r#"{"type":"enum","name":"E","symbols":["A"],"default":5}"#.into()),
        ("comments", "/* a */ {\"type\": // b\n \"int\"}".into()),
        ("big number in a primitive's attribute", r#"{"type":"int","x":123456789012345678901234567890}"#.into()),
        ("primitive's name in a namespace", r#"{"type":"fixed","name":"n.int","size":1}"#.into()),
    ] {
        assert!(Schema::parse(&text).is_ok(), "{case}: {}", refused(&text));
    }
    for (case, text) in [
        (
            "fixed again after one with an attribute",
            record(
                r#"{"name":"a","type":{"type":"fixed","name":"F","size":1,"x":1}},{"name":"b","type":{"type":"fixed","name":"F","size":1}}"#,
            ),
        ),
        (
            "equal record again",
            record(
                r#"{"name":"a","type":{"type":"record","name":"Q","fields":[]}},{"name":"b","type":{"type":"record","name":"Q","fields":[]}}"#,
            ),
        ),
        (
            "reference by alias",
            record(
                r#"{"name":"a","type":{"type":"fixed","name":"F","size":1,"aliases":["G"]}},{"name":"b","type":"G"}"#,
            ),
        ),
        (
            "forward reference does not fall back to no namespace",
            record(
                r#"{"name":"a","type":"F"},{"name":"b","type":{"type":"fixed","name":"F","namespace":"","size":1}}"#,
            ),
        ),
        (
            "forward references that meet in a union",
            r#"["A",{"type":"array","items":"int"},{"type":"fixed","name":"A","size":1}]"#.into(),
        ),
        (
            "default of a record that is not complete",
            record(r#"{"name":"a","type":"R","default":{}}"#),
        ),
        (
            "text as a double's default in a union",
            record(r#"{"name":"a","type":["double"],"default":"1"}"#),
        ),
        (
            "fraction as an int's default",
            record(r#"{"name":"a","type":"int","default":1.0}"#),
        ),
        (
            "long as an int's default",
            record(r#"{"name":"a","type":"int","default":2147483648}"#),
        ),
        (
            "record default without a field that has none",
            record(
                r#"{"name":"a","type":{"type":"record","name":"Q","fields":[{"name":"x","type":"int"}]},"default":{}}"#,
            ),
        ),
        (
            "empty part of a namespace",
            r#"{"type":"fixed","name":"F","namespace":"a..b","size":1}"#.into(),
        ),
        (
            "invalid alias",
            r#"{"type":"fixed","name":"F","size":1,"aliases":["a-b"]}"#.into(),
        ),
        (
            "order that is no text",
            record(r#"{"name":"a","type":"int","order":null}"#),
        ),
        (
            "type named like a primitive",
            r#"{"type":"fixed","name":"int","size":1}"#.into(),
        ),
        (
            "size as a fraction",
            r#"{"type":"fixed","name":"F","size":1.0}"#.into(),
        ),
        ("type of a type", r#"{"type":{"type":"int"}}"#.into()),
        (
            "symbol that is no text",
            r#"{"type":"enum","name":"E","symbols":[null]}"#.into(),
        ),
        ("text after the schema", r#""int" "int""#.into()),
        (
            "big number in an array's attribute",
            r#"{"type":"array","items":"int","x":[123456789012345678901234567890]}"#.into(),
        ),
    ] {
        assert!(Schema::parse(&text).is_err(), "{case}: {text}");
    }
}

#[test]
fn stored_schemas_are_taken_as_they_are() {
    let stored = ParseOptions {
        strictness: Strictness::Stored,
        ..ParseOptions::default()
    };
    for text in [
        r#"{"type":"record","name":"Ré","fields":[{"name":"a","type":"int","default":"x"}]}"#,
        r#"{"type":"fixed","name":"F","namespace":"a-b","size":1,"aliases":["1"]}"#,
    ] {
        assert!(Schema::parse(text).is_err(), "{text}");
        let schema = Schema::parse_with(text, &stored).unwrap();
        assert_eq!(schema.to_text(), text);
    }
    for text in [r#"{"type":"fixed","name":"a-b","size":1}"#, r#""Nope""#] {
        assert!(Schema::parse_with(text, &stored).is_err(), "{text}");
    }
}

#[test]
fn references_are_names_in_the_text_and_types_in_the_graph() {
    let parse = |text: &str, references: &[Arc<Schema>]| {
        Schema::parse_with(
            text,
            &ParseOptions {
                references,
                ..ParseOptions::default()
            },
        )
    };
    let inner = Arc::new(
        parse(r#"{"type":"record","name":"n.B","fields":[{"name":"e","type":{"type":"enum","name":"E","symbols":["A"]}}]}"#, &[])
            .unwrap(),
    );
    let outer_text = r#"{"type":"record","name":"n.A","fields":[{"name":"b","type":"B"}]}"#;
    let outer = Arc::new(parse(outer_text, &[Arc::clone(&inner)]).unwrap());
    // A reference brings its own references; named twice it is still one.
    let top_text = r#"{"type":"record","name":"Top","fields":[{"name":"a","type":"n.A"},{"name":"b","type":"n.B"}]}"#;
    for references in [
        vec![Arc::clone(&outer)],
        vec![Arc::clone(&inner), Arc::clone(&outer)],
    ] {
        let top = parse(top_text, &references).unwrap();
        assert_eq!(top.to_text(), top_text);
        assert!(top.resolved_text().contains(r#""symbols":["A"]"#));
        assert_eq!(
            top.nodes()
                .iter()
                .filter(|node| node.kind.name().is_some())
                .count(),
            4
        );
        let Kind::Record(record) = &top.node(top.root()).kind else {
            panic!("a record")
        };
        assert_eq!(
            top.node(record.fields[1].node).kind.name().unwrap().full(),
            "n.B"
        );
    }
    // The text can't define a referenced record again.
    let again = parse(r#"{"type":"record","name":"n.B","fields":[]}"#, &[inner]).unwrap_err();
    assert_eq!(again.fault, ParseFault::Redefined("n.B".into()));
}

#[test]
fn a_new_schema_wants_strict_references() {
    let text = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int","default":"x"}]}"#;
    let stored = ParseOptions {
        strictness: Strictness::Stored,
        ..ParseOptions::default()
    };
    let references = [Arc::new(Schema::parse_with(text, &stored).unwrap())];
    let user = r#"{"type":"array","items":"R"}"#;
    let stored = ParseOptions {
        references: &references,
        ..stored
    };
    assert!(Schema::parse_with(user, &stored).is_ok());
    let new = ParseOptions {
        references: &references,
        ..ParseOptions::default()
    };
    assert!(matches!(
        Schema::parse_with(user, &new).unwrap_err().fault,
        ParseFault::Reference { at: 0, .. }
    ));
}

/// `levels` levels of two records, each of which refers to both of the level below.
fn lattice(levels: usize) -> Vec<Arc<Schema>> {
    let mut level: Vec<Arc<Schema>> = Vec::new();
    for n in 0..levels {
        let fields: Vec<String> = level
            .iter()
            .map(|below| {
                let name = below.node(below.root()).kind.name().unwrap().full();
                format!(r#"{{"name":"{name}","type":"{name}"}}"#)
            })
            .collect();
        let record = |letter: char| {
            let text = format!(
                r#"{{"type":"record","name":"{letter}{n}","fields":[{}]}}"#,
                fields.join(",")
            );
            let options = ParseOptions {
                references: &level,
                strictness: Strictness::Stored,
                ..ParseOptions::default()
            };
            Arc::new(Schema::parse_with(&text, &options).unwrap())
        };
        level = vec![record('A'), record('B')];
    }
    level
}

/// Not once for each way that leads to it: there are 2^40 here.
#[test]
fn a_reference_is_read_once_however_many_refer_to_it() {
    // The same texts once more, as where some of the first are not kept any longer.
    let references = [lattice(40), lattice(40)].concat();
    // Those below are names in its text.
    assert_eq!(references[0].to_text().matches("fields").count(), 1);
    for strictness in [Strictness::Stored, Strictness::Strict] {
        let options = ParseOptions {
            references: &references,
            strictness,
            ..ParseOptions::default()
        };
        assert!(Schema::parse_with("\"A39\"", &options).is_ok());
    }
}

#[test]
fn logical_types_hold_only_where_they_belong() {
    for (text, logical) in [
        (
            r#"{"type":"long","logicalType":"timestamp-millis"}"#,
            Some(LogicalType::TimestampMillis),
        ),
        (r#"{"type":"int","logicalType":"timestamp-millis"}"#, None),
        (
            r#"{"type":"bytes","logicalType":"decimal","precision":4,"scale":2}"#,
            Some(LogicalType::Decimal {
                precision: 4,
                scale: 2,
            }),
        ),
        (
            r#"{"type":"bytes","logicalType":"decimal","precision":2,"scale":4}"#,
            None,
        ),
        (
            r#"{"type":"fixed","name":"F","size":4,"logicalType":"decimal","precision":9}"#,
            Some(LogicalType::Decimal {
                precision: 9,
                scale: 0,
            }),
        ),
        (
            r#"{"type":"fixed","name":"F","size":4,"logicalType":"decimal","precision":10}"#,
            None,
        ),
        (
            r#"{"type":"string","logicalType":"uuid","avro.java.string":"String"}"#,
            None,
        ),
        (
            r#"{"type":"fixed","name":"F","size":12,"logicalType":"duration"}"#,
            Some(LogicalType::Duration),
        ),
    ] {
        let schema = taken(text);
        assert_eq!(schema.node(schema.root()).logical, logical, "{text}");
        assert_eq!(schema.to_text(), text);
    }
}

#[test]
fn depth_is_bounded_in_text_and_in_graph() {
    let arrays = |levels: usize| {
        format!(
            "{}\"int\"{}",
            r#"{"type":"array","items":"#.repeat(levels),
            "}".repeat(levels)
        )
    };
    let deep = taken(&arrays(1_000));
    assert_eq!(deep.to_text(), arrays(1_000));
    assert_eq!(deep.nodes().len(), 1_001);
    for levels in [1_001, 10_000] {
        assert!(matches!(
            refused(&arrays(levels)).fault,
            ParseFault::Json(_)
        ));
    }
    // Flat in the text, deep as it would be stored: forward references.
    let chain = |levels: usize| {
        let records: Vec<String> = (0..levels)
            .map(|at| {
                let next = if at + 1 < levels {
                    format!("\"R{}\"", at + 1)
                } else {
                    "\"int\"".into()
                };
                format!(
                    r#"{{"type":"record","name":"R{at}","fields":[{{"name":"f","type":{next}}}]}}"#
                )
            })
            .collect();
        format!(r#"{{"type":"array","items":[{}]}}"#, records.join(","))
    };
    assert!(Schema::parse(&chain(300)).is_ok());
    for levels in [400, 5_000] {
        assert_eq!(refused(&chain(levels)).fault, ParseFault::TooDeep(1_000));
    }
}

/// One namespace, written once, before all names: that would be the square of the text's size.
#[test]
fn long_namespaces_before_many_names_are_refused() {
    let limit = Limits::default().spelled_bytes;
    let space = "n".repeat(100_000);
    let text = |many: &str| {
        format!(
            r#"{{"type":"record","name":"R","namespace":"{space}","aliases":["a"],"fields":[{many}]}}"#
        )
    };
    let fields = |kind: &dyn Fn(usize) -> String| -> String {
        let one = |n: usize| format!(r#"{{"name":"f{n}","type":{}}}"#, kind(n));
        (0..200).map(one).collect::<Vec<_>>().join(",")
    };
    taken(&text(r#"{"name":"next","type":["null","R"]}"#));
    let defined = |n: usize| format!(r#"{{"type":"fixed","name":"F{n}","size":1}}"#);
    let aliases: Vec<String> = (0..200).map(|n| format!("\"A{n}\"")).collect();
    let aliases = aliases.join(",");
    let aliased = format!(r#"{{"type":"fixed","name":"F","size":1,"aliases":[{aliases}]}}"#);
    for many in [
        fields(&defined),
        fields(&|_| r#""R""#.to_owned()),
        fields(&|_| r#"["null","Later"]"#.to_owned()),
        format!(r#"{{"name":"f","type":{aliased}}}"#),
    ] {
        let fault = refused(&text(&many)).fault;
        assert_eq!(fault, ParseFault::TooMuchSpelled(limit));
    }
    // References take from the same.
    let large = |n: usize| {
        let text = format!(
            r#"{{"type":"fixed","name":"F{n}","size":1,"note":"{}"}}"#,
            "x".repeat(1_000_000)
        );
        Arc::new(Schema::parse(&text).unwrap())
    };
    let references: Vec<Arc<Schema>> = (0..17).map(large).collect();
    let parse = |count: usize| {
        let options = ParseOptions {
            references: &references[..count],
            ..ParseOptions::default()
        };
        Schema::parse_with("\"F0\"", &options)
    };
    assert!(parse(16).is_ok());
    let fault = parse(17).unwrap_err().fault;
    assert_eq!(fault, ParseFault::TooMuchSpelled(limit));
}

#[test]
fn types_that_come_with_references_have_names_in_full_too() {
    let limit = Limits::default().spelled_bytes;
    let space = "n".repeat(100_000);
    let defined =
        |n: usize| format!(r#"{{"name":"f{n}","type":{{"type":"fixed","name":"F{n}","size":1}}}}"#);
    let defined: Vec<String> = (0..90).map(defined).collect();
    let aliases: Vec<String> = (0..90).map(|n| format!("\"a{n}\"")).collect();
    for (fields, aliases) in [
        (defined.join(","), String::new()),
        (String::new(), aliases.join(",")),
    ] {
        // 9 MB each.
        let large = |n: usize| {
            let text = format!(
                r#"{{"type":"record","name":"R","namespace":"{space}{n}","fields":[{fields}],"aliases":[{aliases}]}}"#
            );
            Arc::new(Schema::parse(&text).unwrap())
        };
        let references = [large(0), large(1)];
        let parse = |count: usize| {
            let options = ParseOptions {
                references: &references[..count],
                ..ParseOptions::default()
            };
            Schema::parse_with("\"int\"", &options)
        };
        assert!(parse(1).is_ok());
        let fault = parse(2).unwrap_err().fault;
        assert_eq!(fault, ParseFault::TooMuchSpelled(limit));
    }
}

#[test]
fn work_and_memory_are_bounded() {
    let long = format!("\"{}\"", "a".repeat(1 << 20));
    assert!(matches!(
        refused(&long).fault,
        ParseFault::TextTooLong { .. }
    ));
    let limits = Limits {
        nodes: 10,
        enum_symbols: 2,
        fixed_bytes: 7,
        ..Limits::default()
    };
    let options = ParseOptions {
        limits,
        ..ParseOptions::default()
    };
    for (text, fault) in [
        (
            r#"{"type":"record","name":"R","fields":[{"name":"a","type":["int","long","string","null","bytes","float"]},{"name":"b","type":["int","long","string"]}]}"#,
            ParseFault::TooManyTypes(10),
        ),
        (
            r#"{"type":"enum","name":"E","symbols":["A","B","C"]}"#,
            ParseFault::TooManySymbols(2),
        ),
        (
            r#"{"type":"fixed","name":"F","size":8}"#,
            ParseFault::FixedSize { size: 8, limit: 7 },
        ),
    ] {
        assert_eq!(Schema::parse_with(text, &options).unwrap_err().fault, fault);
    }
    // Each level of the default has two records to try, each of which tries two for the next.
    let record = |name: &str, other: &str| {
        format!(
            r#"{{"type":"record","name":"{name}","fields":[{{"name":"f","type":["null","A","B"]}},{{"name":"{other}","type":"int"}}]}}"#
        )
    };
    let mut value = "1".to_owned();
    for _ in 0..60 {
        value = format!(r#"{{"f":{value},"x":1,"y":1}}"#);
    }
    let text = format!(
        r#"{{"type":"record","name":"Top","fields":[{{"name":"u","type":["null",{},{}]}},{{"name":"d","type":["null","A","B"],"default":{value}}}]}}"#,
        record("A", "x"),
        record("B", "y")
    );
    assert!(matches!(refused(&text).fault, ParseFault::TooCostly(_)));
    // Defaults within defaults do not multiply.
    let mut text =
        r#"{"type":"record","name":"R0","fields":[{"name":"a","type":"int","default":1}]}"#
            .to_owned();
    for level in 1..60 {
        text = format!(
            r#"{{"type":"record","name":"R{level}","fields":[{{"name":"a","type":{text},"default":{{}}}},{{"name":"b","type":"R{}","default":{{}}}}]}}"#,
            level - 1
        );
    }
    taken(&text);
}
