use super::*;

fn form(schema: &str) -> JsonForm {
    JsonForm::new(&Schema::parse(schema).unwrap()).unwrap()
}

/// What a line comes to as bytes, and these printed again.
fn there_and_back(schema: &str, line: &str) -> Result<(String, String), String> {
    let form = form(schema);
    let mut datum = Vec::new();
    form.encode(line, &mut datum)
        .map_err(|fault| fault.to_string())?;
    let mut printed = String::new();
    form.decode(&datum, &mut printed)
        .map_err(|fault| fault.to_string())?;
    Ok((hex::encode(datum), printed))
}

#[test]
fn each_type_has_its_form() {
    // schema, line, datum, line as printed
    let cases = [
        (r#""null""#, "null", "", "null"),
        (r#""boolean""#, "true", "01", "true"),
        (r#""int""#, "-1", "01", "-1"),
        (r#""int""#, "5.0", "0a", "5"),
        (
            r#""long""#,
            "9007199254740993",
            "8280808080808020",
            "9007199254740993",
        ),
        (
            r#""long""#,
            "-9223372036854775808",
            "ffffffffffffffffff01",
            "-9223372036854775808",
        ),
        (r#""float""#, "0.1", "cdcccc3d", "0.1"),
        (r#""double""#, "1", "000000000000f03f", "1.0"),
        (
            r#""double""#,
            "\"-Infinity\"",
            "000000000000f0ff",
            "\"-Infinity\"",
        ),
        (r#""double""#, "\"NaN\"", "000000000000f87f", "\"NaN\""),
        (
            r#""double""#,
            r#"{"hex":"010000000000f87f"}"#,
            "010000000000f87f",
            r#"{"hex":"010000000000f87f"}"#,
        ),
        (r#""string""#, r#""a\n\u00e9""#, "08610ac3a9", r#""a\né""#),
        (
            r#""bytes""#,
            r#""\u0000\u00ffA\"""#,
            "0800ff4122",
            r#""\u0000\u00ffA\"""#,
        ),
        (
            r#"{"type":"fixed","name":"F","size":2}"#,
            r#""\u0001~""#,
            "017e",
            r#""\u0001~""#,
        ),
        (
            r#"{"type":"enum","name":"E","symbols":["A","B"]}"#,
            "\"B\"",
            "02",
            "\"B\"",
        ),
        (
            r#"{"type":"array","items":"int"}"#,
            "[1, 2]",
            "04020400",
            "[1,2]",
        ),
        (
            r#"{"type":"map","values":"int"}"#,
            r#"{"b":1,"a":2}"#,
            "0402620202610400",
            r#"{"b":1,"a":2}"#,
        ),
        (
            r#"{"type":"long","logicalType":"timestamp-millis"}"#,
            "\"2013-01-01T06:00:00+01:00\"",
            "8082d8c7fe4e",
            "\"2013-01-01T05:00:00.000Z\"",
        ),
        (
            r#"{"type":"long","logicalType":"timestamp-millis"}"#,
            "9223372036854775807",
            "feffffffffffffffff01",
            "9223372036854775807",
        ),
        (
            r#"{"type":"long","logicalType":"local-timestamp-micros"}"#,
            "\"1970-01-01T00:00:00\"",
            "00",
            "\"1970-01-01T00:00:00.000000\"",
        ),
        (
            r#"{"type":"int","logicalType":"date"}"#,
            "\"1970-01-02\"",
            "02",
            "\"1970-01-02\"",
        ),
        (
            r#"{"type":"int","logicalType":"date"}"#,
            "1",
            "02",
            "\"1970-01-02\"",
        ),
        (
            r#"{"type":"int","logicalType":"time-millis"}"#,
            "\"00:00:00.001\"",
            "02",
            "\"00:00:00.001\"",
        ),
        (
            r#"{"type":"bytes","logicalType":"decimal","precision":6,"scale":2}"#,
            "\"-12.5\"",
            "04fb1e",
            "\"-12.50\"",
        ),
        (
            r#"{"type":"bytes","logicalType":"decimal","precision":6,"scale":2}"#,
            "3",
            "04012c",
            "\"3.00\"",
        ),
        (
            r#"{"type":"bytes","logicalType":"decimal","precision":6,"scale":2}"#,
            r#"{"hex":"000005"}"#,
            "06000005",
            r#"{"hex":"000005"}"#,
        ),
        (
            r#"{"type":"fixed","name":"D","size":4,"logicalType":"decimal","precision":6,"scale":1}"#,
            "\"-0.1\"",
            "ffffffff",
            "\"-0.1\"",
        ),
        (
            r#"{"type":"fixed","name":"U","size":16,"logicalType":"uuid"}"#,
            "\"F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6\"",
            "f81d4fae7dec11d0a76500a0c91e6bf6",
            "\"f81d4fae-7dec-11d0-a765-00a0c91e6bf6\"",
        ),
        (
            r#"{"type":"fixed","name":"D","size":12,"logicalType":"duration"}"#,
            r#"{"days":2,"months":1,"millis":4294967295}"#,
            "0100000002000000ffffffff",
            r#"{"months":1,"days":2,"millis":4294967295}"#,
        ),
    ];
    for (schema, line, datum, printed) in cases {
        let expected = Ok((datum.to_owned(), printed.to_owned()));
        assert_eq!(there_and_back(schema, line), expected, "{schema} {line}");
    }
}

#[test]
fn unions_are_plain_where_the_kind_of_value_tells_the_branch() {
    let record = r#"{"type":"record","name":"a.R","fields":[{"name":"f","type":"int"}]}"#;
    let other = r#"{"type":"record","name":"a.S","fields":[{"name":"f","type":"int"}]}"#;
    let cases = [
        (r#"["null","string"]"#.to_owned(), "null", Ok("null")),
        (r#"["null","string"]"#.to_owned(), "\"x\"", Ok("\"x\"")),
        // Avro's own JSON is taken too.
        (
            r#"["null","string"]"#.to_owned(),
            r#"{"string":"x"}"#,
            Ok("\"x\""),
        ),
        (r#"["null","long","string"]"#.to_owned(), "7", Ok("7")),
        (
            format!(r#"["null",{record}]"#),
            r#"{"f":1}"#,
            Ok(r#"{"f":1}"#),
        ),
        (
            format!(r#"["null",{record}]"#),
            r#"{"a.R":{"f":1}}"#,
            Ok(r#"{"f":1}"#),
        ),
        (
            format!("[{record},{other}]"),
            r#"{"a.S":{"f":1}}"#,
            Ok(r#"{"a.S":{"f":1}}"#),
        ),
        (
            format!("[{record},{other}]"),
            r#"{"f":1}"#,
            Err("an object could be a.R or a.S; tag it: {\"a.R\": …}"),
        ),
        (
            r#"["int","long"]"#.to_owned(),
            r#"{"long":1}"#,
            Ok(r#"{"long":1}"#),
        ),
        (
            r#"["int","long"]"#.to_owned(),
            "1",
            Err("1 could be int or long; tag it: {\"int\": …}"),
        ),
        // A map may have any key, a tag's name too.
        (
            r#"["string",{"type":"map","values":"int"}]"#.to_owned(),
            r#"{"string":1}"#,
            Ok(r#"{"string":1}"#),
        ),
        (
            r#"["int","long",{"type":"map","values":"int"}]"#.to_owned(),
            r#"{"map":{"int":1}}"#,
            Ok(r#"{"map":{"int":1}}"#),
        ),
        // Only the rare text of a double needs a tag beside a string.
        (
            r#"["double","string"]"#.to_owned(),
            "\"NaN\"",
            Ok("\"NaN\""),
        ),
        (
            r#"["double","string"]"#.to_owned(),
            r#"{"double":"NaN"}"#,
            Ok(r#"{"double":"NaN"}"#),
        ),
        (r#"["double","string"]"#.to_owned(), "1.5", Ok("1.5")),
        (
            r#"["null","int"]"#.to_owned(),
            "\"x\"",
            Err("expected null or int, found \"x\""),
        ),
        (
            r#"["string"]"#.to_owned(),
            "null",
            Err("expected string, found null"),
        ),
    ];
    for (schema, line, expected) in cases {
        let printed = there_and_back(&schema, line).map(|(_, printed)| printed);
        let expected = expected.map(str::to_owned).map_err(str::to_owned);
        assert_eq!(printed, expected, "{schema} {line}");
    }
}

#[test]
fn faults_name_the_field_and_what_was_found() {
    let schema = r#"{"type":"record","name":"a.R","fields":[
        {"name":"flight","type":"int"},
        {"name":"carrier","type":{"type":"enum","name":"C","symbols":["UA","AA"]},"default":"AA"},
        {"name":"stops","type":{"type":"array","items":{"type":"record","name":"Stop","fields":[
            {"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}}]}},"default":[]},
        {"name":"tags","type":{"type":"map","values":"boolean"},"default":{}}]}"#;
    let cases = [
        ("{", "not JSON: the text ends within a value (byte 1)"),
        ("[]", "expected an object (record a.R), found an array"),
        (
            "{}",
            "field \"flight\" of record a.R is missing and has no default",
        ),
        (
            r#"{"fligth":1}"#,
            "record a.R has no field \"fligth\"; did you mean \"flight\"?",
        ),
        (
            r#"{"flight":1,"flight":2}"#,
            "field \"flight\" stands there twice",
        ),
        (
            r#"{"flight":"UA"}"#,
            "/flight: expected a whole number of 32 bits (int), found \"UA\"",
        ),
        (
            r#"{"flight":2147483648}"#,
            "/flight: expected a whole number of 32 bits (int), found 2147483648",
        ),
        (
            r#"{"flight":1,"carrier":"U"}"#,
            "/carrier: enum a.C has no symbol \"U\"; did you mean \"UA\"?",
        ),
        (
            r#"{"flight":1,"stops":[{"at":0},{"at":"noon"}]}"#,
            "/stops/1/at: expected a time such as \"2013-01-31T23:59:59.999Z\", or milliseconds since 1970 (timestamp-millis), found \"noon\"",
        ),
        (
            r#"{"flight":1,"tags":{"a/b":0}}"#,
            "/tags/a~1b: expected true or false, found 0",
        ),
    ];
    for (line, expected) in cases {
        assert_eq!(
            there_and_back(schema, line),
            Err(expected.to_owned()),
            "{line}"
        );
    }
    let printed = there_and_back(schema, r#"{"tags":{"x":true},"flight":1}"#)
        .unwrap()
        .1;
    assert_eq!(
        printed,
        r#"{"flight":1,"carrier":"AA","stops":[],"tags":{"x":true}}"#
    );
}

#[test]
fn missing_fields_take_defaults_in_avros_own_json() {
    let schema = r#"{"type":"record","name":"R","fields":[
        {"name":"a","type":["null","int"],"default":null},
        {"name":"b","type":{"type":"bytes","logicalType":"decimal","precision":4,"scale":2},"default":"\u0001\u0000"},
        {"name":"c","type":{"type":"record","name":"S","fields":[{"name":"d","type":"int","default":5}]},"default":{}},
        {"name":"e","type":"double","default":1}]}"#;
    let printed = there_and_back(schema, "{}").unwrap().1;
    assert_eq!(printed, r#"{"a":null,"b":"2.56","c":{"d":5},"e":1.0}"#);
}

#[test]
fn nesting_without_end_is_refused() {
    let schema = r#"{"type":"record","name":"N","fields":[{"name":"n","type":["null","N"]}]}"#;
    let deep = |levels: usize| format!("{}null{}", "{\"n\":".repeat(levels), "}".repeat(levels));
    assert!(there_and_back(schema, &deep(32)).is_ok());
    let fault = there_and_back(schema, &deep(40)).unwrap_err();
    assert!(fault.ends_with("nested deeper than 64 levels"), "{fault}");
}
