//! Rule sets that a request brings: what Confluent's registry would refuse is refused, and what it
//! fills in is filled in, for both are a part of the schema's identity.

use std::collections::BTreeSet;

use crate::record::{Rule, RuleSet};
use crate::refusal::{Code, Refusal};

/// Longest name of a rule, UTF-16 units.
const MAX_NAME: usize = 256;

const KINDS: [&str; 2] = ["TRANSFORM", "CONDITION"];
const MIGRATION: [&str; 3] = ["UPGRADE", "DOWNGRADE", "UPDOWN"];
const DOMAIN: [&str; 3] = ["WRITE", "READ", "WRITEREAD"];

/// Modes under which an action may be a pair: one for each way.
const TWO_WAY: [&str; 2] = ["UPDOWN", "WRITEREAD"];

fn refused(why: impl Into<String>) -> Refusal {
    Refusal::new(Code::InvalidRuleSet, why)
}

/// The rules with what Confluent's registry takes for what they leave open.
///
/// # Errors
/// 42210: a name that is missing, repeated or not a name, no type, a kind or mode that is none or
/// not one for its place, a pair of actions where there is one way only.
pub(super) fn checked(rules: RuleSet) -> Result<RuleSet, Refusal> {
    let mut names = BTreeSet::new();
    let mut all = |rules: Vec<Rule>, modes: &[&str], what: &str| {
        rules
            .into_iter()
            .map(|rule| checked_rule(rule, &mut names, modes, what))
            .collect::<Result<Vec<_>, _>>()
    };
    Ok(RuleSet {
        migration_rules: all(rules.migration_rules, &MIGRATION, "Migration")?,
        domain_rules: all(rules.domain_rules, &DOMAIN, "Domain")?,
        encoding_rules: all(rules.encoding_rules, &DOMAIN, "Encoding")?,
        enable_at: rules.enable_at,
    })
}

fn checked_rule(
    mut rule: Rule,
    names: &mut BTreeSet<String>,
    modes: &[&str],
    what: &str,
) -> Result<Rule, Refusal> {
    let name = rule.name.clone().unwrap_or_default();
    if !name.is_empty() && !names.insert(name.clone()) {
        return Err(refused(format!("Found rule with duplicate name '{name}'")));
    }
    check_name(rule.name.as_deref())?;
    if rule.rule_type.is_none() {
        return Err(refused("Missing rule type"));
    }
    let kind = rule.kind.get_or_insert_with(|| "TRANSFORM".to_owned());
    if !KINDS.contains(&kind.as_str()) {
        return Err(refused(format!(
            "Unknown kind '{kind}' of rule '{name}': kinds are {}",
            KINDS.join(", ")
        )));
    }
    let mode = rule.mode.get_or_insert_with(|| "WRITEREAD".to_owned());
    if !TWO_WAY.contains(&mode.as_str()) {
        let pair = |action: &Option<String>| action.as_ref().is_some_and(|text| text.contains(','));
        if pair(&rule.on_success) || pair(&rule.on_failure) {
            return Err(refused(
                "Multiple actions only valid with WRITEREAD and UPDOWN",
            ));
        }
    }
    if !modes.contains(&mode.as_str()) {
        return Err(refused(format!(
            "{what} rules can only be {}",
            modes.join(", ")
        )));
    }
    Ok(rule)
}

fn check_name(name: Option<&str>) -> Result<(), Refusal> {
    let name = name.ok_or_else(|| refused("Missing rule name"))?;
    if name.encode_utf16().count() > MAX_NAME {
        return Err(refused("Rule name too long"));
    }
    let mut letters = name.chars();
    match letters.next() {
        None => return Err(refused("Empty rule name")),
        Some(first) if first.is_alphabetic() || first == '_' => {}
        Some(_) => {
            return Err(refused(format!(
                "Illegal initial character in rule name: {name}"
            )));
        }
    }
    if letters.all(|c| c.is_alphanumeric() || c == '_' || c == '-') {
        Ok(())
    } else {
        Err(refused(format!("Illegal character in rule name: {name}")))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check(rules: Value) -> Result<RuleSet, String> {
        checked(serde_json::from_value(rules).unwrap()).map_err(|refusal| {
            assert_eq!(refusal.code, Code::InvalidRuleSet);
            refusal.message
        })
    }

    #[test]
    fn what_confluent_refuses_is_refused() {
        let domain = |rule: Value| json!({ "domainRules": [rule] });
        let long = "x".repeat(257);
        for (rules, why) in [
            (domain(json!({ "type": "CEL" })), "Missing rule name"),
            (
                domain(json!({ "name": "", "type": "CEL" })),
                "Empty rule name",
            ),
            (
                domain(json!({ "name": long, "type": "CEL" })),
                "Rule name too long",
            ),
            (
                domain(json!({ "name": "1st", "type": "CEL" })),
                "Illegal initial character in rule name: 1st",
            ),
            (
                domain(json!({ "name": "a b", "type": "CEL" })),
                "Illegal character in rule name: a b",
            ),
            (domain(json!({ "name": "r" })), "Missing rule type"),
            (
                domain(json!({ "name": "r", "type": "CEL", "mode": "UPGRADE" })),
                "Domain rules can only be WRITE, READ, WRITEREAD",
            ),
            (
                json!({ "migrationRules": [{ "name": "r", "type": "CEL" }] }),
                "Migration rules can only be UPGRADE, DOWNGRADE, UPDOWN",
            ),
            (
                json!({ "encodingRules": [{ "name": "r", "type": "CEL", "mode": "UPDOWN" }] }),
                "Encoding rules can only be WRITE, READ, WRITEREAD",
            ),
            (
                domain(
                    json!({ "name": "r", "type": "CEL", "mode": "READ", "onSuccess": "NONE,ERROR" }),
                ),
                "Multiple actions only valid with WRITEREAD and UPDOWN",
            ),
            (
                json!({
                    "domainRules": [{ "name": "r", "type": "CEL" }],
                    "encodingRules": [{ "name": "r", "type": "CEL" }],
                }),
                "Found rule with duplicate name 'r'",
            ),
            (
                domain(json!({ "name": "r", "type": "CEL", "kind": "GUESS" })),
                "Unknown kind 'GUESS' of rule 'r': kinds are TRANSFORM, CONDITION",
            ),
        ] {
            assert_eq!(check(rules.clone()), Err(why.to_owned()), "{rules}");
        }
    }

    #[test]
    fn what_is_left_open_is_filled_in() {
        let rules = check(json!({
            "migrationRules": [{ "name": "up", "type": "JSONATA", "mode": "UPGRADE" }],
            "domainRules": [{ "name": "é_1-x", "type": "CEL", "onFailure": "DLQ,NONE" }],
        }))
        .unwrap();
        let rule = rules.domain_rules.first().unwrap();
        assert_eq!(
            (rule.kind.as_deref(), rule.mode.as_deref()),
            (Some("TRANSFORM"), Some("WRITEREAD"))
        );
        assert_eq!(check(json!({})), Ok(RuleSet::default()));
    }
}
