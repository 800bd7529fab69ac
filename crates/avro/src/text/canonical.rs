//! Avro's parsing canonical form (specification, "Transforming into Parsing Canonical Form")
//! and its Rabin fingerprint, as Java's `SchemaNormalization` computes them.

use std::collections::HashSet;
use std::fmt::Write;

use crate::schema::{Kind, NodeId, Schema};

pub(super) fn write(schema: &Schema) -> String {
    let mut out = String::new();
    node(schema, schema.root(), &mut HashSet::new(), &mut out);
    out
}

/// Names are valid, so that nothing needs escaping. Recursion is bounded by the parser's limit.
fn node<'s>(schema: &'s Schema, id: NodeId, known: &mut HashSet<&'s str>, out: &mut String) {
    let kind = &schema.node(id).kind;
    if let Some(name) = kind.name() {
        let (full, word) = (name.full(), kind.type_name());
        if !known.insert(full) {
            let _ = write!(out, "\"{full}\"");
            return;
        }
        let _ = write!(out, "{{\"name\":\"{full}\",\"type\":\"{word}\"");
    }
    match kind {
        Kind::Union(branches) => {
            out.push('[');
            for (at, branch) in branches.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                node(schema, *branch, known, out);
            }
            out.push(']');
        }
        Kind::Array(items) => {
            out.push_str("{\"type\":\"array\",\"items\":");
            node(schema, *items, known, out);
            out.push('}');
        }
        Kind::Map(values) => {
            out.push_str("{\"type\":\"map\",\"values\":");
            node(schema, *values, known, out);
            out.push('}');
        }
        Kind::Enum(symbols) => {
            out.push_str(",\"symbols\":[");
            for (at, symbol) in symbols.symbols.iter().enumerate() {
                let comma = if at > 0 { "," } else { "" };
                let _ = write!(out, "{comma}\"{symbol}\"");
            }
            out.push_str("]}");
        }
        Kind::Fixed(fixed) => {
            let _ = write!(out, ",\"size\":{}}}", fixed.size);
        }
        Kind::Record(record) => {
            out.push_str(",\"fields\":[");
            for (at, field) in record.fields.iter().enumerate() {
                let comma = if at > 0 { "," } else { "" };
                let _ = write!(out, "{comma}{{\"name\":\"{}\",\"type\":", field.name);
                node(schema, field.node, known, out);
                out.push('}');
            }
            out.push_str("]}");
        }
        primitive => {
            let _ = write!(out, "\"{}\"", primitive.type_name());
        }
    }
}

const EMPTY: u64 = 0xc15d_213a_a4d7_a795;

/// CRC-64-AVRO of some bytes.
pub(super) fn rabin(bytes: &[u8]) -> u64 {
    static TABLE: [u64; 256] = table();
    let mut print = EMPTY;
    for byte in bytes {
        let [low, ..] = print.to_le_bytes();
        let entry = TABLE
            .get(usize::from(low ^ byte))
            .copied()
            .unwrap_or_default();
        print = (print >> 8) ^ entry;
    }
    print
}

#[expect(clippy::indexing_slicing, reason = "at compile time, below 256")]
const fn table() -> [u64; 256] {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let mut print = at as u64;
        let mut bit = 0;
        while bit < 8 {
            print = (print >> 1) ^ (EMPTY & (print & 1).wrapping_neg());
            bit += 1;
        }
        table[at] = print;
        at += 1;
    }
    table
}
