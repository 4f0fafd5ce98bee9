use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::CallError;
use crate::ids::RecordingId;

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

    /// Whether the JSON text, without what the server keeps in it, is longer than this.
    #[must_use]
    pub fn is_larger_than(&self, bytes: usize) -> bool {
        let of_app = |(key, _): &(&String, &Value)| *key != ENABLED && *key != ID;
        let of_app: BTreeMap<_, _> = self.0.iter().filter(of_app).collect();
        serde_json::to_string(&of_app).map_or(true, |text| text.len() > bytes)
    }

    /// What a client's metadata, or patch of it, says about recording.
    ///
    /// # Errors
    /// [`CallError::RecordingKeys`] for what no client can set.
    pub fn recording_keys(&self) -> Result<RecordingKeys, CallError> {
        let enabled = match self.0.get(ENABLED) {
            None => None,
            Some(Value::Null) => Some(Flag::Removed),
            Some(Value::Bool(is)) => Some(Flag::Is(*is)),
            Some(Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_)) => {
                return Err(CallError::RecordingKeys);
            }
        };
        match self.0.get(ID) {
            None => Ok(RecordingKeys { enabled, id: None }),
            Some(Value::Null) => Ok(RecordingKeys { enabled, id: Some(Flag::Removed) }),
            Some(_) => Err(CallError::RecordingKeys),
        }
    }

    /// Whether a new call may have this metadata, in which nothing can be removed.
    ///
    /// # Errors
    /// [`CallError::RecordingKeys`].
    pub fn check_recording_keys(&self) -> Result<(), CallError> {
        match self.recording_keys()? {
            RecordingKeys { enabled: None | Some(Flag::Is(_)), id: None } => Ok(()),
            RecordingKeys { .. } => Err(CallError::RecordingKeys),
        }
    }

    /// Says whether the call is being recorded, and by which recording if that changes.
    pub(super) fn keep_recording(&mut self, enabled: bool, id: Option<RecordingId>) {
        self.0.insert(ENABLED.to_owned(), Value::Bool(enabled));
        if let Some(id) = id {
            self.0.insert(ID.to_owned(), Value::String(id.to_string()));
        }
    }
}

/// The members that the server keeps, as a client's patch changes them. `None`: the patch does not name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordingKeys {
    pub enabled: Option<Flag>,
    pub id: Option<Flag>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flag {
    Removed,
    Is(bool),
}

/// Whether the call is being recorded.
const ENABLED: &str = "recordingEnabled";
/// The call's latest recording.
const ID: &str = "recordingId";

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
