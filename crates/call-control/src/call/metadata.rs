use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// What an app wants to remember about a call: a JSON object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "Map<String, Value>")]
#[schema(value_type = Object)]
pub struct Metadata(Map<String, Value>);

/// Postgres cannot store the NUL character (U+0000), so it is refused for both databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("metadata contains the NUL character")]
pub struct InvalidMetadata;

impl TryFrom<Map<String, Value>> for Metadata {
    type Error = InvalidMetadata;

    fn try_from(map: Map<String, Value>) -> Result<Self, InvalidMetadata> {
        if map.iter().any(|(key, value)| key.contains('\0') || has_nul(value)) {
            return Err(InvalidMetadata);
        }
        Ok(Self(map))
    }
}

impl Metadata {
    /// Applies a JSON merge patch (RFC 7396); null removes a member.
    pub(super) fn merge(&mut self, patch: &Self) {
        merge(&mut self.0, &patch.0);
    }

    /// Whether the JSON text is longer than this.
    #[must_use]
    pub fn is_larger_than(&self, bytes: usize) -> bool {
        serde_json::to_string(&self.0).map_or(true, |text| text.len() > bytes)
    }
}

fn merge(target: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (key, value) in patch {
        match value {
            Value::Null => {
                target.remove(key);
            }
            Value::Object(patch) => {
                let member = target.entry(key.clone()).or_insert(Value::Null);
                if !member.is_object() {
                    *member = Value::Object(Map::new());
                }
                if let Value::Object(member) = member {
                    merge(member, patch);
                }
            }
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                target.insert(key.clone(), value.clone());
            }
        }
    }
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(members) => members.iter().any(|(key, value)| key.contains('\0') || has_nul(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    fn metadata(value: Value) -> Metadata {
        from_value(value).unwrap()
    }

    #[test]
    fn merging_follows_the_examples_of_rfc_7396() {
        let cases = [
            (json!({"a":"b"}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"b"}), json!({"b":"c"}), json!({"a":"b","b":"c"})),
            (json!({"a":"b","b":"c"}), json!({"a":null}), json!({"b":"c"})),
            (json!({"a":["b"]}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":{"b":"c"}}), json!({"a":{"b":"d","c":null}}), json!({"a":{"b":"d"}})),
            (json!({"a":"foo"}), json!({"a":{"b":{"c":null}}}), json!({"a":{"b":{}}})),
            (json!({"e":null}), json!({"a":1}), json!({"e":null,"a":1})),
        ];
        for (target, patch, expected) in cases {
            let mut merged = metadata(target);
            merged.merge(&metadata(patch));
            assert_eq!(merged, metadata(expected));
        }
    }

    #[test]
    fn only_objects_without_nul_are_metadata() {
        for bad in [json!([]), json!("x"), json!(null), json!({"a":{"b":["\u{0}"]}}), json!({"\u{0}":1})] {
            assert!(from_value::<Metadata>(bad).is_err());
        }
    }
}
